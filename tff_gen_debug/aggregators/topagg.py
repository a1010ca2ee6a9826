"""TopAgg: thresholded sums of top-k signs, as a TFF aggregation factory."""

from typing import Any, Optional

import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.aggregators import top_k_sign_query
from tff_gen_debug.aggregators import top_k_votes
from tff_gen_debug.aggregators import wide_sum
from tff_gen_debug.privacy import plan as plan_lib
from tff_gen_debug.privacy import validation


class TopAggFactory(tff.aggregators.UnweightedAggregationFactory):
  """Aggregates updates by a private vote about the signs of their top entries.

  Wang et al. (2021), DataLens, arXiv 2103.11109, algorithm 2. A client votes -1
  or 1 on the `top_k` coordinates of its update that are largest in magnitude.
  The server adds Gaussian noise to the sums of votes, and the result is
  `step_size` times the sign of each sum that is above `threshold` times the
  expected number of clients in magnitude, and 0 elsewhere. It has the
  structure, shapes and dtypes of an update, but not its scale.

    factory = TopAggFactory(
      top_k=1000,
      expected_clients_per_round=100,
      noise_multiplier=1.0,
      step_size=0.01,
    )
    tff.learning.algorithms.build_unweighted_fed_avg(
      model_fn, client_optimizer_fn, model_aggregator=factory
    )

  With `top_k` the size of an update, no noise, no threshold and signs that are
  not `stochastic` this is signSGD with majority vote (Bernstein et al., 2019,
  arXiv 1810.05291).

  Formal guarantees: a round is a Gaussian mechanism of `noise_multiplier` on
  the sum of a cohort's votes, whatever the updates are; see
  `TopKSignSumQuery`. The threshold uses the expected number of clients, which
  is public, and is post-processing. The process' state holds the round's event:
  `tff.aggregators.differential_privacy.extract_dp_event_from_state(state)`, to
  be wrapped in the event of the sampling.

  Composition: this is an unweighted aggregation; where a weighted one is asked
  for, as by `tff.learning.algorithms.build_fed_sgd`, use
  `tff.aggregators.as_weighted_aggregator`, which ignores the weights. Inside a
  rotation the vote is about rotated coordinates, padding included. Clipping
  outside changes neither signs nor order; zeroing takes a client's votes away.
  *Not* covered by the guarantee, because they are exact, without noise:

  *   The counts that `tff.aggregators.clipping_factory` and `zeroing_factory`
      measure, and adaptive norms, which are quantiles of clients' norms.
  *   `tff.learning.add_debug_measurements`, and the training metrics of
      `tff.learning.algorithms`.
  *   The mean of clients' full gradients that `build_unweighted_mime_lite` adds
      to its optimizer's state, unless its `full_gradient_aggregator` is a
      TopAggFactory as well. Such a round is two votes of one cohort, together a
      `GaussianDpEvent` of `noise_multiplier` / sqrt(2).

  Edge cases: an update of zeros, or with a NaN or infinity, votes nowhere and
  still counts as a client; an empty cohort is a vote about noise. Without
  noise a sum of 0 gives 0 for a threshold of 0. TFF 0.87 has no bfloat16
  values; the query takes them.
  """

  def __init__(
    self,
    top_k: int,
    *,
    expected_clients_per_round: float,
    noise_multiplier: float,
    coordinate_clip: Optional[float] = None,
    threshold: float = 0.0,
    step_size: float = 1.0,
    stochastic: bool = True,
    neighboring_relation: str = "add_or_remove_one",
    sum_factory: Optional[tff.aggregators.UnweightedAggregationFactory] = None,
  ):
    """Initializes the factory.

    Args:
      top_k: Number of coordinates that a client votes on, of all tensors
        together; at least 1 and at most the size of an update.
      expected_clients_per_round: What `threshold` is relative to; positive, and
        below 2**24, up to which sums of votes are exact.
      noise_multiplier: Standard deviation of the noise on the sum of votes,
        divided by its sensitivity, which is sqrt(`top_k`) for add-or-remove-one
        and twice that for replace-one neighbours; at least 0.
      coordinate_clip: The magnitude above which a stochastic vote is certain,
        in units of the update; None for that of a client's largest entry.
      threshold: Share of the expected clients that a sum has to exceed, >= 0.
      step_size: Magnitude of the result where it isn't 0; positive.
      stochastic: Whether a client draws its votes, with a probability that
        grows with the entry, or votes with the signs.
      neighboring_relation: "add_or_remove_one" or "replace_one".
      sum_factory: Adds the votes, int32 tensors in the structure of an update,
        say `tff.aggregators.SumFactory()`. The guarantee rests on the sum being
        exact: not averaged, scaled, clipped, rounded or wrapped around (as by a
        `SecureModularSumFactory` of less than the cohort), of which `create`
        sees only what changes types. What it measures is without noise. By
        default votes travel as int8 and are added in int32.

    Raises:
      TypeError: If an argument has the wrong type.
      ValueError: If an argument is out of its range.
    """
    self._clients = validation.positive(
      "expected_clients_per_round", expected_clients_per_round
    )
    if self._clients >= top_k_sign_query.MAX_CLIENTS:
      raise ValueError(
        "expected_clients_per_round must be below"
        f" {top_k_sign_query.MAX_CLIENTS}, up to which sums of votes are exact,"
        f" got {expected_clients_per_round}"
      )
    self._threshold = validation.non_negative("threshold", threshold)
    self._step_size = validation.positive("step_size", step_size)
    if sum_factory is not None and not isinstance(
      sum_factory, tff.aggregators.UnweightedAggregationFactory
    ):
      raise TypeError(
        "sum_factory must be a tff.aggregators.UnweightedAggregationFactory,"
        f" got {type(sum_factory)}"
      )
    self._query = top_k_sign_query.TopKSignSumQuery(
      top_k,
      noise_multiplier=noise_multiplier,
      coordinate_clip=coordinate_clip,
      stochastic=stochastic,
      neighboring_relation=neighboring_relation,
      vote_dtype=tf.int8 if sum_factory is None else tf.int32,
    )
    self._noised_sum = tff.aggregators.DifferentiallyPrivateFactory(
      self._query,
      wide_sum.WideSumFactory()
      if sum_factory is None
      else _SumOfVotes(sum_factory),
    )

  def create(self, value_type) -> tff.templates.AggregationProcess:
    """Creates the process; see `tff.aggregators.UnweightedAggregationFactory`.

    Args:
      value_type: The `tff.Type` of one client's update: a structure of floating
        tensors of defined shapes.

    Returns:
      A `tff.templates.AggregationProcess` with the state and measurements of
      `tff.aggregators.DifferentiallyPrivateFactory`.

    Raises:
      TypeError: If an update has a tensor that is not floating, or of unknown
        shape; or if `sum_factory` takes no int32 votes, or returns another type
        than it gets.
      ValueError: If an update has fewer than `top_k` coordinates.
    """
    specs = tff.types.type_to_tf_tensor_specs(value_type)
    top_k_votes.check_top_k(self._query.top_k, specs)
    process = self._noised_sum.create(value_type)
    to_step = tff.tensorflow.computation(
      lambda sums: decide(
        sums,
        specs,
        least=self._threshold * self._clients,
        step_size=self._step_size,
      ),
      process.next.type_signature.result.result.member,
    )

    @tff.federated_computation(
      process.initialize.type_signature.result,
      tff.FederatedType(value_type, tff.CLIENTS),
    )
    def next_fn(state, value):
      output = process.next(state, value)
      return tff.templates.MeasuredProcessOutput(
        output.state,
        tff.federated_map(to_step, output.result),
        output.measurements,
      )

    return tff.templates.AggregationProcess(process.initialize, next_fn)


class _SumOfVotes(tff.aggregators.UnweightedAggregationFactory):
  """The sum that a user chose, unless its types show that it is none."""

  def __init__(self, inner: tff.aggregators.UnweightedAggregationFactory):
    self._inner = inner

  def create(self, value_type) -> tff.templates.AggregationProcess:
    name = type(self._inner).__name__
    try:
      process = self._inner.create(value_type)
    except (TypeError, ValueError, tf.errors.OpError) as error:
      raise TypeError(
        f"sum_factory must add int32 votes, but {name} refuses {value_type}:"
        f" {error}"
      ) from error
    result_type = process.next.type_signature.result.result.member
    if not result_type.is_equivalent_to(value_type):
      raise TypeError(
        "sum_factory must return exact sums, in the type of the votes,"
        f" {value_type}, but {name} returns {result_type}"
      )
    return process


def decide(sums: Any, specs: Any, *, least: float, step_size: float) -> Any:
  """The step that a vote is for: the sign of each sum above a threshold.

  Args:
    sums: A structure of floating tensors of, maybe noised, sums of votes.
    specs: `tf.TensorSpec`s of an update, in the same structure.
    least: What a sum has to exceed in magnitude, in votes.
    step_size: Magnitude of the result where it isn't 0.

  Returns:
    The step of each coordinate, in the dtypes of an update.
  """

  def step(total, spec):
    sign = tf.where(tf.abs(total) > least, tf.sign(total), 0.0)
    return tf.cast(step_size * sign, spec.dtype)

  return tf.nest.map_structure(step, sums, specs)


def topagg_factory(
  plan: plan_lib.PrivacyPlan, top_k: int, **settings: Any
) -> TopAggFactory:
  """`TopAggFactory` with the clients, noise and neighbours of a plan.

  Formal guarantees: a round is the event `plan.round_event` for clients drawn
  by `plan.sampler`. A simulated run's noise is rescaled to its cohort, as for
  `gaussian_mean_factory`.

  Args:
    plan: What the run may cost, and how many clients a round has.
    top_k: Number of coordinates that a client votes on.
    **settings: `coordinate_clip`, `threshold`, `step_size`, `stochastic` and
      `sum_factory` of `TopAggFactory`.

  Returns:
    The factory.

  Raises:
    TypeError: If an argument has the wrong type or is the plan's to set.
    ValueError: If an argument is out of its range.
  """
  return TopAggFactory(
    top_k,
    expected_clients_per_round=plan.run_clients_per_round,
    noise_multiplier=plan.run_noise_multiplier,
    neighboring_relation=plan.neighboring_relation,
    **settings,
  )
