"""Tests of precision and recall, counted by hand."""

import hypothesis
from hypothesis import strategies as st
import pytest

from tff_gen_debug.debugging import word_ranking

_TRUTH = {"a": 9, "b": 7, "c": 5, "d": 5, "e": 1, "f": 0}


@pytest.mark.parametrize(
  "found, k, right, num_found, num_true",
  [
    (["b", "x", "a", "c"], 3, 2, 3, 3),
    # The order within the first k does not matter, what follows does not count.
    (["a", "b"], 2, 2, 2, 2),
    (["x", "y", "a", "b"], 2, 0, 2, 2),
    # c and d tie for the third place.
    (["a", "b", "d"], 3, 3, 3, 3),
    (["c", "d", "e"], 3, 2, 3, 3),
    # Fewer found, or true, than k; a count of zero is not true.
    (["a"], 3, 1, 1, 3),
    (["a", "b", "c", "d", "e", "f", "x"], 100, 5, 7, 5),
  ],
)
def test_counts(found, k, right, num_found, num_true):
  score = word_ranking.precision_recall(found, _TRUTH, k)
  assert (score.num_right, score.num_found, score.num_true) == (
    right,
    num_found,
    num_true,
  )
  assert score.precision == right / num_found
  assert score.recall == right / num_true


def test_nothing_found_or_nothing_to_find():
  score = word_ranking.precision_recall([], _TRUTH, 3)
  assert (score.precision, score.recall) == (1.0, 0.0)
  score = word_ranking.precision_recall(["a"], {"a": 0}, 3)
  assert (score.precision, score.recall) == (0.0, 1.0)


@hypothesis.given(
  st.lists(st.sampled_from("abcdefghij"), unique=True),
  st.dictionaries(st.sampled_from("abcdefghij"), st.integers(0, 4)),
  st.integers(1, 12),
)
def test_scores_are_shares_and_the_truth_scores_best(found, truth, k):
  score = word_ranking.precision_recall(found, truth, k)
  assert 0 <= score.precision <= 1 and 0 <= score.recall <= 1
  best = sorted((w for w in truth if truth[w]), key=lambda w: -truth[w])
  perfect = word_ranking.precision_recall(best, truth, k)
  assert (perfect.precision, perfect.recall) == (1.0, 1.0)


def test_bad_arguments_are_named():
  with pytest.raises(ValueError, match="k must be at least 1"):
    word_ranking.precision_recall(["a"], _TRUTH, 0)
  with pytest.raises(ValueError, match="'b' twice"):
    word_ranking.precision_recall(["a", "b", "b"], _TRUTH, 2)
