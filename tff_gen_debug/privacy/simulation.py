"""A small run that stands in for a large deployment."""

import dataclasses

from tff_gen_debug.privacy import sampling as sampling_lib
from tff_gen_debug.privacy import validation


@dataclasses.dataclass(frozen=True)
class Simulation:
  """The size of the run that stands in for a plan's deployment.

  Attributes:
    population: Users that the run draws from.
    clients_per_round: (Expected) users in a round of the run.
  """

  population: int
  clients_per_round: float


def check_simulation(
  simulation: Simulation,
  *,
  population: int,
  expected_clients_per_round: float,
  sampling: str,
) -> Simulation:
  """Returns the simulation with checked, plain Python numbers.

  Args:
    simulation: What to check.
    population: The deployment's population.
    expected_clients_per_round: The deployment's (expected) cohort.
    sampling: "poisson" or "fixed_size", in the deployment and in the run.

  Raises:
    TypeError: `simulation` or one of its attributes has the wrong type.
    ValueError: A size is out of range or larger than the deployment's.
  """
  if not isinstance(simulation, Simulation):
    raise TypeError(f"simulation must be a Simulation, got {simulation!r}")
  users = validation.integer("simulation.population", simulation.population, 1)
  cohort = sampling_lib.check_cohort(
    "simulation.clients_per_round",
    simulation.clients_per_round,
    sampling=sampling,
    population=users,
    population_name="simulation.population",
  )
  for name, value, limit in (
    ("population", users, population),
    ("clients_per_round", cohort, expected_clients_per_round),
  ):
    if value > limit:
      raise ValueError(
        f"simulation.{name} must be at most the deployment's ({limit}), got"
        f" {value}"
      )
  return Simulation(users, cohort)
