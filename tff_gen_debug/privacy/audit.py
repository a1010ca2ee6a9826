"""Lower bounds on what a mechanism leaks, from watching it.

A proof bounds epsilon from above for the mechanism that was meant; an audit
bounds it from below for the code that runs. *Canaries*, clients made up to be
easy to recognise, are put in or left out at random, and a score of each is
computed from what the mechanism released. Differential privacy limits how well
scores can tell the two cases apart, so that scores that do better refute it.

`tff_gen_debug.aggregators.audit_factory` gets the scores of any aggregation
factory of TFF. This module is the statistics.
"""

import dataclasses
import math
from typing import Callable, NamedTuple, Optional, Tuple, Union

import dp_accounting
import numpy as np
from scipy import optimize
from scipy import special

from tff_gen_debug.privacy import gaussian_dp
from tff_gen_debug.privacy import validation

# The share of the trials that choose what to look for; the others are counted.
# Of 1/5, 1/3 and 1/2 none was better at finding twofold faults.
_CHOOSING_SHARE = 1 / 3

# Thresholds that are tried, of each of the two kinds of trials.
_MAX_THRESHOLDS = 100

# The choice is among estimates lowered by so many times their confidence margin
# in the choosing trials, so that it doesn't fall for a lucky one. Of 0.6, 1 and
# 2 these found the largest bounds.
_CAUTION_MU = 2.0
_CAUTION_EPSILON = 1.0

# Bins of a normal variable: where each ends, and its probability. Beyond the
# last end is less than a rounding error of 1.
_BIN_ENDS = np.linspace(-8.0, 8.0, 321)
_BINS = np.diff(special.ndtr(_BIN_ENDS), prepend=0.0)


@dataclasses.dataclass(frozen=True)
class AuditResult:
  """What an audit found; see `lower_bounds` for what each bound assumes.

  Attributes:
    epsilon_lower_bound: The mechanism is not (epsilon, `delta`)-DP for any
      smaller epsilon; at least 0.
    mu_lower_bound: The mechanism is not mu-GDP for any smaller mu; at least 0.
    delta: The delta of `epsilon_lower_bound` and of the epsilons below.
    confidence: The probability, of each bound by itself, to be right.
    num_in: Trials with the canary that were counted.
    num_out: Trials without it that were counted.
    claimed_mu: What is claimed: that the mechanism is mu-GDP. Infinite if
      nothing is.
  """

  epsilon_lower_bound: float
  mu_lower_bound: float
  delta: float
  confidence: float
  num_in: int
  num_out: int
  claimed_mu: float = math.inf

  @property
  def refuted(self) -> bool:
    """Whether the claim of `claimed_mu` is refuted.

    A true claim is refuted with a probability of at most 1 - `confidence`.
    False is no proof of the claim.
    """
    return self.mu_lower_bound > self.claimed_mu

  @property
  def epsilon_refuted(self) -> bool:
    """Whether `epsilon_of_claim` is refuted by `epsilon_lower_bound` alone."""
    return self.epsilon_lower_bound > self.epsilon_of_claim

  @property
  def epsilon_of_claim(self) -> float:
    """Epsilon at `delta` of the claim, by the exact curve of the Gaussian."""
    return gaussian_dp.epsilon(self.claimed_mu, self.delta)

  @property
  def gaussian_epsilon_lower_bound(self) -> float:
    """Epsilon at `delta` of `mu_lower_bound`, by the Gaussian's exact curve.

    A lower bound on the mechanism's epsilon if the mechanism is a Gaussian one
    of any sensitivity and noise.
    """
    return gaussian_dp.epsilon(self.mu_lower_bound, self.delta)

  def summary(self) -> str:
    """The result in one sentence for people."""
    verdict = "REFUTED" if self.refuted else "not refuted"
    return (
      f"The claim of epsilon {self.epsilon_of_claim:.3g} at delta"
      f" {self.delta:.3g} is {verdict} at confidence {self.confidence:.6g}:"
      f" epsilon is at least {self.gaussian_epsilon_lower_bound:.3g} if the"
      f" mechanism is Gaussian, {self.epsilon_lower_bound:.3g} whatever it is"
      f" ({self.num_in} trials with a canary, {self.num_out} without)."
    )


def lower_bounds(
  scores_in: np.ndarray,
  scores_out: np.ndarray,
  *,
  delta: float,
  confidence: float = 0.95,
  claim: Optional[Union[float, dp_accounting.DpEvent]] = None,
  seed: Optional[int] = None,
) -> AuditResult:
  """Bounds epsilon and mu from below by how far scores tell two cases apart.

  A third of the trials, drawn at random, chooses: the direction to project the
  scores on if they are vectors (the difference of the means, a matched filter),
  and for each bound the rank of a threshold. The other trials are only counted:
  of m scores without the canary the k-th largest is the threshold, and x of the
  n scores with it are above, ties broken at random. Let F be the probability of
  a score without the canary to be above; as a random number it is Beta(k, m - k
  + 1), whatever the distribution of scores. If with the canary the probability
  is c(F) at most, then x or more are above with a probability of at most
  E[P(Binomial(n, c(F)) >= x)]. A bound is the least parameter of c for which
  this is not below 1 - `confidence`.

  Audits usually put a confidence interval each (Clopper and Pearson, 1934)
  around true and false positive rate. Both have to hold, which is more than the
  confidence asks for, and finds less.

  Formal guarantees: each bound by itself exceeds the truth with a probability
  of at most 1 - `confidence`, however many thresholds are tried, as trials that
  choose are not counted. Nothing is assumed about the mechanism's shape:

  *   `epsilon_lower_bound` has c(F) = exp(epsilon) F + delta, the definition of
      differential privacy; for the side of the threshold that shows more.
  *   `mu_lower_bound` has c(F) = Phi(Phi^-1(F) + mu), what mu-GDP allows (Dong
      et al., 2019, arXiv 1905.02383, section 2.2). It refutes being mu-GDP, so
      also being a Gaussian mechanism of noise multiplier 1 / mu. Only its
      conversion to epsilon, `gaussian_epsilon_lower_bound`, is about Gaussian
      mechanisms alone.

  Both assume that trials are independent, and identical but for the canary.
  Trials of several runs are independent. Those of several canaries in one run
  are if each score is of coordinates of its own and the noise is independent
  over coordinates. That is part of the claim of a Gaussian mechanism: `refuted`
  needs no more for its confidence, but the bounds as such do. For noise that
  may be correlated use one canary a run, or the analyses of a single run by
  Steinke et al. (2023, arXiv 2305.08846) and Mahloujifar et al. (2024, arXiv
  2410.22235), who assume no independence and find less.

  Edge cases: scores that don't depend on the canary give bounds of about 0.
  However clear the difference, at 95 % confidence epsilon is not found to be
  above log(m / 3).

  Args:
    scores_in: Scores of trials with the canary: [trials], or [trials, features]
      to be projected. At least 2 trials, finite. Neither their scale nor their
      sign matters.
    scores_out: Those of trials without it, with the same features.
    delta: In (0, 1).
    confidence: In (0, 1).
    claim: What to compare with: a noise multiplier or an event, see
      `gaussian_dp.claimed_mu`; None for nothing.
    seed: Of the choosing trials and of ties; None for a new one each time. Not
      to be chosen by looking at the result.

  Returns:
    The bounds and the claim.

  Raises:
    TypeError: If an argument has the wrong type.
    ValueError: If an argument is out of its range.
  """
  features_in = _features("scores_in", scores_in)
  features_out = _features("scores_out", scores_out)
  if features_in.shape[1] != features_out.shape[1]:
    raise ValueError(
      f"scores_out must have the {features_in.shape[1]} features of scores_in,"
      f" got {features_out.shape[1]}"
    )
  delta = validation.open_unit("delta", delta)
  confidence = validation.open_unit("confidence", confidence)
  mu = math.inf if claim is None else gaussian_dp.claimed_mu(claim)

  rng = np.random.default_rng(seed)
  choosing_in, counted_in = _split(features_in, rng)
  choosing_out, counted_out = _split(features_out, rng)
  direction = choosing_in.mean(0) - choosing_out.mean(0)
  choosing = _Scores(
    _project(choosing_in, direction), _project(choosing_out, direction)
  )
  counted = _Scores(
    _project(counted_in, direction), _project(counted_out, direction)
  )
  deviations = max(0.0, special.ndtri(confidence))

  def epsilon_gain(rates: "_Rates") -> np.ndarray:
    # A rate that delta alone explains shows nothing.
    excess = np.maximum(rates.yes_in - delta, 1e-300)
    error = np.hypot(rates.error_in / excess, rates.error_out / rates.yes_out)
    return (
      np.log(excess / rates.yes_out) - _CAUTION_EPSILON * deviations * error
    )

  def mu_gain(rates: "_Rates") -> np.ndarray:
    at_in, at_out = special.ndtri(rates.yes_in), special.ndtri(rates.yes_out)
    error = np.hypot(
      rates.error_in / _density(at_in), rates.error_out / _density(at_out)
    )
    return at_in - at_out - _CAUTION_MU * deviations * error

  def epsilon_curve(epsilon: float, share: np.ndarray) -> np.ndarray:
    return np.minimum(np.exp(epsilon) * share + delta, 1.0)

  def mu_curve(mu: float, share: np.ndarray) -> np.ndarray:
    return special.ndtr(special.ndtri(share) + mu)

  gain, share = _best_share(choosing, epsilon_gain)
  reverse_gain, reverse_share = _best_share(choosing.reversed(), epsilon_gain)
  scores = counted
  if reverse_gain > gain:
    scores, share = counted.reversed(), reverse_share
  _, mu_share = _best_share(choosing, mu_gain)
  return AuditResult(
    epsilon_lower_bound=_bound(
      scores, share, epsilon_curve, 1 - confidence, rng
    ),
    mu_lower_bound=_bound(counted, mu_share, mu_curve, 1 - confidence, rng),
    delta=delta,
    confidence=confidence,
    num_in=len(counted_in),
    num_out=len(counted_out),
    claimed_mu=mu,
  )


class _Scores(NamedTuple):
  """Scores with and without the canary, expected to be larger with it."""

  with_it: np.ndarray
  without: np.ndarray

  def reversed(self) -> "_Scores":
    """The same with the roles exchanged: low scores show its absence."""
    return _Scores(-self.without, -self.with_it)


class _Rates(NamedTuple):
  """Estimated shares of scores above thresholds, and their errors."""

  yes_in: np.ndarray
  error_in: np.ndarray
  yes_out: np.ndarray
  error_out: np.ndarray


def _features(name: str, scores: np.ndarray) -> np.ndarray:
  """Checked scores as [trials, features] in float64."""
  result = np.asarray(scores, np.float64)
  if result.ndim == 1:
    result = result[:, np.newaxis]
  if result.ndim != 2 or len(result) < 2 or not result.shape[1]:
    raise ValueError(
      f"{name} must be [trials] or [trials, features] of at least 2 trials, got"
      f" shape {np.shape(scores)}"
    )
  if not np.all(np.isfinite(result)):
    raise ValueError(f"{name} must be finite, got NaN or infinity")
  return result


def _split(
  features: np.ndarray, rng: np.random.Generator
) -> Tuple[np.ndarray, np.ndarray]:
  """The trials that choose and those that are counted, at least one each."""
  order = rng.permutation(len(features))
  size = max(1, int(_CHOOSING_SHARE * len(features)))
  return features[order[:size]], features[order[size:]]


def _project(features: np.ndarray, direction: np.ndarray) -> np.ndarray:
  """The scores in a direction.

  Column by column: a matrix product may round equal rows differently, by where
  they are, and so tell apart what is the same.
  """
  result = np.zeros(len(features))
  for column, weight in zip(features.T, direction):
    result += weight * column
  return result


def _best_share(
  choosing: _Scores, gain: Callable[[_Rates], np.ndarray]
) -> Tuple[float, float]:
  """The largest gain of a threshold, and the share without that is above it."""
  thresholds = np.unique(
    np.concatenate(
      [
        np.sort(scores)[
          np.linspace(0, len(scores) - 1, _MAX_THRESHOLDS).astype(int)
        ]
        for scores in choosing
      ]
    )
  )
  shares, rates = [], []
  for scores in choosing:
    size = len(scores)
    above = size - np.searchsorted(np.sort(scores), thresholds, side="right")
    # Two more trials, one above and one not, keep few from meaning never.
    rate = (above + 1) / (size + 2)
    shares.append(above / size)
    rates += [rate, np.sqrt(rate * (1 - rate) / size)]
  gains = gain(_Rates(*rates))
  best = np.argmax(gains)
  return gains[best], shares[1][best]


def _bound(
  counted: _Scores,
  share: float,
  curve: Callable[[float, np.ndarray], np.ndarray],
  failure: float,
  rng: np.random.Generator,
) -> float:
  """The least parameter of `curve` that the counts don't refute."""
  num_in, num_out = len(counted.with_it), len(counted.without)
  rank = min(max(round(share * num_out), 1), num_out)
  scores = np.concatenate(counted)
  # A second, random score breaks ties, so that no two scores are equal.
  order = np.lexsort((rng.permutation(len(scores)), -scores))
  is_out = order >= num_in
  threshold = np.flatnonzero(is_out)[rank - 1]
  above = int(threshold) + 1 - rank
  if not above:
    return 0.0
  # Quantiles of the share, from the nearer end, so that they keep their digits.
  other = num_out - rank + 1
  below, above_median = _BIN_ENDS[_BIN_ENDS < 0], _BIN_ENDS[_BIN_ENDS >= 0]
  shares = np.concatenate(
    [
      special.betaincinv(rank, other, special.ndtr(below)),
      1 - special.betaincinv(other, rank, special.ndtr(-above_median)),
    ]
  )

  def excess(parameter: float) -> float:
    with np.errstate(over="ignore"):
      rates = curve(parameter, shares)
    # What grows with the share is largest at a bin's end: the sum errs upwards.
    tails = special.betainc(above, num_in - above + 1, rates)
    return float(_BINS @ tails) - failure

  if excess(0.0) >= 0:
    return 0.0
  most = 1.0
  while excess(most) < 0:
    most *= 2
  return float(optimize.brentq(excess, 0.0, most, xtol=1e-9))


def _density(x: np.ndarray) -> np.ndarray:
  return np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
