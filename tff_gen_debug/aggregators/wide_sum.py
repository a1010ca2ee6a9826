"""A sum of small integers that travel narrow and are added wide."""

import tensorflow as tf
import tensorflow_federated as tff


class WideSumFactory(tff.aggregators.UnweightedAggregationFactory):
  """Sums integer tensors of any width in int32.

  `tff.aggregators.SumFactory` adds in the type of the values, where 128 clients
  with an int8 of 1 make -128. Here a client sends what it has, such as an int8
  in a quarter of the bytes, and the sum is an int32, which is exact for fewer
  than 2**24 int8 clients.

  Edge cases: an empty cohort sums to zeros.
  """

  def create(self, value_type) -> tff.templates.AggregationProcess:
    """Creates the process; see `tff.aggregators.UnweightedAggregationFactory`.

    Args:
      value_type: The `tff.Type` of one client's structure of integers.

    Returns:
      A stateless `tff.templates.AggregationProcess` without measurements.

    Raises:
      TypeError: If a tensor is not of an integer type of at most 32 bits.
    """
    specs = tff.types.type_to_tf_tensor_specs(value_type)
    for spec in tf.nest.flatten(specs):
      if not spec.dtype.is_integer or spec.dtype.size > 4:
        raise TypeError(
          f"values must be integers of at most 32 bits, got {spec.dtype.name}"
        )

    @tff.tensorflow.computation
    def zeros():
      return tf.nest.map_structure(lambda s: tf.zeros(s.shape, tf.int32), specs)

    sum_type = zeros.type_signature.result

    @tff.tensorflow.computation(sum_type, value_type)
    def accumulate(total, value):
      return tf.nest.map_structure(
        lambda t, v: t + tf.cast(v, tf.int32), total, value
      )

    @tff.tensorflow.computation(sum_type, sum_type)
    def merge(one, other):
      return tf.nest.map_structure(tf.add, one, other)

    @tff.tensorflow.computation(sum_type)
    def report(total):
      return total

    @tff.federated_computation
    def initialize():
      return tff.federated_value((), tff.SERVER)

    @tff.federated_computation(
      initialize.type_signature.result,
      tff.FederatedType(value_type, tff.CLIENTS),
    )
    def next_fn(state, value):
      total = tff.federated_aggregate(value, zeros(), accumulate, merge, report)
      return tff.templates.MeasuredProcessOutput(
        state, total, tff.federated_value((), tff.SERVER)
      )

    return tff.templates.AggregationProcess(initialize, next_fn)
