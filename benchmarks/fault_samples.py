"""Samples of an investigation in a file, and what they show.

Kept instead of findings, so that a change of what counts as a finding can be
measured without training again.
"""

from collections.abc import Mapping
import dataclasses
import json
from typing import Any

import numpy as np

from tff_gen_debug import files
from tff_gen_debug.debugging import character_model
from tff_gen_debug.debugging import findings as findings_lib
from tff_gen_debug.debugging import generated_words
from tff_gen_debug.debugging import investigation as investigation_lib


def keep(samples: Mapping[str, Any], path: str) -> None:
  """Writes samples: images in 256 shades as npz, words as JSON.

  Args:
    samples: `Result.samples`, the suspect slice first.
    path: The file.
  """
  if isinstance(next(iter(samples.values())), character_model.WordSamples):
    words = {name: dataclasses.asdict(s.words) for name, s in samples.items()}
    files.write_atomically(path, json.dumps(words).encode())
    return
  arrays = {
    # Numbered, since the slices have an order.
    f"{number}_{name}": np.rint((images + 1) * 127.5).astype(np.uint8)
    for number, (name, images) in enumerate(samples.items())
  }
  with open(path, "wb") as file:
    np.savez_compressed(file, **arrays)


def find(
  asked: investigation_lib.Investigation, path: str
) -> list[findings_lib.Finding]:
  """What the kept samples of an investigation show.

  Args:
    asked: The investigation.
    path: The file that `keep` wrote.

  Returns:
    The findings, as `Investigation.run` would make them.
  """
  samples: dict[str, Any] = {}
  if isinstance(asked.auxiliary, character_model.CharacterModel):
    with open(path, encoding="utf-8") as file:
      for name, content in json.load(file).items():
        words = generated_words.GeneratedWords(**content)
        samples[name] = character_model.WordSamples(words, np.zeros([0]), ())
  else:
    with np.load(path) as arrays:
      for key in sorted(arrays.files):
        images = arrays[key].astype(np.float32) / 127.5 - 1
        samples[key.split("_", 1)[1]] = images
  return asked.find(samples)
