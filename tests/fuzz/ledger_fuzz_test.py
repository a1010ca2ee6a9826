"""Ledgers from JSON that lies.

What is accepted has a valid epsilon; all else is a named error.
"""

import json

import dp_accounting
import hypothesis
from hypothesis import strategies as st
import pytest

from tff_gen_debug import privacy

_SETTINGS = hypothesis.settings(
  deadline=None, derandomize=True, max_examples=80, database=None
)
_FEW = hypothesis.settings(_SETTINGS, max_examples=40)

_noise = st.one_of(
  st.sampled_from([0.0, 5e-324, 1e-300, 1e-3, 1e15, 1.7e308]),
  st.floats(1e-2, 1e3),
)
_counts = st.one_of(st.integers(1, 5000), st.sampled_from([2**53 + 1, 10**300]))
_gaussians = st.builds(dp_accounting.GaussianDpEvent, _noise)


def _events(relation):
  """Trees of events that an RDP accountant knows under the relation."""
  leaves = [_gaussians, st.just(dp_accounting.NoOpDpEvent())]
  if relation == "add_or_remove_one":
    probabilities = st.one_of(st.floats(0, 1), st.just(5e-324))
    leaves.append(
      st.builds(dp_accounting.PoissonSampledDpEvent, probabilities, _gaussians)
    )
  elif relation == "replace_one":
    sizes = st.integers(1, 10**6).flatmap(
      lambda n: st.tuples(st.just(n), st.integers(1, n))
    )
    leaves.append(
      st.builds(
        lambda size, event: dp_accounting.SampledWithoutReplacementDpEvent(
          *size, event
        ),
        sizes,
        _gaussians,
      )
    )
  else:
    leaves.append(
      st.builds(
        dp_accounting.SingleEpochTreeAggregationDpEvent,
        _noise,
        st.lists(st.integers(1, 10**6), min_size=1, max_size=3),
      )
    )
  return st.recursive(
    st.one_of(leaves),
    lambda inner: st.one_of(
      st.builds(dp_accounting.SelfComposedDpEvent, inner, _counts),
      st.builds(
        dp_accounting.ComposedDpEvent, st.lists(inner, min_size=1, max_size=3)
      ),
    ),
    max_leaves=4,
  )


@st.composite
def _ledgers(draw):
  relation = draw(
    st.sampled_from(["add_or_remove_one", "replace_one", "replace_special"])
  )
  ledger = privacy.PrivacyLedger(
    draw(st.sampled_from([5e-324, 1e-9, 1e-5, 0.5, 1 - 1e-16])),
    neighboring_relation=relation,
    accountant=draw(st.sampled_from(["rdp", "rdp_classic"])),
  )
  for event in draw(st.lists(_events(relation), max_size=4)):
    try:
      ledger.record(event, draw(_counts))
    except ValueError as error:
      # Counts multiply in compositions and add up from event to event.
      assert "count must be at most 1e300" in str(error)
  return ledger


@_SETTINGS
@hypothesis.given(_ledgers())
def test_ledgers_survive_json_and_never_cost_less_than_before(ledger):
  again = privacy.PrivacyLedger.from_json(ledger.to_json())
  assert again == ledger
  assert again.events == ledger.events
  assert again.to_json() == ledger.to_json()
  spent = again.epsilon()
  assert spent == ledger.epsilon()
  # Not NaN, not negative; inf is an honest answer.
  assert spent >= 0
  again.record(dp_accounting.GaussianDpEvent(3.0), 2)
  assert again.epsilon() >= spent


def _document():
  ledger = privacy.PrivacyLedger(1e-6)
  event = dp_accounting.PoissonSampledDpEvent(
    0.01, dp_accounting.GaussianDpEvent(1.0)
  )
  ledger.record(event, 3)
  ledger.record(dp_accounting.SelfComposedDpEvent(event, 2), 5)
  ledger.record(dp_accounting.ComposedDpEvent([event.event]), 1)
  return ledger.to_json()


def _paths(value, path=()):
  """The path to each value in a JSON document."""
  yield path
  if isinstance(value, dict):
    items = list(value.items())
  else:
    items = list(enumerate(value)) if isinstance(value, list) else []
  for key, inner in items:
    yield from _paths(inner, (*path, key))


_PATHS = [path for path in _paths(json.loads(_document())) if path]
_HOSTILE = st.one_of(
  st.none(),
  st.booleans(),
  st.floats(),
  st.integers(),
  st.sampled_from([10**301, -(10**400), 2**70, 1.5, -0.0, "1", "NaN", ""]),
  st.text(max_size=5),
  st.lists(st.integers(), max_size=2),
  st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


def _read(text):
  """The ledger, or None after a named error."""
  try:
    return privacy.PrivacyLedger.from_json(text)
  except ValueError as error:
    message = str(error)
    assert message.startswith(
      ("text is not", "version must be", "a ledger must have the fields")
    ), message
    assert len(message) < 1000
    return None


@_SETTINGS
@hypothesis.given(st.sampled_from(_PATHS), _HOSTILE)
def test_a_replaced_value_is_named_or_valid(path, value):
  document = json.loads(_document())
  target = document
  for key in path[:-1]:
    target = target[key]
  old, target[path[-1]] = target[path[-1]], value
  ledger = _read(json.dumps(document))
  if ledger is not None:
    # Equal, another number, or a list of events that is empty.
    assert type(value) in (int, float) or value in (old, [])
    assert not isinstance(value, bool)
    assert ledger.epsilon() >= 0
    again = privacy.PrivacyLedger.from_json(ledger.to_json())
    assert again == ledger


@_SETTINGS
@hypothesis.given(st.sampled_from(_PATHS), st.booleans(), st.text(max_size=9))
def test_fields_that_are_missing_or_too_many_are_refused(path, more, name):
  document = json.loads(_document())
  target = document
  for key in path[:-1]:
    target = target[key]
  if isinstance(target, list):
    target.append(name)
  elif more:
    hypothesis.assume(name not in target)
    target[name] = 1
  else:
    del target[path[-1]]
  assert _read(json.dumps(document)) is None


@pytest.mark.parametrize(
  ("field", "lie"),
  [('"delta": 1e-06', '"delta": 0.5'), ('"count": 13', '"count": 1')],
)
@pytest.mark.parametrize("lie_first", [True, False])
def test_a_field_that_comes_twice_is_refused(field, lie, lie_first):
  both = f"{lie}, {field}" if lie_first else f"{field}, {lie}"
  text = _document().replace(field, both, 1)
  name = field.split('"')[1]
  with pytest.raises(ValueError, match=f"the field '{name}' occurs twice"):
    privacy.PrivacyLedger.from_json(text)


@_SETTINGS
@hypothesis.given(st.integers(0, len(_document()) - 1))
def test_half_a_ledger_is_refused(length):
  assert _read(_document()[:length]) is None


@_SETTINGS
@hypothesis.given(
  st.integers(0, len(_document()) - 1), st.integers(1, 255), st.booleans()
)
def test_changed_bytes_are_named_or_valid(position, change, as_bytes):
  data = bytearray(_document().encode())
  data[position] ^= change
  ledger = _read(
    bytes(data) if as_bytes else data.decode("utf-8", "surrogateescape")
  )
  if ledger is not None:
    assert ledger.epsilon() >= 0


@_FEW
@hypothesis.given(
  st.integers(1, 3000),
  st.sampled_from(["[", '{"a":', '{"type":"SelfComposedDpEvent","event":']),
)
def test_deep_nesting_is_refused(depth, opening):
  closing = "]" if opening == "[" else "}"
  inner = opening * depth + "1" + closing * depth
  for outer in ('"events": [%s]', '"events": [{"count": 1, "event": %s}]'):
    text = privacy.PrivacyLedger(1e-6).to_json()
    assert _read(text.replace('"events": []', outer % inner)) is None


@pytest.mark.parametrize("text", [None, 3, [], {}, "", "null", b"\xff", "\0"])
def test_what_is_no_json_is_refused(text):
  assert _read(text) is None
