"""Users of `docstrings` and their out-of-vocabulary words, for benchmarks."""

import collections
from collections.abc import Mapping, Sequence
import dataclasses
import hashlib
import os
from typing import Any, Optional

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug import datasets
from tff_gen_debug import files
from tff_gen_debug.datasets import docstrings
from tff_gen_debug.datasets import tokenization
from tff_gen_debug.datasets import vocabulary as vocabulary_lib
from tff_gen_debug.debugging import oov
from tff_gen_debug.debugging import text_bugs

SPLITS = ("train", "tuning")

# A user has fewer words than that.
_ALL_WORDS = 1 << 20


@dataclasses.dataclass(frozen=True, eq=False)
class Users:
  """Some users' words outside of a vocabulary.

  Attributes:
    vocabulary: The vocabulary.
    words: By user, all such words in random order, with repetitions.
    client_data: The same, elements `OrderedDict(word=string scalar)`.
    population: How many users the train split has, whoever these are.
  """

  vocabulary: vocabulary_lib.Vocabulary
  words: Mapping[str, Sequence[str]]
  client_data: tff.simulation.datasets.ClientData
  population: int

  def count_users(self, cap: Optional[int] = None) -> dict[str, int]:
    """By word, how many users have it among their `cap` most used ones."""
    counts: collections.Counter[str] = collections.Counter()
    for words in self.words.values():
      counts.update(w for w, _ in collections.Counter(words).most_common(cap))
    return dict(counts)


def most_used_first(counts: Mapping[str, int]) -> list[str]:
  """Words by falling count; equal ones in the order of strings."""
  return sorted(counts, key=lambda word: (-counts[word], word))


def load(
  split: str,
  *,
  directory: str,
  vocabulary_size: int,
  bug_probability: float,
  max_characters: int,
  seed: int,
) -> Users:
  """Loads the users of a split, with a vocabulary of users in neither split.

  Args:
    split: `train` for the docstrings' train split, with a vocabulary of its
      held-out users; `tuning` for the users of every second held-out package,
      with a vocabulary of those of the others.
    directory: Where the words are kept for the next time.
    vocabulary_size: How many words the vocabulary has.
    bug_probability: The share of sentences whose first two words are joined.
    max_characters: Longer words are left out.
    seed: Of the bug and the order of words.

  Returns:
    The users. Reading them the first time takes a minute.
  """
  train, held_out = docstrings.load_data()
  packages = sorted({_package(key) for key in held_out.client_ids})
  tuning = set(packages[::2])

  def some(in_tuning: bool) -> tff.simulation.datasets.ClientData:
    return datasets.TracedClientData(
      [k for k in held_out.client_ids if (_package(k) in tuning) == in_tuning],
      held_out.serializable_dataset_fn,
    )

  if split == "tuning":
    asked, others = some(True), some(False)
  else:
    asked, others = train, held_out
  vocabulary = vocabulary_lib.Vocabulary.from_counts(
    vocabulary_lib.count_users(tokenization.split_words(others)),
    vocabulary_size,
  )
  sentences = text_bugs.inject(
    tokenization.split_words(asked),
    text_bugs.join_first_words,
    bug_probability,
    seed,
  )
  selected = oov.select(
    sentences,
    vocabulary,
    max_words_per_user=_ALL_WORDS,
    max_characters=max_characters,
    seed=seed,
  )
  key = repr(
    (
      vocabulary.words,
      selected.client_ids,
      bug_probability,
      max_characters,
      seed,
    )
  )
  digest = hashlib.sha256(key.encode()).hexdigest()[:16]
  path = os.path.abspath(os.path.join(directory, f"words_{digest}.txt"))
  if not os.path.exists(path):
    lines = [b"\t".join(client["word"]) for client in read_clients(selected)]
    files.write_atomically(path, b"\n".join(lines))
  return _users_of_file(
    vocabulary, path, selected.client_ids, len(train.client_ids)
  )


def _package(client_id: str) -> str:
  return client_id.split(".")[0]


def _users_of_file(
  vocabulary: vocabulary_lib.Vocabulary,
  path: str,
  client_ids: Sequence[str],
  population: int,
) -> Users:
  """The users of a file with a line of tab-separated words for each."""
  with open(path, "rb") as file:
    content = file.read()
  lines = content.split(b"\n")
  sizes = np.array([len(line) for line in lines])
  offsets = np.cumsum(sizes + 1) - sizes - 1

  def dataset_fn(client_id: tf.Tensor) -> tf.data.Dataset:
    position = tf.where(tf.equal(tf.constant(client_ids), client_id))[0, 0]
    # A slice of the file, so that the graph that travels to the worker holds
    # none of its text.
    line = tf.strings.substr(
      tf.io.read_file(path),
      tf.constant(offsets, tf.int64)[position],
      tf.constant(sizes, tf.int64)[position],
    )
    words = tf.strings.split(line, "\t")
    return tf.data.Dataset.from_tensor_slices(
      collections.OrderedDict(
        word=tf.boolean_mask(words, tf.not_equal(words, ""))
      )
    )

  return Users(
    vocabulary=vocabulary,
    words={
      key: [w for w in line.decode().split("\t") if w]
      for key, line in zip(client_ids, lines)
    },
    client_data=datasets.TracedClientData(client_ids, dataset_fn),
    population=population,
  )


def read_clients(client_data: tff.simulation.datasets.ClientData) -> list[Any]:
  """The examples of each client, stacked, as NumPy arrays.

  Read in one pipeline, because one for each client takes several times as long.
  """
  dataset_fn = client_data.serializable_dataset_fn
  spec = client_data.element_type_structure
  nothing = tf.nest.map_structure(
    lambda s: tf.zeros([0, *s.shape], s.dtype), spec
  )

  def read(client_id):
    # A client without examples has no batch of its own.
    batch = dataset_fn(client_id).batch(_ALL_WORDS)
    empty = tf.data.Dataset.from_tensors(nothing)
    return batch.concatenate(empty).take(1).get_single_element()

  clients = tf.data.Dataset.from_tensor_slices(client_data.client_ids)
  return list(clients.map(read, num_parallel_calls=2).as_numpy_iterator())
