"""Tests for language_examples."""

import collections

import hypothesis
from hypothesis import strategies as st
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.datasets import sentences as sentences_lib
from tff_gen_debug.datasets import alphabet as alphabet_lib
from tff_gen_debug.datasets import language_examples
from tff_gen_debug.datasets import vocabulary as vocabulary_lib

_VOCABULARY = vocabulary_lib.Vocabulary(("i", "have", "a", "i have"))
_LENGTH = 4


def _pairs(examples):
  return [(inputs.tolist(), targets.tolist()) for inputs, targets in examples]


def _reference(ids, length):
  """START 1 and the ids, the ids and END 2, both padded with 0 and cut."""
  padding = [0] * length
  inputs, targets = [1] + ids + padding, ids + [2] + padding
  return inputs[:length], targets[:length]


def test_sentences():
  data = sentences_lib.clients(
    {
      "a": [["a", "i"], ["i", "have", "a", "list"], ["i have", "a"]],
      "b": [[], ["i", "have", "a", "long", "list"], ["i", "i", "i"]],
      "c": [],
    }
  )

  examples = language_examples.word_lm_examples(data, _VOCABULARY, _LENGTH)

  spec = tf.TensorSpec([_LENGTH], tf.int32)
  assert examples.client_ids == ["a", "b", "c"]
  assert examples.element_type_structure == (spec, spec)
  assert _pairs(sentences_lib.elements(examples, "a")) == [
    ([1, 6, 4, 0], [6, 4, 2, 0]),
    ([1, 4, 5, 6], [4, 5, 6, 3]),
    ([1, 7, 6, 0], [7, 6, 2, 0]),
  ]
  assert _pairs(sentences_lib.elements(examples, "b")) == [
    ([1, 0, 0, 0], [2, 0, 0, 0]),
    ([1, 4, 5, 6], [4, 5, 6, 3]),
    ([1, 4, 4, 4], [4, 4, 4, 2]),
  ]
  assert sentences_lib.elements(examples, "c") == []


def test_default_length_is_that_of_the_baselines():
  data = sentences_lib.clients({"a": [["i"] * 30]})

  examples = language_examples.word_lm_examples(data, _VOCABULARY)

  expected = ([1] + [4] * 19, [4] * 20)
  assert _pairs(sentences_lib.elements(examples, "a")) == [expected]


@pytest.fixture(scope="module")
def word_examples():
  return sentences_lib.traced(
    lambda data: language_examples.word_lm_examples(data, _VOCABULARY, _LENGTH)
  )


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(sentences_lib.SENTENCES)
def test_any_sentences(word_examples, sentences):
  found = word_examples("a", sentences)

  ids = {b"i": 4, b"have": 5, b"a": 6, b"i have": 7}
  assert _pairs(found) == [
    _reference([ids.get(word, 3) for word in sentence], _LENGTH)
    for sentence in sentences
  ]


def _words(words):
  return tff.simulation.datasets.TestClientData(
    {"a": collections.OrderedDict(word=words)}
  )


def test_words():
  alphabet = alphabet_lib.Alphabet(" ahiv")
  data = _words(["i hav", "", "hive", "a" * 6])

  examples = language_examples.char_lm_examples(data, alphabet, 5)

  spec = tf.TensorSpec([6], tf.int32)
  assert examples.client_ids == ["a"]
  assert examples.element_type_structure == (spec, spec)
  assert _pairs(sentences_lib.elements(examples, "a")) == [
    ([1, 7, 4, 6, 5, 8], [7, 4, 6, 5, 8, 2]),
    ([1, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0]),
    ([1, 6, 7, 8, 3, 0], [6, 7, 8, 3, 2, 0]),
    ([1, 5, 5, 5, 5, 5], [5, 5, 5, 5, 5, 5]),
  ]


def test_more_words_than_are_spelled_at_once():
  alphabet = alphabet_lib.Alphabet("ab")
  data = _words(["a" * (i % 3) for i in range(700)])

  examples = language_examples.char_lm_examples(data, alphabet, 2)

  assert _pairs(sentences_lib.elements(examples, "a")) == [
    _reference([4] * (i % 3), 3) for i in range(700)
  ]


@pytest.fixture(scope="module")
def char_examples():
  alphabet = alphabet_lib.Alphabet("ab")
  return sentences_lib.traced(
    lambda data: language_examples.char_lm_examples(
      data.preprocess(
        lambda dataset: dataset.unbatch().map(
          lambda e: collections.OrderedDict(word=e["words"])
        )
      ),
      alphabet,
      _LENGTH,
    )
  )


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(st.lists(sentences_lib.WORDS, max_size=8))
def test_any_words(char_examples, words):
  found = char_examples("a", [words])

  ids = {"a": 4, "b": 5}
  assert _pairs(found) == [
    _reference(
      [ids.get(c, 3) for c in word.decode("utf-8", "replace")], _LENGTH + 1
    )
    for word in words
  ]


def test_bad_arguments():
  sentences = sentences_lib.clients({"a": [["b"]]})
  words = _words(["b"])
  alphabet = alphabet_lib.Alphabet()

  with pytest.raises(ValueError, match="length must be at least 1, got 0"):
    language_examples.word_lm_examples(sentences, _VOCABULARY, 0)
  with pytest.raises(ValueError, match="client_data must have elements Order"):
    language_examples.word_lm_examples(words, _VOCABULARY)
  with pytest.raises(ValueError, match="max_characters must be at least 1"):
    language_examples.char_lm_examples(words, alphabet, 0)
  with pytest.raises(ValueError, match=r"elements OrderedDict\(word=string"):
    language_examples.char_lm_examples(sentences, alphabet, 5)
