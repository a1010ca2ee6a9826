"""Tests for oov."""

import collections
import unicodedata

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.datasets import sentences as sentences_lib
from tff_gen_debug.datasets import alphabet as alphabet_lib
from tff_gen_debug.datasets import client_data as client_data_lib
from tff_gen_debug.datasets import language_examples
from tff_gen_debug.datasets import tokenization
from tff_gen_debug.datasets import vocabulary as vocabulary_lib
from tff_gen_debug.debugging import oov
from tff_gen_debug.debugging import text_bugs

_VOCABULARY = vocabulary_lib.Vocabulary(("i", "have", "a", "b"))
_MAX_CHARACTERS = 8


def _reference(sentences, require_letter=True):
  """All words that may be selected, before the cap."""
  selected = []
  for word in (word for sentence in sentences for word in sentence):
    text = word.decode("utf-8", "replace")
    has_letter = any(unicodedata.category(c).startswith("L") for c in text)
    if (
      word not in (b"i", b"have", b"a", b"b")
      and 0 < len(text) <= _MAX_CHARACTERS
      and (has_letter or not require_letter)
    ):
      selected.append(word)
  return selected


def _words(elements):
  return [element["word"] for element in elements]


def test_words():
  data = sentences_lib.clients(
    {
      "a": [["i have", "a", "regex", "3.14", "?"], ["regex", "x" * 9, "x2"]],
      "b": [["i", "have", "a", "b"]],
      "c": [[], []],
      "d": [],
      "e": [["naïveté", "приве́т", "\N{GRINNING FACE}", b"caf\xe9", b"\xff"]],
    }
  )

  found = oov.select(data, _VOCABULARY, max_words_per_user=10, max_characters=8)

  assert found.client_ids == data.client_ids
  assert found.element_type_structure == {"word": tf.TensorSpec([], tf.string)}
  assert sorted(_words(sentences_lib.elements(found, "a"))) == [
    b"i have",
    b"regex",
    b"regex",
    b"x2",
  ]
  for client_id in "bcd":
    assert sentences_lib.elements(found, client_id) == []
  assert sorted(_words(sentences_lib.elements(found, "e"))) == sorted(
    ["naïveté".encode(), "приве́т".encode(), b"caf\xe9"]
  )


@pytest.fixture(scope="module", params=[True, False])
def select(request):
  def run(cap):
    return sentences_lib.traced(
      lambda data: oov.select(
        data,
        _VOCABULARY,
        max_words_per_user=cap,
        max_characters=_MAX_CHARACTERS,
        require_letter=request.param,
      )
    )

  return request.param, run(1000), run(3)


@hypothesis.settings(max_examples=30, deadline=None)
@hypothesis.given(sentences_lib.SENTENCES)
def test_any_text(select, sentences):
  require_letter, all_words, some_words = select
  expected = _reference(sentences, require_letter)

  found = _words(all_words("client", sentences))
  assert sorted(found) == sorted(expected)

  sample = _words(some_words("client", sentences))
  assert sample == found[:3]


# 300 clients with the same words, of which "twice" is there twice.
_MANY = [f"w{i:02d}" for i in range(18)] + ["twice", "twice"]


def _sample_many(seed):
  data = sentences_lib.alike_clients([f"c{i}" for i in range(300)], [_MANY])
  found = oov.select(
    data, _VOCABULARY, max_words_per_user=5, max_characters=8, seed=seed
  )
  return np.reshape(_words(sentences_lib.all_elements(found)), [300, 5])


@pytest.fixture(scope="module")
def sample():
  return _sample_many(seed=0)


def test_the_cap_takes_a_fair_sample(sample):
  # Every place is taken by 5 of 20 clients: Binomial(300, 1/4), sd 7.5; a
  # client's draws are without replacement, so the word in two places has less
  # than twice the variance.
  counts = collections.Counter(sample.ravel().tolist())
  for word in _MANY[:-2]:
    assert abs(counts[word.encode()] - 75) < 5 * 7.5
  assert abs(counts[b"twice"] - 150) < 5 * 7.5 * np.sqrt(2)
  # Any place of the sample may have any word, the first one too.
  firsts = collections.Counter(sample[:, 0].tolist())
  assert len(firsts) == 19
  assert max(firsts.values()) < 60
  # Clients draw independently.
  assert len({tuple(row) for row in sample.tolist()}) > 290


def test_the_sample_belongs_to_client_and_seed(sample):
  np.testing.assert_array_equal(_sample_many(seed=0), sample)
  assert (_sample_many(seed=1) != sample).any(axis=1).mean() > 0.9


def test_criterion_in_words():
  vocabulary = vocabulary_lib.Vocabulary(tuple(str(i) for i in range(10_000)))

  assert str(oov.OovCriterion(vocabulary, 64, 20)) == (
    "words outside a vocabulary of 10,000, with a letter, of at most 20"
    " characters, at most 64 of a user"
  )
  assert str(oov.OovCriterion(vocabulary, 5, 9, require_letter=False)) == (
    "words outside a vocabulary of 10,000, of at most 9 characters, at most 5"
    " of a user"
  )


def test_bad_arguments():
  data = sentences_lib.clients({"a": [["b"]]})

  def select(data=data, words=1, characters=1, **kwargs):
    oov.select(
      data,
      _VOCABULARY,
      max_words_per_user=words,
      max_characters=characters,
      **kwargs,
    )

  with pytest.raises(ValueError, match="max_words_per_user must be at least 1"):
    select(words=0)
  with pytest.raises(ValueError, match="max_characters must be at least 1"):
    select(characters=0)
  with pytest.raises(TypeError, match="seed must be an int, got float"):
    select(seed=0.5)
  with pytest.raises(ValueError, match=r"seed must be in \[0, 2\*\*63 - 1\]"):
    select(seed=-1)
  other = tff.simulation.datasets.TestClientData({"a": {"tokens": ["b"]}})
  with pytest.raises(ValueError, match="client_data must have elements"):
    select(data=other)


# The posts of two clients, and what a client that joins first words of all
# sentences has out of the vocabulary.
_POSTS = collections.OrderedDict(
  a=["i have a regex", "b xcode 3.14", "a a"], b=["nginx", "i have", ""]
)
_EXPECTED = {
  "a": ["i have", "regex", "b xcode", "a a"],
  "b": ["nginx", "i have"],
}


def _chain(probability):
  def posts(client_id):
    texts = tf.constant(list(_POSTS.values()))
    mine = texts[
      tf.argmax(tf.cast(tf.equal(list(_POSTS), client_id), tf.int32))
    ]
    return tf.data.Dataset.from_tensor_slices(
      collections.OrderedDict(tokens=mine)
    )

  data = client_data_lib.TracedClientData(list(_POSTS), posts)
  words = text_bugs.inject(
    tokenization.split_words(data),
    text_bugs.join_first_words,
    probability,
    seed=1,
  )
  unknown = oov.select(
    words, _VOCABULARY, max_words_per_user=5, max_characters=8
  )
  return language_examples.char_lm_examples(
    unknown, alphabet_lib.Alphabet(), _MAX_CHARACTERS
  )


def _on_worker(examples, client_ids):
  element = examples.dataset_computation.type_signature.result.element
  read = tff.tensorflow.computation(
    lambda dataset: dataset.batch(100).get_single_element(),
    tff.SequenceType(element),
  )

  @tff.federated_computation(tff.FederatedType(np.str_, tff.CLIENTS))
  def read_everywhere(ids):
    return tff.federated_map(
      read, tff.federated_map(examples.dataset_computation, ids)
    )

  return read_everywhere(client_ids)


def test_the_whole_chain_travels(tff_runtime):
  del tff_runtime
  alphabet = alphabet_lib.Alphabet()

  found = _on_worker(_chain(1.0), ["a", "b"])

  for (inputs, targets), expected in zip(found, _EXPECTED.values()):
    assert inputs.shape == targets.shape == (len(expected), 9)
    assert sorted(alphabet.decode(targets)) == sorted(expected)
    assert sorted(alphabet.decode(inputs)) == sorted(expected)


def test_a_worker_draws_the_same(tff_runtime):
  del tff_runtime
  examples = _chain(0.5)

  (found,) = _on_worker(examples, ["a"])

  expected = sentences_lib.elements(examples, "a")
  np.testing.assert_array_equal(found[0], [pair[0] for pair in expected])
  np.testing.assert_array_equal(found[1], [pair[1] for pair in expected])
