"""Tests for vocabulary."""

import collections

import hypothesis
from hypothesis import strategies as st
import pytest
import tensorflow as tf

from tests.datasets import sentences as sentences_lib
from tff_gen_debug.datasets import vocabulary as vocabulary_lib


def test_lookup():
  vocabulary = vocabulary_lib.Vocabulary(("the", "i have", "café", ""))

  found = vocabulary.lookup(
    [["i have", "the", "i"], ["", "cafe\u0301", "café"]]
  )

  assert found.dtype == tf.int32
  assert found.numpy().tolist() == [[1, 0, -1], [3, -1, 2]]


def test_lookup_of_any_shape():
  vocabulary = vocabulary_lib.Vocabulary(("a",))

  assert vocabulary.lookup("a").numpy() == 0
  assert vocabulary.lookup("b").numpy() == -1
  assert vocabulary.lookup(tf.zeros([0, 3], tf.string)).shape == (0, 3)
  assert vocabulary.lookup(tf.fill([1, 2, 1], "a")).shape == (1, 2, 1)


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(
  st.lists(
    st.one_of(
      st.text(max_size=6),
      st.sampled_from(["a", "b", "ab", "\ufffd", "i have", "x" * 10_000]),
    ),
    min_size=1,
    max_size=20,
    unique=True,
  ),
  st.lists(sentences_lib.WORDS, max_size=20),
)
def test_lookup_is_exact_for_any_text(words, others):
  vocabulary = vocabulary_lib.Vocabulary(tuple(words))
  queries = [word.encode("utf-8") for word in words] + others

  found = vocabulary.lookup(tf.constant(queries, tf.string)).numpy()

  indices = {word.encode("utf-8"): i for i, word in enumerate(words)}
  assert found.tolist() == [indices.get(query, -1) for query in queries]


def test_lookup_is_exact_where_hashes_collide(monkeypatch):
  """With 40 hashes most words share one with a word of the vocabulary."""
  monkeypatch.setattr(vocabulary_lib, "_NUM_HASHES", 40)
  words = [f"w{i}" for i in range(12)]
  vocabulary = vocabulary_lib.Vocabulary(tuple(words))

  found = vocabulary.lookup([f"w{i}" for i in range(500)]).numpy()

  assert found.tolist() == list(range(12)) + [-1] * 488


def test_lookup_in_a_graph():
  vocabulary = vocabulary_lib.Vocabulary(tuple(f"w{i}" for i in range(10_000)))

  with tf.Graph().as_default() as graph:
    found = vocabulary.lookup(tf.constant(["w9999", "w1", "w10000", "w0"]))
    kinds = {op.type for op in graph.get_operations()}
    with tf.compat.v1.Session() as session:
      assert session.run(found).tolist() == [9999, 1, -1, 0]
  assert not any("Table" in kind for kind in kinds)


def test_words_of_another_type():
  vocabulary = vocabulary_lib.Vocabulary(("a",))

  with pytest.raises(TypeError, match="words must be strings, got int32"):
    vocabulary.lookup([1])


def test_set_of_words():
  vocabulary = vocabulary_lib.Vocabulary(("a", "b"))

  assert vocabulary.size == 2
  assert "a" in vocabulary
  assert "c" not in vocabulary
  assert vocabulary == vocabulary_lib.Vocabulary(("a", "b"))
  assert vocabulary != vocabulary_lib.Vocabulary(("b", "a"))


def test_most_used_words():
  counts = {"c": 2, "b": 5, "d": 2, "a": 2, "e": 1}

  def words(size):
    return vocabulary_lib.Vocabulary.from_counts(counts, size).words

  assert words(1) == ("b",)
  assert words(3) == ("b", "a", "c")
  assert words(9) == ("b", "a", "c", "d", "e")


def test_bad_arguments():
  with pytest.raises(TypeError, match="words must be a tuple of str"):
    vocabulary_lib.Vocabulary(["a"])
  with pytest.raises(TypeError, match="words must be a tuple of str"):
    vocabulary_lib.Vocabulary((b"a",))
  with pytest.raises(ValueError, match="words must hold at least one word"):
    vocabulary_lib.Vocabulary(())
  with pytest.raises(ValueError, match="words must be distinct, but 'b' occ"):
    vocabulary_lib.Vocabulary(("a", "b", "b"))
  with pytest.raises(ValueError, match="words must be encodable as UTF-8"):
    vocabulary_lib.Vocabulary(("a", "\udc80"))
  with pytest.raises(ValueError, match="size must be at least 1, got 0"):
    vocabulary_lib.Vocabulary.from_counts({"a": 1}, 0)
  with pytest.raises(ValueError, match="counts must hold at least one word"):
    vocabulary_lib.Vocabulary.from_counts({}, 1)


def test_users_of_words():
  data = sentences_lib.clients(
    {
      "a": [["i", "have", "i"], ["i have"]],
      "b": [["i"], [], ["you"]],
      "c": [["have", "i have"]],
      "no words": [[], []],
      "no sentences": [],
    }
  )

  counts = vocabulary_lib.count_users(data)

  assert list(counts.items()) == [
    ("have", 2),
    ("i", 2),
    ("i have", 2),
    ("you", 1),
  ]


def test_users_of_words_that_are_not_utf_8():
  # The user "a" has two such words, which read the same.
  data = sentences_lib.clients(
    {"a": [[b"caf\xe9", b"caf\xe8"]], "b": [[b"caf\xff", "café"]]}
  )

  assert vocabulary_lib.count_users(data) == {"caf\ufffd": 2, "café": 1}


@hypothesis.settings(max_examples=10, deadline=None)
@hypothesis.given(st.lists(sentences_lib.SENTENCES, min_size=1, max_size=4))
def test_users_of_any_text(users):
  counts = vocabulary_lib.count_users(
    sentences_lib.clients({str(i): user for i, user in enumerate(users)})
  )

  expected = collections.Counter()
  for user in users:
    words = [word.decode("utf-8", "replace") for s in user for word in s]
    expected.update(set(words))
  assert counts == expected


def test_users_of_other_data():
  data = sentences_lib.clients({"a": [["b"]]})
  broken = data.preprocess(lambda dataset: dataset.map(lambda e: e["words"]))

  with pytest.raises(ValueError, match="client_data must have elements"):
    vocabulary_lib.count_users(broken)
