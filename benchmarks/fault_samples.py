"""Samples of an investigation in a file, and what they show.

Kept instead of findings, so that a change of what counts as a finding can be
measured without training again.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import json
from typing import Any, Optional

import numpy as np

from tff_gen_debug import files
from tff_gen_debug.debugging import character_model
from tff_gen_debug.debugging import findings as findings_lib
from tff_gen_debug.debugging import generated_words
from tff_gen_debug.debugging import investigation as investigation_lib

# Beside the numbered slices.
_LABELS = "labels"


def keep(
  samples: Mapping[str, Any],
  path: str,
  labels: Optional[Sequence[int]] = None,
) -> None:
  """Writes samples: images in 256 shades as npz, words as JSON.

  Args:
    samples: `Result.samples`, the suspect slice first.
    path: The file.
    labels: Those of the suspect slice, if it is of images and was chosen by
      label.
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
  if labels is not None:
    arrays[_LABELS] = np.array(labels)
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
  labels = None
  if isinstance(asked.auxiliary, character_model.CharacterModel):
    with open(path, encoding="utf-8") as file:
      for name, content in json.load(file).items():
        words = generated_words.GeneratedWords(**content)
        samples[name] = character_model.WordSamples(words, np.zeros([0]), ())
  else:
    with np.load(path) as arrays:
      if _LABELS in arrays.files:
        labels = arrays[_LABELS].tolist()
      for key in sorted(set(arrays.files) - {_LABELS}):
        images = arrays[key].astype(np.float32) / 127.5 - 1
        samples[key.split("_", 1)[1]] = images
  return asked.find(samples, labels)
