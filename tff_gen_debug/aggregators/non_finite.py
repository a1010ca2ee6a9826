"""A guard against clients whose updates are not finite."""

import collections

import tensorflow as tf
import tensorflow_federated as tff


class NonFiniteGuardFactory(tff.aggregators.UnweightedAggregationFactory):
  """Zeroes client updates without a finite norm, and counts them.

  Neither `tff.aggregators.clipping_factory` nor the clip of a DP query stops a
  NaN: no comparison with it is true, so one client's NaN becomes everyone's.
  Nor do they stop numbers so large that the square of the norm, by which they
  divide, is infinite in the update's own floats (float32: a norm of about
  1e19): clipped, these become NaN. The guard takes them for infinite.
  Augenstein et al. (2020), arXiv 1911.06679, zero such updates on the client,
  as `tff.learning`'s own client work does; this factory does it for any
  process. It has to be outermost, before anything else sees the update.

  Formal guarantees: a client's update is replaced by a function of that update
  alone, so the sensitivity of what follows is unchanged. The *count* is an
  exact number about users, without differential privacy: ask for it knowingly.

  Edge cases: an update without floating tensors passes as it is; an empty
  cohort has a count of 0.
  """

  def __init__(
    self,
    inner: tff.aggregators.UnweightedAggregationFactory,
    *,
    release_count: bool = True,
  ):
    """Initializes the factory.

    Args:
      inner: Aggregates what passes; wrap a weighted factory in
        `UniformWeightFactory`.
      release_count: Whether the measurements hold `non_finite_clients`. Without
        it nothing about the guard leaves the clients, and the measurements are
        those of `inner`.

    Raises:
      TypeError: If `inner` is not an unweighted aggregation factory.
    """
    if not isinstance(inner, tff.aggregators.UnweightedAggregationFactory):
      raise TypeError(
        "inner must be a tff.aggregators.UnweightedAggregationFactory, got "
        f"{type(inner)}"
      )
    self._inner = inner
    self._release_count = release_count

  def create(self, value_type) -> tff.templates.AggregationProcess:
    """Creates the process; see `tff.aggregators.UnweightedAggregationFactory`.

    Args:
      value_type: The `tff.Type` of one client's update.

    Returns:
      A `tff.templates.AggregationProcess` with the state of the inner one and,
      if the count is released, the measurements `non_finite_clients` (int32,
      the number of clients whose update was zeroed) and `inner`.
    """
    process = self._inner.create(value_type)

    @tff.tensorflow.computation(value_type)
    def guard(value):
      finite = _all_finite(value)
      zeroed = tf.nest.map_structure(
        lambda x: tf.where(finite, x, tf.zeros_like(x)), value
      )
      return zeroed, 1 - tf.cast(finite, tf.int32)

    @tff.federated_computation(
      process.initialize.type_signature.result,
      tff.FederatedType(value_type, tff.CLIENTS),
    )
    def next_fn(state, value):
      guarded, is_bad = tff.federated_map(guard, value)
      output = process.next(state, guarded)
      if not self._release_count:
        return output
      measurements = tff.federated_zip(
        collections.OrderedDict(
          non_finite_clients=tff.federated_sum(is_bad),
          inner=output.measurements,
        )
      )
      return tff.templates.MeasuredProcessOutput(
        output.state, output.result, measurements
      )

    return tff.templates.AggregationProcess(process.initialize, next_fn)


def _all_finite(value) -> tf.Tensor:
  """Whether twice the update has a finite squared L2 norm.

  Twice, so that no other order of the sum, in a clip, is infinite.
  """
  squares = [
    tf.cast(tf.reduce_sum(tf.square(x + x)), tf.float32)
    for x in tf.nest.flatten(value)
    if x.dtype.is_floating
  ]
  return tf.math.is_finite(tf.add_n(squares)) if squares else tf.constant(True)
