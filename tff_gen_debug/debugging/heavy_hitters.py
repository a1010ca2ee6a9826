"""Differentially private heavy hitters: the words that many users have.

What one would pick instead of a generative model when the data are words and
the question is which are frequent: noised counts of the words themselves. It
answers nothing else, sees no word that too few users share, and has no use for
data, such as images, that never repeat. The mechanism is that of Korolova et
al. (2009), Releasing search queries and clicks privately, with Gaussian noise:
the key selection of "unknown partitions".
"""

from collections.abc import Mapping, Sequence
import dataclasses
import math
from typing import Optional

import dp_accounting
import numpy as np
from scipy import stats
import tensorflow_federated as tff

from tff_gen_debug.debugging import word_sketches
from tff_gen_debug.privacy import releases as release_lib
from tff_gen_debug.privacy import validation

# Of delta, to the Gaussian part; the threshold gets the rest. At half each,
# either part is within a few percent of what all of delta would give it.
_GAUSSIAN_SHARE = 0.5

# The calibration may miss its delta by this relative error, to the safe side.
_TOLERANCE = 1e-3

# Below, the calibration loses its digits; above, it overflows.
_LEAST_DELTA = 1e-12
_MOST_EPSILON = 500.0


@dataclasses.dataclass(frozen=True)
class ThresholdedGaussian:
  """Noised counts of the words that occur, those above a threshold released.

  Formal guarantees: let each user contribute at most w = max_words_per_user
  distinct words, 1 to the count of each. Every count above zero gets Gaussian
  noise of standard deviation sigma = noise_stddev, and a word is released, with
  its noised count, if that is above the threshold T. For data sets that differ
  by adding or removing one user this is (epsilon, delta)-differentially
  private with delta = delta_G + delta_T / (1 - delta_T), where

  *   delta_G is that of the Gaussian mechanism with noise sigma and sensitivity
      sqrt(w) at epsilon (Balle and Wang, 2018, arXiv 1805.06530), and
  *   delta_T = 1 - (1 - q)^w with q = P(1 + N(0, sigma²) > T).

  Proof. Let D' be D with one more user, S the words that occur in D, and U
  those that only this user has, at most w. On S, both data sets go through a
  Gaussian mechanism with fixed keys and sensitivity at most sqrt(w), and the
  threshold is post-processing: call the results A and A'. On U, D releases
  nothing and D' releases something with probability t <= delta_T, independently
  of A'. For a set E of results, let E0 be those in E without words of U.

  Adding: P(D' in E) <= t + P(A' in E0) <= t + e^epsilon P(A in E0) + delta_G,
  and P(A in E0) = P(D in E).

  Removing: if e^epsilon P(D' in E) >= 1, nothing is left to prove. Otherwise,
  as P(D' in E) >= (1 - t) P(A' in E0), e^epsilon P(A' in E0) < 1 / (1 - t), and
  P(D in E) = P(A in E0) <= e^epsilon P(A' in E0) + delta_G
  = e^epsilon (1 - t) P(A' in E0) + t e^epsilon P(A' in E0) + delta_G
  <= e^epsilon P(D' in E) + t / (1 - t) + delta_G.

  Edge cases: without noise all words are released and nothing is private.

  Attributes:
    max_words_per_user: w, >= 1.
    noise_stddev: sigma, >= 0.
    threshold: T.
  """

  max_words_per_user: int
  noise_stddev: float
  threshold: float

  @classmethod
  def calibrate(
    cls, *, epsilon: float, delta: float, max_words_per_user: int
  ) -> "ThresholdedGaussian":
    """The mechanism for a budget, half of delta for each of its parts.

    Args:
      epsilon: In (0, 500).
      delta: In [1e-12, 1).
      max_words_per_user: w, >= 1.

    Returns:
      The mechanism with the analytic Gaussian mechanism's noise, which is the
      least, and the lowest threshold.

    Raises:
      TypeError: If an argument has the wrong type.
      ValueError: If an argument breaks its rule.
    """
    epsilon = validation.positive("epsilon", epsilon)
    if epsilon >= _MOST_EPSILON:
      raise ValueError(
        f"epsilon must be below {_MOST_EPSILON:g}, or None for no privacy, got "
        f"{epsilon}"
      )
    delta = validation.open_unit("delta", delta)
    if delta < _LEAST_DELTA:
      raise ValueError(f"delta must be at least {_LEAST_DELTA:g}, got {delta}")
    words = validation.integer("max_words_per_user", max_words_per_user, 1)
    gaussian_delta = _GAUSSIAN_SHARE * delta
    stddev = tff.analytics.differential_privacy.analytic_gauss_stddev(
      epsilon,
      gaussian_delta * (1 - _TOLERANCE),
      math.sqrt(words),
      tol=gaussian_delta * _TOLERANCE,
    )
    rest = delta - gaussian_delta
    threshold_delta = rest / (1 + rest)
    # Of one word, so that w of them together stay within threshold_delta.
    passes = -math.expm1(math.log1p(-threshold_delta) / words)
    threshold = 1 + stddev * float(stats.norm.isf(passes))
    return cls(words, stddev, threshold)

  @property
  def threshold_delta(self) -> float:
    """What the threshold adds to delta, delta_T / (1 - delta_T)."""
    if not self.noise_stddev:
      return math.inf
    log_stays = stats.norm.logcdf((self.threshold - 1) / self.noise_stddev)
    return float(np.expm1(-self.max_words_per_user * log_stays))

  @property
  def event(self) -> Optional[dp_accounting.DpEvent]:
    """The Gaussian part, for a ledger; None without noise.

    No event describes the rest: a ledger's delta grows by `threshold_delta`.
    """
    if not self.noise_stddev:
      return None
    return dp_accounting.GaussianDpEvent(
      self.noise_stddev / math.sqrt(self.max_words_per_user)
    )

  def apply(
    self, counts: Mapping[str, int], rng: np.random.Generator
  ) -> list[tuple[str, float]]:
    """Adds the noise and withholds what is not above the threshold.

    Args:
      counts: Word -> number of users that contribute it, >= 0.
      rng: A source of randomness that is used for nothing else.

    Returns:
      Words with their noised counts, highest first.
    """
    present = [(word, count) for word, count in counts.items() if count > 0]
    noise = self.noise_stddev * rng.standard_normal(len(present))
    noised = [(w, float(count + z)) for (w, count), z in zip(present, noise)]
    released = [pair for pair in noised if pair[1] > self.threshold]
    # Words break ties, as the order of `counts` may tell more than it should.
    return sorted(released, key=lambda pair: (-pair[1], pair[0]))


@dataclasses.dataclass(frozen=True)
class HeavyHitters:
  """Frequent words, and what it cost to learn them.

  Attributes:
    words: Highest noised count first.
    counts: Noised numbers of users, in the same order.
    mechanism: What released them.
    epsilon: Of the release, for adding or removing one user; `inf` if it is
      exact.
    delta: Of the release; 0 if it is exact.
    num_users: How many users were asked.
  """

  words: Sequence[str]
  counts: Sequence[float]
  mechanism: ThresholdedGaussian
  epsilon: float
  delta: float
  num_users: int

  @property
  def release(self) -> release_lib.Release:
    """The record for the report."""
    if not self.mechanism.noise_stddev:
      how = "exactly"
    else:
      how = (
        "with Gaussian noise of standard deviation "
        f"{self.mechanism.noise_stddev:.4g}, if that is above "
        f"{self.mechanism.threshold:.4g}: epsilon {self.epsilon:g} at delta "
        f"{self.delta:g}, of which the threshold takes "
        f"{self.mechanism.threshold_delta:.3g} beside the recorded event"
      )
    return release_lib.Release(
      name="heavy hitters",
      what=(
        f"words and how many of {self.num_users} users have them, at most "
        f"{self.mechanism.max_words_per_user} words a user, {how}"
      ),
      event=self.mechanism.event,
    )


def private_heavy_hitters(
  client_data: tff.simulation.datasets.ClientData,
  client_ids: Optional[Sequence[str]] = None,
  *,
  max_words_per_user: int,
  epsilon: Optional[float],
  delta: Optional[float] = None,
  string_max_bytes: int = 64,
  capacity: int = 20_000,
) -> HeavyHitters:
  """Finds the words that many users have, with differential privacy.

  Formal guarantees: (epsilon, delta)-DP for adding or removing one user, by
  `ThresholdedGaussian`; what a client contributes is bounded on the client, by
  `word_sketches.select_words`. The server that decodes the sum is trusted, as
  in DP-FedAvg. It decodes again with a larger sketch where one fails, so that
  only the running time, not the release, depends on whether it did.

  Edge cases: a client without words contributes nothing. With `epsilon` None or
  infinite all words come out with exact counts, and the release says that it
  is not private. No amplification is claimed for `client_ids` that are a sample
  of a larger population.

  Args:
    client_data: The users' words, elements `OrderedDict(word=string scalar)`,
      such as `oov.select` makes.
    client_ids: Whom to ask; by default all clients of `client_data`.
    max_words_per_user: How many distinct words a client contributes at most,
      >= 1. More words find more, and need noise in proportion to the root.
    epsilon: The budget, in (0, 500); None or infinity for no privacy.
    delta: The budget, in [1e-12, 1); must be given with a finite epsilon.
    string_max_bytes: Longer words are left out, >= 1.
    capacity: Number of distinct words to expect at first, >= 1.

  Returns:
    The words.

  Raises:
    TypeError: If an argument has the wrong type, or `client_data` has elements
      of another type.
    ValueError: If an argument breaks its rule.
  """
  words_per_user = validation.integer(
    "max_words_per_user", max_words_per_user, 1
  )
  if epsilon is None or epsilon == math.inf:
    epsilon, delta = math.inf, 0.0
    mechanism = ThresholdedGaussian(words_per_user, 0.0, 0.0)
  else:
    if delta is None:
      raise ValueError("delta must be given with a finite epsilon, got None")
    mechanism = ThresholdedGaussian.calibrate(
      epsilon=epsilon, delta=delta, max_words_per_user=words_per_user
    )
  counts = word_sketches.count_word_users(
    client_data,
    client_ids,
    max_words_per_user=words_per_user,
    string_max_bytes=string_max_bytes,
    capacity=capacity,
  )
  # No seed: noise that could be drawn again would protect nobody.
  released = mechanism.apply(counts, np.random.default_rng())
  num_users = len(client_data.client_ids if client_ids is None else client_ids)
  return HeavyHitters(
    words=tuple(word for word, _ in released),
    counts=tuple(count for _, count in released),
    mechanism=mechanism,
    epsilon=float(epsilon),
    delta=float(delta),
    num_users=num_users,
  )
