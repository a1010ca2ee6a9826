"""A data-dependent privacy bound for thresholded votes, and its limits.

PATE's analysis (Papernot et al., 2018, arXiv 1802.08908) charges less where all
teachers agree, since then noise hardly ever changes the outcome. DataLens (Wang
et al., 2021, arXiv 2103.11109) takes it over for TopAgg, but in a form that
does not hold: for the outcome of an argmax, of which TopAgg has none, and on
votes that are noised already. This module has what does hold. docs/privacy.md
has the proofs, and the result: it buys little in any published setting.

TopAgg releases for each coordinate whether its noised sum of votes is above a
threshold, below its negative, or between. Noise is independent over the
coordinates, so the Renyi divergence of two data sets is the sum of the
coordinates' divergences, each between two distributions on three outcomes: it
can be computed exactly.

`data_dependent_rdp` depends on the votes, and so on the data: it is as
sensitive as the votes are. It must not be released, nor decide what is; a
ledger does not take it. It is for simulations, and to judge whether a smooth
version (Papernot et al., 2018, section B) would be worth its own noise.

`thresholded_rdp` is its maximum over all votes, which no data went into: that
only signs are released, and not the sums, makes every run up to a third
cheaper in Renyi DP.
"""

from typing import Any

import numpy as np
from scipy import special

from tff_gen_debug.privacy import neighbors
from tff_gen_debug.privacy import validation


def renyi_divergence(
  order: float,
  votes: Any,
  neighboring_votes: Any,
  *,
  threshold: float,
  noise_stddev: float,
) -> float:
  """The exact Renyi divergence of the outcomes of two sums of votes.

  Args:
    order: Of the divergence, above 1.
    votes: Numbers `[d]`, the sums of votes without noise.
    neighboring_votes: The same of the other data set.
    threshold: That a noised sum has to exceed in magnitude, in votes, >= 0.
    noise_stddev: Of the noise on each sum, in votes, > 0.

  Returns:
    The divergence of the first from the second, in nats, at least 0.

  Raises:
    TypeError: If an argument has the wrong type.
    ValueError: If an argument is out of its range, or the shapes differ.
  """
  order, threshold, noise_stddev = _check(order, threshold, noise_stddev)
  votes = _check_votes("votes", votes)
  other = _check_votes("neighboring_votes", neighboring_votes)
  if votes.shape != other.shape:
    raise ValueError(
      f"neighboring_votes must have shape {list(votes.shape)}, got"
      f" {list(other.shape)}"
    )
  return float(
    np.sum(
      _divergences(
        order,
        votes / noise_stddev,
        other / noise_stddev,
        threshold / noise_stddev,
      )
    )
  )


def data_dependent_rdp(
  order: float,
  votes: Any,
  *,
  top_k: int,
  threshold: float,
  noise_stddev: float,
  neighboring_relation: str = "add_or_remove_one",
) -> float:
  """How far the outcome's distribution can be from any neighbour's.

  Formal guarantees: for every neighbour of the data set that cast `votes`, the
  Renyi divergence of the two outcomes, in either direction, is at most the
  result. Holds for deterministic votes only: of drawn ones the others' draws
  are part of the mechanism, and what was drawn is not all that could have been.

  The neighbours are taken as if a client could add to or subtract from any
  `top_k` coordinates. With add-or-remove-one the bound is then exact.

  Args:
    order: Of the divergence, above 1.
    votes: Numbers `[d]`, the sums of votes without noise. Sensitive, and so is
      the result.
    top_k: How many coordinates a client votes on at most, >= 1.
    threshold: That a noised sum has to exceed in magnitude, in votes, >= 0;
      a share of the *expected* clients, which is public.
    noise_stddev: Of the noise on each sum, in votes, > 0.
    neighboring_relation: "add_or_remove_one" or "replace_one".

  Returns:
    The bound, in nats.

  Raises:
    TypeError: If an argument has the wrong type.
    ValueError: If an argument is out of its range.
  """
  order, threshold, noise_stddev = _check(order, threshold, noise_stddev)
  votes = _check_votes("votes", votes)
  top_k = validation.integer("top_k", top_k, 1)
  most = _votes_of_a_coordinate(neighboring_relation)
  worth = _worth_of_a_vote(order, votes, threshold, noise_stddev, most)
  return float(most * np.max(np.sum(np.sort(worth)[:, -top_k:], axis=1)))


def thresholded_rdp(
  order: float,
  *,
  top_k: int,
  threshold: float,
  noise_stddev: float,
  population: int,
  neighboring_relation: str = "add_or_remove_one",
) -> float:
  """Renyi DP of one thresholded vote of everybody, whatever the votes are.

  Formal guarantees: the vote is (order, result)-RDP, be votes drawn or not.
  At most that of the Gaussian mechanism beneath, factor^2 top_k order / (2
  noise_stddev^2), with a factor of 1 or 2 for the neighbours. It says nothing
  of a vote among a *sample* of the clients: amplification theorems are for the
  Gaussian.

  Args:
    order: Above 1.
    top_k: How many coordinates a client votes on at most, >= 1.
    threshold: That a noised sum has to exceed in magnitude, in votes, >= 0.
    noise_stddev: Of the noise on each sum, in votes, > 0.
    population: More clients never vote, >= 1; the time and memory grow with it.
    neighboring_relation: "add_or_remove_one" or "replace_one".

  Returns:
    The Renyi DP, in nats.

  Raises:
    TypeError: If an argument has the wrong type.
    ValueError: If an argument is out of its range.
  """
  order, threshold, noise_stddev = _check(order, threshold, noise_stddev)
  top_k = validation.integer("top_k", top_k, 1)
  population = validation.integer("population", population, 1)
  most = _votes_of_a_coordinate(neighboring_relation)
  # Every sum that there can be; negative ones mirror these.
  votes = np.arange(population + 1, dtype=np.float64)
  worth = _worth_of_a_vote(order, votes, threshold, noise_stddev, most)
  return float(most * top_k * np.max(worth))


def _votes_of_a_coordinate(neighboring_relation: Any) -> int:
  """By how many votes neighbours can differ in one coordinate."""
  relation = validation.one_of(
    "neighboring_relation",
    neighboring_relation,
    tuple(neighbors.SENSITIVITY_FACTORS),
  )
  return int(neighbors.SENSITIVITY_FACTORS[relation])


def _worth_of_a_vote(
  order: float,
  votes: np.ndarray,
  threshold: float,
  noise_stddev: float,
  most: int,
) -> np.ndarray:
  """What a changed vote can add to the divergence in each direction, `[2, d]`.

  Up to `most` votes of a coordinate change; the divergence of several is shared
  out among them.
  """
  scaled, least = votes / noise_stddev, threshold / noise_stddev
  worth = np.zeros((2, *votes.shape))
  for change in range(-most, most + 1):
    if change:
      pair = (scaled, scaled + change / noise_stddev)
      for direction in (0, 1):
        first, second = pair[direction], pair[1 - direction]
        one = _divergences(order, first, second, least) / abs(change)
        worth[direction] = np.maximum(worth[direction], one)
  return worth


def _divergences(
  order: float, first: np.ndarray, second: np.ndarray, threshold: float
) -> np.ndarray:
  """By coordinate, of sums and a threshold in units of the noise."""
  p, q = (_log_probabilities(v, threshold) for v in (first, second))
  # An outcome that is impossible for both adds nothing.
  possible = ~(np.isneginf(p) & np.isneginf(q))
  terms = np.full_like(p, -np.inf)
  np.add(order * p, (1 - order) * q, out=terms, where=possible)
  return np.maximum(special.logsumexp(terms, axis=0) / (order - 1), 0.0)


def _log_probabilities(votes: np.ndarray, threshold: float) -> np.ndarray:
  """Of the outcomes 1, -1 and 0, `[3, d]`."""
  above = special.log_ndtr(votes - threshold)
  below = special.log_ndtr(-votes - threshold)
  if not threshold:
    return np.stack([above, below, np.full(votes.shape, -np.inf)])
  # Between: the difference of two tails on the side where both are small.
  magnitudes = np.abs(votes)
  outer = special.log_ndtr(threshold - magnitudes)
  inner = special.log_ndtr(-threshold - magnitudes)
  between = outer + np.log1p(-np.exp(inner - outer))
  return np.stack([above, below, between])


def _check(order: Any, threshold: Any, noise_stddev: Any):
  order = validation.real("order", order)
  if order <= 1:
    raise ValueError(f"order must be above 1, got {order}")
  return (
    order,
    validation.non_negative("threshold", threshold),
    validation.positive("noise_stddev", noise_stddev),
  )


def _check_votes(name: str, votes: Any) -> np.ndarray:
  votes = np.asarray(votes, np.float64)
  if votes.ndim != 1 or not np.all(np.isfinite(votes)):
    raise ValueError(f"{name} must be a vector of finite numbers, got {votes}")
  return votes
