"""Tests for alphabet."""

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
import tensorflow as tf

from tests.datasets import sentences as sentences_lib
from tff_gen_debug.datasets import alphabet as alphabet_lib

_WIDTH = 5


def _reference(characters, word, max_characters):
  """START 1, characters from 4 on or 3 if unknown, END 2, then 0."""
  ids = [1]
  for character in word.decode("utf-8", "replace"):
    ids.append(
      4 + characters.index(character) if character in characters else 3
    )
  ids += [2] + [0] * max_characters
  return ids[: max_characters + 2]


def test_default_characters():
  alphabet = alphabet_lib.Alphabet()

  # Space, 26 letters, 10 digits, 32 punctuation marks.
  assert len(alphabet.characters) == 69
  assert alphabet.num_tokens == 73
  printable = {chr(i) for i in range(32, 127)}
  assert set(alphabet.characters) == printable - set(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
  )


def test_encoding():
  alphabet = alphabet_lib.Alphabet("ba é")

  ids = alphabet.encode(["", "ab", "a b", "aéx", "abab"], 4)

  assert ids.dtype == tf.int32
  assert ids.numpy().tolist() == [
    [1, 2, 0, 0, 0, 0],
    [1, 5, 4, 2, 0, 0],
    [1, 5, 6, 4, 2, 0],
    [1, 5, 7, 3, 2, 0],
    [1, 5, 4, 5, 4, 2],
  ]


def test_encoding_of_words_that_do_not_fit():
  alphabet = alphabet_lib.Alphabet("ba")

  ids = alphabet.encode(["abab", "ababa"], 3).numpy()

  assert ids.tolist() == [[1, 5, 4, 5, 4]] * 2


def test_encoding_of_any_shape():
  alphabet = alphabet_lib.Alphabet("ba")

  assert alphabet.encode("b", 1).numpy().tolist() == [1, 4, 2]
  assert alphabet.encode(tf.zeros([2, 0], tf.string), 3).shape == (2, 0, 5)
  ids = alphabet.encode([["a", "b"], ["", "?"]], 1)
  assert ids.numpy().tolist() == [
    [[1, 5, 2], [1, 4, 2]],
    [[1, 2, 0], [1, 3, 2]],
  ]


@pytest.fixture(scope="module")
def encode():
  alphabet = alphabet_lib.Alphabet("ba é\N{COMBINING ACUTE ACCENT}")

  @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
  def run(words):
    ids = alphabet.encode(words, _WIDTH)
    assert ids.shape.as_list() == [None, _WIDTH + 2]
    return ids, alphabet.lengths(words)

  return alphabet, run


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(st.lists(sentences_lib.WORDS, max_size=8))
def test_any_text(encode, words):
  alphabet, run = encode
  ids, lengths = run(tf.constant(words, tf.string))

  assert ids.numpy().tolist() == [
    _reference(alphabet.characters, word, _WIDTH) for word in words
  ]
  texts = [word.decode("utf-8", "replace") for word in words]
  assert lengths.numpy().tolist() == [len(text) for text in texts]
  assert alphabet.decode(ids.numpy()) == [
    "".join(c if c in alphabet.characters else "\ufffd" for c in text)[
      : _WIDTH + 1
    ]
    for text in texts
  ]


def test_lengths_keep_the_shape():
  lengths = alphabet_lib.Alphabet.lengths([["", "é"], ["a b", b"\x80\x80"]])

  assert lengths.dtype == tf.int32
  assert lengths.numpy().tolist() == [[0, 1], [3, 2]]


def test_decoding():
  alphabet = alphabet_lib.Alphabet("ba")
  ids = np.array(
    [
      [1, 5, 4, 2, 0],
      [5, 4, 2, 5, 5],
      [5, 0, 4, 4, 2],
      [5, 3, 5, 4, 4],
      [2, 0, 0, 0, 0],
    ]
  )

  assert alphabet.decode(ids) == ["ab", "ab", "a", "a\ufffdabb", ""]
  assert alphabet.decode(np.zeros([0, 3], np.int32)) == []
  assert alphabet.decode(np.zeros([2, 0], np.int32)) == ["", ""]


def test_bad_arguments():
  alphabet = alphabet_lib.Alphabet("ab")
  with pytest.raises(TypeError, match="characters must be a str, got list"):
    alphabet_lib.Alphabet(["a"])
  with pytest.raises(ValueError, match="characters must hold at least one"):
    alphabet_lib.Alphabet("")
  with pytest.raises(ValueError, match="characters must be distinct, got 'aa'"):
    alphabet_lib.Alphabet("aa")
  with pytest.raises(ValueError, match=r"characters must not hold U\+FFFD"):
    alphabet_lib.Alphabet("a\ufffd")
  with pytest.raises(ValueError, match="max_characters must be at least 1"):
    alphabet.encode("a", 0)
  with pytest.raises(TypeError, match="words must be strings, got int32"):
    alphabet.encode([1], 3)
  with pytest.raises(TypeError, match="words must be strings, got int32"):
    alphabet.lengths([1])
  with pytest.raises(TypeError, match="ids must be integers, got float64"):
    alphabet.decode(np.zeros([1, 1]))
  with pytest.raises(ValueError, match=r"ids must have shape \[n, t\]"):
    alphabet.decode(np.array([4]))
  for wrong in (-1, 6):
    with pytest.raises(ValueError, match=r"ids must be in \[0, 6\), got"):
      alphabet.decode(np.array([[wrong]]))
