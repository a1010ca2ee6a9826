"""Top-k sparsification of updates before any other aggregation."""

import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.aggregators import top_k_votes
from tff_gen_debug.privacy import validation


class TopKFactory(tff.aggregators.UnweightedAggregationFactory):
  """Sets all but the largest entries of each client's update to zero.

  Top-k sparsification (Aji and Heafield, 2017, arXiv 1704.05021), without
  error feedback, which clients without state cannot have. It is TopAgg without
  the signs: `TopKFactory(top_k, gaussian_mean_factory(plan, clip_norm))` clips
  and sums the entries themselves. It saves a client's traffic, not noise, which
  goes to all coordinates: which ones clients picked is private.

  Formal guarantees: a client's update changes only the client's own value, so
  the result has the privacy of the inner aggregation.

  Edge cases: entries of 0 and subnormal ones count as 0, and an update that is
  not finite becomes 0 everywhere, where the inner aggregation sees it. Equal
  entries: those that come first are kept.
  """

  def __init__(
    self, top_k: int, inner: tff.aggregators.UnweightedAggregationFactory
  ):
    """Initializes the factory.

    Args:
      top_k: Entries of all tensors together that a client keeps, at least 1 and
        at most the size of an update.
      inner: Aggregates the sparse updates.

    Raises:
      TypeError: If `top_k` is not an integer or `inner` not an unweighted
        aggregation factory.
      ValueError: If `top_k` is less than 1.
    """
    self._top_k = validation.integer("top_k", top_k, 1)
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
      A process with the state, result and measurements of the inner one.

    Raises:
      TypeError: If an update has a tensor that is not floating, or of unknown
        shape.
      ValueError: If an update has fewer than `top_k` coordinates.
    """
    specs = tff.types.type_to_tf_tensor_specs(value_type)
    top_k_votes.check_top_k(self._top_k, specs)
    process = self._inner.create(value_type)

    @tff.tensorflow.computation(value_type)
    def sparsify(update):
      flat, unflatten = top_k_votes.flatten(update)
      kept = top_k_votes.largest_entries(flat, self._top_k)
      sparse = unflatten(tf.where(kept, flat, tf.zeros_like(flat)))
      # Two dtypes may have been made one.
      return tf.nest.map_structure(
        lambda part, spec: tf.cast(part, spec.dtype), sparse, specs
      )

    @tff.federated_computation(
      process.initialize.type_signature.result,
      tff.FederatedType(value_type, tff.CLIENTS),
    )
    def next_fn(state, value):
      return process.next(state, tff.federated_map(sparsify, value))

    return tff.templates.AggregationProcess(process.initialize, next_fn)
