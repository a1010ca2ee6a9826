"""Tests of findings about words: by hand, and on real docstrings with bugs.

The out-of-vocabulary words of real text stand for the draws of a model that
learned them.
"""

import collections
import functools
import json

import numpy as np
import pytest
import tensorflow as tf

from tff_gen_debug.datasets import docstrings_source
from tff_gen_debug.debugging import generated_words
from tff_gen_debug.debugging import text_bugs
from tff_gen_debug.debugging import word_differences

# Read by every installation of the library, and in few seconds.
_PACKAGES = ["absl-py", "click", "etils", "requests", "urllib3", "werkzeug"]
_VOCABULARY_SIZE = 2000
_NAMES = ["with_space", "doubled", "misread_bytes", "markup", "apostrophe_lost"]


@pytest.mark.parametrize(
  "condition, words, others",
  [
    (
      word_differences.has_inner_space,
      ["i have", "a b c"],
      ["", " ", "i ", " i", "ihave"],
    ),
    (
      word_differences.is_doubled,
      ["thethe", "the the", "don'tdon't", "x1x1"],
      ["", "the", "aa", "....", "1212", "thethethe", "the  the", "abab a"],
    ),
    (
      word_differences.has_misread_bytes,
      ["caf\u00c3\u00a9", "\u00e2\u0080\u0099", "\u00e3\u00a9t\u00e3\u00a9"],
      [
        "caf\u00e9",
        "na\u00efve",
        "\u00e9\u00e8",
        "\u00a9\u00c3",
        "\ufffd\ufffd",
      ],
    ),
    (
      word_differences.has_markup,
      ["<p>the", "end</p>", "&amp;", "x&#39;s", "&#x2F;", "a<b", "<url>"],
      ["", "->", "<", ">=", "&", "at&t", "<URL>", "<\ufffd\ufffd\ufffd>"],
    ),
  ],
)
def test_properties(condition, words, others):
  assert [word for word in words if not condition(word)] == []
  assert [word for word in others if condition(word)] == []


def test_lost_apostrophes():
  vocabulary = ["don't", "dont", "can't", "you\u2019re", "'d", "we'll", "well"]
  vocabulary += ["stream's", "users'"]
  assert word_differences.lost_apostrophes(vocabulary) == {"cant", "youre"}
  assert word_differences.lost_apostrophes([]) == frozenset()


@functools.lru_cache(maxsize=1)
def _modules():
  """Sentences, as lists of words, of each module."""
  texts = docstrings_source.extract(_PACKAGES, 8)
  return [[s.split() for s in text.sentences] for text in texts]


@functools.lru_cache(maxsize=1)
def _vocabulary():
  counts = collections.Counter(
    word
    for sentences in _modules()
    for sentence in sentences
    for word in sentence
  )
  # Contractions are rarer in documentation than where people write.
  contractions = [word for word in counts if "'" in word]
  frequent = [word for word, _ in counts.most_common(_VOCABULARY_SIZE)]
  return tuple(dict.fromkeys(frequent + contractions))


def _halves(seed):
  """The sentences of two random halves of the modules."""
  modules = _modules()
  order = np.random.RandomState(seed).permutation(len(modules))
  middle = len(order) // 2
  return [
    [sentence for i in half for sentence in modules[i]]
    for half in (order[:middle], order[middle:])
  ]


def _generated(sentences, bug=None, share=1.0, num_draws=2000, seed=0):
  """Draws from the unknown words of sentences, some of which have a bug."""
  random = np.random.RandomState(seed)
  vocabulary = frozenset(_vocabulary())
  words = []
  for sentence in sentences:
    if bug is not None and random.rand() < share:
      sentence = [word.decode() for word in bug(tf.constant(sentence)).numpy()]
    words += [
      word
      for word in sentence
      if word not in vocabulary and any(c.isalpha() for c in word)
    ]
  draws = [words[i] for i in random.randint(len(words), size=num_draws)]
  return _model(draws)


def _model(draws, num_unfinished=0):
  """Top words with the frequencies of the draws."""
  top = collections.Counter(draws).most_common(10)
  return generated_words.GeneratedWords(
    draws, [(word, n / len(draws)) for word, n in top], num_unfinished
  )


def _held(found):
  return [finding.name for finding in found if finding.holds]


@pytest.mark.parametrize("seed", range(10))
def test_two_halves_of_the_clean_users_do_not_differ(seed):
  halves = [_generated(half, seed=seed) for half in _halves(seed)]
  for reference in (halves[1], None):
    found = word_differences.compare_words(halves[0], reference, _vocabulary())
    assert sorted(f.name for f in found) == sorted(
      f"suspect_{name}" for name in _NAMES
    )
    assert {f.verdict for f in found} == {"not found"}
    json.dumps([f.to_dict() for f in found], allow_nan=False)


@pytest.mark.parametrize("has_reference", [True, False])
@pytest.mark.parametrize(
  "bug, share, expected",
  [
    (text_bugs.join_first_words, 0.2, "with_space"),
    (text_bugs.join_copies, 0.1, "doubled"),
    (text_bugs.leave_html, 0.1, "markup"),
    (text_bugs.drop_apostrophes, 1.0, "apostrophe_lost"),
  ],
)
def test_each_bug_is_found(bug, share, expected, has_reference):
  suspect, reference = _halves(0)
  suspect = _generated(suspect, bug, share)
  found = word_differences.compare_words(
    suspect,
    _generated(reference, seed=1) if has_reference else None,
    _vocabulary(),
  )
  assert _held(found) == [f"suspect_{expected}"]
  assert found[0].name == f"suspect_{expected}"
  examples = found[0].numbers["examples"]
  assert len(examples) == 2 and set(examples) <= set(suspect.draws)


def _accented(sentences):
  """Half of the longer words, with an accent."""
  return [
    [
      word.replace("e", "\u00e9") if len(word) % 2 else word
      for word in sentence
    ]
    for sentence in sentences
  ]


def test_misread_accents_are_found_and_right_ones_are_not():
  suspect, reference = map(_accented, _halves(0))
  reference = _generated(reference, seed=1)
  broken = _generated(suspect, text_bugs.break_accents, 0.2)
  for model in (reference, None):
    found = word_differences.compare_words(broken, model)
    assert _held(found) == ["suspect_misread_bytes"]
    assert len(found) == 4
    assert found[0].numbers["examples"][0].count("\u00c3\u00a9") > 0
  sound = _generated(suspect, None)
  assert _held(word_differences.compare_words(sound, reference)) == []


def test_an_alphabet_without_accents_cannot_tell():
  suspect, reference = map(_accented, _halves(0))

  def spelled(words):
    draws = [
      "".join(c if c.isascii() else "\ufffd" for c in word)
      for word in words.draws
    ]
    return _model(draws)

  found = word_differences.compare_words(
    spelled(_generated(suspect, text_bugs.break_accents)),
    spelled(_generated(reference, seed=1)),
  )
  (misread,) = [f for f in found if f.name == "suspect_misread_bytes"]
  assert misread.verdict == "undecided"
  assert "the alphabet lacks" in misread.claim
  assert {f.verdict for f in found if f is not misread} == {"not found"}


def test_the_claim_of_a_difference_by_hand():
  rest = [f"{a}{b}{c}q" for a in "abcdefghij" for b in "klmno" for c in "rs"]
  clean = ["jsonobject"] * 300 + rest * 7
  broken = ["the the"] * 300 + ["jsonobject"] * 200 + rest * 5
  found = word_differences.compare_words(
    _model(broken),
    _model(clean),
    suspect_name="version 2.1",
    reference_name="version 2",
  )
  # Of equal differences the first that was asked about is first.
  assert _held(found) == ["version_2_1_with_space", "version_2_1_doubled"]
  assert found[1].claim == (
    "30 % of version 2.1 draws are a word twice against 0 % of version 2 draws "
    "(p < 1e-12)"
  )
  assert found[1].numbers["examples"] == ["the the"]
  assert found[1].numbers["difference"] == pytest.approx(0.3)
  # The other way round there is nothing.
  found = word_differences.compare_words(_model(clean), _model(broken))
  assert _held(found) == []


def test_models_that_have_not_learned_words_decide_nothing():
  clean = _generated(_halves(0)[0])
  letters = np.random.RandomState(0).choice(list("ab c"), (2000, 4))
  characters = _model(["".join(row) for row in letters])
  unfinished = _model(["i have"] * 100, num_unfinished=101)
  for model, reason in (
    (characters, "as probable as their characters by themselves"),
    (unfinished, "50 % of "),
  ):
    for pair in ((model, clean), (clean, model)):
      found = word_differences.compare_words(*pair)
      assert {f.verdict for f in found} == {"undecided"}
      assert all(reason in f.claim for f in found)


def test_no_top_words_asked_for_is_an_error():
  words = _model(["a"])
  with pytest.raises(ValueError, match="num_top must be at least 1, got 0"):
    word_differences.compare_words(words, num_top=0)
