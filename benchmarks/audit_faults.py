"""Private aggregations, sound or with a planted fault, for audits to find.

Each fault makes a client tell twice what is claimed: the ratio of what it can
change to the noise is twice 1 / noise multiplier.
"""

from collections.abc import Callable, Mapping
import dataclasses
import types
from typing import Any

import numpy as np
import tensorflow_federated as tff

from tff_gen_debug import aggregators
from tff_gen_debug import privacy
from tff_gen_debug.aggregators import auditing

_CLIP_NORM = 0.5
_TOP_K = 4

_Factory = tff.aggregators.UnweightedAggregationFactory


@dataclasses.dataclass(frozen=True, eq=False)
class Mechanism:
  """An aggregation that can be made in several strengths.

  Attributes:
    name: For tables.
    make: From a noise multiplier and a scale: the aggregation whose clients may
      change the sum by `scale` times its usual sensitivity, with noise of that
      multiplier relative to what they may.
    canary: For the usual sensitivity.
    min_clients: Canaries that an audit needs, however large mu.
    clients_times_squared_mu: Canaries that it needs, times mu^2, at 99 %
      confidence.
  """

  name: str
  make: Callable[[float, float], _Factory]
  canary: np.ndarray
  min_clients: int
  clients_times_squared_mu: float


class CountedTwiceFactory(tff.aggregators.UnweightedAggregationFactory):
  """Hands every client's update to another aggregation twice."""

  def __init__(self, inner: _Factory):
    self._inner = inner

  def create(self, value_type) -> Any:
    """Not quite a process: no TFF computation makes two clients of one."""
    process = self._inner.create(value_type)
    return types.SimpleNamespace(
      initialize=process.initialize,
      next=lambda state, updates: process.next(state, 2 * list(updates)),
    )


def _gaussian_mean(noise_multiplier: float, scale: float) -> _Factory:
  plan = privacy.PrivacyPlan(
    population=100,
    expected_clients_per_round=100,
    rounds=1,
    noise_multiplier=noise_multiplier,
  )
  return aggregators.gaussian_mean_factory(plan, scale * _CLIP_NORM)


def _gaussian_fixed(noise_multiplier: float, scale: float) -> _Factory:
  return tff.aggregators.DifferentiallyPrivateFactory.gaussian_fixed(
    noise_multiplier=noise_multiplier,
    clients_per_round=100.0,
    clip=scale * _CLIP_NORM,
  )


def _topagg(threshold: float) -> Callable[[float, float], _Factory]:
  def make(noise_multiplier: float, scale: float) -> _Factory:
    return aggregators.TopAggFactory(
      # The sensitivity is the square root of the number of votes.
      round(scale**2 * _TOP_K),
      # A canary is alone in its block and has to pass the threshold alone.
      expected_clients_per_round=1,
      noise_multiplier=noise_multiplier,
      threshold=threshold,
    )

  return make


GAUSSIAN_MEAN, GAUSSIAN_FIXED = (
  Mechanism(name, make, auditing.mean_canary(_CLIP_NORM), 100, 140)
  for name, make in (
    ("gaussian_mean_factory", _gaussian_mean),
    ("TFF's gaussian_fixed", _gaussian_fixed),
  )
)
TOPAGG, TOPAGG_HALF = (
  Mechanism(name, _topagg(threshold), auditing.vote_canary(_TOP_K), 1000, 420)
  for name, threshold in (
    ("TopAgg, threshold 0", 0.0),
    ("TopAgg, threshold 0.5", 0.5),
  )
)
MECHANISMS = (GAUSSIAN_MEAN, TOPAGG, TOPAGG_HALF, GAUSSIAN_FIXED)


def _sound(mechanism: Mechanism, noise_multiplier: float) -> _Factory:
  return mechanism.make(noise_multiplier, 1.0)


def _half_the_noise(mechanism: Mechanism, noise_multiplier: float) -> _Factory:
  return mechanism.make(noise_multiplier / 2, 1.0)


def _twice_the_sensitivity(
  mechanism: Mechanism, noise_multiplier: float
) -> _Factory:
  # Clients may do twice as much, and the noise is as if they did not.
  return mechanism.make(noise_multiplier / 2, 2.0)


def _counted_twice(mechanism: Mechanism, noise_multiplier: float) -> _Factory:
  return CountedTwiceFactory(mechanism.make(noise_multiplier, 1.0))


VARIANTS: Mapping[str, Callable[[Mechanism, float], _Factory]] = {
  "sound": _sound,
  "half the noise": _half_the_noise,
  "twice the sensitivity": _twice_the_sensitivity,
  "a client counted twice": _counted_twice,
}
