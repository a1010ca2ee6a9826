"""Tests of the finding that position 1 stands out, on sums made by hand."""

import json

import numpy as np
import pytest
from scipy import stats

from tff_gen_debug.debugging import oov_positions
from tff_gen_debug.debugging import position_findings

# Shares of later positions in percent: mean 3, sample variance 0.1.
_LATER = [2.6, 3.4, 2.8, 3.2, 3.0, 3.3, 2.7, 3.1, 2.9, 3.0]


def _measured(percents, present=None, noise_multiplier=0.0, users=100_000):
  shares = np.asarray(percents, np.float64) / 100
  if present is None:
    present = np.full(len(shares), 0.9 * users)
  present = np.asarray(present, np.float64)
  return oov_positions.OovPositions(
    known=present * (1 - shares),
    unknown=present * shares,
    noise_multiplier=noise_multiplier,
    neighboring_relation="add_or_remove_one",
    num_users=users,
  )


def test_a_first_position_far_above_the_others_is_found():
  found = position_findings.find_oov_at_start(_measured([12.0, *_LATER]))
  assert found.verdict == "found" and found.name == "oov_at_start"
  assert found.claim == (
    "unusually many words outside the vocabulary at the start of sentences: "
    "12.0 % of first words against 3.0 % of later ones"
  )
  assert "no control run" in found.evidence
  json.dumps(found.to_dict(), allow_nan=False)


def test_the_p_value_is_that_of_a_prediction():
  variance = np.var(_LATER, ddof=1)
  for first in (3.5, 4.0, 5.0):
    found = position_findings.find_oov_at_start(_measured([first, *_LATER]))
    t = (first - 3.0) / np.sqrt(variance * (1 + 1 / 10))
    assert found.numbers["p_value"] == pytest.approx(stats.t.sf(t, 9))
    assert found.holds == (found.numbers["p_value"] < 1e-3)


@pytest.mark.parametrize(
  "percents",
  [
    [3.0, *_LATER],
    [1.0, *_LATER],
    [3.4, *_LATER],
    # Another position does, the first does not.
    [3.0, *_LATER[:4], 30.0, *_LATER[5:]],
    # Positions differ so much that one more like this is no surprise.
    [12.0, 2.0, 14.0, 3.0, 9.0, 5.0, 11.0],
    [0.0] * 8,
    [3.0] * 8,
    [100.0] * 8,
  ],
)
def test_an_ordinary_first_position_is_not_found(percents):
  found = position_findings.find_oov_at_start(_measured(percents))
  assert found.verdict == "not found"
  assert found.claim.startswith("not unusually many")


def test_the_first_of_the_differences_to_the_control():
  control = _measured([3.0, *_LATER])
  buggy = _measured([12.0, *(np.array(_LATER) + 0.01)])
  found = position_findings.find_oov_at_start(buggy, control)
  assert found.verdict == "found"
  assert found.claim.endswith(
    "12.0 % of first words against 3.0 % of later ones and 3.0 % of the "
    "control's first"
  )
  assert "no control" not in found.evidence
  # Sentences that start with unknown words in both runs are no bug.
  natural = _measured([12.0, *_LATER])
  assert position_findings.find_oov_at_start(natural).holds
  found = position_findings.find_oov_at_start(natural, natural)
  assert found.verdict == "not found"
  # Nor is a rise of all positions alike, or a fall from a higher control.
  more = _measured(np.array([12.0, *_LATER]) + 5)
  assert not position_findings.find_oov_at_start(more, natural).holds
  less = _measured([8.0, *_LATER])
  assert not position_findings.find_oov_at_start(less, natural).holds


def test_positions_that_few_sentences_reach_do_not_count():
  erratic = [60.0, 0.0, 90.0]
  percents = [12.0, *_LATER, *erratic]
  present = [90_000] * 11 + [22_400, 5_000, -20]
  found = position_findings.find_oov_at_start(_measured(percents, present))
  assert found.verdict == "found"
  assert "3.0 % of later ones" in found.claim
  present = [90_000] * 11 + [22_600, 22_600, 22_600]
  found = position_findings.find_oov_at_start(_measured(percents, present))
  assert not found.holds


@pytest.mark.parametrize(
  "measured",
  [
    _measured([12.0, 3.0, 3.1, 3.2]),
    _measured([12.0, *_LATER], [90_000] * 4 + [100] * 7),
    _measured([12.0]),
    _measured([12.0, *_LATER], [-1] + [90_000] * 10),
  ],
)
def test_too_few_positions_decide_nothing(measured):
  found = position_findings.find_oov_at_start(measured)
  assert found.verdict == "undecided"
  assert "too few positions" in found.claim


def test_much_noise_or_few_users_find_nothing():
  percents = [12.0, *_LATER]
  noisy = _measured(percents, noise_multiplier=1000.0)
  # 1,000 sqrt(11) on sums of 90,000: 3.7 percentage points.
  assert noisy.standard_errors[1] == pytest.approx(0.0357, rel=0.01)
  assert not position_findings.find_oov_at_start(noisy).holds
  few = _measured(percents, users=20)
  assert not position_findings.find_oov_at_start(few).holds
  assert not position_findings.find_oov_at_start(_measured(percents), few).holds


def test_how_often_nothing_but_noise_is_found():
  rng = np.random.default_rng(0)
  length, users, noise_multiplier = 8, 20_000, 50.0
  p_values = []
  for _ in range(2000):
    exact = _measured(np.full(length, 5.0), users=users)
    noise = rng.normal(0, noise_multiplier * np.sqrt(length), (2, length))
    measured = oov_positions.OovPositions(
      exact.known + noise[0],
      exact.unknown + noise[1],
      noise_multiplier,
      "add_or_remove_one",
      users,
    )
    finding = position_findings.find_oov_at_start(measured)
    p_values.append(finding.numbers["p_value"])
  # Not more often than the p-value says: five standard deviations of the count.
  for level in (0.2, 0.05, 0.001):
    expected = 2000 * level
    assert np.sum(np.less(p_values, level)) <= expected + 5 * expected**0.5


def test_a_control_of_another_length_is_refused():
  with pytest.raises(ValueError, match="11 positions, got 8"):
    position_findings.find_oov_at_start(
      _measured([12.0, *_LATER]), _measured([3.0] * 8)
    )
