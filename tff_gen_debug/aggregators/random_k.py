"""Aggregation of a random part of the coordinates, another one each round."""

import collections

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.aggregators import top_k_votes
from tff_gen_debug.privacy import validation


class RandomKFactory(tff.aggregators.UnweightedAggregationFactory):
  """Aggregates `k` random coordinates, the same ones of all clients.

  Random masks of Konecny et al. (2016), arXiv 1610.05492, with one mask for the
  whole cohort. The server draws `k` of the d coordinates of all tensors
  together, a client sends only these, an inner aggregation of vectors `[k]`
  aggregates them, and the result has them d / k times as large, so that its
  mean over the draws is that of the whole, and 0 elsewhere. Since the choice
  does not depend on data, a private inner aggregation adds noise to `k`
  coordinates instead of d, and clips the norm of only these: what top-k, whose
  choice is private, cannot do.

  Formal guarantees: a client's update changes only the client's own value, and
  the draws are independent of all updates, so the result has the privacy of the
  inner aggregation.

  Edge cases: with `k` = d it is the inner aggregation of the update as one
  vector. Tensors of several dtypes become float32, or float64 if one is, on
  their way.
  """

  def __init__(
    self, k: int, inner: tff.aggregators.UnweightedAggregationFactory
  ):
    """Initializes the factory.

    Args:
      k: Coordinates of all tensors together that are aggregated in a round, at
        least 1 and at most the size of an update.
      inner: Aggregates float vectors `[k]`.

    Raises:
      TypeError: If `k` is not an integer or `inner` not an unweighted
        aggregation factory.
      ValueError: If `k` is less than 1.
    """
    self._k = validation.integer("k", k, 1)
    if not isinstance(inner, tff.aggregators.UnweightedAggregationFactory):
      raise TypeError(
        "inner must be a tff.aggregators.UnweightedAggregationFactory, got"
        f" {type(inner)}"
      )
    self._inner = inner

  def create(self, value_type) -> tff.templates.AggregationProcess:
    """Creates the process; see `tff.aggregators.UnweightedAggregationFactory`.

    Args:
      value_type: The `tff.Type` of one client's update: a structure of floating
        tensors of defined shapes.

    Returns:
      A process with the measurements of the inner one. Its state is an ordered
      dict of `seed`, int32 `[2]`, from which the round's coordinates are drawn,
      and `inner`, the inner one's.

    Raises:
      TypeError: If an update has a tensor that is not floating, or of unknown
        shape.
      ValueError: If an update has fewer than `k` coordinates.
    """
    specs = tff.types.type_to_tf_tensor_specs(value_type)
    top_k_votes.check_top_k(self._k, specs)
    size = top_k_votes.flat_size(specs)

    seed_type = tff.TensorType(np.int32, [2])

    @tff.tensorflow.computation
    def first_seed():
      return tf.random.uniform([2], maxval=np.int32(2**31 - 1), dtype=tf.int32)

    @tff.tensorflow.computation(seed_type)
    def next_seed(seed):
      return tf.random.stateless_uniform(
        [2], seed, maxval=np.int32(2**31 - 1), dtype=tf.int32
      )

    # A function of the state: TFF may compute it anew before and after the sum,
    # and for each part of a cohort, and all have to come to the same.
    @tff.tensorflow.computation(seed_type)
    def draw(seed):
      order = tf.random.experimental.stateless_shuffle(
        tf.range(size), seed=seed
      )
      # Sorted, a client reads its update from front to back.
      return tf.sort(order[: self._k])

    @tff.tensorflow.computation(value_type, (np.int32, [self._k]))
    def select(update, indices):
      return tf.gather(top_k_votes.flatten(update)[0], indices)

    process = self._inner.create(select.type_signature.result)
    inner_result = process.next.type_signature.result.result.member

    @tff.tensorflow.computation(inner_result, (np.int32, [self._k]))
    def place(values, indices):
      zeros = tf.nest.map_structure(lambda s: tf.zeros(s.shape, s.dtype), specs)
      flat, unflatten = top_k_votes.flatten(zeros)
      scaled = tf.cast(values, flat.dtype) * (size / self._k)
      whole = tf.tensor_scatter_nd_update(flat, indices[:, tf.newaxis], scaled)
      return tf.nest.map_structure(
        lambda part, spec: tf.cast(part, spec.dtype), unflatten(whole), specs
      )

    @tff.federated_computation
    def initialize():
      return tff.federated_zip(
        collections.OrderedDict(
          seed=tff.federated_eval(first_seed, tff.SERVER),
          inner=process.initialize(),
        )
      )

    @tff.federated_computation(
      initialize.type_signature.result,
      tff.FederatedType(value_type, tff.CLIENTS),
    )
    def next_fn(state, value):
      indices = tff.federated_map(draw, state["seed"])
      selected = tff.federated_map(
        select, (value, tff.federated_broadcast(indices))
      )
      output = process.next(state["inner"], selected)
      new_state = collections.OrderedDict(
        seed=tff.federated_map(next_seed, state["seed"]), inner=output.state
      )
      return tff.templates.MeasuredProcessOutput(
        tff.federated_zip(new_state),
        tff.federated_map(place, (output.result, indices)),
        output.measurements,
      )

    return tff.templates.AggregationProcess(initialize, next_fn)
