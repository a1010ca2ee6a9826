"""Tests of the Gaussian mean: clip, denominator, and how much noise."""

import functools

import numpy as np
import pytest
import tensorflow_federated as tff

from tests.privacy import examples
from tff_gen_debug import aggregators
from tff_gen_debug.privacy import plan as plan_lib

pytestmark = pytest.mark.usefixtures("tff_runtime")

_SIZE = 100_000


_plan = functools.partial(
  examples.plan,
  population=1000,
  expected_clients_per_round=20,
  rounds=10,
  noise_multiplier=1.5,
)


def _aggregate(factory, value_type, values):
  process = factory.create(tff.to_type(value_type))
  return process.next(process.initialize(), values).result


def _noise_stddev(plan: plan_lib.PrivacyPlan, clip_norm: float) -> float:
  factory = aggregators.gaussian_mean_factory(plan, clip_norm)
  zeros = [np.zeros(_SIZE, np.float32)] * 2
  noise = _aggregate(factory, (np.float32, [_SIZE]), zeros)
  # The noise of a mean of many draws: five standard errors.
  assert abs(np.mean(noise)) < 5 * np.std(noise) / np.sqrt(_SIZE)
  return float(np.std(noise))


# The standard deviation of 100,000 draws has a relative error of 0.22 %; a
# tolerance of 1.5 % passes right noise and fails 0.8 and 1.25 of it by far.
_TOLERANCE = 0.015


def test_noise_of_add_or_remove_one():
  # 1.5 * 0.25 on the sum of 20 clients.
  expected = 1.5 * 0.25 / 20
  assert _noise_stddev(_plan(), 0.25) == pytest.approx(expected, rel=_TOLERANCE)


def test_noise_of_replace_one_is_twice_as_much():
  plan = _plan(sampling="fixed_size", neighboring_relation="replace_one")
  expected = 1.5 * 2 * 0.25 / 20
  assert _noise_stddev(plan, 0.25) == pytest.approx(expected, rel=_TOLERANCE)


def test_noise_on_the_mean_of_a_simulated_run_is_the_deployments():
  plan = _plan(
    population=1_000_000, expected_clients_per_round=1000
  ).simulated_by(population=50, clients_per_round=5)
  expected = 1.5 * 0.25 / 1000
  assert _noise_stddev(plan, 0.25) == pytest.approx(expected, rel=_TOLERANCE)


def test_clips_over_all_tensors_together_and_divides_by_the_expected_cohort():
  plan = _plan(noise_multiplier=0.0, expected_clients_per_round=4)
  factory = aggregators.gaussian_mean_factory(plan, 1.0)
  value_type = ((np.float32, [1]), np.float32)
  # The first update has norm 5 and is scaled to (0.6, 0.8), the second stays.
  values = [
    (np.array([3.0], np.float32), np.float32(4.0)),
    (np.array([0.2], np.float32), np.float32(0.0)),
  ]
  first, second = _aggregate(factory, value_type, values)
  np.testing.assert_allclose(first, [(0.6 + 0.2) / 4], rtol=1e-6)
  np.testing.assert_allclose(second, 0.8 / 4, rtol=1e-6)


def test_an_empty_cohort_is_noise_only():
  factory = aggregators.gaussian_mean_factory(_plan(), 0.25)
  noise = _aggregate(factory, (np.float32, [_SIZE]), [])
  assert np.std(noise) == pytest.approx(1.5 * 0.25 / 20, rel=_TOLERANCE)


def test_noise_is_new_in_each_round_and_independent():
  process = aggregators.gaussian_mean_factory(_plan(), 1.0).create(
    tff.to_type((np.float32, [_SIZE]))
  )
  zeros = [np.zeros(_SIZE, np.float32)]
  first = process.next(process.initialize(), zeros)
  second = process.next(first.state, zeros)
  # Five standard errors of the correlation of independent draws.
  limit = 5 / np.sqrt(_SIZE)
  assert abs(np.corrcoef(first.result, second.result)[0, 1]) < limit
  assert abs(np.corrcoef(first.result[1:], first.result[:-1])[0, 1]) < limit


@pytest.mark.parametrize("clip_norm", [0, -1.0, np.inf, np.nan])
def test_bad_clip_norms_are_refused(clip_norm):
  with pytest.raises(ValueError, match="clip_norm must be positive"):
    aggregators.gaussian_mean_factory(_plan(), clip_norm)
