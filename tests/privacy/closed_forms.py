"""Privacy curves worked out without dp-accounting, to check it against."""

import math

import numpy as np
from scipy import optimize
from scipy import stats


def gaussian_delta(epsilon, noise_multiplier, rounds=1):
  """Exact delta of Gaussian releases: Balle and Wang, 2018, Theorem 8."""
  sigma = noise_multiplier / math.sqrt(rounds)
  shift = epsilon * sigma
  log_second = epsilon + stats.norm.logcdf(-0.5 / sigma - shift)
  return stats.norm.cdf(0.5 / sigma - shift) - math.exp(log_second)


def sampled_gaussian_delta(epsilon, noise_multiplier, probability):
  """Exact delta of one Poisson-sampled Gaussian release.

  The privacy loss log(1 - q + q exp((2 x - 1) / (2 z^2))) increases with the
  released x, so the worst event is a half line on either side.
  """
  q, z = probability, noise_multiplier
  x = z * z * math.log((math.exp(epsilon) - 1 + q) / q) + 0.5
  removed = (
    (1 - q) * stats.norm.sf(x / z)
    + q * stats.norm.sf((x - 1) / z)
    - math.exp(epsilon) * stats.norm.sf(x / z)
  )
  added = 0.0
  if math.exp(-epsilon) > 1 - q:
    x = z * z * math.log((math.exp(-epsilon) - 1 + q) / q) + 0.5
    mixture = (1 - q) * stats.norm.cdf(x / z) + q * stats.norm.cdf((x - 1) / z)
    added = stats.norm.cdf(x / z) - math.exp(epsilon) * mixture
  return max(removed, added)


def epsilon_of(delta_of_epsilon, delta, most=500.0):
  """Inverts a privacy curve."""
  if delta_of_epsilon(0.0) <= delta:
    return 0.0
  return optimize.brentq(
    lambda e: delta_of_epsilon(e) - delta, 0.0, most, xtol=1e-12
  )


def composed_sampled_gaussian_bracket(
  noise_multiplier, probability, rounds, delta, step=2e-5, most=40.0
):
  """Lower and upper bound on epsilon of many sampled Gaussian rounds.

  Convolves the distribution of the privacy loss of removing a user, once with
  all losses rounded down to a grid and once rounded up.
  """
  q, z = probability, noise_multiplier
  x = np.linspace(-12 * z, 1 + 12 * z, 2_000_001)
  density = (1 - q) * stats.norm.pdf(x / z) / z
  density += q * stats.norm.pdf((x - 1) / z) / z
  weight = density * (x[1] - x[0])
  weight /= weight.sum()
  loss = np.log1p(q * np.expm1((2 * x - 1) / (2 * z * z)))
  size = 2 ** math.ceil(math.log2(2 * most / step))
  result = []
  for rounding in (np.floor, np.ceil):
    index = rounding(loss / step).astype(np.int64)
    single = np.zeros(size)
    np.add.at(single, index % size, weight)
    total = np.fft.irfft(np.fft.rfft(single) ** rounds, size)
    total = np.maximum(total, 0.0)
    losses = np.arange(size) * step
    losses[size // 2 :] -= size * step

    def delta_at(epsilon, losses=losses, total=total):
      above = losses > epsilon
      return np.sum(total[above] * -np.expm1(epsilon - losses[above]))

    result.append(epsilon_of(delta_at, delta, most))
  return tuple(result)
