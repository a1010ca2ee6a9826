"""The plan of a run whose clients add the noise: distributed privacy."""

import dataclasses
import math
from typing import Any, Dict, Optional, Sequence, Tuple

import dp_accounting

from tff_gen_debug.privacy import accounting
from tff_gen_debug.privacy import discrete_gaussian
from tff_gen_debug.privacy import epoch_plan
from tff_gen_debug.privacy import neighbors
from tff_gen_debug.privacy import releases as releases_lib
from tff_gen_debug.privacy import validation

# Votes that are replaced by nothing move their sum as those of a client who
# comes or goes would.
_SENSITIVITY_FACTORS = {
  "replace_special": neighbors.SENSITIVITY_FACTORS["add_or_remove_one"],
  "replace_one": neighbors.SENSITIVITY_FACTORS["replace_one"],
}

# From here on a sum of discrete Gaussians is as good as one:
# `discrete_gaussian.gap` is below 1e-37, for any number of clients.
_LEAST_SHARE = 3
# A client's noise is a whole number, rounded up by so much at most.
_MOST_ROUNDING = 0.01
_LEAST_NOISE_MULTIPLIER = 1e-9


@dataclasses.dataclass(frozen=True)
class DistributedPlan(epoch_plan.EpochPlan):
  """A private run of TopAgg in which clients add the noise, not the server.

  A client votes -1 or 1 on at most `top_k` of the `update_size` coordinates of
  its update (Wang et al., 2021, DataLens, arXiv 2103.11109), adds its share of
  discrete Gaussian noise to all of them, and takes part in a secure summation,
  which shows the server nothing but the noised sum (Kairouz, Liu and Steinke,
  2021, arXiv 2102.06387). The server is trusted to follow the protocol, not
  with the updates. The unit of privacy is the user.

    plan = DistributedPlan(
      population=100_000,
      clients_per_round=1000,
      min_clients_per_round=800,
      rounds=200,
      top_k=1000,
      update_size=100_000,
      noise_multiplier=4.0,
    )
    plan.epsilon()  # 1.48
    plan.calibrate(target_epsilon=1.0).noise_multiplier

  Formal guarantees: `(epsilon(), delta)`-DP for neighbours of which one has
  some user's data replaced by nothing ("replace_special": that user still takes
  part, votes nowhere and adds noise), or by any other ("replace_one"). It holds
  for everybody who sees the sums, the server and up to `colluding_clients`
  clients included, who know their own noise, and for those who know who takes
  part. It asks that cohorts are drawn by `sampler`, that who drops out doesn't
  depend on the users' data, that no sum of fewer than `min_clients_per_round`
  clients can be opened, and that nothing else is released.

  *   **Dropped clients** take their noise with them, so what is accounted is
      the noise of the fewest honest clients whose sum is accepted. More noise
      costs less. In a deployment the protocol has to enforce the minimum, as
      its threshold of surviving clients (Bonawitz et al., 2017): a check by the
      server, such as that of `aggregators.DistributedTopAggFactory`, protects
      those who see the model, but not from the server.
  *   **add_or_remove_one** is refused. A user who is not there adds no noise
      either, and that shows: from the noise of n clients to that of n - 1 there
      is a divergence of about `update_size` / (4 n^2), however much noise it
      is, and the server of a secure summation knows its clients anyway.
  *   **No amplification by sampling** is claimed. It holds against those who
      don't know the cohort, and here the server draws it. What counts instead
      is in how many rounds a user takes part: once an epoch with `sampler`,
      which a client can see to for itself.

  Edge cases: a noise multiplier of 0 is legal and costs an infinite epsilon. A
  run shorter than an epoch costs one round, and one in which everybody takes
  part every time costs all of its rounds.

  Attributes:
    population: Number of users, at least 1.
    clients_per_round: Clients who are asked in every round, in [1,
      population]; no sum has more.
    min_clients_per_round: The fewest clients whose sum is accepted, in [1,
      clients_per_round].
    rounds: Number of rounds, at least 1.
    top_k: Coordinates that a client votes on, in [1, update_size].
    update_size: Coordinates of an update, of all its tensors together.
    noise_multiplier: Standard deviation of the noise of the fewest honest
      clients together, divided by the sensitivity of the sum of votes, which
      is sqrt(top_k), and twice that for "replace_one"; 0, or at least 1e-9.
    delta: In (0, 1); None becomes 1 / population. Above that a warning is
      issued, since such a delta permits exposing some user outright.
    colluding_clients: Clients in a sum who may tell the server their noise, or
      add none, in [0, min_clients_per_round). Clients that a server makes up
      are such.
    neighboring_relation: "replace_special" or "replace_one".
    accountant: "rdp" or "rdp_classic"; see `accounting`.

  Raises:
    TypeError: An argument has the wrong type.
    ValueError: An argument is out of range, or there is no theorem for it.
  """

  population: int
  clients_per_round: int
  min_clients_per_round: int
  rounds: int
  top_k: int
  update_size: int
  noise_multiplier: float
  delta: Optional[float] = None
  colluding_clients: int = 0
  neighboring_relation: str = "replace_special"
  accountant: str = "rdp"

  def __post_init__(self):
    checked: Dict[str, Any] = {
      name: validation.integer(name, getattr(self, name), least)
      for name, least in (
        ("population", 1),
        ("clients_per_round", 1),
        ("min_clients_per_round", 1),
        ("rounds", 1),
        ("top_k", 1),
        ("update_size", 1),
        ("colluding_clients", 0),
      )
    }
    checked["noise_multiplier"] = validation.non_negative(
      "noise_multiplier", self.noise_multiplier
    )
    if 0 < checked["noise_multiplier"] < _LEAST_NOISE_MULTIPLIER:
      raise ValueError(
        f"noise_multiplier must be 0 or at least {_LEAST_NOISE_MULTIPLIER}, for"
        f" votes of a finite weight, got {self.noise_multiplier!r}"
      )
    checked["delta"] = validation.delta(self.delta, checked["population"])
    for name, value in checked.items():
      object.__setattr__(self, name, value)
    _check_at_most(self, "clients_per_round", "population")
    _check_at_most(self, "min_clients_per_round", "clients_per_round")
    _check_at_most(self, "top_k", "update_size")
    if self.colluding_clients >= self.min_clients_per_round:
      raise ValueError(
        "colluding_clients must be less than min_clients_per_round"
        f" ({self.min_clients_per_round}), so that somebody's noise is secret,"
        f" got {self.colluding_clients}"
      )
    if self.neighboring_relation == "add_or_remove_one":
      raise ValueError(
        "neighboring_relation must not be 'add_or_remove_one' where clients add"
        " the noise: a removed client's share of it is missing too, which shows"
        " in update_size coordinates; use 'replace_special', by which a client"
        " takes part and votes nowhere, or 'replace_one'"
      )
    validation.one_of(
      "neighboring_relation",
      self.neighboring_relation,
      tuple(_SENSITIVITY_FACTORS),
    )
    validation.one_of("accountant", self.accountant, accounting.ACCOUNTANTS)
    if self.accountant == "pld":
      raise ValueError(
        "accountant must be 'rdp' or 'rdp_classic', got 'pld': the sum of"
        " discrete Gaussians has a bound in Renyi DP only"
      )

  @property
  def honest_clients(self) -> int:
    """Clients whose noise is secret, at least."""
    return self.min_clients_per_round - self.colluding_clients

  @property
  def l2_sensitivity(self) -> float:
    """How far the sum of votes moves between neighbours, at most."""
    return self.sensitivity_factor * math.sqrt(self.top_k)

  @property
  def vote_weight(self) -> int:
    """What a vote counts for in the sum: as an integer, at least 1.

    Noise on integers is well understood from a standard deviation of about 1
    only, and its sampler knows whole ones. Where many clients share little
    noise, votes are therefore made larger rather than the noise coarser.
    """
    return self._share[0]

  @property
  def share_stddev(self) -> int:
    """Standard deviation of one client's noise; in votes / `vote_weight`."""
    return self._share[1]

  @property
  def _share(self) -> Tuple[int, int]:
    wanted = self._wanted_share
    if not wanted:
      return 1, 0
    stddev = max(_LEAST_SHARE, math.ceil(wanted))
    while True:
      # The largest weight for which this is enough noise.
      weight = math.floor(stddev / wanted)
      if stddev <= (1 + _MOST_ROUNDING) * weight * wanted:
        return weight, stddev
      stddev += 1

  @property
  def _wanted_share(self) -> float:
    """One client's noise in votes, before it is made a whole number."""
    return (
      self.noise_multiplier
      * self.l2_sensitivity
      / math.sqrt(self.honest_clients)
    )

  def noise_stddev(self, clients: int) -> float:
    """Standard deviation of the noise on a sum of votes, in votes.

    Args:
      clients: Clients in the sum, at least 0.

    Raises:
      TypeError: `clients` is not an integer.
      ValueError: `clients` is negative.
    """
    clients = validation.integer("clients", clients, 0)
    return math.sqrt(clients) * self.share_stddev / self.vote_weight

  @property
  def vote_event(self) -> dp_accounting.DpEvent:
    """What a round costs those who take part: that of a Gaussian mechanism.

    The equality is one of Renyi divergences: the event is for Renyi accountants
    and must not be wrapped in one of sampling.
    """
    if not self.noise_multiplier:
      return dp_accounting.GaussianDpEvent(0.0)
    weight = self.vote_weight
    return dp_accounting.GaussianDpEvent(
      1
      / discrete_gaussian.concentrated_epsilon(
        l2_norm=weight * self.l2_sensitivity,
        l1_norm=weight * self.sensitivity_factor * self.top_k,
        dimension=self.update_size,
        # Not rounded up, for a cost that falls smoothly as noise grows.
        share_stddev=weight * self._wanted_share,
        shares=self.honest_clients,
      )
    )

  @property
  def epoch_event(self) -> dp_accounting.DpEvent:
    """What a user pays once an epoch: `vote_event`."""
    return self.vote_event

  def to_dict(
    self,
    releases: Sequence[releases_lib.Release] = (),
    *,
    rounds: Optional[int] = None,
  ) -> Dict[str, Any]:
    """Returns the plan and its cost, ready for JSON.

    See `releases.as_dict` for the keys, which are those of a `PrivacyPlan`,
    "epoch_rounds" and the attributes that other plans do not have.
    """
    return {
      **super().to_dict(releases, rounds=rounds),
      "min_clients_per_round": self.min_clients_per_round,
      "colluding_clients": self.colluding_clients,
      "top_k": self.top_k,
      "update_size": self.update_size,
    }

  @property
  def mechanism(self) -> str:
    """See `EpochPlan`."""
    return (
      "TopAgg with distributed noise: clients vote -1 or 1 on"
      f" {self.top_k:,} of {self.update_size:,} coordinates and add discrete"
      " Gaussian noise before a secure summation; standard deviation of the"
      f" noise of the {self.honest_clients:,} honest clients that a sum has at"
      " least"
    )

  @property
  def sensitivity(self) -> str:
    """See `EpochPlan`."""
    factor = "2 " if self.sensitivity_factor == 2 else ""
    return f"{factor}sqrt({self.top_k:,}) votes"

  @property
  def trusted(self) -> str:
    """See `EpochPlan`."""
    return (
      "an adversary who breaks the secure summation, opens a sum of fewer than"
      f" {self.min_clients_per_round:,} clients, or learns the noise of more"
      f" than {self.colluding_clients:,} of them"
    )

  @property
  def sensitivity_factor(self) -> float:
    """L2 sensitivity of the sum, in that of one client's votes."""
    return _SENSITIVITY_FACTORS[self.neighboring_relation]


def _check_at_most(plan: DistributedPlan, name: str, bound: str) -> None:
  if getattr(plan, name) > getattr(plan, bound):
    raise ValueError(
      f"{name} must be at most {bound} ({getattr(plan, bound)}), got"
      f" {getattr(plan, name)!r}"
    )
