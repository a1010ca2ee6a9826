"""The plan of a DP-FTRL run: privacy without trust in sampling."""

import dataclasses
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

import dp_accounting

from tff_gen_debug.privacy import accounting
from tff_gen_debug.privacy import calibration
from tff_gen_debug.privacy import epoch_sampling
from tff_gen_debug.privacy import ledger as ledger_lib
from tff_gen_debug.privacy import releases as releases_lib
from tff_gen_debug.privacy import statement as statement_lib
from tff_gen_debug.privacy import validation


@dataclasses.dataclass(frozen=True)
class TreePlan:
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
  def epoch_rounds(self) -> int:
    """Rounds of one tree: all that can pass without anybody coming twice."""
    return min(self.population // self.clients_per_round, self.rounds)

  @property
  def tree_event(self) -> dp_accounting.DpEvent:
    """What one whole tree does."""
    return dp_accounting.SingleEpochTreeAggregationDpEvent(
      self.noise_multiplier, self.epoch_rounds
    )

  def round_event(self, round_num: int) -> dp_accounting.DpEvent:
    """What to charge for one round: its whole tree, or nothing any more.

    Args:
      round_num: Counted from 0.

    Returns:
      `tree_event` for the first round of each epoch, and a `NoOpDpEvent` for
      the others.

    Raises:
      TypeError: `round_num` is not an integer.
      ValueError: `round_num` is negative.
    """
    round_num = validation.integer("round_num", round_num, 0)
    if round_num % self.epoch_rounds:
      return dp_accounting.NoOpDpEvent()
    return self.tree_event

  def events_after(
    self, rounds: int
  ) -> List[Tuple[dp_accounting.DpEvent, int]]:
    """The events of some rounds, each with its count; begun trees in full."""
    epochs = -(-rounds // self.epoch_rounds)
    return [(self.tree_event, epochs)] if epochs else []

  def epsilon(self) -> float:
    """Epsilon after all rounds; `inf` without noise."""
    return self.epsilon_after(self.rounds)

  def epsilon_after(self, rounds: int) -> float:
    """Epsilon after some rounds, with the tree of the last of them in full.

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

  def calibrate(self, *, target_epsilon: float) -> "TreePlan":
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

    def epsilon_of(noise_multiplier: float) -> float:
      return dataclasses.replace(
        self, noise_multiplier=noise_multiplier
      ).epsilon()

    noise_multiplier = calibration.noise_multiplier_for(
      epsilon_of, target_epsilon
    )
    return dataclasses.replace(self, noise_multiplier=noise_multiplier)

  def noise_stddev(self, clip_norm: float) -> float:
    """Standard deviation of the noise at each node of the tree.

    Args:
      clip_norm: The largest L2 norm of one user's update, above 0.

    Raises:
      TypeError: `clip_norm` is not a number.
      ValueError: `clip_norm` is not positive.
    """
    return self.noise_multiplier * validation.positive("clip_norm", clip_norm)

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

  def new_ledger(self) -> ledger_lib.PrivacyLedger:
    """Returns an empty ledger with the plan's delta, relation, accountant."""
    return ledger_lib.PrivacyLedger(
      self._delta,
      neighboring_relation=self.neighboring_relation,
      accountant=self.accountant,
    )

  def statement(
    self,
    releases: Sequence[releases_lib.Release] = (),
    *,
    rounds: Optional[int] = None,
  ) -> str:
    """Returns the privacy statement as text; see `statement.statement`."""
    return statement_lib.statement(self, releases, rounds=rounds)

  def to_dict(
    self,
    releases: Sequence[releases_lib.Release] = (),
    *,
    rounds: Optional[int] = None,
  ) -> Dict[str, Any]:
    """Returns the plan and its cost, ready for JSON.

    See `releases.as_dict` for the keys, which are those of a `PrivacyPlan` and
    "epoch_rounds".
    """
    return releases_lib.as_dict(self, releases, rounds=rounds)

  # What a `PrivacyPlan` calls the same things, for statements and reports.

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
  def neighboring_relation(self) -> str:
    """The only one that tree aggregation is proved for."""
    return "replace_special"

  @property
  def sensitivity_factor(self) -> float:
    """L2 sensitivity of the sum at a node, in clip norms."""
    return 1.0

  @property
  def simulation(self) -> None:
    """None: a `TreePlan` is always the plan of the run itself."""
    return None

  @property
  def run_noise_multiplier(self) -> float:
    """Noise multiplier of the process in hand."""
    return self.noise_multiplier

  def as_run(self) -> "TreePlan":
    """The plan of the run itself: this one."""
    return self

  @property
  def _delta(self) -> float:
    # `delta` is None only in the constructor's argument.
    return float(self.delta)  # type: ignore[arg-type]
