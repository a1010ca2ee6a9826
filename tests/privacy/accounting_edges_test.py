"""Accountants where dp-accounting alone raises, hangs or loses its digits."""

import json
import math
import subprocess
import sys
import time

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy import integrate
from scipy import stats

from tests.privacy import closed_forms
from tests.privacy import examples
from tff_gen_debug.privacy import accounting


def test_pld_grid_follows_a_large_epsilon():
  lower, upper = closed_forms.composed_sampled_gaussian_bracket(
    0.1, 0.1, rounds=1000, delta=1e-6, step=0.01, most=9000.0
  )
  assert upper - lower < 0.002 * lower
  pld = examples.epsilon((examples.poisson(0.1, 0.1), 1000), accountant="pld")
  assert lower <= pld <= 1.003 * upper


@pytest.mark.parametrize("accountant", accounting.ACCOUNTANTS)
@pytest.mark.parametrize(
  ("probability", "noise", "rounds"),
  [
    (10 / 3400, 0.01, 1000),
    (0.5, 0.01, 1000),
    (0.1, 1e-5, 10),
    (0.1, 1e-160, 1),
    (0.1, 1e-200, 1),
    # Renyi DP in dp-accounting turns negative, which it refuses.
    (1e-8, 50.0, 10),
    (0.1, 1e6, 10),
    (0.1, 1e300, 10),
    # Its series takes seconds here, and no end for even more noise.
    (0.5, 1e3, 1000),
    (0.5, 1e5, 1000),
    # A sampling probability barely above delta.
    (1.01e-6, 0.1, 1),
    (1e-9, 0.01, 1),
  ],
)
def test_extremes_give_a_number_soon(accountant, probability, noise, rounds):
  start = time.process_time()
  result = examples.epsilon(
    (examples.poisson(probability, noise), rounds), accountant=accountant
  )
  assert time.process_time() - start < 10
  assert result >= 0
  # Sampling never costs more than drawing everybody.
  bare = examples.epsilon(
    (examples.GAUSSIAN(noise), rounds), accountant=accountant
  )
  assert result <= bare * (1 + 1e-3) + 1e-6


def test_more_noise_than_a_float_can_square_costs_nothing_much():
  exact = closed_forms.epsilon_of(
    lambda e: closed_forms.gaussian_delta(e, 1e12), 1e-6
  )
  assert exact == 0.0
  assert examples.epsilon((examples.GAUSSIAN(1e300), 1)) < 0.01


def _rdp(event, order):
  key = accounting.events_lib.to_key(event)
  rdp = accounting._rdp_of(key, "add_or_remove_one")
  return rdp[list(accounting._orders()).index(order)]


def test_rdp_is_an_upper_bound_where_it_is_as_small_as_rounding_errors():
  q, z, order = 1e-6, 100.0, 8
  # E_Q[(P/Q)^order] - 1 with P = (1-q) Q + q N(1): the binomial sum without
  # its leading 1, next to which dp-accounting loses the rest.
  excess = sum(
    math.comb(order, j)
    * q**j
    * (1 - q) ** (order - j)
    * math.expm1(j * (j - 1) / (2 * z * z))
    for j in range(2, order + 1)
  )
  exact = math.log1p(excess) / (order - 1)
  assert exact <= _rdp(examples.poisson(q, z), order) <= exact + 2e-12


@pytest.mark.parametrize("noise_multiplier", [99.0, 120.0])
@pytest.mark.parametrize("order", [1.5, 10.9])
def test_fractional_orders_are_upper_bounds_on_both_sides_of_the_limit(
  noise_multiplier, order
):
  q, z = 0.3, noise_multiplier

  def integrand(x):
    ratio = 1 + q * math.expm1((2 * x * z - 1) / (2 * z * z))
    return math.expm1(order * math.log(ratio)) * stats.norm.pdf(x)

  excess = integrate.quad(integrand, -12, 12, epsabs=1e-14)[0]
  exact = math.log1p(excess) / (order - 1)
  computed = _rdp(examples.poisson(q, z), order)
  assert exact * (1 - 1e-6) <= computed <= exact * 1.4


def test_large_sample_without_replacement_costs_no_more_than_everybody():
  kwargs = dict(relation="replace_one", delta=0.01)
  everybody = examples.epsilon((examples.GAUSSIAN(1.0), 10), **kwargs)
  assert examples.epsilon(
    (examples.without_replacement(100, 99, 1.0), 10), **kwargs
  ) == (pytest.approx(everybody))
  half = examples.epsilon(
    (examples.without_replacement(100, 50, 1.0), 10), **kwargs
  )
  assert half < everybody


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(
  probability=st.floats(1e-6, 1.0),
  noise=st.floats(0.02, 200.0),
  rounds=st.integers(1, 5000),
  more_noise=st.floats(1.0, 3.0),
  more_rounds=st.integers(0, 1000),
  less_delta=st.floats(1e-3, 1.0),
  accountant=st.sampled_from(["rdp", "rdp_classic"]),
)
def test_epsilon_is_monotonic(
  probability, noise, rounds, more_noise, more_rounds, less_delta, accountant
):
  base = examples.epsilon(
    (examples.poisson(probability, noise), rounds), accountant=accountant
  )
  slack = 1e-8 * max(base, 1.0)
  more = examples.epsilon(
    (examples.poisson(probability, noise), rounds + more_rounds),
    accountant=accountant,
  )
  assert more >= base - slack
  quieter = examples.epsilon(
    (examples.poisson(probability, noise * more_noise), rounds),
    accountant=accountant,
  )
  # Above a noise multiplier of 100 the bound for fractional orders is coarser.
  crosses = noise <= 100 < noise * more_noise
  assert crosses or quieter <= base + slack
  smaller_delta = examples.epsilon(
    (examples.poisson(probability, noise), rounds),
    accountant=accountant,
    delta=1e-6 * less_delta,
  )
  assert smaller_delta >= base - slack


@hypothesis.settings(max_examples=5, deadline=None)
@hypothesis.given(
  cohort=st.integers(1, 999),
  noise=st.floats(0.3, 10.0),
  rounds=st.integers(1, 3000),
)
def test_sampling_without_replacement_is_monotonic(cohort, noise, rounds):
  def at(cohort, noise, rounds):
    event = examples.without_replacement(1000, cohort, noise)
    return examples.epsilon((event, rounds), relation="replace_one")

  base = at(cohort, noise, rounds)
  assert at(cohort + 1, noise, rounds) >= base * (1 - 1e-9)
  assert at(cohort, noise, rounds + 1) >= base * (1 - 1e-9)
  assert at(cohort, noise * 1.1, rounds) <= base * (1 + 1e-9)


@hypothesis.settings(max_examples=6, deadline=None)
@hypothesis.given(
  probability=st.floats(1e-3, 0.9),
  noise=st.floats(0.3, 10.0),
  rounds=st.integers(1, 2000),
)
def test_pld_is_monotonic_and_below_renyi(probability, noise, rounds):
  def at(probability, noise, rounds):
    return examples.epsilon(
      (examples.poisson(probability, noise), rounds), accountant="pld"
    )

  base = at(probability, noise, rounds)
  # Its grid follows epsilon, so it is monotonic up to the grid's error.
  assert at(probability, noise, rounds * 2) >= base * (1 - 1e-3)
  assert at(probability, noise * 1.5, rounds) <= base * (1 + 1e-3)
  assert base <= examples.epsilon(
    (examples.poisson(probability, noise), rounds)
  )


def test_no_warnings_from_extremes():
  """The library's overflows are handled, so they must not alarm the user."""
  code = """
import json, sys, warnings
warnings.simplefilter('error', RuntimeWarning)
import dp_accounting
from tff_gen_debug.privacy import accounting
found = [
  accounting.epsilon(
    [(dp_accounting.PoissonSampledDpEvent(
      q, dp_accounting.GaussianDpEvent(z)), 10)],
    delta=1e-6, accountant=a, neighboring_relation='add_or_remove_one')
  for q in (1e-5, 0.5) for z in (1e-5, 0.01, 1e6)
  for a in accounting.ACCOUNTANTS
]
json.dump(found, sys.stdout)
"""
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=False
  )
  assert done.returncode == 0, done.stderr
  assert np.all(np.asarray(json.loads(done.stdout)) >= 0)
