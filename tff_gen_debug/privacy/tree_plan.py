"""The plan of a DP-FTRL run: privacy without trust in sampling."""

import dataclasses
from typing import Any, Dict, Optional

import dp_accounting

from tff_gen_debug.privacy import accounting
from tff_gen_debug.privacy import epoch_plan
from tff_gen_debug.privacy import statement as statement_lib
from tff_gen_debug.privacy import validation


@dataclasses.dataclass(frozen=True)
class TreePlan(epoch_plan.EpochPlan):
  """A private training run by DP-FTRL: who comes when, how much noise.

  Kairouz et al. (2021), Practical and Private (Deep) Learning without Sampling
  or Shuffling, arXiv 2103.00039, with tree restarts. Not each round's sum of
  clipped updates gets noise of its own, but the running sum over the rounds
  does, along a binary tree: the noise of n rounds together is that of some
  log2(n) nodes instead of n rounds. Nothing has to be sampled secretly, only
  nobody may come twice in one tree, so a new tree starts every epoch. The unit
  of privacy is the user: all of one user's data, in all rounds.

    plan = TreePlan(
      population=100_000,
      clients_per_round=100,
      rounds=2000,
      noise_multiplier=7.0,
    )
    plan.epoch_rounds  # 1000
    plan.epsilon()  # 2.85
    plan.calibrate(target_epsilon=2.0).noise_multiplier

  Formal guarantees: `(epsilon(), delta)`-DP for neighbours of which one has
  some user's data replaced by nothing ("replace_special": that user still
  takes part, with an update of zero), if the run draws its cohorts with
  `sampler`, clips every update, adds noise of `noise_stddev(clip_norm)` at
  every node of a tree that restarts every `epoch_rounds` rounds, as
  `aggregators.tree_mean_factory` does, and releases nothing else. It is proved
  for these neighbours alone because a user who is not there would shift
  everybody else in the order of the cohorts.

  An update is in the sums at floor(log2(epoch_rounds)) + 1 nodes at most, all
  of one tree for each epoch, and the tree counts in full as soon as its first
  round has run: `epsilon_after` jumps at the start of an epoch and stays until
  the next.

  Edge cases: a noise multiplier of 0 is legal and costs an infinite epsilon; a
  run shorter than an epoch is one tree of `rounds` rounds; an epoch of one
  round is a Gaussian mechanism.

  Attributes:
    population: Number of users, at least 1.
    clients_per_round: Users in every round, in [1, population].
    rounds: Number of rounds, at least 1.
    noise_multiplier: Standard deviation of the noise at a node, divided by the
      clip norm, which is the sensitivity of the sum there.
    delta: In (0, 1); None becomes 1 / population. Above that a warning is
      issued, since such a delta permits exposing some user outright.
    accountant: "rdp" or "rdp_classic"; see `accounting`.

  Raises:
    TypeError: An argument has the wrong type.
    ValueError: An argument is out of range, or the accountant has no theorem
      for tree aggregation.
  """

  population: int
  clients_per_round: int
  rounds: int
  noise_multiplier: float
  delta: Optional[float] = None
  accountant: str = "rdp"

  def __post_init__(self):
    population = validation.integer("population", self.population, 1)
    checked: Dict[str, Any] = {
      "population": population,
      "clients_per_round": validation.integer(
        "clients_per_round", self.clients_per_round, 1
      ),
      "rounds": validation.integer("rounds", self.rounds, 1),
      "noise_multiplier": validation.non_negative(
        "noise_multiplier", self.noise_multiplier
      ),
      "delta": validation.delta(self.delta, population),
    }
    if checked["clients_per_round"] > population:
      raise ValueError(
        f"clients_per_round must be at most population ({population}), got"
        f" {self.clients_per_round!r}"
      )
    validation.one_of("accountant", self.accountant, accounting.ACCOUNTANTS)
    for name, value in checked.items():
      object.__setattr__(self, name, value)
    accounting.check_supported(
      self.tree_event,
      accountant=self.accountant,
      neighboring_relation=self.neighboring_relation,
    )

  @property
  def tree_event(self) -> dp_accounting.DpEvent:
    """What one whole tree does."""
    return dp_accounting.SingleEpochTreeAggregationDpEvent(
      self.noise_multiplier, self.epoch_rounds
    )

  @property
  def epoch_event(self) -> dp_accounting.DpEvent:
    """What a user pays once an epoch: `tree_event`."""
    return self.tree_event

  def noise_stddev(self, clip_norm: float) -> float:
    """Standard deviation of the noise at each node of the tree.

    Args:
      clip_norm: The largest L2 norm of one user's update, above 0.

    Raises:
      TypeError: `clip_norm` is not a number.
      ValueError: `clip_norm` is not positive.
    """
    return self.noise_multiplier * validation.positive("clip_norm", clip_norm)

  @property
  def mechanism(self) -> str:
    """See `EpochPlan`."""
    return (
      "tree aggregation (DP-FTRL): Gaussian noise on partial sums of clipped"
      f" updates over rounds, a new tree every {self.epoch_rounds:,} rounds;"
      " standard deviation at a node"
    )

  @property
  def sensitivity(self) -> str:
    """See `EpochPlan`."""
    return "clip norm"

  @property
  def trusted(self) -> str:
    """See `EpochPlan`."""
    return statement_lib.TRUSTED_SERVER

  @property
  def neighboring_relation(self) -> str:
    """The only one that tree aggregation is proved for."""
    return "replace_special"

  @property
  def sensitivity_factor(self) -> float:
    """L2 sensitivity of the sum at a node, in clip norms."""
    return 1.0
