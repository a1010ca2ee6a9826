"""Argument checks that name the argument, its value and the rule."""

from typing import Any, Optional, Sequence
import warnings

from tff_gen_debug import arguments

shown = arguments.shown
real = arguments.real
integer = arguments.integer


def non_negative(name: str, value: Any) -> float:
  """Returns `value` as a finite float that is at least 0."""
  result = real(name, value)
  if result < 0:
    raise ValueError(f"{name} must be at least 0, got {shown(value)}")
  return result


def positive(name: str, value: Any) -> float:
  """Returns `value` as a finite float above 0."""
  result = real(name, value)
  if result <= 0:
    raise ValueError(f"{name} must be positive, got {shown(value)}")
  return result


def open_unit(name: str, value: Any) -> float:
  """Returns `value` as a float strictly between 0 and 1."""
  result = real(name, value)
  if not 0 < result < 1:
    raise ValueError(f"{name} must be in (0, 1), got {shown(value)}")
  return result


def one_of(name: str, value: Any, allowed: Sequence[str]) -> str:
  """Returns `value` if it is one of the `allowed` strings."""
  if not isinstance(value, str):
    raise TypeError(f"{name} must be a string, got {shown(value)}")
  if value not in allowed:
    choices = ", ".join(repr(choice) for choice in allowed)
    raise ValueError(f"{name} must be one of {choices}, got {shown(value)}")
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
