"""The users of the task, what the word model knows, and what goes wrong."""

import collections
from collections.abc import Mapping
import dataclasses
import logging

import tensorflow_federated as tff

from tasks.tokenization_bug import config as config_lib
from tff_gen_debug import datasets
from tff_gen_debug import privacy
from tff_gen_debug.datasets import alphabet as alphabet_lib
from tff_gen_debug.datasets import client_examples
from tff_gen_debug.datasets import docstrings
from tff_gen_debug.datasets import language_examples
from tff_gen_debug.datasets import stackoverflow
from tff_gen_debug.datasets import tokenization
from tff_gen_debug.datasets import vocabulary as vocabulary_lib
from tff_gen_debug.debugging import oov
from tff_gen_debug.debugging import text_bugs

_logger = logging.getLogger(__name__)

ALPHABET = alphabet_lib.Alphabet()

_MOST_COUNTED = 5000


@dataclasses.dataclass(frozen=True, eq=False)
class Users:
  """The users before anything goes wrong.

  Attributes:
    sentences: Their sentences, elements `OrderedDict(words=string [n])`.
    held_out: The same of users whom nothing is trained on.
    vocabulary: What the word model knows.
    releases: What had to be released for the vocabulary.
  """

  sentences: tff.simulation.datasets.ClientData
  held_out: tff.simulation.datasets.ClientData
  vocabulary: vocabulary_lib.Vocabulary
  releases: tuple[privacy.Release, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Scenario:
  """The users as the tokenizer of one scenario shows them.

  Attributes:
    sentences: All that they wrote, elements `OrderedDict(words=string [n])`.
    word_examples: By user, what the word model is trained on.
    char_examples: By user, what the character model is trained on.
  """

  sentences: tff.simulation.datasets.ClientData
  word_examples: client_examples.ClientExamples
  char_examples: client_examples.ClientExamples


def load_users(config: config_lib.Config) -> Users:
  """Loads the users and makes the vocabulary."""
  cache_dir = config.cache_dir or None
  if config.dataset == "stackoverflow":
    train, held_out, _ = stackoverflow.load_data(cache_dir=cache_dir)
  else:
    train, held_out = docstrings.load_data(cache_dir=cache_dir)
  if config.num_clients:
    train = datasets.TracedClientData(
      sorted(train.client_ids)[: config.num_clients],
      train.serializable_dataset_fn,
    )
  sentences = tokenization.split_words(train)
  held_out = tokenization.split_words(held_out)
  releases: tuple[privacy.Release, ...] = ()
  counts: Mapping[str, int]
  if config.vocabulary_users == "held_out":
    counts = vocabulary_lib.count_users(held_out)
  elif config.dataset == "stackoverflow":
    # By TFF's published counts; counting 135 million sentences takes hours.
    counts = stackoverflow.load_word_counts(
      cache_dir=cache_dir, vocab_size=config.vocabulary_size
    )
  else:
    counts = vocabulary_lib.count_users(sentences)
  if config.vocabulary_users == "train":
    releases = (
      privacy.Release(
        name="vocabulary",
        what=(
          f"the {config.vocabulary_size} most used words before the bug, by "
          "exact counts over users"
        ),
      ),
    )
  vocabulary = vocabulary_lib.Vocabulary.from_counts(
    counts, config.vocabulary_size
  )
  _logger.info(
    "%d users, a vocabulary of %d words",
    len(sentences.client_ids),
    vocabulary.size,
  )
  return Users(sentences, held_out, vocabulary, releases)


def make_scenario(
  config: config_lib.Config, users: Users, bug_probability: float
) -> Scenario:
  """What the users' devices hold when sentences have the bug so often."""
  sentences = text_bugs.inject(
    users.sentences,
    getattr(text_bugs, config.bug),
    probability=bug_probability,
    seed=config.seed,
  )
  unknown_words = oov.select(
    sentences,
    users.vocabulary,
    max_words_per_user=config.max_words_per_user,
    max_characters=config.max_characters,
  )
  return Scenario(
    sentences=sentences,
    word_examples=client_examples.ClientExamples(
      language_examples.word_lm_examples(
        sentences, users.vocabulary, config.sentence_length
      ),
      config.max_sentences,
    ),
    char_examples=client_examples.ClientExamples(
      language_examples.char_lm_examples(
        unknown_words, ALPHABET, config.max_characters
      ),
      config.max_words_per_user,
    ),
  )


def count_unknown_words(scenario: Scenario) -> dict[str, int]:
  """By word outside the vocabulary, how many users train on it.

  Only a simulation may look. Of many users it looks at `_MOST_COUNTED`.
  """
  counts: collections.Counter[str] = collections.Counter()
  for client_id in list(scenario.char_examples)[:_MOST_COUNTED]:
    _, targets = scenario.char_examples.tensors(client_id)
    counts.update(set(ALPHABET.decode(targets.numpy())))
  return counts


def count_first_pairs(users: Users) -> dict[str, int]:
  """By the first two words of sentences, how many users really write them.

  Only a simulation may look; see `count_unknown_words`.
  """
  base_fn = users.sentences.serializable_dataset_fn

  def first_pairs(client_id):
    return base_fn(client_id).map(
      lambda sentence: collections.OrderedDict(
        words=text_bugs.join_first_words(sentence["words"])[:1]
      )
    )

  return vocabulary_lib.count_users(
    datasets.TracedClientData(
      users.sentences.client_ids[:_MOST_COUNTED], first_pairs
    )
  )
