"""Tests of the claims of Gaussian mechanisms, and of their epsilon."""

import math

import dp_accounting
import numpy as np
import pytest

from tests.privacy import closed_forms
from tests.privacy import examples
from tff_gen_debug.privacy import gaussian_dp


@pytest.mark.parametrize("noise_multiplier", [0.01, 0.3, 1.0, 4.0, 50.0, 1e4])
@pytest.mark.parametrize("delta", [1e-9, 1e-5, 0.1])
def test_epsilon_is_that_of_the_exact_curve(noise_multiplier, delta):
  expected = closed_forms.epsilon_of(
    lambda e: closed_forms.gaussian_delta(e, noise_multiplier), delta, 1e5
  )
  found = gaussian_dp.epsilon(1 / noise_multiplier, delta)
  assert found == pytest.approx(expected, rel=1e-6, abs=1e-7)


def test_epsilon_at_the_ends():
  assert gaussian_dp.epsilon(0, 1e-5) == 0
  assert gaussian_dp.epsilon(math.inf, 1e-5) == math.inf


@pytest.mark.parametrize(
  "claim, expected",
  [
    (2, 0.5),
    (np.float32(0.5), 2.0),
    (0.0, math.inf),
    (examples.GAUSSIAN(0.25), 4.0),
    (examples.poisson(0.01, 0.25), 4.0),
    (examples.without_replacement(100, 5, 0.25), 4.0),
    (dp_accounting.SelfComposedDpEvent(examples.GAUSSIAN(2.0), 16), 2.0),
    (dp_accounting.NoOpDpEvent(), 0.0),
    (dp_accounting.NonPrivateDpEvent(), math.inf),
    (examples.GAUSSIAN(0.0), math.inf),
    # A right triangle: 3, 4, 5.
    (
      dp_accounting.ComposedDpEvent(
        [examples.GAUSSIAN(1 / 3), examples.GAUSSIAN(1 / 4)]
      ),
      5.0,
    ),
  ],
)
def test_the_mu_of_a_claim(claim, expected):
  assert gaussian_dp.claimed_mu(claim) == pytest.approx(expected)


def test_a_simulated_run_claims_what_its_process_adds():
  plan = examples.plan(noise_multiplier=10.0).simulated_by(
    population=50, clients_per_round=5
  )
  # 10 of 1000 clients is 0.05 of 5.
  claim = plan.as_run().round_event
  assert gaussian_dp.claimed_mu(claim) == pytest.approx(20.0)


@pytest.mark.parametrize(
  "claim, error, message",
  [
    ("1", TypeError, "claim"),
    (None, TypeError, "claim"),
    (-1.0, ValueError, "claim"),
    (math.nan, ValueError, "claim"),
    (dp_accounting.LaplaceDpEvent(1.0), ValueError, "Laplace"),
    (
      dp_accounting.ComposedDpEvent([examples.poisson(0.1, 1.0)]),
      ValueError,
      "PoissonSampled",
    ),
  ],
)
def test_claims_that_are_not_gaussian_are_refused(claim, error, message):
  with pytest.raises(error, match=message):
    gaussian_dp.claimed_mu(claim)


@pytest.mark.parametrize(
  "mu, delta, message",
  [(-1.0, 0.1, "mu"), (math.nan, 0.1, "mu"), (1.0, 0, "delta")],
)
def test_epsilon_names_bad_arguments(mu, delta, message):
  with pytest.raises(ValueError, match=message):
    gaussian_dp.epsilon(mu, delta)
