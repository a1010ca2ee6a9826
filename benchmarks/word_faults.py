"""Faults in the tokens of users' text, and what T3 makes of them.

Scenarios of `benchmarks.fault_matrix` on the embedded docstrings.
"""

from collections.abc import Mapping
import dataclasses
import functools
import json
from typing import Optional

from tff_gen_debug import files
from tff_gen_debug import privacy
from tff_gen_debug.datasets import alphabet
from tff_gen_debug.datasets import docstrings
from tff_gen_debug.datasets import tokenization
from tff_gen_debug.datasets import vocabulary as vocabulary_lib
from tff_gen_debug.debugging import bugs
from tff_gen_debug.debugging import character_model
from tff_gen_debug.debugging import findings as findings_lib
from tff_gen_debug.debugging import generated_words
from tff_gen_debug.debugging import investigation
from tff_gen_debug.debugging import oov
from tff_gen_debug.debugging import text_bugs
from tff_gen_debug.debugging import word_differences

# Of the sentences, as in the paper's experiment.
_SHARE = 0.1

FAULTS: Mapping[str, Optional[bugs.Bug]] = {
  "none": None,
  "words joined": text_bugs.join_first_words,
  "apostrophes lost": text_bugs.drop_apostrophes,
  "words doubled": text_bugs.join_copies,
  "wrong encoding": text_bugs.break_accents,
  "HTML left in": text_bugs.leave_html,
}

CRITERIA = ("T3 unknown words",)

EXPECTED: Mapping[str, tuple[str, ...]] = {
  "words joined": ("with_space",),
  "apostrophes lost": ("apostrophe_lost",),
  "words doubled": ("doubled",),
  "wrong encoding": ("misread_bytes",),
  "HTML left in": ("markup",),
}

# With what UTF-8 becomes if it is read as Latin-1, lower-cased or not.
_ALPHABET = alphabet.Alphabet(
  alphabet.DEFAULT_CHARACTERS + "".join(map(chr, range(0x80, 0x100)))
)


def run(
  criterion: str, fault: str, seed: int, folder: str
) -> investigation.Result:
  """Runs one cell; see `image_faults.run`."""
  del criterion
  sentences, vocabulary = _users()
  bug = FAULTS[fault]
  if bug is not None:
    sentences = text_bugs.inject(sentences, bug, _SHARE, seed)
  rounds = 150
  plan = privacy.PrivacyPlan(
    population=1_000_000,
    expected_clients_per_round=5000,
    rounds=rounds,
    noise_multiplier=1.0,
  ).simulated_by(population=len(sentences.client_ids), clients_per_round=50)
  return investigation.Investigation(
    client_data=sentences,
    criterion=oov.OovCriterion(
      vocabulary, max_words_per_user=64, max_characters=20, seed=seed
    ),
    auxiliary=character_model.CharacterModel(
      vocabulary=vocabulary, alphabet=_ALPHABET, seed=seed
    ),
    plan=plan,
    checkpoint_every=rounds,
    seed=seed,
  ).run(folder)


def keep(result: investigation.Result, path: str) -> None:
  """Writes what the model generates to a JSON file."""
  (samples,) = result.samples.values()
  content = json.dumps(dataclasses.asdict(samples.words))
  files.write_atomically(path, content.encode())


def find(path: str) -> list[findings_lib.Finding]:
  """What the words that were kept show."""
  _, vocabulary = _users()
  with open(path, encoding="utf-8") as file:
    words = generated_words.GeneratedWords(**json.load(file))
  return word_differences.compare_words(words, None, vocabulary.words)


@functools.cache
def _users():
  """The users' sentences, and a vocabulary of other users."""
  train, held_out = docstrings.load_data()
  vocabulary = vocabulary_lib.Vocabulary.from_counts(
    vocabulary_lib.count_users(tokenization.split_words(held_out)), 5000
  )
  return tokenization.split_words(train), vocabulary
