import json
import math

import dp_accounting
import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from tff_gen_debug.privacy import events

_GAUSSIAN = dp_accounting.GaussianDpEvent(1.5)
_ALL = [
  (dp_accounting.NoOpDpEvent(), {"type": "NoOpDpEvent"}),
  (dp_accounting.NonPrivateDpEvent(), {"type": "NonPrivateDpEvent"}),
  (_GAUSSIAN, {"type": "GaussianDpEvent", "noise_multiplier": 1.5}),
  (
    dp_accounting.LaplaceDpEvent(2.0),
    {"type": "LaplaceDpEvent", "noise_multiplier": 2.0},
  ),
  (
    dp_accounting.SingleEpochTreeAggregationDpEvent(3.0, [4, 5]),
    {
      "type": "SingleEpochTreeAggregationDpEvent",
      "noise_multiplier": 3.0,
      "step_counts": [4, 5],
    },
  ),
  (
    dp_accounting.PoissonSampledDpEvent(0.25, _GAUSSIAN),
    {
      "type": "PoissonSampledDpEvent",
      "sampling_probability": 0.25,
      "event": {"type": "GaussianDpEvent", "noise_multiplier": 1.5},
    },
  ),
  (
    dp_accounting.SampledWithoutReplacementDpEvent(100, 7, _GAUSSIAN),
    {
      "type": "SampledWithoutReplacementDpEvent",
      "source_dataset_size": 100,
      "sample_size": 7,
      "event": {"type": "GaussianDpEvent", "noise_multiplier": 1.5},
    },
  ),
  (
    dp_accounting.SelfComposedDpEvent(_GAUSSIAN, 9),
    {
      "type": "SelfComposedDpEvent",
      "count": 9,
      "event": {"type": "GaussianDpEvent", "noise_multiplier": 1.5},
    },
  ),
  (
    dp_accounting.ComposedDpEvent([_GAUSSIAN, dp_accounting.NoOpDpEvent()]),
    {
      "type": "ComposedDpEvent",
      "events": [
        {"type": "GaussianDpEvent", "noise_multiplier": 1.5},
        {"type": "NoOpDpEvent"},
      ],
    },
  ),
]


@pytest.mark.parametrize(("event", "data"), _ALL)
def test_round_trip_through_json(event, data):
  assert events.to_dict(event) == data
  assert events.from_dict(json.loads(json.dumps(data))) == event


_leaves = st.one_of(
  st.just(dp_accounting.NoOpDpEvent()),
  st.builds(
    dp_accounting.GaussianDpEvent, st.floats(0, 1e300, allow_subnormal=True)
  ),
  st.builds(
    dp_accounting.SingleEpochTreeAggregationDpEvent,
    st.floats(0, 10),
    st.one_of(
      st.integers(1, 2**70), st.lists(st.integers(1, 9), min_size=1, max_size=3)
    ),
  ),
)
_trees = st.recursive(
  _leaves,
  lambda inner: st.one_of(
    st.builds(dp_accounting.PoissonSampledDpEvent, st.floats(0, 1), inner),
    st.builds(dp_accounting.SelfComposedDpEvent, inner, st.integers(1, 2**70)),
    st.builds(dp_accounting.ComposedDpEvent, st.lists(inner, max_size=3)),
  ),
  max_leaves=6,
)


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(_trees)
def test_any_tree_survives_json(event):
  text = json.dumps(events.to_dict(event), allow_nan=False)
  assert events.from_dict(json.loads(text)) == event
  assert events.from_key(events.to_key(event)) == event


def test_canonical_converts_numbers():
  event = dp_accounting.PoissonSampledDpEvent(
    np.float32(0.5),
    dp_accounting.SelfComposedDpEvent(
      dp_accounting.GaussianDpEvent(2), np.int64(3)
    ),
  )
  result = events.canonical(event)
  assert result == event
  assert type(result.sampling_probability) is float
  assert type(result.event.count) is int
  assert type(result.event.event.noise_multiplier) is float


@pytest.mark.parametrize(
  ("event", "message"),
  [
    (
      dp_accounting.GaussianDpEvent(-1.0),
      "GaussianDpEvent.noise_multiplier must be at least 0, got -1.0",
    ),
    (
      dp_accounting.GaussianDpEvent(math.nan),
      "GaussianDpEvent.noise_multiplier must be finite, got nan",
    ),
    (
      dp_accounting.LaplaceDpEvent(math.inf),
      "LaplaceDpEvent.noise_multiplier must be finite",
    ),
    (
      dp_accounting.PoissonSampledDpEvent(1.5, _GAUSSIAN),
      r"sampling_probability must be in \[0, 1\], got 1.5",
    ),
    (
      dp_accounting.SampledWithoutReplacementDpEvent(5, 6, _GAUSSIAN),
      "sample_size must be at most source_dataset_size, got 6 of 5",
    ),
    (
      dp_accounting.SelfComposedDpEvent(_GAUSSIAN, 0),
      "SelfComposedDpEvent.count must be at least 1, got 0",
    ),
    (
      dp_accounting.SingleEpochTreeAggregationDpEvent(1.0, []),
      "step_counts must not be an empty list",
    ),
    (
      dp_accounting.SingleEpochTreeAggregationDpEvent(1.0, [3, -1]),
      "step_counts must be at least 1, got -1",
    ),
    (
      dp_accounting.ComposedDpEvent([dp_accounting.UnsupportedDpEvent()]),
      "event must be one of .*, got UnsupportedDpEvent",
    ),
  ],
)
def test_canonical_rejects_values(event, message):
  with pytest.raises(ValueError, match=message):
    events.canonical(event)


@pytest.mark.parametrize(
  "event",
  [
    "GaussianDpEvent",
    None,
    dp_accounting.GaussianDpEvent("1"),
    dp_accounting.GaussianDpEvent(True),
    dp_accounting.GaussianDpEvent(None),
    dp_accounting.SelfComposedDpEvent(_GAUSSIAN, 2.0),
    dp_accounting.PoissonSampledDpEvent(0.1, 1.0),
    dp_accounting.ComposedDpEvent(_GAUSSIAN),
  ],
)
def test_canonical_rejects_types(event):
  with pytest.raises(TypeError):
    events.canonical(event)


@pytest.mark.parametrize(
  ("data", "message"),
  [
    ([], "event must be a JSON object"),
    ({}, "event type must be one of .*, got None"),
    ({"type": ["GaussianDpEvent"]}, "event type must be one of"),
    ({"type": "DpEvent"}, "got 'DpEvent'"),
    ({"type": "GaussianDpEvent"}, "must have the fields"),
    (
      {"type": "NoOpDpEvent", "noise_multiplier": 1.0},
      r"must have the fields \['type'\]",
    ),
    (
      {"type": "GaussianDpEvent", "noise_multiplier": "1"},
      "must be a real number",
    ),
    (
      {"type": "GaussianDpEvent", "noise_multiplier": math.nan},
      "must be finite",
    ),
    (
      {"type": "SelfComposedDpEvent", "count": 1.5, "event": {}},
      "event type must be one of",
    ),
    ({"type": "ComposedDpEvent", "events": {}}, "events must be a list"),
  ],
)
def test_from_dict_rejects(data, message):
  with pytest.raises(ValueError, match=message):
    events.from_dict(data)


def test_depth_is_bounded():
  event = _GAUSSIAN
  data = {"type": "GaussianDpEvent", "noise_multiplier": 1.5}
  for _ in range(60):
    event = dp_accounting.SelfComposedDpEvent(event, 1)
    data = {"type": "SelfComposedDpEvent", "count": 1, "event": data}
  with pytest.raises(ValueError, match="nest at most 50"):
    events.canonical(event)
  with pytest.raises(ValueError, match="nest at most 50"):
    events.from_dict(data)


@pytest.mark.parametrize(
  ("event", "expected"),
  [
    (dp_accounting.NoOpDpEvent(), False),
    (dp_accounting.NonPrivateDpEvent(), True),
    (dp_accounting.GaussianDpEvent(0.0), True),
    (dp_accounting.GaussianDpEvent(1e-300), False),
    (
      dp_accounting.PoissonSampledDpEvent(
        0.0, dp_accounting.NonPrivateDpEvent()
      ),
      False,
    ),
    (
      dp_accounting.PoissonSampledDpEvent(
        0.1, dp_accounting.NonPrivateDpEvent()
      ),
      True,
    ),
    (
      dp_accounting.ComposedDpEvent(
        [_GAUSSIAN, dp_accounting.LaplaceDpEvent(0.0)]
      ),
      True,
    ),
    (dp_accounting.ComposedDpEvent([]), False),
  ],
)
def test_is_unbounded(event, expected):
  assert events.is_unbounded(event) is expected


def test_flattened_multiplies_counts():
  nested = dp_accounting.SelfComposedDpEvent(
    dp_accounting.SelfComposedDpEvent(_GAUSSIAN, 3), 5
  )
  assert events.flattened(nested, 2) == (_GAUSSIAN, 30)
  assert events.flattened(_GAUSSIAN, 2) == (_GAUSSIAN, 2)
