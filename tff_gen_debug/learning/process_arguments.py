"""Checks of what the builders of training processes have in common."""

from collections.abc import Collection
from typing import Union

import tensorflow_federated as tff

from tff_gen_debug.aggregators import non_finite
from tff_gen_debug.aggregators import uniform
from tff_gen_debug.privacy import validation

AggregationFactory = Union[
  tff.aggregators.UnweightedAggregationFactory,
  tff.aggregators.WeightedAggregationFactory,
]

# Asks the guard in front of the aggregator for its count.
NON_FINITE_CLIENTS = "non_finite_clients"


_MAX_INT32 = 2**31 - 1


def check_at_least(name: str, value: int, least: int) -> None:
  """Raises a named error unless `value` is an int32 of at least `least`."""
  value = validation.integer(name, value, least)
  if value > _MAX_INT32:
    raise ValueError(
      f"{name} must be below 2**31, got {validation.shown(value)}"
    )


def check_optimizer(name: str, value: object) -> None:
  """Raises a `TypeError` unless `value` is an optimizer of `tff.learning`."""
  if not isinstance(value, tff.learning.optimizers.Optimizer):
    raise TypeError(
      f"{name} must be a tff.learning.optimizers.Optimizer, got"
      f" {validation.shown(value)}"
    )


def check_metrics(
  names: Collection[str], known: Collection[str]
) -> tuple[str, ...]:
  """Returns the client metrics that were asked for; they must be `known`."""
  if isinstance(names, str):
    names = (names,)
  if not isinstance(names, Collection) or not all(
    isinstance(name, str) for name in names
  ):
    raise TypeError(
      "client_metrics must be a collection of str, got"
      f" {validation.shown(names)}"
    )
  unknown = sorted(set(names) - set(known))
  if unknown:
    raise ValueError(
      f"client_metrics must be among {', '.join(known)}, got "
      f"{', '.join(unknown)}"
    )
  return tuple(names)


def guarded(
  aggregator: AggregationFactory, client_metrics: Collection[str]
) -> tff.aggregators.UnweightedAggregationFactory:
  """An aggregator that no client's NaN reaches and where all count alike.

  Args:
    aggregator: Any aggregation factory; a weighted one gets weight 1.
    client_metrics: What may be released; with `NON_FINITE_CLIENTS` among it
      the aggregation measures how many updates were zeroed.

  Returns:
    An unweighted factory.

  Raises:
    TypeError: If `aggregator` is not an aggregation factory.
  """
  if isinstance(aggregator, tff.aggregators.WeightedAggregationFactory):
    aggregator = uniform.UniformWeightFactory(aggregator)
  if not isinstance(aggregator, tff.aggregators.UnweightedAggregationFactory):
    raise TypeError(
      "aggregator must be a tff.aggregators.UnweightedAggregationFactory or a "
      f"tff.aggregators.WeightedAggregationFactory, got {type(aggregator)}"
    )
  return non_finite.NonFiniteGuardFactory(
    aggregator, release_count=NON_FINITE_CLIENTS in client_metrics
  )
