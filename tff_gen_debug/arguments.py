"""Argument checks that every room can use; `privacy.validation` has more."""

import math
import numbers
from typing import Any

# Above this, sums and quotients with floats overflow.
_MOST = 10**300

# A message quotes no more of a value than this.
_MOST_SHOWN = 200


def shown(value: Any) -> str:
  """Returns `repr(value)` for a message, whatever and however long it is."""
  try:
    text = repr(value)
  except (RecursionError, ValueError):
    # Python writes no integer of more than 4,300 digits.
    text = f"a value of type {type(value).__name__}, too large to show"
  return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def real(name: str, value: Any) -> float:
  """Returns `value` as a finite Python float; ints and NumPy scalars pass."""
  if isinstance(value, bool) or not isinstance(value, numbers.Real):
    raise TypeError(f"{name} must be a real number, got {shown(value)}")
  try:
    result = float(value)
  except OverflowError:
    result = math.inf
  if not math.isfinite(result):
    raise ValueError(f"{name} must be finite, got {shown(value)}")
  return result


def integer(name: str, value: Any, minimum: int) -> int:
  """Returns `value` as an int in [minimum, 1e300]."""
  if isinstance(value, bool) or not isinstance(value, numbers.Integral):
    raise TypeError(f"{name} must be an integer, got {shown(value)}")
  result = int(value)
  if result < minimum:
    raise ValueError(f"{name} must be at least {minimum}, got {shown(value)}")
  if result > _MOST:
    raise ValueError(f"{name} must be at most 1e300, got {shown(value)}")
  return result
