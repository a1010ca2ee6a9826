"""Tests of plans of a small run that stands in for a deployment."""

import pytest

from tests.privacy import examples
from tff_gen_debug.privacy import simulation as simulation_lib


def test_plan_without_simulation_runs_itself():
  plan = examples.plan()
  assert plan.run_population == 1_000_000
  assert plan.run_clients_per_round == 1000
  assert plan.run_noise_multiplier == 1.0
  assert plan.as_run() is plan


@pytest.mark.parametrize("changes", [{}, examples.FIXED])
def test_simulation_keeps_the_noise_on_the_mean(changes):
  plan = examples.plan(**changes)
  simulated = plan.simulated_by(population=288, clients_per_round=10)
  # 1.0 x 10 / 1000.
  assert simulated.run_noise_multiplier == pytest.approx(0.01)
  assert simulated.run_population == 288
  assert simulated.run_clients_per_round == 10
  clip = 0.3
  assert simulated.noise_stddev(clip) / 10 == pytest.approx(
    plan.noise_stddev(clip) / 1000
  )
  # The deployment's figures are untouched.
  assert simulated.epsilon() == plan.epsilon()
  assert simulated.round_event == plan.round_event
  # What it gives to its own 288 users is another matter.
  run = simulated.as_run()
  assert run.simulation is None
  assert run.population == 288
  assert run.expected_clients_per_round == 10
  assert run.noise_multiplier == pytest.approx(0.01)
  assert run.delta == plan.delta
  assert run.rounds == plan.rounds
  assert run.epsilon() > 1e5
  assert run.noise_stddev(clip) == simulated.noise_stddev(clip)


def test_simulated_plan_can_be_calibrated():
  plan = examples.plan().simulated_by(population=100, clients_per_round=20)
  calibrated = plan.calibrate(target_epsilon=0.7)
  assert calibrated.epsilon() <= 0.7
  assert calibrated.simulation == simulation_lib.Simulation(100, 20)
  assert calibrated.run_noise_multiplier == pytest.approx(
    calibrated.noise_multiplier * 0.02
  )


@pytest.mark.parametrize(
  ("population", "cohort", "error", "message"),
  [
    (0, 1, ValueError, "simulation.population must be at least 1"),
    (10.0, 1, TypeError, "simulation.population must be an integer"),
    (10, 0, ValueError, "simulation.clients_per_round must be positive"),
    (
      10,
      11,
      ValueError,
      r"simulation.clients_per_round must be at most simulation.population",
    ),
    (
      2_000_000,
      10,
      ValueError,
      r"simulation.population must be at most the deployment's \(1000000\)",
    ),
    (
      5000,
      1001,
      ValueError,
      r"simulation.clients_per_round must be at most the deployment's \(1000\)",
    ),
  ],
)
def test_simulation_rejects(population, cohort, error, message):
  with pytest.raises(error, match=message):
    examples.plan().simulated_by(
      population=population, clients_per_round=cohort
    )
