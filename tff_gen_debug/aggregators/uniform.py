"""Weighted aggregations where every client counts alike."""

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff


class UniformWeightFactory(tff.aggregators.UnweightedAggregationFactory):
  """Gives every client the weight 1 in a weighted aggregation.

  For instance `UniformWeightFactory(tff.aggregators.MeanFactory())` is a plain
  mean. TFF has the other direction, `tff.aggregators.as_weighted_aggregator`.
  """

  def __init__(self, inner: tff.aggregators.WeightedAggregationFactory):
    """Initializes the factory.

    Args:
      inner: The weighted aggregation.

    Raises:
      TypeError: If `inner` is not a weighted aggregation factory.
    """
    if not isinstance(inner, tff.aggregators.WeightedAggregationFactory):
      raise TypeError(
        "inner must be a tff.aggregators.WeightedAggregationFactory, got "
        f"{type(inner)}"
      )
    self._inner = inner

  def create(self, value_type) -> tff.templates.AggregationProcess:
    """Creates the process; see `tff.aggregators.UnweightedAggregationFactory`.

    Args:
      value_type: The `tff.Type` of one client's update.

    Returns:
      A `tff.templates.AggregationProcess` with the state and measurements of
      the inner one.
    """
    weight_type = tff.TensorType(np.float32)
    process = self._inner.create(value_type, weight_type)

    @tff.tensorflow.computation
    def one():
      return tf.constant(1.0)

    @tff.federated_computation(
      process.initialize.type_signature.result,
      tff.FederatedType(value_type, tff.CLIENTS),
    )
    def next_fn(state, value):
      weight = tff.federated_eval(one, tff.CLIENTS)
      return process.next(state, value, weight)

    return tff.templates.AggregationProcess(process.initialize, next_fn)
