"""Checks of what the builders of training processes have in common."""

from collections.abc import Collection
from typing import Union

import tensorflow_federated as tff

from tff_gen_debug.aggregators import non_finite
from tff_gen_debug.aggregators import uniform

AggregationFactory = Union[
  tff.aggregators.UnweightedAggregationFactory,
  tff.aggregators.WeightedAggregationFactory,
]

# Asks the guard in front of the aggregator for its count.
NON_FINITE_CLIENTS = "non_finite_clients"


def check_at_least(name: str, value: int, least: int) -> None:
  """Raises a `ValueError` if `value` is less than `least`."""
  if value < least:
    raise ValueError(f"{name} must be at least {least}, got {value}")


def check_metrics(
  names: Collection[str], known: Collection[str]
) -> tuple[str, ...]:
  """Returns the client metrics that were asked for; they must be `known`."""
  if isinstance(names, str):
    names = (names,)
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
