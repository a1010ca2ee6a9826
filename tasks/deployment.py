"""From a config to what its training may cost, and what it lets out."""

from collections.abc import Sequence
import os
from typing import Protocol

import tensorflow_federated as tff

from tff_gen_debug import privacy


class Config(Protocol):
  """What every task's config says of its deployment."""

  @property
  def clients_per_round(self) -> float: ...

  @property
  def noise_multiplier(self) -> float: ...

  @property
  def population(self) -> int: ...

  @property
  def population_clients_per_round(self) -> float: ...

  @property
  def delta(self) -> float: ...

  @property
  def accountant(self) -> str: ...

  @property
  def client_metrics(self) -> str: ...


def make_plan(
  config: Config, num_users: int, rounds: int
) -> privacy.PrivacyPlan:
  """The plan of `rounds` rounds on `num_users` users.

  With `config.population` it is the plan of a deployment that a run on
  `num_users` users simulates: as much noise on the mean of a round, from a
  smaller cohort.
  """
  simulates = config.population > 0
  plan = privacy.PrivacyPlan(
    population=config.population if simulates else num_users,
    expected_clients_per_round=(
      config.population_clients_per_round
      if simulates
      else config.clients_per_round
    ),
    rounds=rounds,
    noise_multiplier=config.noise_multiplier,
    delta=config.delta or None,
    accountant=config.accountant,
  )
  if simulates:
    plan = plan.simulated_by(
      population=num_users, clients_per_round=config.clients_per_round
    )
  return plan


def client_metrics(config: Config) -> list[str]:
  """The numbers that the config asks clients for, by name."""
  return [name for name in config.client_metrics.split(",") if name]


def client_metric_releases(config: Config) -> list[privacy.Release]:
  """What those numbers are for the privacy statement."""
  return [
    privacy.Release(
      name=name, what="the exact sum over the users of each round, to watch it"
    )
    for name in client_metrics(config)
  ]


def release_managers(folder: str) -> Sequence[tff.program.ReleaseManager]:
  """Where the metrics of rounds go: a CSV file, and TensorBoard's."""
  return (
    tff.program.CSVFileReleaseManager(
      os.path.join(folder, "metrics.csv"), key_fieldname="round"
    ),
    tff.program.TensorBoardReleaseManager(os.path.join(folder, "tensorboard")),
  )
