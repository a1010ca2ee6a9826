"""The words that a language model knows, and how often users use words."""

import collections
from collections.abc import Mapping
import dataclasses
import functools
from typing import Any, Dict, FrozenSet, List, Tuple

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug import arguments
from tff_gen_debug.datasets import tokenization

# SipHash values are reduced to integers below this, which an int64 holds.
_NUM_HASHES = 2**63 - 1

# tf.data reserves no memory for a batch that it cannot fill, unless it fuses it
# with a map before it, which it cannot where `unbatch` is in between.
_WHOLE_CLIENT = 1 << 30


@dataclasses.dataclass(frozen=True)
class Vocabulary:
  """An ordered set of words, with a look-up that runs on clients.

  The look-up is made of stateless ops and constants, with no table of
  TensorFlow's: a table is a resource, which has to be initialised wherever the
  graph of a client computation lands.

  Attributes:
    words: Distinct words, most used first; at least one. They are compared as
      UTF-8, byte by byte, with no normalisation.
  """

  words: Tuple[str, ...]

  def __post_init__(self):
    if not isinstance(self.words, tuple) or not all(
      isinstance(word, str) for word in self.words
    ):
      raise TypeError(
        f"words must be a tuple of str, got {arguments.shown(self.words)}"
      )
    if not self.words:
      raise ValueError("words must hold at least one word, got none")
    if len(self._set) != len(self.words):
      twice = collections.Counter(self.words).most_common(1)[0][0]
      raise ValueError(f"words must be distinct, but {twice!r} occurs twice")
    for word in self.words:
      try:
        word.encode("utf-8")
      except UnicodeEncodeError as error:
        raise ValueError(
          f"words must be encodable as UTF-8, got {word!r}"
        ) from error

  @classmethod
  def from_counts(cls, counts: Mapping[str, int], size: int) -> "Vocabulary":
    """Takes the most used words.

    Args:
      counts: How much each word is used, for instance by how many users.
      size: How many words to take, at least 1; all if there are fewer.

    Returns:
      The vocabulary. Of words that are used alike, the first in the order of
      strings is taken.

    Raises:
      TypeError: If `counts` is no mapping of words to numbers or `size` no int.
      ValueError: If `size` is smaller than 1, there are no words, or a count is
        not finite.
    """
    size = arguments.integer("size", size, 1)
    if not isinstance(counts, Mapping):
      raise TypeError(f"counts must be a mapping, got {type(counts).__name__}")
    if not counts:
      raise ValueError("counts must hold at least one word, got none")
    for word, count in counts.items():
      if not isinstance(word, str):
        raise TypeError(f"counts must have words of type str, got {word!r}")
      arguments.real(f"counts[{word!r}]", count)
    return cls(tuple(_most_used_first(counts)[:size]))

  @property
  def size(self) -> int:
    """The number of words."""
    return len(self.words)

  def __contains__(self, word: object) -> bool:
    return word in self._set

  def lookup(self, words: Any) -> tf.Tensor:
    """Finds words.

    Exact: a word is searched for by its hash, and then compared itself.

    Args:
      words: String tensor of any shape.

    Returns:
      int32 of the same shape: the index of the word in `self.words`, or -1 if
      it is out of the vocabulary (OOV), as all that is not UTF-8 is.

    Raises:
      TypeError: If `words` are not strings.
    """
    words = tf.convert_to_tensor(words)
    if words.dtype != tf.string:
      raise TypeError(f"words must be strings, got {words.dtype.name}")
    key, hashes, order = self._hash_index
    flat = tf.reshape(words, [-1])
    place = tf.searchsorted(tf.constant(hashes), _hash(flat, key))
    # What is greater than all hashes is compared with the last word, in vain.
    place = tf.minimum(place, self.size - 1)
    candidates = tf.gather(
      tf.constant([self.words[i] for i in order], tf.string), place
    )
    indices = tf.where(
      tf.equal(candidates, flat),
      tf.gather(tf.constant(order, tf.int32), place),
      -1,
    )
    return tf.reshape(indices, tf.shape(words))

  @functools.cached_property
  def _set(self) -> FrozenSet[str]:
    return frozenset(self.words)

  @functools.cached_property
  def _hash_index(self) -> Tuple[int, np.ndarray, np.ndarray]:
    """A key under which no hashes collide, the sorted hashes, their words."""
    key = 0
    while True:
      # Values are needed here, also while a client's graph is being built.
      with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        hashes = session.run(_hash(tf.constant(self.words), key))
      if len(np.unique(hashes)) == self.size:
        order = np.argsort(hashes)
        return key, hashes[order], order
      key += 1


def count_users(
  client_data: tff.simulation.datasets.ClientData,
) -> Dict[str, int]:
  """Counts the clients that have each word.

  Exact, and not private: it reads the data of all clients and is for
  simulations, and for data that may be looked at. A vocabulary made of the
  result is a release.

  Args:
    client_data: Sentences, as `split_words` makes them.

  Returns:
    Word -> number of clients that have it, however often; most used first,
    words that are used alike in the order of strings. In a word that is not
    UTF-8, U+FFFD stands for the bytes that can't be decoded.

  Raises:
    ValueError: If `client_data` are no such sentences.
  """
  tokenization.check_words(client_data)
  base_fn = client_data.serializable_dataset_fn

  def distinct_words(client_id):
    words = base_fn(client_id).unbatch().batch(_WHOLE_CLIENT)
    return words.map(lambda client: tf.unique(client["words"]).y)

  # One pipeline for all clients, because starting one takes longer than a
  # client's words do.
  clients = tf.data.Dataset.from_tensor_slices(client_data.client_ids)
  distinct = clients.interleave(
    distinct_words, num_parallel_calls=tf.data.AUTOTUNE, deterministic=False
  )
  counts: Dict[str, int] = collections.Counter()
  for words in distinct.as_numpy_iterator():
    counts.update({word.decode("utf-8", "replace") for word in words})
  return {word: counts[word] for word in _most_used_first(counts)}


def _most_used_first(counts: Mapping[str, int]) -> List[str]:
  return sorted(counts, key=lambda word: (-counts[word], word))


def _hash(words: tf.Tensor, key: int) -> tf.Tensor:
  return tf.strings.to_hash_bucket_strong(words, _NUM_HASHES, [key, 0])
