"""TopAgg with distributed privacy: clients add the noise, not the server."""

import collections
from typing import Optional

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.aggregators import discrete_noise
from tff_gen_debug.aggregators import top_k_votes
from tff_gen_debug.aggregators import topagg
from tff_gen_debug.privacy import distributed
from tff_gen_debug.privacy import validation


class DistributedTopAggFactory(tff.aggregators.UnweightedAggregationFactory):
  """Aggregates updates by a vote that is private from the server, too.

  As `TopAggFactory`, a client votes -1 or 1 on the `plan.top_k` coordinates of
  its update that are largest in magnitude, and the result is `step_size` times
  the sign of each noised sum of votes that is above `threshold` times
  `plan.clients_per_round` in magnitude, and 0 elsewhere (Wang et al., 2021,
  DataLens, arXiv 2103.11109). But the noise is the clients': each adds its
  share of discrete Gaussian noise to its votes, and only a secure summation
  brings them together (Kairouz, Liu and Steinke, 2021, arXiv 2102.06387).

    plan = privacy.DistributedPlan(
      population=100_000,
      clients_per_round=1000,
      min_clients_per_round=800,
      rounds=200,
      top_k=1000,
      update_size=100_000,
      noise_multiplier=4.0,
    )
    tff.learning.algorithms.build_unweighted_fed_avg(
      model_fn,
      client_optimizer_fn,
      model_aggregator=DistributedTopAggFactory(plan, step_size=0.01),
    )

  The sum is `tff.backends.mapreduce.federated_secure_modular_sum`. A backend
  with secure aggregation runs a cryptographic protocol for it;
  `runtime.use_local_runtime()` adds in the clear, as a simulation, and logs
  that.

  Formal guarantees: those of `DistributedPlan`. For cohorts drawn by
  `plan.sampler` a round's result, its noised sums included, is the event
  `plan.round_event(n)`. The process drops the sum of fewer than
  `plan.min_clients_per_round` clients: the result is 0 everywhere. That
  protects those who see the model. That the server can't open such a sum has to
  be the protocol's doing, whose threshold TFF leaves to the backend.

  Edge cases: an update of zeros, or with a NaN or infinity, votes nowhere and
  adds its noise. The sum of more than `plan.clients_per_round` clients, which
  could wrap around, is dropped like that of too few; within the plan any
  coordinate of a round wraps around with probability 1e-9 at most. A round
  whose sum is dropped is charged all the same.
  """

  def __init__(
    self,
    plan: distributed.DistributedPlan,
    *,
    coordinate_clip: Optional[float] = None,
    threshold: float = 0.0,
    step_size: float = 1.0,
    stochastic: bool = True,
  ):
    """Initializes the factory.

    Args:
      plan: Who votes on how much, and with how much noise.
      coordinate_clip: The magnitude above which a stochastic vote is certain,
        in units of the update; None for that of a client's largest entry.
      threshold: Share of `plan.clients_per_round` that a sum has to exceed,
        at least 0.
      step_size: Magnitude of the result where it isn't 0; positive.
      stochastic: Whether a client draws its votes, with a probability that
        grows with the entry, or votes with the signs.

    Raises:
      TypeError: If an argument has the wrong type.
      ValueError: If an argument is out of its range, or the plan's sums don't
        fit into the 30 bits of a secure sum.
    """
    if not isinstance(plan, distributed.DistributedPlan):
      raise TypeError(f"plan must be a DistributedPlan, got {plan!r}")
    self._plan = plan
    if coordinate_clip is not None:
      coordinate_clip = validation.positive("coordinate_clip", coordinate_clip)
    self._coordinate_clip = coordinate_clip
    self._least = (
      validation.non_negative("threshold", threshold) * plan.clients_per_round
    )
    self._step_size = validation.positive("step_size", step_size)
    self._stochastic = bool(stochastic)
    modulus = _modulus(plan)
    self._noised_sum = tff.aggregators.DifferentiallyPrivateFactory(
      discrete_noise.DiscreteNoiseSumQuery(
        l2_norm=plan.top_k**0.5,
        weight=plan.vote_weight,
        share_stddev=plan.share_stddev,
        modulus=modulus,
        event=plan.vote_event,
      ),
      tff.aggregators.SecureModularSumFactory(modulus),
    )

  def create(self, value_type) -> tff.templates.AggregationProcess:
    """Creates the process; see `tff.aggregators.UnweightedAggregationFactory`.

    Args:
      value_type: The `tff.Type` of one client's update: a structure of floating
        tensors of defined shapes.

    Returns:
      A `tff.templates.AggregationProcess` with the state of
      `tff.aggregators.DifferentiallyPrivateFactory`. It measures "clients", how
      many were summed, and "accepted", whether that was enough and not too
      many.

    Raises:
      TypeError: If an update has a tensor that is not floating, or of unknown
        shape.
      ValueError: If an update has not `plan.update_size` coordinates.
    """
    plan = self._plan
    specs = tff.types.type_to_tf_tensor_specs(value_type)
    size = top_k_votes.flat_size(specs)
    if size != plan.update_size:
      raise ValueError(
        f"update_size of the plan must be {size}, the coordinates of an update,"
        f" got {plan.update_size}"
      )

    @tff.tensorflow.computation(value_type)
    def vote(update):
      return top_k_votes.cast_votes(
        update,
        plan.top_k,
        coordinate_clip=self._coordinate_clip,
        stochastic=self._stochastic,
        dtype=tf.int32,
      )

    noised_sum = self._noised_sum.create(vote.type_signature.result)

    @tff.tensorflow.computation(np.int32)
    def accept(clients):
      return (clients >= plan.min_clients_per_round) & (
        clients <= plan.clients_per_round
      )

    @tff.tensorflow.computation(
      noised_sum.next.type_signature.result.result.member, np.bool_
    )
    def to_step(sums, accepted):
      steps = topagg.decide(
        sums, specs, least=self._least, step_size=self._step_size
      )
      return tf.nest.map_structure(
        lambda step: tf.where(accepted, step, tf.zeros([], step.dtype)), steps
      )

    @tff.federated_computation(
      noised_sum.initialize.type_signature.result,
      tff.FederatedType(value_type, tff.CLIENTS),
    )
    def next_fn(state, value):
      output = noised_sum.next(state, tff.federated_map(vote, value))
      clients = tff.federated_secure_sum_bitwidth(
        tff.federated_value(1, tff.CLIENTS), bitwidth=1
      )
      accepted = tff.federated_map(accept, clients)
      return tff.templates.MeasuredProcessOutput(
        output.state,
        tff.federated_map(to_step, (output.result, accepted)),
        tff.federated_zip(
          collections.OrderedDict(clients=clients, accepted=accepted)
        ),
      )

    return tff.templates.AggregationProcess(noised_sum.initialize, next_fn)


def _modulus(plan: distributed.DistributedPlan) -> int:
  """The modulus of a round's sum.

  Raises:
    ValueError: If it is more than a secure sum can have.
  """
  modulus = discrete_noise.modulus_for(
    plan.vote_weight * plan.clients_per_round,
    stddev=plan.share_stddev * plan.clients_per_round**0.5,
    coordinates=plan.update_size,
  )
  if modulus <= discrete_noise.MAX_MODULUS:
    return modulus
  if plan.vote_weight > 1:
    change = (
      "too little noise for so many clients makes votes weigh"
      f" {plan.vote_weight}; raise noise_multiplier or top_k, or lower"
      " clients_per_round"
    )
  else:
    change = "lower noise_multiplier, top_k or clients_per_round"
  raise ValueError(
    f"plan must make sums below {discrete_noise.MAX_MODULUS}, the largest"
    f" modulus of a secure sum, got {modulus}: {change}"
  )
