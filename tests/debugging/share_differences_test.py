"""Tests of when two shares differ, against closed forms."""

import pytest

from tff_gen_debug.debugging import findings
from tff_gen_debug.debugging import share_differences

_QUESTION = share_differences.Question("odd", "are odd", 0.25)


def test_each_question_makes_the_test_stricter():
  # All of 10 and none of 10: 2 of the C(20, 10) = 184,756 tables.
  shares = findings.Share(10, 10), findings.Share(0, 10)
  found = share_differences.compare_shares(_QUESTION, *shares, num_questions=1)
  assert found.holds
  assert found.numbers["p_value"] == pytest.approx(2 / 184_756, rel=1e-9)
  assert found.claim == (
    "100 % of suspect samples are odd against 0 % of reference samples "
    "(p = 1.1e-05)"
  )
  assert found.numbers["difference"] == 1.0
  found = share_differences.compare_shares(_QUESTION, *shares, num_questions=93)
  assert not found.holds
  assert found.claim.endswith(", too few samples to rule out chance")
  assert "because 93 questions were asked" in found.evidence
  # 1e-3 / 92 is 1.087e-5, and the p-value 1.083e-5.
  assert share_differences.compare_shares(
    _QUESTION, *shares, num_questions=92
  ).holds


def test_direction_of_a_difference():
  question = share_differences.Question("odd", "are odd", 0.1)
  pair = findings.Share(24, 80), findings.Share(4, 80)
  assert share_differences.compare_shares(
    question, *pair, num_questions=1
  ).holds
  # The wrong way round is no finding, unless fewer are asked for.
  assert not share_differences.compare_shares(
    question, *pair[::-1], num_questions=1
  ).holds
  fewer = share_differences.Question("odd", "are odd", 0.1, fewer=True)
  found = share_differences.compare_shares(fewer, *pair[::-1], num_questions=1)
  assert found.holds
  assert found.numbers["difference"] == pytest.approx(0.25)
  assert not share_differences.compare_shares(
    fewer, *pair, num_questions=1
  ).holds


def test_a_fixed_share_as_reference():
  question = share_differences.Question("odd", "are odd", 0.02)
  # Both tails of Binomial(8, 1/2).
  found = share_differences.compare_shares(
    question, findings.Share(8, 8), 0.5, num_questions=1
  )
  assert found.numbers["p_value"] == pytest.approx(2 / 256, rel=1e-9)
  assert not found.holds
  found = share_differences.compare_shares(
    question, findings.Share(16, 16), 0.5, num_questions=1
  )
  # 2 / 65,536, and the interval starts at 0.025^(1/16) = 79 %.
  assert found.numbers["p_value"] == pytest.approx(2 / 65_536, rel=1e-9)
  assert found.holds
  assert found.claim == (
    "100 % of suspect samples are odd against a fixed share of 50 % "
    "(p = 3.1e-05)"
  )
  assert found.numbers["reference"] == 0.5


def test_order():
  def made(name, difference, holds, decided=True):
    numbers = {"difference": difference}
    return findings.Finding(name, holds, "", "", numbers, decided)

  found = share_differences.in_order(
    [
      made("not", 0.9, False),
      made("weak", 0.3, True),
      made("undecided", 0.0, False, False),
      made("not either", 0.1, False),
      made("strong", 0.8, True),
    ]
  )
  assert [f.name for f in found] == [
    "strong",
    "weak",
    "undecided",
    "not",
    "not either",
  ]
