"""The least noise that keeps epsilon at or below a target."""

import math
from typing import Callable

from scipy import optimize

from tff_gen_debug.privacy import validation

# Aim this much below the target, so that the root finder's own error can't
# push epsilon above it; the promise is to stay within `_TOLERANCE`.
_AIM = 0.9985
_TOLERANCE = 0.01

_LEAST_NOISE = 1e-4
_MOST_NOISE = 1e9


def noise_multiplier_for(
  epsilon_of: Callable[[float], float], target_epsilon: float
) -> float:
  """Finds the noise multiplier that spends a privacy budget.

  Args:
    epsilon_of: Epsilon as a non-increasing function of the noise multiplier.
    target_epsilon: The budget, finite and above 0.

  Returns:
    A noise multiplier in [1e-4, 1e9] at which epsilon is in
    [0.99 target_epsilon, target_epsilon].

  Raises:
    TypeError: `target_epsilon` is not a number.
    ValueError: `target_epsilon` is not positive or finite, or no amount of
      noise in the range gives an epsilon that close to it.
  """
  target = validation.positive("target_epsilon", target_epsilon)
  least = epsilon_of(_MOST_NOISE)
  if least > target:
    raise ValueError(
      f"target_epsilon must be at least {least:.3g} with this accountant, which"
      f" can prove no less at this delta for any noise, got {target_epsilon!r}"
    )
  low = high = 1.0
  if epsilon_of(low) > target:
    while epsilon_of(high) > target:
      low, high = high, min(high * 4, _MOST_NOISE)
  else:
    while epsilon_of(low) <= target:
      if low <= _LEAST_NOISE:
        raise ValueError(
          f"target_epsilon must be below {epsilon_of(low):.3g}, which this plan"
          f" keeps even with a noise multiplier of {low}, got"
          f" {target_epsilon!r}"
        )
      low, high = max(low / 4, _LEAST_NOISE), low

  def log_ratio(log_noise: float) -> float:
    ratio = epsilon_of(math.exp(log_noise)) / (_AIM * target)
    # Both ends of the range must stay finite for the root finder.
    return math.log(min(max(ratio, 1e-9), 1e9))

  # Epsilon between the aim and the target at an end leaves no sign change.
  if log_ratio(math.log(high)) >= 0:
    return high
  noise = math.exp(
    optimize.brentq(log_ratio, math.log(low), math.log(high), xtol=1e-5)
  )
  for candidate in (noise, noise * (1 + 1e-4), noise * (1 + 1e-3), high):
    reached = epsilon_of(candidate)
    if (1 - _TOLERANCE) * target <= reached <= target:
      return candidate
  raise ValueError(
    f"target_epsilon can't be reached within {_TOLERANCE:.0%}: this accountant"
    f" jumps from {epsilon_of(noise * 0.999):.3g} to"
    f" {epsilon_of(noise * 1.001):.3g} there, got {target_epsilon!r}"
  )
