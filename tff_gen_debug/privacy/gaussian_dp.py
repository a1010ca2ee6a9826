"""Gaussian differential privacy: what a Gaussian mechanism claims, exactly.

Dong et al. (2019), Gaussian Differential Privacy, arXiv 1905.02383: a mechanism
is mu-GDP if telling any two neighbours apart from its result is at least as
hard as telling a draw of N(0, 1) from one of N(mu, 1).
"""

import math
from typing import Union

import dp_accounting
from dp_accounting.pld import privacy_loss_mechanism
from scipy import optimize
from scipy import special

from tff_gen_debug.privacy import events
from tff_gen_debug.privacy import validation

_SAMPLED = (
  dp_accounting.PoissonSampledDpEvent,
  dp_accounting.SampledWithoutReplacementDpEvent,
)


def claimed_mu(claim: Union[float, dp_accounting.DpEvent]) -> float:
  """The mu of a claim about what is done to a cohort.

  A Gaussian mechanism of noise multiplier z is exactly (1 / z)-GDP, and several
  together are sqrt(mu_1^2 + mu_2^2 + ...)-GDP (Dong et al., 2019, theorem 2.7
  and corollary 3.3).

  Args:
    claim: A noise multiplier, at least 0, or an event: a Gaussian or a
      composition of such. The event of a sampling stands for what is done to
      the sample. For the process of a simulated plan the claim is
      `plan.as_run().round_event`.

  Returns:
    mu, at least 0; infinite without noise.

  Raises:
    TypeError: If `claim` is neither a number nor an event.
    ValueError: If it is out of range, or an event of another mechanism.
  """
  if not isinstance(claim, dp_accounting.DpEvent):
    return _inverse(validation.non_negative("claim", claim))
  event = events.canonical(claim)
  if isinstance(event, _SAMPLED):
    event = event.event
  return math.sqrt(_squared_mu(event))


def _squared_mu(event: dp_accounting.DpEvent) -> float:
  if isinstance(event, dp_accounting.NoOpDpEvent):
    return 0.0
  if isinstance(event, dp_accounting.NonPrivateDpEvent):
    return math.inf
  if isinstance(event, dp_accounting.GaussianDpEvent):
    return _inverse(event.noise_multiplier) ** 2
  if isinstance(event, dp_accounting.SelfComposedDpEvent):
    return event.count * _squared_mu(event.event)
  if isinstance(event, dp_accounting.ComposedDpEvent):
    return sum(_squared_mu(part) for part in event.events)
  raise ValueError(
    "claim must be a Gaussian event or a composition of such, got"
    f" {type(event).__name__}"
  )


def _inverse(noise_multiplier: float) -> float:
  return 1 / noise_multiplier if noise_multiplier else math.inf


def epsilon(mu: float, delta: float) -> float:
  """The exact epsilon of a Gaussian mechanism.

  Balle and Wang (2018), arXiv 1805.06530, theorem 8. The curve is
  dp-accounting's.

  Args:
    mu: Sensitivity over standard deviation, 1 / noise multiplier: at least 0,
      may be infinite.
    delta: In (0, 1).

  Returns:
    The smallest epsilon at `delta`, at least 0.

  Raises:
    TypeError: If an argument is not a number.
    ValueError: If an argument is out of its range.
  """
  delta = validation.open_unit("delta", delta)
  if mu == math.inf:
    return math.inf
  mu = validation.non_negative("mu", mu)
  if mu == 0:
    return 0.0
  curve = privacy_loss_mechanism.GaussianPrivacyLoss(1 / mu)

  def excess(epsilon: float) -> float:
    return curve.get_delta_for_epsilon(epsilon) - delta

  if excess(0.0) <= 0:
    return 0.0
  # The curve's first term alone is delta there.
  most = mu * (mu / 2 - float(special.ndtri(delta)))
  return float(optimize.brentq(excess, 0.0, most, xtol=1e-9))
