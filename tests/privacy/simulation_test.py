import numpy as np
import pytest

from tff_gen_debug.privacy import simulation as simulation_lib


def _check(simulation, sampling="poisson"):
  return simulation_lib.check_simulation(
    simulation,
    population=1000,
    expected_clients_per_round=100,
    sampling=sampling,
  )


def test_returns_plain_numbers():
  checked = _check(simulation_lib.Simulation(np.int64(50), np.float32(5)))
  assert checked == simulation_lib.Simulation(50, 5)
  assert type(checked.population) is int
  assert type(checked.clients_per_round) is int


def test_may_be_as_large_as_the_deployment():
  _check(simulation_lib.Simulation(1000, 100))


def test_fixed_size_needs_a_whole_cohort():
  simulation = simulation_lib.Simulation(50, 2.5)
  assert _check(simulation).clients_per_round == 2.5
  with pytest.raises(ValueError, match="must be a whole number"):
    _check(simulation, "fixed_size")
