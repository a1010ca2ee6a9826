"""Faults in the tokens of users' text, and what T3 makes of them.

On the embedded docstrings: a user is a Python module.
"""

from collections.abc import Mapping
import functools
from typing import Optional

import tensorflow_federated as tff

from tasks import deployment
from tasks.investigation import config as config_lib
from tff_gen_debug import privacy
from tff_gen_debug.datasets import alphabet
from tff_gen_debug.datasets import docstrings
from tff_gen_debug.datasets import tokenization
from tff_gen_debug.datasets import vocabulary as vocabulary_lib
from tff_gen_debug.debugging import bugs
from tff_gen_debug.debugging import character_model
from tff_gen_debug.debugging import investigation as investigation_lib
from tff_gen_debug.debugging import oov
from tff_gen_debug.debugging import text_bugs

# Of the sentences, as in the paper's experiment.
_SHARE = 0.1

_FAULTS: Mapping[str, Optional[bugs.Bug]] = {
  "none": None,
  "words_joined": text_bugs.join_first_words,
  "apostrophes_lost": text_bugs.drop_apostrophes,
  "words_doubled": text_bugs.join_copies,
  "wrong_encoding": text_bugs.break_accents,
  "html_left_in": text_bugs.leave_html,
}

# With what UTF-8 becomes if it is read as Latin-1, lower-cased or not.
_ALPHABET = alphabet.Alphabet(
  alphabet.DEFAULT_CHARACTERS + "".join(map(chr, range(0x80, 0x100)))
)

_MAX_CHARACTERS = 20
_MAX_WORDS_PER_USER = 64


def make(config: config_lib.Config) -> investigation_lib.Investigation:
  """The investigation of the embedded users with the fault of `config`."""
  sentences, vocabulary, releases = users(
    config.vocabulary_size, config.vocabulary_users
  )
  bug = _FAULTS[config.fault]
  if bug is not None:
    sentences = text_bugs.inject(
      sentences, bug, config.fault_share or _SHARE, config.seed
    )
  return investigation_lib.Investigation(
    client_data=sentences,
    criterion=oov.OovCriterion(
      vocabulary,
      max_words_per_user=_MAX_WORDS_PER_USER,
      max_characters=_MAX_CHARACTERS,
      seed=config.seed,
      releases=releases,
    ),
    auxiliary=character_model.CharacterModel(
      vocabulary=vocabulary,
      alphabet=_ALPHABET,
      max_characters=_MAX_CHARACTERS,
      max_words_per_user=_MAX_WORDS_PER_USER,
      num_draws=config.num_draws,
      seed=config.seed,
    ),
    plan=deployment.make_plan(config, len(sentences.client_ids), config.rounds),
    epsilon_limit=config.epsilon_limit or None,
    checkpoint_every=config.checkpoint_every,
    seed=config.seed,
  )


@functools.cache
def users(
  vocabulary_size: int, vocabulary_users: str
) -> tuple[
  tff.simulation.datasets.ClientData,
  vocabulary_lib.Vocabulary,
  tuple[privacy.Release, ...],
]:
  """The users' sentences, a vocabulary, and what was released for it."""
  train, held_out = map(tokenization.split_words, docstrings.load_data())
  counted = held_out
  releases: tuple[privacy.Release, ...] = ()
  if vocabulary_users == "train":
    counted = train
    releases = (
      privacy.Release(
        name="vocabulary",
        what=(
          f"the {vocabulary_size} most used words before the fault, by exact "
          "counts over users"
        ),
      ),
    )
  counts = vocabulary_lib.count_users(counted)
  vocabulary = vocabulary_lib.Vocabulary.from_counts(counts, vocabulary_size)
  return train, vocabulary, releases
