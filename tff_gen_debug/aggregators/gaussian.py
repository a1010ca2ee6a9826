"""The Gaussian mechanism for a mean of client updates, made from a plan."""

import math

import tensorflow_federated as tff
import tensorflow_privacy as tfp

from tff_gen_debug.privacy import plan as plan_lib


def gaussian_mean_factory(
  plan: plan_lib.PrivacyPlan, clip_norm: float
) -> tff.aggregators.UnweightedAggregationFactory:
  """Clips each client's update, sums, adds Gaussian noise and averages.

  McMahan et al. (2018), Learning Differentially Private Recurrent Language
  Models, arXiv 1710.06963, with the fixed denominator: the sum is divided by
  the *expected* number of clients a round, which is public, so that an empty
  cohort is a round of nothing but noise.

  It differs from `tff.aggregators.DifferentiallyPrivateFactory.gaussian_fixed`
  only in where its numbers come from: `plan` also makes the sampler and the
  accounting, knows the sensitivity of its neighbouring relation, and rescales
  the noise of a simulated run.

  Formal guarantees: the noise on the sum has standard deviation
  `plan.noise_stddev(clip_norm)`. A round is the event `plan.round_event` for
  clients drawn by `plan.sampler`.

  Edge cases: a client with a NaN in its update passes the clip and turns the
  result into NaN; wrap the factory in `NonFiniteGuardFactory` where the process
  does not do so itself, as ours do.

  Args:
    plan: What the run may cost, and how many clients a round has.
    clip_norm: The L2 norm over all tensors of an update together that no
      client's update exceeds; positive.

  Returns:
    A `tff.aggregators.UnweightedAggregationFactory`.

  Raises:
    ValueError: If `clip_norm` is not positive and finite.
  """
  clip_norm = float(clip_norm)
  if not (clip_norm > 0 and math.isfinite(clip_norm)):
    raise ValueError(f"clip_norm must be positive and finite, got {clip_norm}")
  query = tfp.NormalizedQuery(
    tfp.GaussianSumQuery(
      l2_norm_clip=clip_norm, stddev=float(plan.noise_stddev(clip_norm))
    ),
    denominator=float(plan.run_clients_per_round),
  )
  return tff.aggregators.DifferentiallyPrivateFactory(query)
