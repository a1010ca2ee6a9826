"""What plans share whose users take part at most once an epoch."""

import abc
import dataclasses
from typing import Iterable, List, Optional, Tuple, TypeVar

import dp_accounting

from tff_gen_debug.privacy import accounting
from tff_gen_debug.privacy import calibration
from tff_gen_debug.privacy import epoch_sampling
from tff_gen_debug.privacy import stated_plan
from tff_gen_debug.privacy import validation

_Plan = TypeVar("_Plan", bound="EpochPlan")


class EpochPlan(stated_plan.StatedPlan, abc.ABC):
  """The accounting by epochs, and the sampler that keeps to it.

  No amplification by sampling is claimed: what counts is in how many epochs a
  user takes part. Plans are frozen dataclasses with at least these fields.
  """

  population: int
  clients_per_round: int
  rounds: int
  noise_multiplier: float
  delta: Optional[float]
  accountant: str

  @property
  @abc.abstractmethod
  def neighboring_relation(self) -> str:
    """What the guarantee is about; see the plan."""

  @property
  @abc.abstractmethod
  def epoch_event(self) -> dp_accounting.DpEvent:
    """What one whole epoch costs a user."""

  @property
  def epoch_rounds(self) -> int:
    """Rounds of an epoch: all that can pass without anybody coming twice."""
    return min(self.population // self.clients_per_round, self.rounds)

  def round_event(self, round_num: int) -> dp_accounting.DpEvent:
    """What to charge for one round: its whole epoch, or nothing any more.

    Args:
      round_num: Counted from 0.

    Returns:
      `epoch_event` for the first round of each epoch, and a `NoOpDpEvent` for
      the others, whose clients are different ones.

    Raises:
      TypeError: `round_num` is not an integer.
      ValueError: `round_num` is negative.
    """
    round_num = validation.integer("round_num", round_num, 0)
    if round_num % self.epoch_rounds:
      return dp_accounting.NoOpDpEvent()
    return self.epoch_event

  def events_after(
    self, rounds: int
  ) -> List[Tuple[dp_accounting.DpEvent, int]]:
    """The events of some rounds, each with its count; begun epochs in full."""
    epochs = -(-rounds // self.epoch_rounds)
    return [(self.epoch_event, epochs)] if epochs else []

  def epsilon(self) -> float:
    """Epsilon after all rounds; `inf` without noise."""
    return self.epsilon_after(self.rounds)

  def epsilon_after(self, rounds: int) -> float:
    """Epsilon after some rounds, with the epoch of the last of them in full.

    Args:
      rounds: At least 0; may exceed `self.rounds`.

    Raises:
      TypeError: `rounds` is not an integer.
      ValueError: `rounds` is negative.
    """
    return accounting.epsilon(
      self.events_after(validation.integer("rounds", rounds, 0)),
      delta=self._delta,
      accountant=self.accountant,
      neighboring_relation=self.neighboring_relation,
    )

  def calibrate(self: _Plan, *, target_epsilon: float) -> _Plan:
    """Returns this plan with the noise that spends a privacy budget.

    Args:
      target_epsilon: The budget for all rounds, finite and above 0.

    Returns:
      A plan equal to this one but for its noise multiplier, with an epsilon in
      [0.99 target_epsilon, target_epsilon].

    Raises:
      TypeError: `target_epsilon` is not a number.
      ValueError: The target is out of range or out of the accountant's reach.
    """

    def with_noise(noise_multiplier: float) -> _Plan:
      return dataclasses.replace(  # type: ignore[type-var]
        self, noise_multiplier=noise_multiplier
      )

    return with_noise(
      calibration.noise_multiplier_for(
        lambda noise: with_noise(noise).epsilon(), target_epsilon
      )
    )

  def sampler(
    self, client_ids: Iterable[str], seed: int
  ) -> epoch_sampling.ShuffledEpochSampler:
    """Returns the sampler of the cohorts that this plan accounts for.

    Args:
      client_ids: All users; as many as `population`.
      seed: In [0, 2**128).

    Raises:
      TypeError: An argument has the wrong type.
      ValueError: The number of ids is not the population, or an id appears
        twice.
    """
    ids = list(client_ids)
    if len(ids) != self.population:
      raise ValueError(
        f"client_ids must be the whole population of {self.population}, got"
        f" {len(ids)}"
      )
    return epoch_sampling.ShuffledEpochSampler(
      ids,
      clients_per_round=self.clients_per_round,
      epoch_rounds=self.epoch_rounds,
      seed=seed,
    )

  # What a `PrivacyPlan` calls the same things, for statements and reports.

  @property
  @abc.abstractmethod
  def mechanism(self) -> str:
    """What is noised, in the words of a statement."""

  @property
  @abc.abstractmethod
  def sensitivity(self) -> str:
    """The sensitivity that the noise multiplier refers to, in words."""

  @property
  @abc.abstractmethod
  def trusted(self) -> str:
    """Against whom there is no guarantee, in words."""

  @property
  @abc.abstractmethod
  def sensitivity_factor(self) -> float:
    """L2 sensitivity in that of one user's contribution: 1 or 2."""

  @property
  def expected_clients_per_round(self) -> int:
    """Users in a round."""
    return self.clients_per_round

  @property
  def sampling(self) -> str:
    """How cohorts are drawn: each user at most once an epoch."""
    return "shuffled_epochs"

  @property
  def sampling_probability(self) -> float:
    """The share of the users in a round; it amplifies nothing here."""
    return self.clients_per_round / self.population

  @property
  def simulation(self) -> None:
    """None: such a plan is always that of the run itself."""
    return None

  @property
  def run_noise_multiplier(self) -> float:
    """Noise multiplier of the process in hand."""
    return self.noise_multiplier

  def as_run(self: _Plan) -> _Plan:
    """The plan of the run itself: this one."""
    return self
