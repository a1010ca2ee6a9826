"""Tests for text_bugs."""

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.datasets import sentences as sentences_lib
from tff_gen_debug.debugging import text_bugs


def _join(words):
  return [b" ".join(words[:2])] + words[2:] if len(words) > 1 else words


def _split(words):
  marks = (b"'", "\u2019".encode())
  result = []
  for word in words:
    while any(mark in word for mark in marks):
      at, mark = min((word.index(m), m) for m in marks if m in word)
      result += [word[:at], mark]
      word = word[at + len(mark) :]
    result.append(word)
  return [word for word in result if word]


def _misread(words):
  return [word.decode("latin-1").encode("utf-8") for word in words]


def _without_apostrophes(words):
  marks = (b"'", "\u2019".encode())
  for mark in marks:
    words = [b"".join(word.split(mark)) for word in words]
  return [word for word in words if word]


def _copied(words):
  return [word * 2 for word in words]


def _as_html(words):
  """Escapes byte by byte, as Python's html.escape does without quotes."""
  entities = {ord("&"): b"&amp;", ord("<"): b"&lt;", ord(">"): b"&gt;"}
  escaped = []
  for word in words:
    inside = word[1:-1]
    is_placeholder = (
      len(word) > 2
      and word[:1] + word[-1:] == b"<>"
      and all(65 <= byte <= 90 for byte in inside)
    )
    if not is_placeholder:
      word = b"".join(entities.get(byte, bytes([byte])) for byte in word)
    escaped.append(word)
  if escaped:
    escaped[0] = b"<p>" + escaped[0]
    escaped[-1] += b"</p>"
  return escaped


_REFERENCES = {
  "join_first_words": _join,
  "split_apostrophes": _split,
  "break_accents": _misread,
  "drop_apostrophes": _without_apostrophes,
  "join_copies": _copied,
  "leave_html": _as_html,
}


@pytest.mark.parametrize(
  "name,before,after",
  [
    ("join_first_words", ["i", "have", "a", "list"], ["i have", "a", "list"]),
    ("join_first_words", ["i", "have"], ["i have"]),
    ("join_first_words", ["thanks"], ["thanks"]),
    ("join_first_words", [], []),
    ("split_apostrophes", ["i", "don't"], ["i", "don", "'", "t"]),
    ("split_apostrophes", ["it\u2019s"], ["it", "\u2019", "s"]),
    ("split_apostrophes", ["'x'", "''"], ["'", "x", "'", "'", "'"]),
    ("split_apostrophes", ["i don't"], ["i don", "'", "t"]),
    ("split_apostrophes", [], []),
    ("break_accents", ["café", "naïve", "x"], ["cafÃ©", "naÃ¯ve", "x"]),
    ("break_accents", ["\u2019"], ["â\x80\x99"]),
    ("break_accents", [], []),
    ("drop_apostrophes", ["i", "don't", "'"], ["i", "dont"]),
    ("drop_apostrophes", ["it\u2019s", "'x'", "'\u2019"], ["its", "x"]),
    ("drop_apostrophes", ["\u2018x\u201d"], ["\u2018x\u201d"]),
    ("drop_apostrophes", [], []),
    ("join_copies", ["the", "cat", "."], ["thethe", "catcat", ".."]),
    ("join_copies", ["i have"], ["i havei have"]),
    ("join_copies", [], []),
    ("leave_html", ["i", "&", "you"], ["<p>i", "&amp;", "you</p>"]),
    ("leave_html", ["word"], ["<p>word</p>"]),
    ("leave_html", ["<", "&lt;", ">"], ["<p>&lt;", "&amp;lt;", "&gt;</p>"]),
    (
      "leave_html",
      ["see", "<URL>", "<b>"],
      ["<p>see", "<URL>", "&lt;b&gt;</p>"],
    ),
    ("leave_html", [], []),
  ],
)
def test_sentences(name, before, after):
  found = getattr(text_bugs, name)(tf.constant(before, tf.string)).numpy()

  assert [word.decode("utf-8") for word in found] == after


@pytest.fixture(scope="module")
def traced():
  """Name -> the bug as a graph for sentences of any length."""
  signature = [tf.TensorSpec([None], tf.string)]
  return {
    name: tf.function(getattr(text_bugs, name), input_signature=signature)
    for name in _REFERENCES
  }


@pytest.mark.parametrize("name", list(_REFERENCES))
@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(words=st.lists(sentences_lib.WORDS, max_size=6))
def test_any_text(traced, name, words):
  found = traced[name](tf.constant(words, tf.string)).numpy()

  assert found.tolist() == _REFERENCES[name](words)


def test_injection_into_any_text():
  sentences = [[b"caf\xe9", b"don't", b""], [], [b"i have", b"x" * 10_000]]
  data = sentences_lib.clients({"a": sentences, "b": []})

  for name, reference in _REFERENCES.items():
    broken = text_bugs.inject(data, getattr(text_bugs, name), 1.0, 0)
    found = sentences_lib.elements(broken, "a")
    assert [sentence["words"].tolist() for sentence in found] == [
      reference(sentence) for sentence in sentences
    ]
    assert sentences_lib.elements(broken, "b") == []


# 100 clients with the same 60 sentences, whose last word is their number.
_SENTENCES = [["i", "have", str(i)] for i in range(60)]
_IDS = [f"client_{i}" for i in range(100)]


@pytest.fixture(scope="module")
def affected():
  """Function from a probability and a seed to bool [clients, sentences]."""
  data = sentences_lib.alike_clients(_IDS, _SENTENCES)

  def draw(probability, seed):
    broken = text_bugs.inject(
      data, text_bugs.join_first_words, probability, seed
    )
    found = []
    for i, sentence in enumerate(sentences_lib.all_elements(broken)):
      words = [word.encode() for word in _SENTENCES[i % 60]]
      assert sentence["words"].tolist() in (words, _join(words))
      found.append(len(sentence["words"]) == 2)
    return np.reshape(found, [100, 60])

  return draw


@pytest.mark.parametrize("probability,seed", [(0.1, 0), (0.1, 1), (0.5, 2)])
def test_share_of_affected_sentences(affected, probability, seed):
  hits = affected(probability, seed)

  sd = np.sqrt(6000 * probability * (1 - probability))
  assert abs(hits.sum() - 6000 * probability) < 4.5 * sd
  # Neither clients nor sentences are hit as a whole: sums of 60 and of 100
  # independent draws scatter with a known variance, known to a fifth or so.
  variance = probability * (1 - probability)
  np.testing.assert_allclose(hits.sum(1).var(), 60 * variance, rtol=0.5)
  np.testing.assert_allclose(hits.sum(0).var(), 100 * variance, rtol=0.6)


def test_none_and_all(affected):
  assert not affected(0, 3).any()
  assert affected(1, 3).all()


def test_seeds_are_independent(affected):
  # Of independent draws a quarter is in both: Binomial(6000, 1/4), sd 33.5.
  both = affected(0.5, 3) & affected(0.5, 4)

  assert abs(both.sum() - 1500) < 5 * 33.5


def test_a_tenth_of_the_sentences_by_default():
  data = sentences_lib.alike_clients(_IDS, _SENTENCES)
  found = sentences_lib.all_elements(
    text_bugs.inject(data, text_bugs.join_first_words)
  )

  joined = sum(len(sentence["words"]) == 2 for sentence in found)
  assert abs(joined - 600) < 4.5 * np.sqrt(600 * 0.9)


def test_draw_does_not_depend_on_other_sentences():
  def broken(sentences):
    data = sentences_lib.clients({"a": sentences})
    data = text_bugs.inject(data, text_bugs.join_first_words, 0.5, 5)
    found = sentences_lib.elements(data, "a")
    return [sentence["words"].tolist() for sentence in found]

  alone = broken(_SENTENCES)

  assert broken(_SENTENCES[::-1]) == alone[::-1]
  assert broken(_SENTENCES[10:20] * 2) == alone[10:20] * 2
  assert 10 < sum(len(words) == 2 for words in alone) < 50


def test_bugs_add_up():
  data = sentences_lib.clients({"a": [["i", "don't", "know"]]})
  once = text_bugs.inject(data, text_bugs.join_first_words, 1.0, 1)
  twice = text_bugs.inject(once, text_bugs.split_apostrophes, 1.0, 2)

  assert twice.element_type_structure == data.element_type_structure
  (sentence,) = sentences_lib.elements(twice, "a")
  assert sentence["words"].tolist() == [b"i don", b"'", b"t", b"know"]


def test_bad_arguments():
  data = sentences_lib.clients({"a": [["b"]]})
  bug = text_bugs.break_accents
  for probability in (-0.1, 1.1, float("nan")):
    with pytest.raises(ValueError, match=r"probability must be in \[0, 1\]"):
      text_bugs.inject(data, bug, probability, 0)
  with pytest.raises(TypeError, match="probability must be a number, got str"):
    text_bugs.inject(data, bug, "0.5", 0)
  with pytest.raises(TypeError, match="seed must be an int, got float"):
    text_bugs.inject(data, bug, 0.5, 0.5)
  with pytest.raises(TypeError, match="bug must be callable, got str"):
    text_bugs.inject(data, "break_accents", 0.5, 0)
  other = tff.simulation.datasets.TestClientData({"a": {"tokens": ["b"]}})
  with pytest.raises(ValueError, match="client_data must have elements"):
    text_bugs.inject(other, bug, 0.5, 0)


@pytest.mark.parametrize("bug", [tf.strings.length, tf.strings.reduce_join])
def test_bug_that_returns_something_else(bug):
  data = sentences_lib.clients({"a": [["b"]]})

  with pytest.raises(ValueError, match="bug must return a string vector, got"):
    text_bugs.inject(data, bug, 0.5, 0)
