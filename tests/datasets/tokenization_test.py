"""Tests for tokenization."""

import collections

import hypothesis
from hypothesis import strategies as st
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.datasets import sentences as sentences_lib
from tff_gen_debug.datasets import client_data as client_data_lib
from tff_gen_debug.datasets import tokenization


def _posts(tokens):
  """Client data with the field `tokens` and another one."""

  def dataset_fn(client_id):
    return tf.data.Dataset.from_tensor_slices(
      collections.OrderedDict(
        score=tf.ones_like(tokens, tf.int64), tokens=tokens
      )
    ).filter(lambda post: tf.not_equal(client_id, "empty"))

  return client_data_lib.TracedClientData(["a", "empty"], dataset_fn)


def test_sentences_become_words():
  data = tff.simulation.datasets.TestClientData(
    {
      "a": collections.OrderedDict(
        tokens=["how do i parse json ?", "", "thanks"], title=["x", "y", "z"]
      ),
      "b": collections.OrderedDict(tokens=["i  have\ta list "], title=["x"]),
    }
  )

  words = tokenization.split_words(data)

  assert words.client_ids == ["a", "b"]
  assert words.element_type_structure == {
    "words": tf.TensorSpec([None], tf.string)
  }
  assert [e["words"].tolist() for e in sentences_lib.elements(words, "a")] == [
    [b"how", b"do", b"i", b"parse", b"json", b"?"],
    [],
    [b"thanks"],
  ]
  (sentence,) = sentences_lib.elements(words, "b")
  assert sentence["words"].tolist() == [b"i", b"have", b"a", b"list"]


def test_client_without_sentences():
  words = tokenization.split_words(_posts(["a b"]))

  assert len(sentences_lib.elements(words, "a")) == 1
  assert sentences_lib.elements(words, "empty") == []


@tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
def _split(tokens):
  return tokenization.split_words(_posts(tokens)).serializable_dataset_fn("a")


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(
  st.lists(
    st.lists(
      st.one_of(
        sentences_lib.WORDS,
        st.sampled_from([b" ", b"\t", b"\r\n", b"\x0b", b"\x1c", b"\xc2\xa0"]),
      ),
      max_size=8,
    ).map(b"".join),
    max_size=4,
  )
)
def test_any_text_is_split_as_by_python(tokens):
  found = _split(tf.constant(tokens, tf.string)).as_numpy_iterator()

  assert [e["words"].tolist() for e in found] == [t.split() for t in tokens]


@pytest.mark.parametrize(
  "examples",
  [
    collections.OrderedDict(words=["a"]),
    collections.OrderedDict(tokens=[1]),
    collections.OrderedDict(tokens=[["a", "b"]]),
    ["a"],
  ],
)
def test_data_without_tokens(examples):
  data = tff.simulation.datasets.TestClientData({"a": examples})

  with pytest.raises(ValueError, match="must have examples with `tokens`"):
    tokenization.split_words(data)


def test_check_words():
  tokenization.check_words(sentences_lib.clients({"a": [["b"]]}))
  for examples in (
    collections.OrderedDict(words=["a"]),
    collections.OrderedDict(words=[[1, 2]]),
    collections.OrderedDict(words=[["a"]], score=[1]),
    ["a"],
  ):
    data = tff.simulation.datasets.TestClientData({"a": examples})
    with pytest.raises(ValueError, match="must have elements OrderedDict"):
      tokenization.check_words(data)
