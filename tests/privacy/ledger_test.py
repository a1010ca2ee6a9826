import json
import math
import time

import dp_accounting
import pytest

from tests.privacy import closed_forms
from tff_gen_debug.privacy import ledger as ledger_lib

_ROUND = dp_accounting.PoissonSampledDpEvent(
  0.01, dp_accounting.GaussianDpEvent(1.0)
)
_HISTOGRAM = dp_accounting.GaussianDpEvent(8.0)


def _ledger(**kwargs):
  return ledger_lib.PrivacyLedger(1e-6, **kwargs)


def test_empty_ledger_has_spent_nothing():
  ledger = _ledger()
  assert ledger.epsilon() == 0
  assert ledger.events == ()


@pytest.mark.parametrize("accountant", ["rdp", "pld"])
def test_mixture_matches_library(accountant):
  """Poisson rounds and one unsampled histogram, in any order."""
  if accountant == "rdp":
    library = dp_accounting.rdp.RdpAccountant()
  else:
    library = dp_accounting.pld.PLDAccountant()
  library.compose(_ROUND, 500).compose(_HISTOGRAM)
  ledger = _ledger(accountant=accountant)
  ledger.record(_ROUND, 200)
  ledger.record(_HISTOGRAM)
  ledger.record(_ROUND, 300)
  assert ledger.epsilon() == pytest.approx(library.get_epsilon(1e-6), rel=1e-3)


def test_gaussians_match_exact_formula():
  # 12 / 4^2 + 1 / 2^2 = 1.
  ledger = _ledger(accountant="pld", neighboring_relation="replace_one")
  for _ in range(12):
    ledger.record(dp_accounting.GaussianDpEvent(4))
  ledger.record(dp_accounting.GaussianDpEvent(2))
  exact = closed_forms.epsilon_of(
    lambda e: closed_forms.gaussian_delta(e, 1.0), 1e-6
  )
  assert exact <= ledger.epsilon() <= exact * 1.002


def test_epsilon_with_does_not_record():
  ledger = _ledger()
  ledger.record(_HISTOGRAM)
  before = ledger.epsilon()
  ahead = ledger.epsilon_with(_ROUND, 10)
  assert ledger.epsilon() == before < ahead
  assert ledger.events == ((_HISTOGRAM, 1),)
  ledger.record(_ROUND, 10)
  assert ledger.epsilon() == ahead


def test_equal_consecutive_events_are_merged():
  ledger = _ledger()
  for _ in range(1000):
    ledger.record(_ROUND)
  ledger.record(dp_accounting.SelfComposedDpEvent(_ROUND, 5), 2)
  ledger.record(_HISTOGRAM)
  ledger.record(_ROUND)
  assert ledger.events == ((_ROUND, 1010), (_HISTOGRAM, 1), (_ROUND, 1))
  assert len(ledger.to_json()) < 1000


def test_integer_noise_is_the_same_event():
  ledger = _ledger()
  ledger.record(dp_accounting.GaussianDpEvent(8))
  ledger.record(_HISTOGRAM)
  assert ledger.events == ((_HISTOGRAM, 2),)


def test_asking_every_round_is_fast():
  ledger = _ledger()
  ledger.record(_ROUND)
  ledger.epsilon()
  start = time.process_time()
  for _ in range(300):
    ledger.record(_ROUND)
    ledger.epsilon()
  assert time.process_time() - start < 3


@pytest.mark.parametrize("accountant", ["rdp", "rdp_classic"])
def test_remaining_is_the_last_count_that_fits(accountant):
  ledger = _ledger(accountant=accountant)
  ledger.record(_HISTOGRAM)
  left = ledger.remaining(2.0, _ROUND)
  assert left > 100
  assert ledger.epsilon_with(_ROUND, left) <= 2.0
  assert ledger.epsilon_with(_ROUND, left + 1) > 2.0
  ledger.record(_ROUND, left)
  assert ledger.remaining(2.0, _ROUND) == 0
  # The event recorded last is the default.
  assert ledger.remaining(2.0) == 0


def test_remaining_of_pure_gaussians_matches_exact_formula():
  ledger = _ledger(accountant="pld")
  event = dp_accounting.GaussianDpEvent(20.0)
  left = ledger.remaining(1.0, event)

  def exact(rounds):
    return closed_forms.gaussian_delta(1.0, 20.0, rounds)

  # The accountant is an upper bound, so it may stop a round early.
  assert exact(left) <= 1e-6 < exact(left + 2)


def test_remaining_edges():
  ledger = _ledger()
  with pytest.raises(ValueError, match="event must be given"):
    ledger.remaining(1.0)
  assert ledger.remaining(0.0, _ROUND) == 0
  assert ledger.remaining(1.0, dp_accounting.NonPrivateDpEvent()) == 0
  with pytest.raises(ValueError, match="must cost something"):
    ledger.remaining(1.0, dp_accounting.NoOpDpEvent())
  with pytest.raises(ValueError, match="target_epsilon must be at least 0"):
    ledger.remaining(-1.0, _ROUND)
  with pytest.raises(ValueError, match="target_epsilon must be finite"):
    ledger.remaining(math.nan, _ROUND)


def test_non_private_release_ends_the_guarantee():
  ledger = _ledger()
  ledger.record(_ROUND)
  ledger.record(dp_accounting.NonPrivateDpEvent())
  assert ledger.epsilon() == math.inf
  again = ledger_lib.PrivacyLedger.from_json(ledger.to_json())
  assert again.epsilon() == math.inf


@pytest.mark.parametrize(
  ("relation", "accountant", "events"),
  [
    ("add_or_remove_one", "rdp", [(_ROUND, 7), (_HISTOGRAM, 1), (_ROUND, 2)]),
    ("add_or_remove_one", "pld", [(dp_accounting.LaplaceDpEvent(3.0), 4)]),
    (
      "replace_one",
      "rdp_classic",
      [(dp_accounting.SampledWithoutReplacementDpEvent(9, 3, _HISTOGRAM), 5)],
    ),
    (
      "replace_special",
      "rdp",
      [
        (dp_accounting.SingleEpochTreeAggregationDpEvent(4.0, [8, 9]), 2),
        (dp_accounting.ComposedDpEvent([_HISTOGRAM, _HISTOGRAM]), 3),
        (dp_accounting.NoOpDpEvent(), 1),
      ],
    ),
    ("replace_one", "rdp", []),
  ],
)
def test_json_round_trip(relation, accountant, events):
  ledger = ledger_lib.PrivacyLedger(
    1e-5, neighboring_relation=relation, accountant=accountant
  )
  for event, count in events:
    ledger.record(event, count)
  again = ledger_lib.PrivacyLedger.from_json(ledger.to_json())
  assert again == ledger
  assert again.events == tuple(events)
  assert again.delta == 1e-5
  assert again.neighboring_relation == relation
  assert again.accountant == accountant
  assert again.epsilon() == ledger.epsilon()
  # A resumed run goes on as the interrupted one would have.
  for each in (ledger, again):
    each.record(_HISTOGRAM)
  assert again == ledger


def _damaged(**changes):
  ledger = _ledger()
  ledger.record(_ROUND, 3)
  document = json.loads(ledger.to_json())
  document.update(changes)
  return json.dumps({k: v for k, v in document.items() if v != "absent"})


def _entry(count=1, **event):
  return [{"count": count, "event": event}]


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("", "not JSON"),
    ('{"format": "tff_gen_deb', "not JSON"),
    ("[1, 2]", "not a ledger"),
    ("[" * 100_000, "not JSON"),
    (_damaged(format="something else"), "not a ledger"),
    (_damaged(version=2), "version must be 1, got 2"),
    (_damaged(version="absent"), "version must be 1, got None"),
    (_damaged(version=True), "version must be 1, got True"),
    (_damaged(more=1), "must have the fields"),
    (_damaged(events="absent"), "must have the fields"),
    (_damaged(delta=0), r"delta must be in \(0, 1\), got 0"),
    (_damaged(delta=math.nan), "delta must be finite"),
    (_damaged(delta="1e-6"), "delta must be a real number"),
    (_damaged(neighboring_relation="swap"), "got 'swap'"),
    (_damaged(accountant="zcdp"), "got 'zcdp'"),
    (_damaged(events={}), "events must be a list"),
    (_damaged(events=[3]), "entry must have"),
    (_damaged(events=[{"count": 1}]), "entry must have"),
    (_damaged(events=_entry(-1, type="NoOpDpEvent")), "count must be at least"),
    (_damaged(events=_entry(0, type="NoOpDpEvent")), "count must be at least"),
    (_damaged(events=_entry(1.5, type="NoOpDpEvent")), "must be an integer"),
    (_damaged(events=_entry(True, type="NoOpDpEvent")), "must be an integer"),
    (_damaged(events=_entry(type="MagicDpEvent")), "got 'MagicDpEvent'"),
    (
      _damaged(events=_entry(type="GaussianDpEvent", noise_multiplier=-1)),
      "noise_multiplier must be at least 0",
    ),
    (
      _damaged(neighboring_relation="replace_one"),
      "Poisson sampling is proved for 'add_or_remove_one'",
    ),
  ],
)
def test_from_json_rejects(text, message):
  with pytest.raises(ValueError, match=message):
    ledger_lib.PrivacyLedger.from_json(text)


@pytest.mark.parametrize(
  ("event", "count", "error", "message"),
  [
    (_ROUND, 0, ValueError, "count must be at least 1, got 0"),
    (_ROUND, -2, ValueError, "count must be at least 1, got -2"),
    (_ROUND, 1.0, TypeError, "count must be an integer"),
    (_ROUND, True, TypeError, "count must be an integer"),
    ("round", 1, TypeError, "event must be a dp_accounting.DpEvent"),
    (dp_accounting.UnsupportedDpEvent(), 1, ValueError, "event must be one of"),
    (dp_accounting.GaussianDpEvent(-1.0), 1, ValueError, "at least 0"),
    (
      dp_accounting.SampledWithoutReplacementDpEvent(9, 3, _HISTOGRAM),
      1,
      ValueError,
      "proved for 'replace_one'",
    ),
  ],
)
def test_refused_events_leave_no_trace(event, count, error, message):
  ledger = _ledger()
  ledger.record(_ROUND)
  for use in (ledger.record, ledger.epsilon_with):
    with pytest.raises(error, match=message):
      use(event, count)
  assert ledger.events == ((_ROUND, 1),)


@pytest.mark.parametrize("delta", [0, 1, -1e-6, math.nan, math.inf])
def test_constructor_rejects_delta(delta):
  with pytest.raises(ValueError, match="delta must be"):
    ledger_lib.PrivacyLedger(delta)


def test_events_cannot_be_changed_from_outside():
  ledger = _ledger()
  event = dp_accounting.ComposedDpEvent([_HISTOGRAM])
  ledger.record(event)
  spent = ledger.epsilon()
  event.events.append(dp_accounting.NonPrivateDpEvent())
  assert ledger.epsilon() == spent
