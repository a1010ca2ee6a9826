"""The characters that a character language model spells words with."""

import dataclasses
import functools
import string
from typing import Any, List, Tuple

import numpy as np
import tensorflow as tf

from tff_gen_debug import token_ids

# The space is among them, although no token should hold one: what a broken
# tokenizer makes can only be spelled with it. There is no upper case because
# TFF's Stack Overflow is lower-cased.
DEFAULT_CHARACTERS = (
  " " + string.ascii_lowercase + string.digits + string.punctuation
)

# How an unknown character is shown, and what undecodable bytes decode to.
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@dataclasses.dataclass(frozen=True)
class Alphabet:
  """Spells words as token ids and back; `token_ids` has the special ids.

  A character is a Unicode code point: an accent that follows its letter as a
  combining mark is a character of its own. Bytes that are not UTF-8 are read as
  U+FFFD, as by Python's `decode(errors="replace")`.

  Attributes:
    characters: Distinct characters, at least one, without U+FFFD; the i-th has
      the id `token_ids.FIRST + i`.
  """

  characters: str = DEFAULT_CHARACTERS

  def __post_init__(self):
    if not isinstance(self.characters, str):
      raise TypeError(
        f"characters must be a str, got {type(self.characters).__name__}"
      )
    if not self.characters:
      raise ValueError("characters must hold at least one character, got none")
    if len(set(self.characters)) != len(self.characters):
      raise ValueError(f"characters must be distinct, got {self.characters!r}")
    if _REPLACEMENT in self.characters:
      raise ValueError(
        "characters must not hold U+FFFD, which stands for unknown ones, got"
        f" {self.characters!r}"
      )

  @property
  def num_tokens(self) -> int:
    """The number of ids, special ones included."""
    return token_ids.FIRST + len(self.characters)

  @staticmethod
  def lengths(words: Any) -> tf.Tensor:
    """Counts the characters of words, whether in the alphabet or not.

    Args:
      words: String tensor of any shape.

    Returns:
      int32 of the same shape.

    Raises:
      TypeError: If `words` are not strings.
    """
    words = _check_strings(words)
    lengths = _code_points(words).row_lengths()
    return tf.reshape(tf.cast(lengths, tf.int32), tf.shape(words))

  def encode(self, words: Any, max_characters: int) -> tf.Tensor:
    """Spells words.

    Args:
      words: String tensor of any shape `[...]`.
      max_characters: The longest word that fits in, at least 1. A longer one
        is cut and has no END; leave it out beforehand, by `lengths`.

    Returns:
      int32 `[..., max_characters + 2]`: START, the characters, END, then PAD.
      UNKNOWN stands for a character outside of the alphabet.

    Raises:
      TypeError: If `words` are not strings.
      ValueError: If `max_characters` is smaller than 1.
    """
    if max_characters < 1:
      raise ValueError(
        f"max_characters must be at least 1, got {max_characters}"
      )
    words = _check_strings(words)
    points = _code_points(words)
    known_points, known_ids = self._index
    place = tf.minimum(
      tf.searchsorted(tf.constant(known_points), points.values),
      len(self.characters) - 1,
    )
    spelled = points.with_values(
      tf.where(
        tf.equal(tf.gather(known_points, place), points.values),
        tf.gather(known_ids, place),
        token_ids.UNKNOWN,
      )
    )
    column = tf.ones([points.nrows(), 1], tf.int32)
    ids = tf.concat(
      [column * token_ids.START, spelled, column * token_ids.END], axis=1
    ).to_tensor(token_ids.PAD, shape=[None, max_characters + 2])
    shape = tf.concat([tf.shape(words), [max_characters + 2]], axis=0)
    ids = tf.reshape(ids, shape)
    ids.set_shape(words.shape.concatenate([max_characters + 2]))
    return ids

  def decode(self, ids: np.ndarray) -> List[str]:
    """Reads spelled words.

    Args:
      ids: Integers `[n, t]` in [0, num_tokens), with or without START.

    Returns:
      n strings, each up to the first END or PAD of its row, or of the whole
      row if there is none. U+FFFD is shown for UNKNOWN.

    Raises:
      TypeError: If `ids` are not integers.
      ValueError: If `ids` is not of rank 2 or an id is out of range.
    """
    ids = np.asarray(ids)
    if not np.issubdtype(ids.dtype, np.integer):
      raise TypeError(f"ids must be integers, got {ids.dtype}")
    if ids.ndim != 2:
      raise ValueError(f"ids must have shape [n, t], got {list(ids.shape)}")
    if ids.size and not 0 <= ids.min() <= ids.max() < self.num_tokens:
      raise ValueError(
        f"ids must be in [0, {self.num_tokens}), got values in"
        f" [{ids.min()}, {ids.max()}]"
      )
    shown = [""] * token_ids.FIRST + list(self.characters)
    shown[token_ids.UNKNOWN] = _REPLACEMENT
    texts = []
    for row in ids:
      ends = np.flatnonzero(np.isin(row, (token_ids.END, token_ids.PAD)))
      length = ends[0] if len(ends) else len(row)
      texts.append("".join(shown[i] for i in row[:length]))
    return texts

  @functools.cached_property
  def _index(self) -> Tuple[np.ndarray, np.ndarray]:
    """The sorted code points of the characters, and the ids of each."""
    points = np.array([ord(c) for c in self.characters], np.int32)
    order = np.argsort(points)
    return points[order], (token_ids.FIRST + order).astype(np.int32)


def _check_strings(words: Any) -> tf.Tensor:
  words = tf.convert_to_tensor(words)
  if words.dtype != tf.string:
    raise TypeError(f"words must be strings, got {words.dtype.name}")
  return words


def _code_points(words: tf.Tensor) -> tf.RaggedTensor:
  """Decodes words of any shape; int32 `[number of words, (characters)]`."""
  return tf.strings.unicode_decode(tf.reshape(words, [-1]), "UTF-8")
