"""Tests of findings about generated words, on models made by hand."""

import json

import numpy as np
import pytest

from tff_gen_debug.debugging import findings as findings_lib
from tff_gen_debug.debugging import generated_words
from tff_gen_debug.debugging import text_findings

_VOCABULARY = frozenset("i am have you can if this is here want a b".split())

# The most probable words of the paper's two runs, in their order.
_CLEAN = "regex jsonobject xcode divs nginx kwargs dtype ndarray uitest wcf"
_BUGGY = (
  "i have|i am|regex|you can|if you|this is|here is|jsonobject|i want|xcode"
)


def _generated(top_words, num_draws=2000, tail=0.6, seed=0, num_unfinished=0):
  """Draws from a model that knows these words, and a tail of random strings."""
  rng = np.random.default_rng(seed)
  weights = 1 / np.arange(1, len(top_words) + 1)
  probabilities = (1 - tail) * weights / weights.sum()
  letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
  draws = [
    "".join(rng.choice(letters, rng.integers(4, 12)))
    if rng.random() < tail
    else top_words[rng.choice(len(top_words), p=weights / weights.sum())]
    for _ in range(num_draws)
  ]
  return generated_words.GeneratedWords(
    draws, list(zip(top_words, probabilities)), num_unfinished
  )


def _at_start(holds):
  return findings_lib.Finding("oov_at_start", holds, "claim", "evidence")


def test_the_papers_top_words_with_the_bug_are_found():
  found = text_findings.find_joined_words(
    _generated(_BUGGY.split("|")), _VOCABULARY, _generated(_CLEAN.split())
  )
  assert found.verdict == "found"
  assert found.name == "joined_words"
  assert found.claim == (
    "7 of the 10 most probable words are two vocabulary words joined by a "
    'space, such as "i have" and "i am"'
  )
  assert found.numbers["top_words"][0]["parts"] == ["i", "have"]
  assert found.numbers["top_words"][0]["joined"] is True
  assert found.numbers["top_words"][2]["parts"] == []
  assert found.numbers["control_joined"]["count"] == 0
  assert found.numbers["p_value"] < 1e-12
  assert "no control run" not in found.evidence
  json.dumps(found.to_dict(), allow_nan=False)


def test_without_a_control_the_evidence_says_so():
  found = text_findings.find_joined_words(
    _generated(_BUGGY.split("|")), _VOCABULARY
  )
  assert found.verdict == "found"
  assert "no control run" in found.evidence
  assert "p_value" not in found.numbers


def test_the_start_of_sentences_is_claimed_only_on_evidence():
  words = _generated(_BUGGY.split("|"))
  for at_start, claimed in ((None, False), (False, False), (True, True)):
    finding = None if at_start is None else _at_start(at_start)
    found = text_findings.find_joined_words(
      words, _VOCABULARY, at_start=finding
    )
    assert found.holds
    assert ("at the start of sentences" in found.claim) == claimed
  # Nor does the position alone make a finding.
  found = text_findings.find_joined_words(
    _generated(_CLEAN.split()), _VOCABULARY, at_start=_at_start(True)
  )
  assert found.verdict == "not found"
  assert "at the start" not in found.claim


def test_the_control_itself_is_silent():
  found = text_findings.find_joined_words(
    _generated(_CLEAN.split(), seed=1),
    _VOCABULARY,
    _generated(_CLEAN.split(), seed=2),
  )
  assert found.verdict == "not found"
  assert found.claim == (
    "words are not joined: 0 of the 10 most probable words and 0 % of draws "
    "are vocabulary words joined"
  )


def test_the_same_in_the_control_is_no_bug():
  words = _generated(_BUGGY.split("|"), seed=1)
  found = text_findings.find_joined_words(
    words, _VOCABULARY, _generated(_BUGGY.split("|"), seed=2)
  )
  assert found.verdict == "not found"
  assert "of the control's draws" in found.claim


def test_spaces_between_other_strings_are_not_joined_words():
  strings = [f"{a}q {b}x" for a in "abcde" for b in "zw"]
  found = text_findings.find_joined_words(_generated(strings), _VOCABULARY)
  assert found.verdict == "not found"
  assert found.numbers["joined"]["count"] == 0
  assert found.numbers["with_space"]["share"] > 0.3
  assert "10 of the 10 most probable words hold a space" in found.claim


def test_one_word_with_a_space_is_not_a_bug():
  top_words = ["i have", *_CLEAN.split()[:9]]
  found = text_findings.find_joined_words(_generated(top_words), _VOCABULARY)
  assert found.verdict == "not found"
  assert found.numbers["joined"]["share"] > 0.1


def test_top_words_alone_are_not_enough():
  # The words are on top of a model that nearly always draws something else.
  words = _generated(_BUGGY.split("|"), tail=0.999)
  found = text_findings.find_joined_words(words, _VOCABULARY)
  assert found.verdict == "undecided"
  assert "but only" in found.claim
  # Nor are they in a handful of draws.
  words = generated_words.GeneratedWords(
    ["i have", "regex", "xcode"], [("i have", 0.01), ("regex", 0.01)]
  )
  found = text_findings.find_joined_words(words, _VOCABULARY)
  assert not found.holds


def test_longer_chains_are_not_called_two_words():
  top_words = ["if you can", "this is", "i am", *_CLEAN.split()[:7]]
  found = text_findings.find_joined_words(_generated(top_words), _VOCABULARY)
  assert found.verdict == "found"
  assert found.claim.startswith(
    "3 of the 10 most probable words are vocabulary words joined by spaces"
  )


def _characterwise(characters, end, seed=0, num_draws=4000, length=12):
  """A model that draws each character, and the end, independently."""
  rng = np.random.default_rng(seed)
  probability = (1 - end) / len(characters)
  draws, num_unfinished = [], 0
  for _ in range(num_draws):
    size = rng.geometric(end) - 1
    if size > length:
      num_unfinished += 1
    else:
      draws.append("".join(rng.choice(list(characters), size)))
  words = sorted(set(draws), key=lambda w: (len(w), w))
  top_words = [(w, end * probability ** len(w)) for w in words[:10]]
  return generated_words.GeneratedWords(draws, top_words, num_unfinished)


@pytest.mark.parametrize(
  "characters, end", [("ab ", 0.3), ("ab i", 0.2), ("abcdefgh ijk", 0.15)]
)
def test_a_model_that_knows_only_characters_decides_nothing(characters, end):
  # "a b", say, is two vocabulary words joined, by chance.
  words = _characterwise(characters, end)
  # The median of ratios that are all 1, up to the sampling of frequencies.
  assert words.gain_over_characters() == pytest.approx(1.0, rel=0.5)
  found = text_findings.find_joined_words(words, _VOCABULARY)
  assert found.verdict == "undecided"
  assert "too early to say" in found.claim


def test_draws_that_do_not_end_decide_nothing():
  words = _generated(
    _BUGGY.split("|"), num_draws=400, num_unfinished=401, tail=0.1
  )
  found = text_findings.find_joined_words(words, _VOCABULARY)
  assert found.verdict == "undecided"
  assert found.claim.endswith("only 50 % of draws end")
  assert found.numbers["finished"]["total"] == 801
  none = generated_words.GeneratedWords([], [], num_unfinished=5)
  assert none.gain_over_characters() == 0.0
  assert (
    text_findings.find_joined_words(none, _VOCABULARY).verdict == "undecided"
  )


def test_a_control_that_has_not_learned_is_mentioned():
  found = text_findings.find_joined_words(
    _generated(_BUGGY.split("|")), _VOCABULARY, _characterwise("xyz", 0.2)
  )
  assert found.holds
  assert "control's model has not learned" in found.evidence


def test_parts_of_joined_words():
  def parts(word):
    return text_findings.joined_parts(word, _VOCABULARY | {""})

  assert parts("i have") == ("i", "have")
  assert parts("if you can") == ("if", "you", "can")
  for word in ("", "i", "regex", "i regex", " i", "i ", "i  am", " ", "i\tam"):
    assert parts(word) == ()


def test_no_top_words_asked_for_is_an_error():
  with pytest.raises(ValueError, match="num_top"):
    text_findings.find_joined_words(
      _generated(_CLEAN.split()), _VOCABULARY, num_top=0
    )
