"""Argument checks that name the argument, its value and the rule."""

import math
import numbers
from typing import Any, Optional, Sequence
import warnings


def real(name: str, value: Any) -> float:
  """Returns `value` as a finite Python float; ints and NumPy scalars pass."""
  if isinstance(value, bool) or not isinstance(value, numbers.Real):
    raise TypeError(f"{name} must be a real number, got {value!r}")
  try:
    result = float(value)
  except OverflowError:
    result = math.inf
  if not math.isfinite(result):
    raise ValueError(f"{name} must be finite, got {value!r}")
  return result


def non_negative(name: str, value: Any) -> float:
  """Returns `value` as a finite float that is at least 0."""
  result = real(name, value)
  if result < 0:
    raise ValueError(f"{name} must be at least 0, got {value!r}")
  return result


def positive(name: str, value: Any) -> float:
  """Returns `value` as a finite float above 0."""
  result = real(name, value)
  if result <= 0:
    raise ValueError(f"{name} must be positive, got {value!r}")
  return result


def open_unit(name: str, value: Any) -> float:
  """Returns `value` as a float strictly between 0 and 1."""
  result = real(name, value)
  if not 0 < result < 1:
    raise ValueError(f"{name} must be in (0, 1), got {value!r}")
  return result


def integer(name: str, value: Any, minimum: int) -> int:
  """Returns `value` as an int that is at least `minimum`."""
  if isinstance(value, bool) or not isinstance(value, numbers.Integral):
    raise TypeError(f"{name} must be an integer, got {value!r}")
  result = int(value)
  if result < minimum:
    raise ValueError(f"{name} must be at least {minimum}, got {value!r}")
  return result


def one_of(name: str, value: Any, allowed: Sequence[str]) -> str:
  """Returns `value` if it is one of the `allowed` strings."""
  if not isinstance(value, str):
    raise TypeError(f"{name} must be a string, got {value!r}")
  if value not in allowed:
    choices = ", ".join(repr(choice) for choice in allowed)
    raise ValueError(f"{name} must be one of {choices}, got {value!r}")
  return value


def delta(value: Optional[float], population: int) -> float:
  """Resolves a plan's delta; to be called by its `__post_init__`.

  Args:
    value: In (0, 1), or None for 1 / population.
    population: Number of users.

  Returns:
    The delta, with a warning if it permits exposing some user outright.

  Raises:
    TypeError: `value` is not a number.
    ValueError: `value` is out of range, or None with a single user.
  """
  if value is None:
    if population == 1:
      raise ValueError("delta must be given when population is 1, got None")
    return 1 / population
  result = open_unit("delta", value)
  # A little slack for a caller's own rounding of 1 / population.
  if result * population > 1 + 1e-6:
    warnings.warn(
      f"delta {result:g} is above 1 / population ({1 / population:g}): it"
      " permits mechanisms that publish some user's whole data",
      UserWarning,
      # This function, __post_init__, __init__, the caller.
      stacklevel=4,
    )
  return result
