"""`dp_accounting.DpEvent`s as checked values that survive a trip through JSON.

An event describes one access to the users' data, as a tree: a sampling or
composition event holds further events, a mechanism (Gaussian, Laplace, tree
aggregation) is a leaf. dp-accounting takes parameters as they come: an integer
noise multiplier inside a sampling event is refused with an unrelated message,
a NaN turns into a NaN epsilon. So every event passes `canonical` first.
"""

import functools
import json
import math
from typing import Any, Callable, Dict, Mapping, Tuple, Type

import dp_accounting

from tff_gen_debug.privacy import validation

# One JSON document nests a few levels; a damaged or hostile one could nest
# enough of them to exhaust the stack.
_MAX_DEPTH = 50


def _probability(name: str, value: Any) -> float:
  result = validation.real(name, value)
  if not 0 <= result <= 1:
    raise ValueError(f"{name} must be in [0, 1], got {value!r}")
  return result


def _steps(name: str, value: Any) -> Any:
  if isinstance(value, (list, tuple)):
    if not value:
      raise ValueError(f"{name} must not be an empty list")
    return [validation.integer(name, step, 1) for step in value]
  return validation.integer(name, value, 1)


def _positive_int(name: str, value: Any) -> int:
  return validation.integer(name, value, 1)


# Every event that can be recorded, with the check of each of its parameters.
# "event" and "events" are checked by recursion.
_PARAMETERS: Dict[
  Type[dp_accounting.DpEvent], Dict[str, Callable[[str, Any], Any]]
] = {
  dp_accounting.NoOpDpEvent: {},
  dp_accounting.NonPrivateDpEvent: {},
  dp_accounting.GaussianDpEvent: {"noise_multiplier": validation.non_negative},
  dp_accounting.LaplaceDpEvent: {"noise_multiplier": validation.non_negative},
  dp_accounting.SingleEpochTreeAggregationDpEvent: {
    "noise_multiplier": validation.non_negative,
    "step_counts": _steps,
  },
  dp_accounting.PoissonSampledDpEvent: {"sampling_probability": _probability},
  dp_accounting.SampledWithoutReplacementDpEvent: {
    "source_dataset_size": _positive_int,
    "sample_size": _positive_int,
  },
  dp_accounting.SelfComposedDpEvent: {"count": _positive_int},
  dp_accounting.ComposedDpEvent: {},
}
_HAS_INNER_EVENT = (
  dp_accounting.PoissonSampledDpEvent,
  dp_accounting.SampledWithoutReplacementDpEvent,
  dp_accounting.SelfComposedDpEvent,
)
_BY_NAME = {event_type.__name__: event_type for event_type in _PARAMETERS}


def canonical(event: dp_accounting.DpEvent) -> dp_accounting.DpEvent:
  """Checks an event and converts its parameters to plain Python numbers.

  Args:
    event: A tree of the events that `PrivacyLedger` can record.

  Returns:
    An equal event whose noise multipliers are floats and whose counts are ints.

  Raises:
    TypeError: `event` is not a `DpEvent`, or a parameter has the wrong type.
    ValueError: The event's type is not supported, or a parameter is out of
      range: a negative or non-finite noise multiplier, a probability outside
      [0, 1], a sample larger than its data set, a count below 1.
  """
  return _canonical(event, 0)


def _canonical(event: Any, depth: int) -> dp_accounting.DpEvent:
  if not isinstance(event, dp_accounting.DpEvent):
    raise TypeError(
      f"event must be a dp_accounting.DpEvent, got {validation.shown(event)}"
    )
  event_type = type(event)
  if event_type not in _PARAMETERS:
    raise ValueError(
      f"event must be one of {', '.join(sorted(_BY_NAME))}, got"
      f" {event_type.__name__}"
    )
  if depth > _MAX_DEPTH:
    raise ValueError(f"event must nest at most {_MAX_DEPTH} levels deep")
  values = {
    name: check(f"{event_type.__name__}.{name}", getattr(event, name))
    for name, check in _PARAMETERS[event_type].items()
  }
  if isinstance(event, _HAS_INNER_EVENT):
    values["event"] = _canonical(event.event, depth + 1)
  if isinstance(event, dp_accounting.ComposedDpEvent):
    if not isinstance(event.events, (list, tuple)):
      raise TypeError(
        "ComposedDpEvent.events must be a list, got"
        f" {validation.shown(event.events)}"
      )
    values["events"] = [_canonical(e, depth + 1) for e in event.events]
  if isinstance(event, dp_accounting.SampledWithoutReplacementDpEvent):
    if values["sample_size"] > values["source_dataset_size"]:
      raise ValueError(
        "SampledWithoutReplacementDpEvent.sample_size must be at most"
        f" source_dataset_size, got {values['sample_size']} of"
        f" {values['source_dataset_size']}"
      )
  return event_type(**values)


def to_dict(event: dp_accounting.DpEvent) -> Dict[str, Any]:
  """Returns the event as a tree of JSON-ready dictionaries.

  Args:
    event: See `canonical`, whose errors this function shares.
  """
  return _to_dict(canonical(event))


def _to_dict(event: dp_accounting.DpEvent) -> Dict[str, Any]:
  result: Dict[str, Any] = {"type": type(event).__name__}
  for name in _PARAMETERS[type(event)]:
    result[name] = getattr(event, name)
  if isinstance(event, _HAS_INNER_EVENT):
    result["event"] = _to_dict(event.event)
  if isinstance(event, dp_accounting.ComposedDpEvent):
    result["events"] = [_to_dict(e) for e in event.events]
  return result


def from_dict(data: Mapping[str, Any]) -> dp_accounting.DpEvent:
  """Rebuilds the event that `to_dict` wrote.

  Args:
    data: A dictionary as `to_dict` returns it.

  Returns:
    The event, checked as `canonical` does.

  Raises:
    ValueError: The type of an event is unknown, a parameter is missing,
      unknown, of the wrong type or out of range.
  """
  try:
    return _canonical(_from_dict(data, 0), 0)
  except TypeError as error:
    raise ValueError(str(error)) from error


def _from_dict(data: Any, depth: int) -> dp_accounting.DpEvent:
  if not isinstance(data, Mapping):
    raise ValueError(
      f"event must be a JSON object, got {validation.shown(data)}"
    )
  if depth > _MAX_DEPTH:
    raise ValueError(f"event must nest at most {_MAX_DEPTH} levels deep")
  name = data.get("type")
  if not isinstance(name, str) or name not in _BY_NAME:
    raise ValueError(
      f"event type must be one of {', '.join(sorted(_BY_NAME))}, got"
      f" {validation.shown(name)}"
    )
  event_type = _BY_NAME[name]
  expected = {"type", *_PARAMETERS[event_type]}
  if issubclass(event_type, _HAS_INNER_EVENT):
    expected.add("event")
  if event_type is dp_accounting.ComposedDpEvent:
    expected.add("events")
  if set(data) != expected:
    raise ValueError(
      f"{name} must have the fields {sorted(expected)}, got"
      f" {validation.shown(sorted(data))}"
    )
  values = {key: value for key, value in data.items() if key != "type"}
  if "event" in values:
    values["event"] = _from_dict(values["event"], depth + 1)
  if "events" in values:
    if not isinstance(values["events"], list):
      raise ValueError(f"{name}.events must be a list")
    values["events"] = [_from_dict(e, depth + 1) for e in values["events"]]
  return event_type(**values)


def to_key(event: dp_accounting.DpEvent) -> str:
  """Returns one string for all equal events; a composed event has no hash."""
  return json.dumps(_to_dict(event), sort_keys=True, separators=(",", ":"))


@functools.lru_cache(maxsize=4096)
def from_key(key: str) -> dp_accounting.DpEvent:
  """Returns the event of a key that `to_key` made."""
  return from_dict(json.loads(key))


def is_unbounded(event: dp_accounting.DpEvent) -> bool:
  """Whether a canonical event gives no (epsilon, delta) guarantee at all.

  True for a non-private release and for a mechanism without noise, unless it
  only ever sees a sample that is empty by construction.
  """
  if isinstance(event, dp_accounting.NonPrivateDpEvent):
    return True
  if isinstance(event, dp_accounting.PoissonSampledDpEvent):
    return event.sampling_probability > 0 and is_unbounded(event.event)
  if isinstance(event, _HAS_INNER_EVENT):
    return is_unbounded(event.event)
  if isinstance(event, dp_accounting.ComposedDpEvent):
    return any(is_unbounded(e) for e in event.events)
  noise_multiplier = getattr(event, "noise_multiplier", math.inf)
  return noise_multiplier == 0


def with_noise(
  event: dp_accounting.DpEvent, change: Callable[[float], float]
) -> dp_accounting.DpEvent:
  """Applies `change` to every noise multiplier in a canonical event."""
  values = {name: getattr(event, name) for name in _PARAMETERS[type(event)]}
  if "noise_multiplier" in values:
    values["noise_multiplier"] = change(values["noise_multiplier"])
  if isinstance(event, _HAS_INNER_EVENT):
    values["event"] = with_noise(event.event, change)
  if isinstance(event, dp_accounting.ComposedDpEvent):
    values["events"] = [with_noise(e, change) for e in event.events]
  return type(event)(**values)


def flattened(
  event: dp_accounting.DpEvent, count: int
) -> Tuple[dp_accounting.DpEvent, int]:
  """Folds outer self-compositions of a canonical event into the count."""
  while isinstance(event, dp_accounting.SelfComposedDpEvent):
    event, count = event.event, count * event.count
  return event, count
