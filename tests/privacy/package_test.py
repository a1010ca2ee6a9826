"""The room as a whole: what importing it costs, and a walk through it."""

import json
import subprocess
import sys

from tff_gen_debug import privacy

_IMPORT = """
import json, sys, time
start = time.process_time()
import dp_accounting
needed = time.process_time()
from tff_gen_debug import privacy
own = time.process_time() - needed
plan = privacy.PrivacyPlan(1000, 10, 5, 1.0)
plan.epsilon(), plan.statement()
heavy = [name for name in sys.modules if name.split('.')[0] in (
  'tensorflow', 'tensorflow_federated', 'tensorflow_privacy', 'jax', 'keras')]
json.dump([own, needed - start, heavy], sys.stdout)
"""


def test_imports_fast_and_without_tensorflow():
  done = subprocess.run(
    [sys.executable, "-c", _IMPORT], capture_output=True, check=True
  )
  # Of CPU time, and against what the room can't do without, in one process:
  # seconds by themselves are the machine's.
  own, needed, heavy = json.loads(done.stdout)
  assert heavy == []
  assert own < 0.25 * needed


def test_public_names():
  for name in privacy.__all__:
    assert getattr(privacy, name).__doc__


def test_a_budget_is_kept_over_an_interruption():
  """Plan, sample, record, stop before the budget, resume."""
  plan = privacy.PrivacyPlan(
    population=200,
    expected_clients_per_round=20,
    rounds=50,
    noise_multiplier=1.0,
    delta=1e-3,
  ).calibrate(target_epsilon=4.0)
  sampler = plan.sampler([f"user_{i}" for i in range(200)], seed=1)

  def train(ledger, rounds, budget):
    cohorts = []
    for round_num in rounds:
      if ledger.epsilon_with(plan.round_event) > budget:
        break
      cohorts.append(sampler.sample(round_num))
      ledger.record(plan.round_event)
    return cohorts

  whole = plan.new_ledger()
  cohorts = train(whole, range(1000), budget=4.0)
  # Calibration is within 1 % of the budget, so a round more may fit.
  assert plan.rounds <= len(cohorts) <= plan.rounds + 2
  assert whole.epsilon() <= 4.0 < whole.epsilon_with(plan.round_event)
  assert whole.remaining(4.0) == 0

  first = plan.new_ledger()
  begun = train(first, range(17), budget=4.0)
  resumed = privacy.PrivacyLedger.from_json(first.to_json())
  begun += train(resumed, range(17, 1000), budget=4.0)
  assert resumed == whole
  assert begun == cohorts
