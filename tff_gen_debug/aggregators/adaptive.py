"""A Gaussian mean whose clip norm follows the updates, made from a plan."""

from typing import Optional

import tensorflow_federated as tff
import tensorflow_privacy as tfp

from tff_gen_debug.privacy import plan as plan_lib
from tff_gen_debug.privacy import validation

# Andrew et al. (2021) recommend a twentieth of the cohort for the noise on the
# count of clipped updates: little of the budget, and fast enough.
_COUNT_NOISE_SHARE = 1 / 20


def adaptive_gaussian_mean_factory(
  plan: plan_lib.PrivacyPlan,
  *,
  initial_clip_norm: float = 0.1,
  target_quantile: float = 0.5,
  learning_rate: float = 0.2,
  clipped_count_stddev: Optional[float] = None,
) -> tff.aggregators.UnweightedAggregationFactory:
  """A clipped and noised mean whose clip norm tracks a quantile of the norms.

  Andrew et al. (2021), Differentially Private Learning with Adaptive Clipping,
  arXiv 1905.03871. In each round the updates are clipped to the norm of the
  state, summed, noised and divided by the *expected* number of clients. The
  number of updates within the norm, noised too, then moves the norm
  geometrically towards the quantile.

  It differs from `tff.aggregators.DifferentiallyPrivateFactory`'s
  `gaussian_adaptive` only in where its numbers come from: `plan` also makes the
  sampler and the accounting, knows the sensitivity of its neighbouring
  relation, and rescales both noises of a simulated run.

  Formal guarantees: sum and count together cost what the sum alone costs in
  `gaussian_mean_factory`: a round is the event `plan.round_event` for clients
  drawn by `plan.sampler`. Both are Gaussian mechanisms on one pair of values,
  so that the squared ratios of sensitivity to noise add up; the noise on the
  sum is raised until they add up to the plan's. The clip norm is a function of
  noised counts, so it may be published, as its measurement `clip` does.

  Edge cases: a plan without noise puts none on the count either; an empty
  cohort is a round of nothing but noise, whose count says that half of the
  updates are clipped; a client with a NaN turns the result into NaN, so wrap
  the factory in `NonFiniteGuardFactory` where the process does not do so
  itself, as ours do.

  Args:
    plan: What the run may cost, and how many clients a round has.
    initial_clip_norm: The norm of the first round; positive.
    target_quantile: Which share of the updates shall not be clipped, in [0, 1].
    learning_rate: The norm changes by at most a factor of exp(learning_rate) a
      round; at least 0.
    clipped_count_stddev: The standard deviation of the noise on the count in
      the cohort that runs, at least 0; None is a twentieth of that cohort, or 0
      for a plan without noise.

  Returns:
    A `tff.aggregators.UnweightedAggregationFactory`.

  Raises:
    TypeError: If an argument is not a number.
    ValueError: If a number is out of its range, or the noise on the count is so
      small that the count alone costs what the plan allows, or more.
  """
  return tff.aggregators.DifferentiallyPrivateFactory(
    adaptive_gaussian_mean_query(
      plan,
      initial_clip_norm=initial_clip_norm,
      target_quantile=target_quantile,
      learning_rate=learning_rate,
      clipped_count_stddev=clipped_count_stddev,
    )
  )


def adaptive_gaussian_mean_query(
  plan: plan_lib.PrivacyPlan,
  *,
  initial_clip_norm: float,
  target_quantile: float,
  learning_rate: float,
  clipped_count_stddev: Optional[float],
) -> tfp.SumAggregationDPQuery:
  """The query of `adaptive_gaussian_mean_factory`, which explains it."""
  clients = float(plan.run_clients_per_round)
  target_quantile = validation.non_negative("target_quantile", target_quantile)
  if target_quantile > 1:
    raise ValueError(
      f"target_quantile must be in [0, 1], got {target_quantile}"
    )
  if clipped_count_stddev is None:
    share = _COUNT_NOISE_SHARE if plan.noise_multiplier else 0.0
    clipped_count_stddev = share * clients
  clipped_count_stddev = validation.non_negative(
    "clipped_count_stddev", clipped_count_stddev
  )
  return tfp.NormalizedQuery(
    tfp.QuantileAdaptiveClipSumQuery(
      initial_l2_norm_clip=validation.positive(
        "initial_clip_norm", initial_clip_norm
      ),
      # The query knows clip norms, not sensitivities.
      noise_multiplier=plan.sensitivity_factor
      * _sum_noise_multiplier(plan, clipped_count_stddev),
      target_unclipped_quantile=target_quantile,
      learning_rate=validation.non_negative("learning_rate", learning_rate),
      clipped_count_stddev=clipped_count_stddev,
      expected_num_records=clients,
      geometric_update=True,
    ),
    denominator=clients,
  )


def _sum_noise_multiplier(
  plan: plan_lib.PrivacyPlan, clipped_count_stddev: float
) -> float:
  """What the plan's noise multiplier leaves for the sum, after the count."""
  total = plan.run_noise_multiplier
  if total == 0:
    return 0.0
  # Every client adds 1/2 or -1/2 to the count: half a "clip norm".
  count = clipped_count_stddev / (plan.sensitivity_factor / 2)
  if count <= total:
    least = total * plan.sensitivity_factor / 2
    raise ValueError(
      f"clipped_count_stddev must be above {least:.4g}, below which the count"
      " alone costs more than the plan's noise multiplier of"
      f" {plan.noise_multiplier:.4g} allows, got {clipped_count_stddev:.4g};"
      " lower the plan's noise_multiplier or raise its clients per round"
    )
  return (total**-2 - count**-2) ** -0.5
