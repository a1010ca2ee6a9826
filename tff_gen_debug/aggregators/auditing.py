"""Audits of aggregation factories: do they leak more than they claim?"""

from typing import Any, Optional, Sequence, Union

import dp_accounting
import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.aggregators import top_k_votes
from tff_gen_debug.privacy import audit
from tff_gen_debug.privacy import neighbors
from tff_gen_debug.privacy import validation

# A canary is that many times as long as a client may be, so that a clip that
# cuts too late, or not at all, shows.
_EXCESS = 100.0

# A canary has that many times the entries that a client may vote on, so that
# votes beyond those show. As each adds to a squared norm, four make twice the
# sensitivity.
_EXCESS_VOTES = 4

# Neighbouring coordinates of a canary are added up to at most that many scores,
# whose weights are easier to learn than those of many coordinates.
_MAX_FEATURES = 8


def mean_canary(clip_norm: float) -> np.ndarray:
  """A canary for means of clipped updates: one coordinate, far above the clip.

  Args:
    clip_norm: The L2 norm that no client's update should exceed; positive.

  Returns:
    What the canary says on its coordinates, [1] of float64.

  Raises:
    TypeError: If `clip_norm` is not a number.
    ValueError: If it is out of range.
  """
  return np.array([_EXCESS * validation.positive("clip_norm", clip_norm)])


def vote_canary(top_k: int) -> np.ndarray:
  """A canary for votes about the largest entries, such as `TopAggFactory`.

  Args:
    top_k: How many coordinates a client may vote on; at least 1.

  Returns:
    What the canary says on its coordinates, [4 * top_k] of float64: falling, so
    that it is clear which are the largest, and nearly equal, so that a
    stochastic vote about each is nearly certain.

  Raises:
    TypeError: If `top_k` is not an integer.
    ValueError: If it is out of range.
  """
  size = _EXCESS_VOTES * validation.integer("top_k", top_k, 1)
  return np.linspace(_EXCESS, 0.99 * _EXCESS, size)


def audit_factory(
  factory: tff.aggregators.UnweightedAggregationFactory,
  canary: np.ndarray,
  *,
  claim: Union[float, dp_accounting.DpEvent],
  delta: float,
  neighboring_relation: str = "add_or_remove_one",
  confidence: float = 0.95,
  num_calls: int = 10,
  clients_per_call: int = 200,
  inclusion_probability: float = 0.1,
  value_type: Optional[Any] = None,
  background: Sequence[Any] = (),
  seed: Optional[int] = None,
) -> audit.AuditResult:
  """Bounds from below what a round of an aggregation leaks about a client.

  Many canaries share a call (Andrew et al., 2023, One-shot Empirical Privacy
  Estimation for Federated Learning, arXiv 2302.03098), but here each has a
  block of coordinates of its own, at random places and with random signs, on
  which nobody else says anything. A coin for each decides whether a client with
  that update takes part. The scores are the result's coordinates in the
  canary's block, by `audit.lower_bounds`, which finds out itself what the
  aggregation makes of a canary: results may be sums, means or signs, of any
  scale.

    audit_factory(
      TopAggFactory(4, expected_clients_per_round=1, noise_multiplier=2.0),
      vote_canary(4),
      claim=2.0,
      delta=1e-5,
    ).refuted

  A true claim is refuted with a probability of up to 1 - `confidence`, so ask
  for 0.999 or more where an audit is a test that has to pass. Twice the claimed
  mu (half the noise, twice the sensitivity, a client who counts twice) was
  found in 97 % of simulations or more with these numbers of clients, `num_calls
  * clients_per_call`, at 95 % confidence: 100 / mu^2 for a mean, 300 / mu^2 but
  at least 500 for TopAgg, whose signs tell less than the sums that they are of.
  At 99.9 % it takes twice as many.

  Formal guarantees: see `audit.lower_bounds`. Blocks don't overlap and every
  call starts from the initial state, so trials are independent if the noise of
  coordinates and of calls is, which is part of the claim.

  Edge cases: only results are looked at, and only those of a first round; no
  measurements, no state. Noise that repeats itself in other coordinates is not
  noticed. A result that hides canaries (a threshold that one vote can't pass, a
  `zeroing_factory` that drops long updates) gives bounds of 0, which say
  nothing of other clients.

  Args:
    factory: Any unweighted aggregation; wrap a weighted one in
      `UniformWeightFactory`.
    canary: What a canary says on its coordinates: of `mean_canary`,
      `vote_canary`, or any other [width].
    claim: The noise multiplier, or the event, that a round claims; see
      `gaussian_dp.claimed_mu`.
    delta: In (0, 1); of the epsilons in the result.
    neighboring_relation: "add_or_remove_one": a canary is there or is not; or
      "replace_one": it says one thing or the opposite.
    confidence: In (0, 1).
    num_calls: How often to aggregate, at least 1.
    clients_per_call: Clients with canaries to expect in a call, at least 1.
    inclusion_probability: The chance of a canary to be there, in (0, 1).
      Canaries that are not there cost only the coordinates that they would have
      had. Not for "replace_one", where all are there.
    value_type: The `tff.Type` of an update; by default a float32 vector that
      the canaries fill.
    background: Further clients' updates, the same in every call.
    seed: Of coins, places, signs and `audit.lower_bounds`; None for a new one
      each time. The mechanism's noise has none.

  Returns:
    The bounds and the claim.

  Raises:
    TypeError: If an argument has the wrong type.
    ValueError: If an argument is out of its range, if an update has too few
      coordinates for the canaries, or if a result isn't finite or has not the
      coordinates of an update.
  """
  if not isinstance(factory, tff.aggregators.UnweightedAggregationFactory):
    raise TypeError(
      "factory must be a tff.aggregators.UnweightedAggregationFactory, got"
      f" {type(factory)}"
    )
  canary = np.asarray(canary, np.float64)
  if canary.ndim != 1 or not canary.size or not np.all(np.isfinite(canary)):
    raise ValueError(f"canary must be a vector of finite numbers, got {canary}")
  validation.one_of(
    "neighboring_relation",
    neighboring_relation,
    tuple(neighbors.SENSITIVITY_FACTORS),
  )
  num_calls = validation.integer("num_calls", num_calls, 1)
  clients = validation.integer("clients_per_call", clients_per_call, 1)
  probability = validation.open_unit(
    "inclusion_probability", inclusion_probability
  )
  is_replaced = neighboring_relation == "replace_one"
  count = clients if is_replaced else round(clients / probability)
  needed = count * canary.size
  value_type = tff.to_type(
    (np.float32, [needed]) if value_type is None else value_type
  )
  specs = tff.types.type_to_tf_tensor_specs(value_type)
  size = top_k_votes.flat_size(specs)
  if size < needed:
    raise ValueError(
      f"value_type must have at least {needed} coordinates for {count} canaries"
      f" of {canary.size} each, got {size}"
    )

  process = factory.create(value_type)
  rng = np.random.default_rng(seed)
  scores: dict = {True: [], False: []}
  for _ in range(num_calls):
    places = rng.permutation(size)[:needed].reshape(count, -1)
    signs = rng.choice([-1.0, 1.0], places.shape)
    is_in = rng.random(count) < (0.5 if is_replaced else probability)
    updates = []
    for place, sign, present in zip(places, signs, is_in):
      if present or is_replaced:
        update = np.zeros(size)
        update[place] = canary * sign * (1 if present else -1)
        updates.append(_unflatten(update, specs))
    output = process.next(process.initialize(), updates + list(background))
    found = _flatten(output.result, size)[places] * signs
    for case in (True, False):
      scores[case].append(_summed(found[is_in == case]))
  return audit.lower_bounds(
    np.concatenate(scores[True]),
    np.concatenate(scores[False]),
    delta=delta,
    confidence=confidence,
    claim=claim,
    seed=seed,
  )


def _unflatten(flat: np.ndarray, specs: Any) -> Any:
  """A vector as an update."""
  parts, start = [], 0
  for spec in tf.nest.flatten(specs):
    stop = start + spec.shape.num_elements()
    part = flat[start:stop].reshape(spec.shape.as_list())
    parts.append(part.astype(spec.dtype.as_numpy_dtype))
    start = stop
  return tf.nest.pack_sequence_as(specs, parts)


def _flatten(result: Any, size: int) -> np.ndarray:
  """A result as a vector, in the order of `_unflatten`."""
  tensors = [np.ravel(tensor) for tensor in tf.nest.flatten(result)]
  flat = np.concatenate(tensors).astype(np.float64)
  if flat.size != size:
    raise ValueError(
      f"factory must give results of the {size} coordinates of an update, got"
      f" {flat.size}"
    )
  if not np.all(np.isfinite(flat)):
    raise ValueError("factory must give finite results, got NaN or infinity")
  return flat


def _summed(found: np.ndarray) -> np.ndarray:
  """Sums over neighbouring coordinates of a block, [trials, features]."""
  parts = np.array_split(found, min(_MAX_FEATURES, found.shape[1]), axis=1)
  return np.stack([part.sum(1) for part in parts], axis=1)
