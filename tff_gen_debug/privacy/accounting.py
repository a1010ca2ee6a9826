"""From events to epsilon: the three accountants, made safe at their edges.

The numbers come from dp-accounting. This module adds what a training loop
needs around them: the cost of one round is computed once and reused, so that
asking for epsilon after every round takes well under a millisecond with Renyi
DP; and inputs on which the library raises, hangs or loses its precision are
answered with a valid, possibly loose, upper bound.

Accountants:
  rdp: Renyi DP (Mironov, 2017, arXiv 1702.07476) with the conversion to
    epsilon of Canonne, Kamath and Steinke, 2020 (arXiv 2004.00010, Prop. 12).
  rdp_classic: Renyi DP with the conversion of Mironov, 2017, Prop. 3:
    min over orders of RDP + ln(1/delta) / (order - 1). What papers printed
    before 2020 used; never below `rdp`.
  pld: privacy loss distributions (Koskela et al., 2020, arXiv 1906.03049;
    Doroshenko et al., 2022, arXiv 2207.04380). The tightest, and slower.
"""

import functools
import math
from typing import Iterable, Optional, Tuple

import dp_accounting
from dp_accounting import pld
from dp_accounting import rdp
import numpy as np

from tff_gen_debug.privacy import events as events_lib
from tff_gen_debug.privacy import validation

ACCOUNTANTS = ("rdp", "rdp_classic", "pld")

_RELATIONS = {
  "add_or_remove_one": dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE,
  "replace_one": dp_accounting.NeighboringRelation.REPLACE_ONE,
  "replace_special": dp_accounting.NeighboringRelation.REPLACE_SPECIAL,
}
NEIGHBORING_RELATIONS = tuple(_RELATIONS)

_SAMPLED = (
  dp_accounting.PoissonSampledDpEvent,
  dp_accounting.SampledWithoutReplacementDpEvent,
)

# The library's sum for a sampled Gaussian subtracts numbers near 1; its
# absolute rounding error was at most 3e-13 over sampling probabilities in
# [1e-12, 1 - 1e-15] and noise multipliers in [1e-6, 1e9], enough to turn
# negative. Adding more than that keeps the result an upper bound.
_RDP_ROUNDING = 1e-12

# Its series for fractional orders gets slower as the noise grows (seconds at
# 1e3, no end at 1e4, for a sampling probability near 1/2) and never ends for
# noise so small that its square underflows. Outside this range we use bounds
# that need no series.
_SERIES_NOISE_RANGE = (1e-4, 100.0)

# More noise than this is accounted as this much, to keep squares finite.
_MAX_NOISE_MULTIPLIER = 1e12

# The grid of a privacy loss distribution: its interval is epsilon over the
# first number, or the range of one event's losses over the second if that is
# more. A coarse pass finds the scale of epsilon; the fine one makes a relative
# error of about 1e-3 or less in a second or two, which grow with the points.
_GRIDS = ((2e3, 5e3), (3e4, 5e4))
_DEFAULT_INTERVAL = 1e-4

# Of more equal events the library may take for ever to compose a distribution:
# one loss at a time if there are few, or after a power with that exponent.
_MAX_PLD_COUNT = 10**6


def check_supported(
  event: dp_accounting.DpEvent, *, accountant: str, neighboring_relation: str
) -> None:
  """Raises a `ValueError` with the reason if an event can't be accounted for.

  Args:
    event: A canonical event.
    accountant: One of `ACCOUNTANTS`.
    neighboring_relation: One of `NEIGHBORING_RELATIONS`.

  Raises:
    ValueError: There is no theorem in this accountant for the event under the
      neighbouring relation.
  """
  relation = _RELATIONS[neighboring_relation]
  if accountant == "pld":
    checker: dp_accounting.PrivacyAccountant = pld.PLDAccountant(relation)
  else:
    checker = rdp.RdpAccountant(neighboring_relation=relation)
  # Whether an event is supported does not depend on its noise, but the
  # library divides by it on the way.
  if not checker.supports(events_lib.with_noise(event, lambda _: 1.0)):
    raise ValueError(
      f"accountant {accountant!r} can't account for the event {event} under"
      f" neighboring_relation {neighboring_relation!r}:"
      f" {_why_unsupported(event, accountant, neighboring_relation)}"
    )


def _why_unsupported(
  event: dp_accounting.DpEvent, accountant: str, neighboring_relation: str
) -> str:
  """Explains a combination that dp-accounting has refused."""
  name = type(event).__name__
  if isinstance(event, dp_accounting.SelfComposedDpEvent):
    return _why_unsupported(event.event, accountant, neighboring_relation)
  if isinstance(event, dp_accounting.ComposedDpEvent):
    for part in event.events:
      try:
        check_supported(
          part, accountant=accountant, neighboring_relation=neighboring_relation
        )
      except ValueError:
        return _why_unsupported(part, accountant, neighboring_relation)
  if isinstance(event, dp_accounting.SingleEpochTreeAggregationDpEvent):
    if accountant == "pld":
      return f"{name} has a bound in Renyi DP only"
    return f"{name} is proved for 'replace_special' neighbours only"
  if isinstance(event, dp_accounting.PoissonSampledDpEvent):
    if neighboring_relation != "add_or_remove_one":
      return (
        "amplification by Poisson sampling is proved for 'add_or_remove_one'"
        " neighbours"
      )
    inner = "Gaussian or Laplace" if accountant == "pld" else "Gaussian"
    return f"inside Poisson sampling it knows the {inner} mechanism only"
  if isinstance(event, dp_accounting.SampledWithoutReplacementDpEvent):
    if accountant == "pld":
      return (
        "dp-accounting has no privacy loss distribution for sampling without"
        " replacement; use 'rdp'"
      )
    if neighboring_relation != "replace_one":
      return (
        "amplification by sampling without replacement is proved for"
        " 'replace_one' neighbours"
      )
    return "inside sampling it knows the Gaussian mechanism only"
  return f"{name} is not known to it"


def epsilon(
  events: Iterable[Tuple[dp_accounting.DpEvent, int]],
  *,
  delta: float,
  accountant: str,
  neighboring_relation: str,
) -> float:
  """Epsilon of the adaptive composition of some events.

  Args:
    events: Pairs of a canonical event and how many times it happened. Their
      order is irrelevant to the result.
    delta: In (0, 1).
    accountant: One of `ACCOUNTANTS`.
    neighboring_relation: One of `NEIGHBORING_RELATIONS`.

  Returns:
    The smallest epsilon that the accountant can prove at `delta`: at least 0,
    `inf` if an event gives no guarantee at all.

  Raises:
    ValueError: An argument is out of range, or the accountant has no theorem
      for an event under the neighbouring relation.
  """
  validation.open_unit("delta", delta)
  validation.one_of("accountant", accountant, ACCOUNTANTS)
  validation.one_of(
    "neighboring_relation", neighboring_relation, NEIGHBORING_RELATIONS
  )
  counts: dict = {}
  for event, count in events:
    event, count = events_lib.flattened(event, count)
    key = events_lib.to_key(event)
    counts[key] = counts.get(key, 0) + count
  items = tuple(sorted(counts.items()))
  for key, _ in items:
    _check_key(key, accountant, neighboring_relation)
  if any(events_lib.is_unbounded(events_lib.from_key(k)) for k, _ in items):
    return math.inf
  if accountant == "pld":
    return _pld_epsilon(items, delta, neighboring_relation)
  return _rdp_epsilon(items, delta, neighboring_relation, accountant)


@functools.lru_cache(maxsize=4096)
def _check_key(key: str, accountant: str, neighboring_relation: str) -> None:
  check_supported(
    events_lib.from_key(key),
    accountant=accountant,
    neighboring_relation=neighboring_relation,
  )


_Items = Tuple[Tuple[str, int], ...]


def _rdp_epsilon(
  items: _Items, delta: float, neighboring_relation: str, accountant: str
) -> float:
  """Epsilon by Renyi DP; `items` are pairs of an event's key and its count."""
  orders = _orders()
  total = np.zeros_like(orders)
  for key, count in items:
    total = total + _times(count, _rdp_of(key, neighboring_relation))
  if not np.any(total):
    return 0.0
  if accountant == "rdp_classic":
    return float(np.min(total - math.log(delta) / (orders - 1)))
  return float(rdp.compute_epsilon(orders, total, delta)[0])


def _times(count: int, rdp_of_one: np.ndarray) -> np.ndarray:
  """RDP of `count` equal events; inf where a float can't hold it."""
  try:
    factor = float(count)
  except OverflowError:
    factor = math.inf
  # What costs nothing costs nothing however often: inf * 0 would be NaN.
  with np.errstate(all="ignore"):
    return np.where(rdp_of_one > 0, factor * rdp_of_one, 0.0)


@functools.cache
def _orders() -> np.ndarray:
  return rdp.RdpAccountant().orders


@functools.lru_cache(maxsize=4096)
def _rdp_of(key: str, neighboring_relation: str) -> np.ndarray:
  """RDP of one event at all orders; never negative, never NaN."""
  event = events_lib.from_key(key)
  with np.errstate(all="ignore"):
    return _event_rdp(event, _RELATIONS[neighboring_relation])


def _event_rdp(
  event: dp_accounting.DpEvent, relation: dp_accounting.NeighboringRelation
) -> np.ndarray:
  """Composes leaf and sampled events by adding their RDP."""
  if isinstance(event, dp_accounting.SelfComposedDpEvent):
    return _times(event.count, _event_rdp(event.event, relation))
  if isinstance(event, dp_accounting.ComposedDpEvent):
    total = np.zeros_like(_orders())
    for part in event.events:
      total = total + _event_rdp(part, relation)
    return total
  if isinstance(event, _SAMPLED):
    if getattr(event, "sampling_probability", 1.0) == 0:
      return np.zeros_like(_orders())
    # Both samplings draw the same subset, with the same probability, from both
    # neighbours, so by joint quasi-convexity of the Renyi divergence (van Erven
    # and Harremoes, 2014, Theorem 13) they never cost more than no sampling.
    # The bound for sampling without replacement exceeds that for large samples.
    unsampled = _event_rdp(event.event, relation)
    return np.fmin(_sampled_rdp(event, relation), unsampled)
  return _library_rdp(event, relation, _orders())


def _sampled_rdp(
  event: dp_accounting.DpEvent, relation: dp_accounting.NeighboringRelation
) -> np.ndarray:
  """RDP of a sampled Gaussian; NaN or inf where the library can't tell."""
  orders = _orders()
  lowest, highest = _SERIES_NOISE_RANGE
  noise_multiplier = _effective_noise_multiplier(event.event)
  if noise_multiplier is None or noise_multiplier < lowest:
    return np.full_like(orders, np.inf)
  if noise_multiplier > highest:
    # The Renyi divergence grows with its order, so that of the next integer
    # order is an upper bound.
    whole, index = np.unique(np.ceil(orders), return_inverse=True)
    return _library_rdp(event, relation, whole)[index] + _RDP_ROUNDING
  return _library_rdp(event, relation, orders) + _RDP_ROUNDING


def _effective_noise_multiplier(
  event: dp_accounting.DpEvent,
) -> Optional[float]:
  """Noise of the one Gaussian that equals several; None if it underflows."""
  try:
    precision = _precision(event)
    return 1 / math.sqrt(precision) if precision > 0 else math.inf
  except (OverflowError, ZeroDivisionError):
    return None


def _precision(event: dp_accounting.DpEvent) -> float:
  if isinstance(event, dp_accounting.SelfComposedDpEvent):
    return event.count * _precision(event.event)
  if isinstance(event, dp_accounting.ComposedDpEvent):
    return sum(_precision(part) for part in event.events)
  return _clamped(event).noise_multiplier ** -2


def _library_rdp(
  event: dp_accounting.DpEvent,
  relation: dp_accounting.NeighboringRelation,
  orders: np.ndarray,
) -> np.ndarray:
  """RDP from dp-accounting; inf where its arithmetic overflows."""
  accountant = rdp.RdpAccountant(orders, neighboring_relation=relation)
  try:
    result = accountant.compose(_clamped(event)).rdp
  except (OverflowError, ZeroDivisionError, FloatingPointError):
    return np.full_like(orders, np.inf)
  return np.maximum(np.where(np.isnan(result), np.inf, result), 0.0)


def _clamped(event: dp_accounting.DpEvent) -> dp_accounting.DpEvent:
  return events_lib.with_noise(event, lambda z: min(z, _MAX_NOISE_MULTIPLIER))


@functools.lru_cache(maxsize=4096)
def _pld_epsilon(
  items: _Items, delta: float, neighboring_relation: str
) -> float:
  """Epsilon by privacy loss distributions, or by Renyi DP where that is lower.

  The library's fixed grid of 1e-4 takes hours and all memory when epsilon is
  in the thousands, and doubles epsilon when it is near 0.001. Its results are
  upper bounds on every grid, so the grid here follows the scale of epsilon.
  """
  if not items:
    return 0.0
  relation = _RELATIONS[neighboring_relation]
  rdp_accountant = rdp.RdpAccountant(neighboring_relation=relation)
  parts = [(events_lib.from_key(key), count) for key, count in items]
  too_many = any(n * _repeats(event) > _MAX_PLD_COUNT for event, n in parts)
  loss_range = max(_loss_range(event) for event, _ in parts)
  if math.isinf(loss_range):
    return math.inf
  if not all(rdp_accountant.supports(event) for event, _ in parts):
    if too_many:
      return math.inf
    interval = max(_DEFAULT_INTERVAL, loss_range / _GRIDS[-1][1])
    return _pld_on_grid(parts, delta, relation, interval)
  bound = _rdp_epsilon(items, delta, neighboring_relation, "rdp")
  for steps, points in _GRIDS:
    if too_many or not 0 < bound < math.inf:
      break
    # Powers of two, so that close settings share a grid.
    interval = 2.0 ** math.floor(
      math.log2(max(bound / steps, loss_range / points))
    )
    bound = min(bound, _pld_on_grid(parts, delta, relation, interval))
  return bound


def _repeats(event: dp_accounting.DpEvent) -> int:
  """How often the most repeated mechanism of an event happens."""
  if isinstance(event, dp_accounting.ComposedDpEvent):
    return max([_repeats(part) for part in event.events], default=1)
  if isinstance(event, dp_accounting.SelfComposedDpEvent):
    return event.count * _repeats(event.event)
  return 1


def _loss_range(event: dp_accounting.DpEvent) -> float:
  """About the largest privacy loss of one event, tails of 1e-15 cut off."""
  if isinstance(event, dp_accounting.ComposedDpEvent):
    return max([_loss_range(part) for part in event.events], default=0.0)
  if isinstance(event, dp_accounting.SelfComposedDpEvent):
    return _loss_range(event.event)
  if isinstance(event, dp_accounting.PoissonSampledDpEvent):
    if event.sampling_probability == 0:
      return 0.0
    inner = _loss_range(event.event)
    if inner > 700:  # expm1 would overflow.
      return inner
    return math.log1p(event.sampling_probability * math.expm1(inner))
  z = getattr(event, "noise_multiplier", math.inf)
  try:
    return 1 / (2 * z**2) + 8 / z
  except (OverflowError, ZeroDivisionError):
    return 0.0 if z > 1 else math.inf


def _pld_on_grid(
  parts: Iterable[Tuple[dp_accounting.DpEvent, int]],
  delta: float,
  relation: dp_accounting.NeighboringRelation,
  interval: float,
) -> float:
  accountant = pld.PLDAccountant(relation, interval)
  try:
    with np.errstate(all="ignore"):
      for event, count in parts:
        accountant.compose(_clamped(event), count)
      result = float(accountant.get_epsilon(delta))
  except (ArithmeticError, ValueError):
    # A ValueError: denormal numbers turn its own lists upside down.
    return math.inf
  return math.inf if math.isnan(result) else max(result, 0.0)
