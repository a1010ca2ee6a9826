"""DP-FTRL's tree aggregation for a mean of client updates, made from a plan."""

import tensorflow as tf
import tensorflow_federated as tff
import tensorflow_privacy as tfp

from tff_gen_debug.privacy import tree_plan
from tff_gen_debug.privacy import validation


def tree_mean_factory(
  plan: tree_plan.TreePlan, clip_norm: float
) -> tff.aggregators.UnweightedAggregationFactory:
  """Clips each client's update, sums, adds the noise of a tree and averages.

  Kairouz et al. (2021), Practical and Private (Deep) Learning without Sampling
  or Shuffling, arXiv 2103.00039. The result of a round is its mean update with
  the *change* of the noise of the running sum, so that a server optimizer which
  adds the results up (SGD, also with momentum) keeps little noise: after n
  rounds of a tree that of about log2(n) / 2 nodes. Each node is estimated from
  all below it too (Honaker, 2015), which nearly halves that noise for free.

  It differs from `tff.aggregators.DifferentiallyPrivateFactory`'s
  `tree_aggregation` in that `plan` also makes the sampler and the accounting,
  that trees restart where the plan says, and that noise is seeded at random
  and not from the clock, which can be guessed.

  Formal guarantees: the noise at every node has standard deviation
  `plan.noise_stddev(clip_norm)`. Round number n, counted from 0, from an
  initial state is the event `plan.round_event(n)` for clients drawn by
  `plan.sampler`. The state holds the seeds of all noise to come: it must stay
  as secret as the updates.

  Edge cases: the noise is a function of the state, so a round repeated from one
  state repeats its noise; a client with a NaN turns the result into NaN, so
  wrap the factory in `NonFiniteGuardFactory` where the process does not do so
  itself, as ours do. The state holds some log2(`plan.epoch_rounds`) times the
  update's size.

  Args:
    plan: What the run may cost, and how many clients a round has.
    clip_norm: The L2 norm over all tensors of an update together that no
      client's update exceeds; positive.

  Returns:
    A `tff.aggregators.UnweightedAggregationFactory` of structures of float32
    tensors.

  Raises:
    TypeError: If `clip_norm` is not a number.
    ValueError: If `clip_norm` is not positive and finite.
  """
  return _TreeMeanFactory(plan, validation.positive("clip_norm", clip_norm))


class _TreeMeanFactory(tff.aggregators.UnweightedAggregationFactory):
  """Makes the query, which has to know what the updates look like."""

  def __init__(self, plan: tree_plan.TreePlan, clip_norm: float):
    self._plan = plan
    self._clip_norm = clip_norm

  def create(self, value_type) -> tff.templates.AggregationProcess:
    specs = tff.types.type_to_tf_tensor_specs(value_type)
    query = tfp.NormalizedQuery(
      tfp.RestartQuery(
        tfp.TreeResidualSumQuery(
          record_specs=specs,
          noise_generator=_RandomlySeededNoise(
            self._plan.noise_stddev(self._clip_norm), specs
          ),
          clip_fn=_clip,
          clip_value=self._clip_norm,
        ),
        tfp.restart_query.PeriodicRoundRestartIndicator(
          self._plan.epoch_rounds
        ),
      ),
      denominator=float(self._plan.clients_per_round),
    )
    return tff.aggregators.DifferentiallyPrivateFactory(query).create(
      value_type
    )


class _RandomlySeededNoise(tfp.tree_aggregation.GaussianNoiseGenerator):
  """Gaussian noise from a counter that starts anywhere."""

  def initialize(self):
    # Without a seed of its own this op is seeded by the system's randomness at
    # each call; the base class takes the time of day.
    seeds = tf.random.uniform([2], tf.int64.min, tf.int64.max, tf.int64)
    return self.make_state(seeds, self._noise_std)


def _clip(tensors, clip_norm):
  return tf.clip_by_global_norm(tensors, clip_norm)[0]
