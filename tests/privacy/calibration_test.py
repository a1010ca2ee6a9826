import dataclasses
import math

import hypothesis
from hypothesis import strategies as st
import pytest

from tests.privacy import closed_forms
from tests.privacy import examples


# A target that Renyi DP reaches far from its floor, one near it, a large one.
@pytest.mark.parametrize(
  ("changes", "target"),
  [
    ({}, 0.9),
    ({}, 0.5),
    ({}, 8.0),
    ({}, 1e5),
    (dict(accountant="rdp_classic"), 2.0),
    (dict(accountant="pld", rounds=300), 0.04),
    (dict(**examples.FIXED, **examples.WORD_LM), 9.0),
    (dict(population=100, expected_clients_per_round=50), 3.0),
    (dict(population=288, expected_clients_per_round=10, delta=1e-3), 1),
  ],
)
def test_calibrate_is_one_sided_and_within_a_percent(changes, target):
  plan = examples.plan(**changes)
  calibrated = plan.calibrate(target_epsilon=target)
  assert 0.99 * target <= calibrated.epsilon() <= target
  # Only the noise has changed.
  assert (
    dataclasses.replace(calibrated, noise_multiplier=plan.noise_multiplier)
    == plan
  )
  # From any starting point.
  again = dataclasses.replace(plan, noise_multiplier=0.0)
  if plan.accountant == "rdp" and plan.sampling == "poisson":
    assert again.calibrate(target_epsilon=target) == calibrated


@hypothesis.settings(max_examples=10, deadline=None)
@hypothesis.given(
  log_population=st.floats(2, 8),
  share=st.floats(1e-3, 1),
  rounds=st.integers(1, 5000),
  target=st.floats(0.8, 50),
)
def test_calibrate_any_plan(log_population, share, rounds, target):
  population = int(10**log_population)
  plan = examples.plan(
    population=population,
    expected_clients_per_round=max(population * share, 1),
    rounds=rounds,
  ).calibrate(target_epsilon=target)
  assert 0.99 * target <= plan.epsilon() <= target


def test_calibrated_gaussian_matches_exact_formula():
  plan = examples.plan(
    population=100,
    expected_clients_per_round=100,
    rounds=1,
    delta=1e-6,
    accountant="pld",
  ).calibrate(target_epsilon=1.0)
  # The least noise that the exact curve allows is at most 1 % less.
  noise = plan.noise_multiplier
  assert closed_forms.gaussian_delta(1.0, noise) <= 1e-6
  assert closed_forms.gaussian_delta(1.0, noise * 0.99) > 1e-6


@pytest.mark.parametrize(
  ("target", "error", "message"),
  [
    (0, ValueError, "target_epsilon must be positive, got 0"),
    (-1, ValueError, "target_epsilon must be positive"),
    (math.inf, ValueError, "target_epsilon must be finite"),
    (math.nan, ValueError, "target_epsilon must be finite"),
    ("1", TypeError, "target_epsilon must be a real number"),
    # Below what the orders of the accountant can prove.
    (1e-4, ValueError, "target_epsilon must be at least 0.0"),
    # Even with next to no noise.
    (1e15, ValueError, "target_epsilon must be below"),
  ],
)
def test_calibrate_rejects(target, error, message):
  with pytest.raises(error, match=message):
    examples.plan(accountant="rdp_classic").calibrate(target_epsilon=target)


def test_calibrate_says_when_the_accountant_jumps_over_the_target():
  # The improved conversion falls to 0 at once for enough noise.
  with pytest.raises(ValueError, match="can't be reached within 1%"):
    examples.plan().calibrate(target_epsilon=0.001)
