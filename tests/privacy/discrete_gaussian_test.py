"""Tests of the cost of summed discrete Gaussians, against exact sums."""

import math

import mpmath
import numpy as np
import pytest
from scipy import special

from tff_gen_debug.privacy import discrete_gaussian

_ORDERS = (1.01, 1.5, 2.0, 3.0, 8.0)


def _sum_of_discrete_gaussians(scale, shares):
  """Exact probabilities of a sum, on integers centred in the array.

  Convolved by adding positive numbers only, so that tails are as exact as the
  middle, which a Fourier transform's are not.
  """
  # As far as floats do: exp(-690) is 1e-300.
  reach = math.ceil(37 * scale)
  x = np.arange(-reach, reach + 1)
  one = np.exp(-(x**2) / (2 * scale**2))
  one /= one.sum()
  result = np.ones(1)
  for _ in range(shares):
    result = np.convolve(result, one)
  return result


def _renyi(order, scale, shares, shift):
  """Exact Renyi divergence of a sum from the same sum shifted."""
  p = _sum_of_discrete_gaussians(scale, shares)
  q = p[shift:]
  p = p[: len(p) - shift]
  # By symmetry it doesn't matter which of them is shifted, nor where to. What
  # is below the smallest float has no weight at these orders and scales.
  kept = (p > 1e-300) & (q > 1e-300)
  logs = order * np.log(p[kept]) + (1 - order) * np.log(q[kept])
  return special.logsumexp(logs) / (order - 1)


def _cost(**changes):
  arguments = dict(
    l2_norm=1.0, l1_norm=1.0, dimension=1, share_stddev=1.0, shares=1
  )
  arguments.update(changes)
  return discrete_gaussian.concentrated_epsilon(**arguments)


@pytest.mark.parametrize("scale", [0.5, 0.7, 1.0, 2.5])
@pytest.mark.parametrize("shares", [1, 2, 3, 10, 40])
def test_bounds_the_exact_divergence_of_every_order(scale, shares):
  for votes, shift in ((1, 1), (1, 2), (50, 1), (50, 2)):
    epsilon = _cost(
      l2_norm=shift * math.sqrt(votes),
      l1_norm=shift * votes,
      dimension=100,
      share_stddev=scale,
      shares=shares,
    )
    for order in _ORDERS:
      # Coordinates are independent; those that don't move add nothing.
      exact = votes * _renyi(order, scale, shares, shift)
      assert exact <= order * epsilon**2 / 2 + 1e-9


@pytest.mark.parametrize(
  ("scale", "shares"), [(0.5, 1), (1.0, 1), (3.0, 2), (3.0, 40)]
)
def test_is_tight_for_one_share_or_noise_of_a_few_units(scale, shares):
  for shift in (1, 2):
    epsilon = _cost(
      l2_norm=shift, l1_norm=shift, share_stddev=scale, shares=shares
    )
    for order in (2.0, 8.0):
      exact = _renyi(order, scale, shares, shift)
      assert exact == pytest.approx(order * epsilon**2 / 2, rel=1e-6)


def test_the_reference_tells_wrong_noise():
  """A fifth less noise, or one share of ten missing, breaks the bound."""
  epsilon = _cost(share_stddev=2.5, shares=10)
  assert _renyi(2.0, 2.0, 10, 1) > 1.5 * epsilon**2
  assert _renyi(2.0, 2.5, 9, 1) > 1.1 * epsilon**2


@pytest.mark.parametrize("scale", [0.5, 0.7, 1.0])
@pytest.mark.parametrize("shares", [2, 5, 40])
def test_the_gap_bounds_the_ratio_to_a_discrete_gaussian(scale, shares):
  sums = _sum_of_discrete_gaussians(scale, shares)
  middle = len(sums) // 2
  deviation = scale * math.sqrt(shares)
  # Of all that has a weight; the theorem is about all integers.
  reach = min(middle, math.ceil(12 * deviation))
  x = np.arange(-reach, reach + 1)
  ideal = np.exp(-(x**2) / (2 * deviation**2))
  ideal /= ideal.sum()
  ratio = np.abs(np.log(sums[middle + x] / ideal))
  assert np.max(ratio) <= discrete_gaussian.gap(scale, shares) + 1e-9


@pytest.mark.parametrize("scale", [0.5, 0.8, 1.3, 3.0])
@pytest.mark.parametrize("shares", [2, 3, 100, 1001, 1002, 20_000])
def test_the_gap_is_its_sum_in_high_precision(scale, shares):
  with mpmath.workdps(50):
    exact = 10 * mpmath.fsum(
      mpmath.exp(-2 * mpmath.pi**2 * mpmath.mpf(scale) ** 2 * k / (k + 1))
      for k in range(1, shares)
    )
  value = discrete_gaussian.gap(scale, shares)
  # The bound on terms beyond a thousand may add, never take away.
  assert float(exact) * (1 - 1e-12) <= value
  assert value <= float(exact) * (1 + 1e-12 if shares <= 1001 else 1.2)


def test_one_share_is_a_discrete_gaussian_by_itself():
  # Canonne, Kamath and Steinke (2020): as good as a Gaussian, at any scale.
  assert discrete_gaussian.gap(0.5, 1) == 0.0
  assert _cost(l2_norm=3.0, share_stddev=0.5) == pytest.approx(6.0)


def test_worked_out_by_hand():
  # tau = 10 exp(-pi^2 sigma^2) = 10 exp(-pi^2) = 5.172e-4 for two shares of 1;
  # noise sqrt(2), so l2 = 2 / sqrt(2) and l1 = 4 / sqrt(2).
  tau = 5.1723e-4
  arguments = dict(l2_norm=2.0, l1_norm=4.0, share_stddev=1.0, shares=2)
  assert discrete_gaussian.gap(1.0, 2) == pytest.approx(tau, rel=1e-4)
  # Each of the three bounds is the least for some dimension.
  for dimension, squared in (
    (1, 2 + 2 * tau),
    (1000, 2 + 2 * 2.828427 * tau + 1000 * tau**2),
  ):
    assert _cost(dimension=dimension, **arguments) ** 2 == pytest.approx(
      squared, rel=1e-8
    )
  by_triangle = dict(arguments, l2_norm=0.2, l1_norm=40.0)
  assert _cost(dimension=10_000, **by_triangle) == pytest.approx(
    0.2 / math.sqrt(2) + 100 * tau, rel=1e-4
  )


@pytest.mark.parametrize("share_stddev", [1e150, 1e300])
def test_next_to_no_cost_is_still_a_positive_number(share_stddev):
  epsilon = _cost(share_stddev=share_stddev, shares=4)
  assert epsilon == pytest.approx(0.5 / share_stddev)


@pytest.mark.parametrize(
  ("changes", "error", "message"),
  [
    ({"share_stddev": 0.49}, ValueError, "share_stddev must be at least 1/2"),
    ({"share_stddev": 0}, ValueError, "share_stddev must be positive"),
    ({"share_stddev": "1"}, TypeError, "share_stddev must be a real number"),
    ({"shares": 0}, ValueError, "shares must be at least 1, got 0"),
    ({"shares": 1.5}, TypeError, "shares must be an integer"),
    ({"l2_norm": -1}, ValueError, "l2_norm must be at least 0"),
    ({"l1_norm": math.nan}, ValueError, "l1_norm must be finite"),
    ({"dimension": 0}, ValueError, "dimension must be at least 1"),
  ],
)
def test_bad_arguments_are_named(changes, error, message):
  with pytest.raises(error, match=message):
    _cost(**changes)
