"""What a sum of discrete Gaussians hides, the noise that many clients add."""

import math

import numpy as np

from tff_gen_debug.privacy import validation

# So many terms of `gap` are added up; the rest is bounded.
_EXACT_TERMS = 1000


def gap(share_stddev: float, shares: int) -> float:
  """How far a sum of discrete Gaussians is from one, at most.

  The tau of Kairouz, Liu and Steinke (2021), The Distributed Discrete Gaussian
  Mechanism for Federated Learning with Secure Aggregation, arXiv 2102.06387,
  section 3: 10 times the sum of exp(-2 pi^2 sigma^2 k / (k + 1)) over k from 1
  to `shares` - 1. It bounds the logarithm of the ratio of the probabilities of
  any integer under the two, the other being of scale sqrt(`shares`) sigma.

  Args:
    share_stddev: Scale sigma of each discrete Gaussian, at least 1/2.
    shares: How many are added, at least 1.

  Returns:
    The bound on each coordinate, at least 0; 0 for a single share.

  Raises:
    TypeError: An argument has the wrong type.
    ValueError: An argument is out of range.
  """
  share_stddev = validation.positive("share_stddev", share_stddev)
  if share_stddev < 0.5:
    raise ValueError(
      f"share_stddev must be at least 1/2, got {share_stddev!r}: below that"
      " there is no bound on the sum of the clients' noise"
    )
  shares = validation.integer("shares", shares, 1)
  if shares == 1:
    return 0.0
  # All terms of more noise than this are 0 in a float; squares stay finite.
  sigma = min(share_stddev, 100.0)
  k = np.arange(1, min(shares, _EXACT_TERMS + 1))
  terms = np.exp(-2 * (math.pi * sigma) ** 2 * k / (k + 1))
  # They decrease, so the last of these is a bound on those that follow.
  return 10 * float(np.sum(terms) + (shares - 1 - len(k)) * terms[-1])


def concentrated_epsilon(
  *,
  l2_norm: float,
  l1_norm: float,
  dimension: int,
  share_stddev: float,
  shares: int,
) -> float:
  """The cost of a sum of integers to which discrete Gaussians are added.

  Kairouz, Liu and Steinke (2021), arXiv 2102.06387, Proposition 14.

  Formal guarantees: the Renyi divergence of every order a >= 1 between the sum
  of the noise and the same shifted by an integer vector of these norms is at
  most a epsilon^2 / 2, which is that of a Gaussian mechanism with the noise
  multiplier 1 / epsilon. Reducing it by a modulus, or adding the noise of
  further clients, only lowers it.

  Args:
    l2_norm: How far the sum of the clients' integers moves between neighbours.
    l1_norm: The same in the L1 norm.
    dimension: Number of coordinates, all of which get noise.
    share_stddev: Scale of each share of the noise, at least 1/2.
    shares: Independent shares of noise that the adversary doesn't know.

  Returns:
    Epsilon of concentrated differential privacy.

  Raises:
    TypeError: An argument has the wrong type.
    ValueError: An argument is out of range.
  """
  l2_norm = validation.non_negative("l2_norm", l2_norm)
  l1_norm = validation.non_negative("l1_norm", l1_norm)
  dimension = validation.integer("dimension", dimension, 1)
  tau = gap(share_stddev, shares)
  stddev = share_stddev * math.sqrt(shares)
  l2, l1 = l2_norm / stddev, l1_norm / stddev
  return min(
    math.hypot(l2, math.sqrt(2 * tau * dimension)),
    math.hypot(l2, math.sqrt(2 * l1 * tau), tau * math.sqrt(dimension)),
    l2 + tau * math.sqrt(dimension),
  )
