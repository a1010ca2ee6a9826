"""What a statement needs to know of a plan.

Plans have methods that state and export them, and those live in modules of
their own; this interface lets them do so without importing the plans.
"""

from typing import List, Optional, Protocol, Tuple

import dp_accounting

from tff_gen_debug.privacy import simulation as simulation_lib


class Plan(Protocol):
  """The read-only face of a plan; see the attributes of `PrivacyPlan`."""

  @property
  def population(self) -> int: ...

  @property
  def expected_clients_per_round(self) -> float: ...

  @property
  def rounds(self) -> int: ...

  @property
  def noise_multiplier(self) -> float: ...

  @property
  def delta(self) -> Optional[float]: ...

  @property
  def sampling(self) -> str: ...

  @property
  def neighboring_relation(self) -> str: ...

  @property
  def accountant(self) -> str: ...

  @property
  def simulation(self) -> Optional[simulation_lib.Simulation]: ...

  @property
  def sampling_probability(self) -> float: ...

  @property
  def sensitivity_factor(self) -> float: ...

  @property
  def mechanism(self) -> str:
    """What is noised, ending in the quantity that the multiplier scales."""

  @property
  def sensitivity(self) -> str:
    """What that quantity is divided by, in words."""

  @property
  def trusted(self) -> str:
    """Against whom there is no guarantee, in words."""

  @property
  def epoch_rounds(self) -> Optional[int]:
    """Rounds in which no user comes twice; None if cohorts are sampled."""

  @property
  def run_noise_multiplier(self) -> float: ...

  def events_after(
    self, rounds: int
  ) -> List[Tuple[dp_accounting.DpEvent, int]]: ...

  def epsilon_after(self, rounds: int) -> float: ...

  def as_run(self) -> "Plan": ...
