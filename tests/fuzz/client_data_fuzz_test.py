"""Client data that is wrong, given to what loads and prepares it.

Wrong ids, fields, shapes, types and numbers are errors with a name; any text at
all makes examples.
"""

import collections
import math
from typing import Any, Dict

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
import tensorflow as tf

from tff_gen_debug.datasets import alphabet
from tff_gen_debug.datasets import client_data
from tff_gen_debug.datasets import dirichlet
from tff_gen_debug.datasets import image_clients
from tff_gen_debug.datasets import language_examples
from tff_gen_debug.datasets import preprocessing
from tff_gen_debug.datasets import tokenization
from tff_gen_debug.datasets import vocabulary

_SETTINGS = hypothesis.settings(
  deadline=None, derandomize=True, max_examples=60, database=None
)
_FEW = hypothesis.settings(_SETTINGS, max_examples=8)

_IDS = st.one_of(
  st.text(max_size=8),
  st.sampled_from(["", "\0", "a\0", "a", "é😀", "\u202e", "x" * 10_000]),
  st.sampled_from(["\ud800", None, 1, b"a", ("a",)]),
)
_NO_NUMBERS = [None, "3", 1.5, math.nan, math.inf, True, [1], b"1", 10**5000]


def _named(error, *names):
  """Whether the message of an error names one of some things."""
  return any(name in str(error.value) for name in names)


@_SETTINGS
@hypothesis.given(st.lists(_IDS, max_size=4))
def test_client_ids_are_named_or_find_their_client(ids):
  try:
    data = client_data.TracedClientData(ids, tf.data.Dataset.from_tensors)
  except (TypeError, ValueError) as error:
    assert "client_ids must" in str(error)
    return
  for client_id in ids:
    dataset = data.create_tf_dataset_for_client(client_id)
    assert [x.decode() for x in dataset.as_numpy_iterator()] == [client_id]
  with pytest.raises(ValueError, match="client_id must be one of"):
    data.create_tf_dataset_for_client("nobody at all")


@pytest.mark.parametrize("ids", [None, 3, "ab", b"ab", [["a"]], [None]])
def test_ids_that_are_no_list_of_strings(ids):
  with pytest.raises(TypeError, match="client_ids must be"):
    client_data.TracedClientData(ids, tf.data.Dataset.from_tensors)


@pytest.mark.parametrize("function", [None, 3, lambda client_id: client_id])
def test_functions_that_make_no_data_set(function):
  with pytest.raises(TypeError, match="dataset_fn must"):
    client_data.TracedClientData(["a"], function)


_EXAMPLE = dict(pixels=np.ones([28, 28], np.float32), label=np.int32(1))


@_SETTINGS
@hypothesis.given(
  st.sampled_from(["pixels", "label"]),
  st.one_of(
    st.none(),
    st.floats(),
    st.integers(),
    st.text(max_size=3),
    st.floats(width=32).map(lambda x: np.full([28, 28], x, np.float32)),
    st.sampled_from(
      [[[1.0], [1.0, 2.0]], 2**70, [object()], True, np.uint64(2**63)]
      + [np.ones(shape, np.float32) for shape in ([28], [27, 28], [2, 28, 28])]
      + [np.ones([28, 28], dtype) for dtype in (np.float64, np.uint8, np.str_)]
    ),
  ),
)
def test_examples_are_named_or_are_in_range(field, value):
  try:
    example = preprocessing.paper_example({**_EXAMPLE, field: value})
  except (TypeError, ValueError) as error:
    assert field in str(error)
    return
  image, label = example["image"].numpy(), example["label"].numpy()
  assert image.shape == (28, 28, 1) and label.shape == ()
  assert np.all(np.abs(image) <= 1) and 0 <= label < 36


@pytest.mark.parametrize("example", [None, "ab", [1], {}, {1: 2, "label": 1}])
def test_examples_without_fields(example):
  with pytest.raises((TypeError, ValueError), match="example must"):
    preprocessing.paper_example(example)


_IMAGES, _LABELS = np.zeros([3, 4, 4], np.uint8), np.arange(3)


@pytest.mark.parametrize(
  ("name", "values"),
  [
    ("images", [None, [[0]], _IMAGES.astype(np.float32), _IMAGES[0]]),
    ("labels", [None, [1], np.ones(3), np.arange(2), np.array([2**40] * 3)]),
    ("partition", [None, "ab", [], [[3], []], [[-1], []], [["x"], []]]),
    ("partition", [[[[1], [1, 2]], []], [[0.5], []], [[True], []], [0, 1]]),
    ("client_ids", [None, "ab", ["a", "a"], ["a", 1], ["a", "\ud800"], []]),
  ],
)
def test_arrays_that_make_no_clients(name, values):
  arguments: Dict[str, Any] = dict(
    images=_IMAGES, labels=_LABELS, partition=[[0], [1]], client_ids=["a", "b"]
  )
  assert image_clients.from_arrays(**arguments).client_ids == ["a", "b"]
  for value in values:
    with pytest.raises((TypeError, ValueError)) as error:
      image_clients.from_arrays(**{**arguments, name: value})
    assert _named(error, name)


@_SETTINGS
@hypothesis.given(
  st.sampled_from(["labels", "num_clients", "alpha", "seed"]),
  st.one_of(
    st.integers(),
    st.floats(),
    st.lists(st.integers(-(2**62), 2**62), max_size=5),
    st.sampled_from(
      [*_NO_NUMBERS, [[1], [2, 3]], ["a"], np.array([2]), 1e-320]
    ),
  ),
)
def test_partitions_are_named_or_complete(name, value):
  arguments: Dict[str, Any] = dict(
    labels=[0, 1, 1, 2], num_clients=2, alpha=1.0, seed=1
  )
  arguments[name] = value
  try:
    parts = dirichlet.partition(**arguments)
  except (TypeError, ValueError) as error:
    # Too few labels are too many clients.
    names = (name, "num_clients") if name == "labels" else (name,)
    assert any(f"{each} must" in str(error) for each in names)
    return
  dealt = sorted(np.concatenate(parts).tolist())
  assert dealt == list(range(len(arguments["labels"])))


def _sentences(texts):
  """One client with some sentences."""
  return client_data.TracedClientData(
    ["a"],
    lambda client_id: tf.data.Dataset.from_tensor_slices(
      collections.OrderedDict(tokens=texts)
    ),
  )


_WORDS = vocabulary.Vocabulary(("a", "é", "\0", "😀"))


@_FEW
@hypothesis.given(
  st.lists(
    st.one_of(
      st.text(max_size=20).filter(lambda text: text.isprintable()),
      st.sampled_from(
        ["", " \t\n", "\0 a", "é 😀 a", "x" * 100_000, "a " * 999]
      ),
      st.binary(max_size=9),
    ),
    min_size=1,
    max_size=4,
  )
)
def test_any_text_makes_examples(texts):
  texts = [t.encode("utf-8") if isinstance(t, str) else t for t in texts]
  words = tokenization.split_words(_sentences(texts))
  examples = language_examples.word_lm_examples(words, _WORDS, length=4)
  made = list(examples.create_tf_dataset_for_client("a").as_numpy_iterator())
  assert len(made) == len(texts)
  for text, (inputs, targets) in zip(texts, made):
    assert inputs.shape == targets.shape == (4,)
    assert 0 <= inputs.min() and inputs.max() < 4 + _WORDS.size
    assert (inputs != 0).sum() == min(len(text.split()) + 1, 4)
  expected = {w.decode("utf-8", "replace") for t in texts for w in t.split()}
  assert vocabulary.count_users(words) == dict.fromkeys(expected, 1)


def _builders():
  words = tokenization.split_words(_sentences(["a"]))
  characters = words.preprocess(
    lambda ds: ds.unbatch().map(lambda s: {"word": s["words"]})
  )
  letters = alphabet.Alphabet("ab")
  return {
    "length": lambda n: language_examples.word_lm_examples(words, _WORDS, n),
    "max_characters": lambda n: language_examples.char_lm_examples(
      characters, letters, n
    ),
    "size": lambda n: vocabulary.Vocabulary.from_counts({"a": 1}, n),
  }


@pytest.mark.parametrize("name", ["length", "max_characters", "size"])
def test_sizes_that_are_none(name):
  build = _builders()[name]
  build(2)
  for value in (*_NO_NUMBERS, 0, -1):
    with pytest.raises((TypeError, ValueError), match=f"{name} must be"):
      build(value)


@pytest.mark.parametrize(
  "counts", [None, [("a", 1)], {}, {1: 1}, {"a": "x"}, {"a": math.nan, "b": 1}]
)
def test_counts_that_are_none(counts):
  with pytest.raises((TypeError, ValueError), match="counts.* must"):
    vocabulary.Vocabulary.from_counts(counts, 1)


@pytest.mark.parametrize("data", [None, {}, [1], _sentences(["a"])])
def test_client_data_that_are_no_sentences(data):
  for use in (
    vocabulary.count_users,
    lambda d: language_examples.word_lm_examples(d, _WORDS),
    lambda d: language_examples.char_lm_examples(d, alphabet.Alphabet("a"), 3),
  ):
    with pytest.raises((TypeError, ValueError), match="client_data must"):
      use(data)
