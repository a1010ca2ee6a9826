"""Tests of the training program: budget, checkpoints, releases, resuming."""

import asyncio
import csv
import os
import signal
import subprocess
import sys
import textwrap
import time

import dp_accounting
import numpy as np
import pytest
import tensorflow_federated as tff

from tests.learning import toy_gan
from tff_gen_debug.privacy import ledger as ledger_lib
from tff_gen_debug.runtime import checkpoints
from tff_gen_debug.runtime import program

pytestmark = pytest.mark.usefixtures("tff_runtime")

_CLIENTS = {
  "a": toy_gan.dataset([1.0, 2.0]),
  "b": toy_gan.dataset([3.0]),
  "c": toy_gan.dataset([-1.0, 0.5, 2.0]),
}
_EVENT = dp_accounting.GaussianDpEvent(4.0)


def _sample(round_num):
  return ["a", "b", "c"][: 1 + round_num % 3]


@pytest.fixture(scope="module")
def process():
  return toy_gan.process()


def _budget(stop_at_epsilon=None, spent=0):
  ledger = ledger_lib.PrivacyLedger(delta=1e-5)
  if spent:
    ledger.record(_EVENT, spent)
  return program.Budget(_EVENT, ledger, stop_at_epsilon)


def _train(process, folder, rounds, **arguments):
  arguments.setdefault("budget", _budget())
  return program.train(
    process,
    sample_clients=_sample,
    client_datasets=_CLIENTS,
    rounds=rounds,
    directory=str(folder),
    show_progress=False,
    **arguments,
  )


def _assert_same_state(one, other):
  weights = [
    np.concatenate([np.ravel(w) for part in state.weights for w in part])
    for state in (one, other)
  ]
  np.testing.assert_array_equal(*weights)
  assert one.round_num == other.round_num


def test_trains_and_spends(process, tmp_path):
  result = _train(process, tmp_path, 3)
  assert (result.rounds, result.stopped_by_budget) == (3, False)
  assert result.state.round_num == 3
  expected = ledger_lib.PrivacyLedger(delta=1e-5)
  expected.record(_EVENT, 3)
  assert result.ledger.epsilon() == expected.epsilon()


def test_a_run_in_parts_equals_an_unbroken_one(process, tmp_path):
  whole = _train(process, tmp_path / "whole", 5, checkpoint_every=2)
  _train(process, tmp_path / "parts", 2, checkpoint_every=2)
  parts = _train(process, tmp_path / "parts", 5, checkpoint_every=2)
  _assert_same_state(whole.state, parts.state)
  assert whole.ledger.to_json() == parts.ledger.to_json()
  again = _train(process, tmp_path / "parts", 5, checkpoint_every=2)
  _assert_same_state(whole.state, again.state)


def _damage_latest(folder):
  latest = max(folder.glob("round_*"), key=lambda path: int(path.name[6:]))
  (data,) = latest.rglob("variables.data*")
  data.write_bytes(data.read_bytes()[:-3])


def test_rounds_that_a_disk_lost_are_paid_twice(process, tmp_path):
  _train(process, tmp_path, 4, checkpoint_every=2)
  _damage_latest(tmp_path)
  again = _train(process, tmp_path, 4, checkpoint_every=2)
  assert again.rounds == 4
  assert again.ledger.to_json() == _budget(spent=4 + 2).ledger.to_json()
  _damage_latest(tmp_path)
  third = _train(process, tmp_path, 6, checkpoint_every=2)
  # Rounds 3 and 4 for the third time, then 5 and 6.
  assert third.ledger.to_json() == _budget(spent=2 + 3 * 2 + 2).ledger.to_json()


def test_what_a_repeat_costs_has_to_be_known(process, tmp_path):
  def budget(repeat_event=None):
    ledger = ledger_lib.PrivacyLedger(delta=1e-5)
    return program.Budget(
      lambda round_num: dp_accounting.NoOpDpEvent() if round_num else _EVENT,
      ledger,
      repeat_event=repeat_event,
    )

  _train(process, tmp_path, 4, checkpoint_every=2, budget=budget())
  _damage_latest(tmp_path)
  with pytest.raises(checkpoints.CheckpointError, match="no repeat_event"):
    _train(process, tmp_path, 4, checkpoint_every=2, budget=budget())
  again = _train(
    process, tmp_path, 4, checkpoint_every=2, budget=budget(lambda _: _EVENT)
  )
  expected = _budget(spent=1 + 2).ledger.epsilon()
  assert again.ledger.epsilon() == pytest.approx(expected, rel=1e-9)


class _InterruptionError(Exception):
  pass


def test_rounds_after_the_last_checkpoint_are_not_released(process, tmp_path):
  path = tmp_path / "metrics.csv"

  def sample(round_num):
    if round_num == 5:
      raise _InterruptionError()
    return _sample(round_num)

  def train(sample_clients):
    return program.train(
      process,
      sample_clients=sample_clients,
      client_datasets=_CLIENTS,
      rounds=6,
      budget=_budget(),
      directory=str(tmp_path / "run"),
      checkpoint_every=2,
      release_managers=[
        tff.program.CSVFileReleaseManager(str(path), key_fieldname="round")
      ],
      show_progress=False,
    )

  def rounds():
    with open(path, encoding="utf-8") as file:
      return [int(row["round"]) for row in csv.DictReader(file)]

  with pytest.raises(_InterruptionError):
    train(sample)
  # Round 5 was run, but no checkpoint holds it.
  assert rounds() == [1, 2, 3, 4]
  resumed = train(_sample)
  assert rounds() == [1, 2, 3, 4, 5, 6]
  _assert_same_state(
    resumed.state, _train(process, tmp_path / "whole", 6).state
  )


def test_stops_before_the_budget_is_exceeded(process, tmp_path):
  ledger = ledger_lib.PrivacyLedger(delta=1e-5)
  ledger.record(_EVENT, 5)
  limit = ledger.epsilon() + 1e-9  # Exactly two rounds after the three.
  result = _train(process, tmp_path, 9, budget=_budget(limit, spent=3))
  assert (result.rounds, result.stopped_by_budget) == (2, True)
  assert result.ledger.epsilon() <= limit
  again = _train(process, tmp_path, 9, budget=_budget(limit, spent=3))
  assert (again.rounds, again.stopped_by_budget) == (2, True)
  assert again.ledger.to_json() == result.ledger.to_json()


def _event_of(round_num):
  """Two rounds are paid for by the first of them."""
  return _EVENT if round_num % 2 == 0 else dp_accounting.NoOpDpEvent()


def test_charges_each_round_its_own_event(process, tmp_path):
  budget = program.Budget(_event_of, ledger_lib.PrivacyLedger(delta=1e-5))
  _train(process, tmp_path, 3, budget=budget)
  resumed = _train(process, tmp_path, 5, budget=budget)
  nothing = dp_accounting.NoOpDpEvent()
  assert resumed.ledger.events == (
    (_EVENT, 1),
    (nothing, 1),
    (_EVENT, 1),
    (nothing, 1),
    (_EVENT, 1),
  )


def test_stops_before_the_round_that_pays_for_too_many(process, tmp_path):
  spent = ledger_lib.PrivacyLedger(delta=1e-5)
  spent.record(_EVENT, 2)
  budget = program.Budget(
    _event_of, ledger_lib.PrivacyLedger(delta=1e-5), spent.epsilon()
  )
  result = _train(process, tmp_path, 9, budget=budget)
  # Rounds 0 and 2 pay for four; round 4 would be the third to be paid for.
  assert (result.rounds, result.stopped_by_budget) == (4, True)
  assert result.ledger.epsilon() == spent.epsilon()


def test_a_budget_that_allows_no_round_runs_none(process, tmp_path):
  result = _train(process, tmp_path, 3, budget=_budget(1e-6))
  assert (result.rounds, result.stopped_by_budget) == (0, True)
  assert result.state.round_num == 0


def test_the_callers_ledger_is_left_alone(process, tmp_path):
  budget = _budget()
  before = budget.ledger.to_json()
  _train(process, tmp_path, 2, budget=budget)
  assert budget.ledger.to_json() == before


def test_on_checkpoint_sees_every_checkpoint(process, tmp_path):
  seen = []

  def note(state, done):
    assert state.round_num == done
    seen.append(done)

  _train(process, tmp_path, 5, checkpoint_every=2, on_checkpoint=note)
  assert seen == [0, 2, 4, 5]
  _train(process, tmp_path, 7, checkpoint_every=2, on_checkpoint=note)
  assert seen[4:] == [5, 6, 7]


def test_a_half_written_checkpoint_is_not_read(process, tmp_path):
  result = _train(process, tmp_path, 2)
  # What a kill in the middle of writing round 3 leaves.
  (tmp_path / "round_3_temp1234").mkdir()
  (tmp_path / "round_3_temp1234" / "saved_model.pb").write_bytes(b"half")
  resumed = _train(process, tmp_path, 2)
  _assert_same_state(result.state, resumed.state)


def test_works_where_an_event_loop_runs(process, tmp_path):
  async def notebook_cell():
    return _train(process, tmp_path, 1)

  assert asyncio.run(notebook_cell()).rounds == 1


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ({"rounds": -1}, "rounds must be at least 0"),
    ({"rounds": 1, "checkpoint_every": 0}, "checkpoint_every must be"),
  ],
)
def test_bad_numbers_are_refused(process, tmp_path, arguments, message):
  with pytest.raises(ValueError, match=message):
    _train(process, tmp_path, **arguments)


_KILLED_RUN = textwrap.dedent("""
    import sys
    from tests.runtime import program_test as t
    from tff_gen_debug import runtime
    with runtime.use_local_runtime():
      result = t._train(
        t.process.__wrapped__(), sys.argv[1], 12, checkpoint_every=3,
        on_checkpoint=lambda state, done: print("checkpoint", done, flush=True),
      )
    print("ledger", result.ledger.to_json(), flush=True)
    print("offset", repr(float(result.state.weights.generator[0][0])))
    """)


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_with_the_same_ledger(tmp_path):
  def start(folder):
    return subprocess.Popen(
      [sys.executable, "-c", _KILLED_RUN, str(folder)],
      stdout=subprocess.PIPE,
      stderr=subprocess.DEVNULL,
      text=True,
      env={**os.environ, "PYTHONPATH": os.getcwd()},
    )

  def result_lines(output):
    return [
      line
      for line in output.splitlines()
      if line.startswith(("ledger", "offset"))
    ]

  unbroken, _ = start(tmp_path / "unbroken").communicate(timeout=300)
  assert len(result_lines(unbroken)) == 2
  for last_seen in (0, 3, 6):
    victim = start(tmp_path / "killed")
    for line in victim.stdout:
      if line.strip() == f"checkpoint {last_seen}":
        break
    time.sleep(0.05)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
  resumed, _ = start(tmp_path / "killed").communicate(timeout=300)
  assert result_lines(resumed) == result_lines(unbroken)
