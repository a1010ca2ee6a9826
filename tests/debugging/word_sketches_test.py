"""Tests of federated word counts, against counting in plain Python."""

import collections

import hypothesis
from hypothesis import strategies as st
import pytest
import tensorflow as tf

from tests.debugging import user_words
from tff_gen_debug.datasets import client_data as client_data_lib
from tff_gen_debug.debugging import word_sketches

pytestmark = pytest.mark.usefixtures("tff_runtime")

_WORDS = {
  "a": ["regex", "xcode", "regex", "i have"],
  "b": ["regex", "naïve", "東京"],
  "none": [],
  "hostile": [
    "",
    b"\xff\xfe",
    "nul\0",
    "x" * 17,
    "\n",
    " ",
    "x" * 16,
    "\ufffd",
  ],
  "many": [f"w{i}" for i in range(40)] + ["regex", "w7", "xcode", "xcode"],
}
_MAX_BYTES = 16


def _reference(words, max_words):
  """The client's most used words, by a stable sort of their counts."""
  usable = []
  for word in words:
    raw = word if isinstance(word, bytes) else word.encode()
    try:
      text = raw.decode("utf-8")
    except UnicodeDecodeError:
      continue
    if 0 < len(raw) <= _MAX_BYTES and "\0" not in text:
      usable.append(text)
  counts = collections.Counter(usable)  # In order of first occurrence.
  return sorted(counts, key=lambda word: -counts[word])[:max_words]


def _select(words, max_words):
  dataset = user_words.make_client_data(
    {"one": words}
  ).create_tf_dataset_for_client("one")
  selected = word_sketches.select_words(
    dataset, max_words=max_words, string_max_bytes=_MAX_BYTES
  )
  return [tf.compat.as_text(word) for word in selected.numpy()]


@pytest.mark.parametrize("client", _WORDS)
@pytest.mark.parametrize("max_words", [1, 3, 100])
def test_what_a_client_contributes(client, max_words):
  words = _WORDS[client]
  assert _select(words, max_words) == _reference(words, max_words)


@hypothesis.settings(max_examples=25, deadline=None)
@hypothesis.given(
  st.lists(st.text("ab \0é", max_size=3), max_size=12), st.integers(1, 4)
)
def test_a_client_contributes_few_words_once_each(words, max_words):
  selected = _select(words, max_words)
  assert selected == _reference(words, max_words)
  assert len(set(selected)) == len(selected) <= max_words


def test_counts_of_users(monkeypatch):
  max_words = 3
  # Two calls for the five users.
  monkeypatch.setattr(word_sketches, "_CLIENTS_PER_CALL", 3)
  expected = collections.Counter(
    word for words in _WORDS.values() for word in _reference(words, max_words)
  )
  counts = word_sketches.count_word_users(
    user_words.make_client_data(_WORDS),
    max_words_per_user=max_words,
    string_max_bytes=_MAX_BYTES,
  )
  assert counts == expected


def test_users_without_words_have_none():
  counts = word_sketches.count_word_users(
    user_words.make_client_data(_WORDS), ["none"], max_words_per_user=9
  )
  assert counts == {}


def test_more_words_than_the_capacity():
  words = {f"u{i}": [f"w{5 * i + j}" for j in range(8)] for i in range(10)}
  # 53 words, which one for 54 of them holds, but one for 27 not.
  expected = collections.Counter(w for ws in words.values() for w in ws)
  counts = word_sketches.count_word_users(
    user_words.make_client_data(words), max_words_per_user=8, capacity=27
  )
  assert counts == expected


@pytest.mark.parametrize(
  "kwargs, message",
  [
    (dict(max_words_per_user=0), "max_words_per_user"),
    (dict(string_max_bytes=0), "string_max_bytes"),
    (dict(capacity=0), "capacity"),
    (dict(client_ids=[]), "client_ids"),
    (dict(client_ids=["nobody"]), "nobody"),
    (dict(client_ids=["a", "a"]), "distinct"),
  ],
)
def test_bad_arguments_are_named(kwargs, message):
  arguments = dict(max_words_per_user=2)
  arguments.update(kwargs)
  with pytest.raises(ValueError, match=message):
    word_sketches.count_word_users(
      user_words.make_client_data(_WORDS), **arguments
    )


@pytest.mark.parametrize(
  "element",
  [
    tf.constant("i"),
    collections.OrderedDict(words=tf.constant(["i"])),
    collections.OrderedDict(word=tf.constant(["i"])),
    collections.OrderedDict(word=tf.constant(1)),
  ],
)
def test_data_of_another_type_is_explained(element):
  client_data = client_data_lib.TracedClientData(
    ["a"], lambda _: tf.data.Dataset.from_tensors(element)
  )
  with pytest.raises(TypeError, match="word="):
    word_sketches.count_word_users(client_data, max_words_per_user=2)
