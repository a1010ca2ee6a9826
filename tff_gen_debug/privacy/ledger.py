"""What a run has spent so far: a list of events that outlives the process."""

import collections
import json
from typing import Any, Dict, List, Optional, Tuple

import dp_accounting

from tff_gen_debug.privacy import accounting
from tff_gen_debug.privacy import events as events_lib
from tff_gen_debug.privacy import validation

_FORMAT = "tff_gen_debug.privacy.ledger"
_VERSION = 1
_FIELDS = (
  "format",
  "version",
  "delta",
  "neighboring_relation",
  "accountant",
  "events",
)
# Doubling stops here: no run asks for that many rounds.
_MAX_COUNT = 2**50

_Entry = Tuple[dp_accounting.DpEvent, int]


class PrivacyLedger:
  """Records every access to the users' data and sums up its cost.

  Events of different kinds may be mixed, such as Poisson-sampled rounds and
  one unsampled histogram. Equal consecutive events are stored as one with a
  count, so a ledger of a long run stays small. The ledger belongs in the
  checkpoint: a resumed run must not forget what it has spent.

    ledger = PrivacyLedger(delta=1e-6)
    ledger.record(dp_accounting.GaussianDpEvent(4.0))
    ledger.epsilon()

  Formal guarantees: `epsilon()` holds for the adaptive composition of all
  recorded events, at the ledger's delta and neighbouring relation. Stopping
  when a budget is reached (`remaining`, `epsilon_with`) stays within the
  guarantee if, as in training, the events themselves are fixed in advance;
  noise levels chosen from earlier outputs need a privacy filter (Rogers et
  al., 2016, arXiv 1605.08294).
  """

  def __init__(
    self,
    delta: float,
    *,
    neighboring_relation: str = "add_or_remove_one",
    accountant: str = "rdp",
  ):
    """Initializes an empty ledger.

    Args:
      delta: In (0, 1); at most one over the number of users.
      neighboring_relation: "add_or_remove_one", "replace_one", or
        "replace_special" (a user's data is replaced by nothing while the
        number of users stays; what tree aggregation is proved for).
      accountant: One of `accounting.ACCOUNTANTS`.

    Raises:
      TypeError: An argument has the wrong type.
      ValueError: An argument is out of range.
    """
    self._delta = validation.open_unit("delta", delta)
    self._neighboring_relation = validation.one_of(
      "neighboring_relation",
      neighboring_relation,
      accounting.NEIGHBORING_RELATIONS,
    )
    self._accountant = validation.one_of(
      "accountant", accountant, accounting.ACCOUNTANTS
    )
    self._entries: List[_Entry] = []

  @property
  def delta(self) -> float:
    """The delta at which epsilon is stated."""
    return self._delta

  @property
  def neighboring_relation(self) -> str:
    """The neighbouring relation of every recorded event."""
    return self._neighboring_relation

  @property
  def accountant(self) -> str:
    """The accountant that computes epsilon."""
    return self._accountant

  @property
  def events(self) -> Tuple[_Entry, ...]:
    """The recorded events in order, each with its count."""
    return tuple(self._entries)

  def record(self, event: dp_accounting.DpEvent, count: int = 1) -> None:
    """Adds `count` applications of an event.

    Args:
      event: A `DpEvent` of dp-accounting whose noise multiplier refers to the
        sensitivity under the ledger's neighbouring relation.
      count: At least 1.

    Raises:
      TypeError: An argument has the wrong type.
      ValueError: A parameter is out of range, or the accountant has no theorem
        for the event under the ledger's neighbouring relation; the ledger is
        unchanged.
    """
    event, count = self._checked(event, count)
    if self._entries and self._entries[-1][0] == event:
      total = validation.integer("count", self._entries[-1][1] + count, 1)
      self._entries[-1] = (event, total)
    else:
      self._entries.append((event, count))

  def epsilon(self) -> float:
    """Epsilon of everything recorded so far; `inf` if there is no guarantee."""
    return self._epsilon(self._entries)

  def epsilon_with(self, event: dp_accounting.DpEvent, count: int = 1) -> float:
    """Epsilon if `count` applications of `event` came on top.

    Args:
      event: As for `record`, which this function does not do.
      count: At least 1.

    Raises:
      TypeError: As for `record`.
      ValueError: As for `record`.
    """
    return self._epsilon([*self._entries, self._checked(event, count)])

  def remaining(
    self, target_epsilon: float, event: Optional[dp_accounting.DpEvent] = None
  ) -> int:
    """How many more applications of an event fit into a budget.

    Args:
      target_epsilon: The budget for the whole ledger, at least 0.
      event: The event to repeat; None means the one recorded last.

    Returns:
      The largest count that keeps `epsilon()` at or below the target; 0 if the
      budget is spent. Takes some twenty evaluations of epsilon: milliseconds
      with the Renyi accountants, up to half a minute with "pld".

    Raises:
      TypeError: An argument has the wrong type.
      ValueError: As for `record`; or `event` is None and nothing was recorded;
        or the budget is never spent because the event costs nothing.
    """
    target = validation.non_negative("target_epsilon", target_epsilon)
    if event is None:
      if not self._entries:
        raise ValueError("event must be given, the ledger has recorded nothing")
      event = self._entries[-1][0]
    if self.epsilon() > target or self.epsilon_with(event) > target:
      return 0
    fits, too_many = 1, 2
    while self.epsilon_with(event, too_many) <= target:
      fits, too_many = too_many, too_many * 2
      if too_many > _MAX_COUNT:
        raise ValueError(
          "event must cost something, more than"
          f" {fits} of {event} fit into an epsilon of {target_epsilon!r}"
        )
    while too_many - fits > 1:
      middle = (fits + too_many) // 2
      if self.epsilon_with(event, middle) <= target:
        fits = middle
      else:
        too_many = middle
    return fits

  def to_json(self) -> str:
    """Returns the ledger as a JSON document that `from_json` reads."""
    document = {
      "format": _FORMAT,
      "version": _VERSION,
      "delta": self._delta,
      "neighboring_relation": self._neighboring_relation,
      "accountant": self._accountant,
      "events": [
        {"count": count, "event": events_lib.to_dict(event)}
        for event, count in self._entries
      ],
    }
    return json.dumps(document, allow_nan=False)

  @classmethod
  def from_json(cls, text: str) -> "PrivacyLedger":
    """Rebuilds a ledger from `to_json`.

    Args:
      text: The JSON document.

    Returns:
      An equal ledger.

    Raises:
      ValueError: `text` is not such a document: damaged, of another version,
        or with a count, event or parameter that can't be recorded.
    """
    document = _parsed(text)
    try:
      ledger = cls(
        document["delta"],
        neighboring_relation=document["neighboring_relation"],
        accountant=document["accountant"],
      )
      if not isinstance(document["events"], list):
        raise TypeError(
          f"events must be a list, got {validation.shown(document['events'])}"
        )
      for entry in document["events"]:
        if not isinstance(entry, dict) or set(entry) != {"count", "event"}:
          raise ValueError(
            "entry must have a count and an event, got"
            f" {validation.shown(entry)}"
          )
        ledger.record(events_lib.from_dict(entry["event"]), entry["count"])
    except (RecursionError, TypeError, ValueError) as error:
      raise ValueError(f"text is not a valid ledger: {error}") from error
    return ledger

  def __eq__(self, other: object) -> bool:
    if not isinstance(other, PrivacyLedger):
      return NotImplemented
    return self.to_json() == other.to_json()

  __hash__ = None  # type: ignore[assignment]  # Mutable.

  def __repr__(self) -> str:
    return (
      f"PrivacyLedger(delta={self._delta},"
      f" neighboring_relation={self._neighboring_relation!r},"
      f" accountant={self._accountant!r}, events={self._entries})"
    )

  def _checked(self, event: dp_accounting.DpEvent, count: int) -> _Entry:
    count = validation.integer("count", count, 1)
    event, count = events_lib.flattened(events_lib.canonical(event), count)
    count = validation.integer("count", count, 1)
    accounting.check_supported(
      event,
      accountant=self._accountant,
      neighboring_relation=self._neighboring_relation,
    )
    return event, count

  def _epsilon(self, entries: List[_Entry]) -> float:
    return accounting.epsilon(
      entries,
      delta=self._delta,
      accountant=self._accountant,
      neighboring_relation=self._neighboring_relation,
    )


def _without_repeats(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
  """One object of the document; of a field that comes twice, one lies."""
  result = dict(pairs)
  if len(result) < len(pairs):
    names = collections.Counter(name for name, _ in pairs)
    twice = names.most_common(1)[0][0]
    raise ValueError(f"the field {validation.shown(twice)} occurs twice")
  return result


def _parsed(text: str) -> Dict[str, Any]:
  """Parses the outer document and checks its format and version."""
  try:
    document = json.loads(text, object_pairs_hook=_without_repeats)
  except (TypeError, ValueError, RecursionError) as error:
    raise ValueError(f"text is not JSON: {error}") from error
  if not isinstance(document, dict) or document.get("format") != _FORMAT:
    raise ValueError(f"text is not a ledger: its format must be {_FORMAT!r}")
  version = document.get("version")
  if type(version) is not int or version != _VERSION:
    raise ValueError(
      f"version must be {_VERSION}, got {validation.shown(version)}"
    )
  if set(document) != set(_FIELDS):
    raise ValueError(
      f"a ledger must have the fields {sorted(_FIELDS)}, got"
      f" {validation.shown(sorted(document))}"
    )
  return document
