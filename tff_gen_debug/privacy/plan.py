"""One frozen object from which sampler, noise, accounting and text all come."""

import dataclasses
from typing import Any, Dict, Iterable, List, Optional, Tuple

import dp_accounting

from tff_gen_debug.privacy import accounting
from tff_gen_debug.privacy import calibration
from tff_gen_debug.privacy import neighbors
from tff_gen_debug.privacy import sampling as sampling_lib
from tff_gen_debug.privacy import simulation as simulation_lib
from tff_gen_debug.privacy import stated_plan
from tff_gen_debug.privacy import statement as statement_lib
from tff_gen_debug.privacy import validation


@dataclasses.dataclass(frozen=True)
class PrivacyPlan(stated_plan.StatedPlan):
  """A private training run: who is sampled, how much noise, what it costs.

  Every round draws a cohort, sums its updates (each clipped to an L2 norm),
  adds Gaussian noise to the sum and divides by the expected cohort: DP-FedAvg,
  McMahan et al., 2018, arXiv 1710.06963. The unit of privacy is the user: all
  of one user's data, in all rounds.

    plan = PrivacyPlan(
      population=1_000_000,
      expected_clients_per_round=1000,
      rounds=1000,
      noise_multiplier=1.0,
    )
    plan.epsilon()  # 0.87
    plan.calibrate(target_epsilon=0.5).noise_multiplier

  Formal guarantees: `(epsilon(), delta)`-DP under `neighboring_relation` if
  the run draws its cohorts with `sampler`, clips every update, adds noise of
  `noise_stddev(clip_norm)` to the sum in each of at most `rounds` rounds, and
  releases nothing else.

  Supported combinations; the others raise because no accountant in
  dp-accounting has a theorem for them:

  | sampling | neighbours | accountants |
  |---|---|---|
  | poisson | add_or_remove_one | rdp, rdp_classic, pld |
  | fixed_size | replace_one | rdp, rdp_classic |
  | everybody in every round | either | rdp, rdp_classic, pld |

  Edge cases: a noise multiplier of 0 is legal and costs an infinite epsilon;
  the statement then says that the run is not private.

  Attributes:
    population: Number of users to draw from, at least 1.
    expected_clients_per_round: (Expected) users in a round, in (0,
      population]; a whole number with fixed-size sampling.
    rounds: Number of rounds, at least 1.
    noise_multiplier: Standard deviation of the noise on the sum of the
      updates, divided by the sensitivity of that sum, which is the clip norm
      for add-or-remove-one and twice that for replace-one neighbours.
    delta: In (0, 1); None becomes 1 / population. Above that a warning is
      issued, since such a delta permits exposing some user outright.
    sampling: "poisson" or "fixed_size"; see `ClientSampler`.
    neighboring_relation: "add_or_remove_one" (a user's data comes or goes) or
      "replace_one" (a user's data is exchanged for any other).
    accountant: "rdp", "rdp_classic" or "pld"; see `accounting`.
    simulation: None, or the small run that stands in for this deployment; see
      `simulated_by`.

  Raises:
    TypeError: An argument has the wrong type.
    ValueError: An argument is out of range, or the combination of sampling,
      neighbouring relation and accountant has no justification.
  """

  population: int
  expected_clients_per_round: float
  rounds: int
  noise_multiplier: float
  delta: Optional[float] = None
  sampling: str = "poisson"
  neighboring_relation: str = "add_or_remove_one"
  accountant: str = "rdp"
  simulation: Optional[simulation_lib.Simulation] = None

  def __post_init__(self):
    checked: Dict[str, Any] = {
      "population": validation.integer("population", self.population, 1),
      "rounds": validation.integer("rounds", self.rounds, 1),
      "noise_multiplier": validation.non_negative(
        "noise_multiplier", self.noise_multiplier
      ),
    }
    validation.one_of("sampling", self.sampling, sampling_lib.SAMPLING)
    validation.one_of(
      "neighboring_relation",
      self.neighboring_relation,
      tuple(neighbors.SENSITIVITY_FACTORS),
    )
    validation.one_of("accountant", self.accountant, accounting.ACCOUNTANTS)
    checked["expected_clients_per_round"] = sampling_lib.check_cohort(
      "expected_clients_per_round",
      self.expected_clients_per_round,
      sampling=self.sampling,
      population=checked["population"],
    )
    checked["delta"] = validation.delta(self.delta, checked["population"])
    for name, value in checked.items():
      object.__setattr__(self, name, value)
    if self.sampling_probability < 1:
      sampling_lib.check_justified(
        self.sampling, self.neighboring_relation, self.accountant
      )
    if self.simulation is not None:
      simulation = simulation_lib.check_simulation(
        self.simulation,
        population=self.population,
        expected_clients_per_round=self.expected_clients_per_round,
        sampling=self.sampling,
      )
      object.__setattr__(self, "simulation", simulation)

  @property
  def sampling_probability(self) -> float:
    """The chance of a user of the deployment to be in a round, in (0, 1]."""
    return self.expected_clients_per_round / self.population

  @property
  def sensitivity_factor(self) -> float:
    """L2 sensitivity of the clipped sum, in clip norms: 1.0 or 2.0."""
    return neighbors.SENSITIVITY_FACTORS[self.neighboring_relation]

  @property
  def round_event(self) -> dp_accounting.DpEvent:
    """What one round of the deployment does, for a ledger or an accountant.

    For a simulated plan this is the deployment's round, not the run's; the
    latter is `as_run().round_event`.
    """
    gaussian = dp_accounting.GaussianDpEvent(self.noise_multiplier)
    if self.sampling_probability == 1:
      return gaussian
    if self.sampling == "poisson":
      return dp_accounting.PoissonSampledDpEvent(
        self.sampling_probability, gaussian
      )
    return dp_accounting.SampledWithoutReplacementDpEvent(
      self.population, int(self.expected_clients_per_round), gaussian
    )

  def epsilon(self) -> float:
    """Epsilon after all rounds of the deployment; `inf` without noise."""
    return self.epsilon_after(self.rounds)

  def epsilon_after(self, rounds: int) -> float:
    """Epsilon after some rounds of the deployment.

    Args:
      rounds: At least 0; may exceed `self.rounds`.

    Returns:
      Epsilon, at least 0. With the Renyi accountants the first call for a plan
      costs up to a second and the following ones under a millisecond; with
      "pld" each new number of rounds costs about a second.

    Raises:
      TypeError: `rounds` is not an integer.
      ValueError: `rounds` is negative.
    """
    rounds = validation.integer("rounds", rounds, 0)
    if rounds == 0:
      return 0.0
    return accounting.epsilon(
      self.events_after(rounds),
      delta=self._delta,
      accountant=self.accountant,
      neighboring_relation=self.neighboring_relation,
    )

  @property
  def epoch_rounds(self) -> None:
    """Rounds of one noise tree: none, each round has noise of its own."""
    return None

  def events_after(
    self, rounds: int
  ) -> List[Tuple[dp_accounting.DpEvent, int]]:
    """The events of some rounds of the deployment, each with its count."""
    return [(self.round_event, rounds)] if rounds else []

  def calibrate(self, *, target_epsilon: float) -> "PrivacyPlan":
    """Returns this plan with the noise that spends a privacy budget.

    Args:
      target_epsilon: The budget for all rounds, finite and above 0.

    Returns:
      A plan equal to this one but for its noise multiplier, with an epsilon in
      [0.99 target_epsilon, target_epsilon].

    Raises:
      TypeError: `target_epsilon` is not a number.
      ValueError: The target is out of range or out of the accountant's reach;
        Renyi DP can't prove an epsilon near 0 for any noise.
    """

    def epsilon_of(noise_multiplier: float) -> float:
      return dataclasses.replace(
        self, noise_multiplier=noise_multiplier
      ).epsilon()

    noise_multiplier = calibration.noise_multiplier_for(
      epsilon_of, target_epsilon
    )
    return dataclasses.replace(self, noise_multiplier=noise_multiplier)

  def simulated_by(
    self, *, population: int, clients_per_round: float
  ) -> "PrivacyPlan":
    """Plans a small run with this deployment's noise on the mean update.

    What training sees is the mean update, whose noise is proportional to
    noise_multiplier / expected_clients_per_round. A run with fewer clients
    and proportionally less noise on its sum therefore trains as the deployment
    would, up to the spread of the updates themselves (McMahan et al., 2018,
    section 3; Augenstein et al., 2020, arXiv 1911.06679). It does not protect
    its own users as well: `as_run()` tells by how much.

    Args:
      population: Users that the run draws from, at most this population.
      clients_per_round: (Expected) users in a round of the run, at most this
        plan's.

    Returns:
      This plan with `simulation` set. Its epsilon stays the deployment's; the
      `run_*` properties, `noise_stddev` and `sampler` are the small run's.

    Raises:
      TypeError: An argument has the wrong type.
      ValueError: An argument is out of range.
    """
    return dataclasses.replace(
      self, simulation=simulation_lib.Simulation(population, clients_per_round)
    )

  def as_run(self) -> "PrivacyPlan":
    """The plan of the run itself: what it gives to its own users.

    Returns:
      A plan without simulation, at the same delta, so that the two epsilons
      can be compared; this plan if it simulates nothing.
    """
    if self.simulation is None:
      return self
    return dataclasses.replace(
      self,
      population=self.run_population,
      expected_clients_per_round=self.run_clients_per_round,
      noise_multiplier=self.run_noise_multiplier,
      simulation=None,
    )

  @property
  def run_population(self) -> int:
    """Users that the process in hand draws from."""
    return self.simulation.population if self.simulation else self.population

  @property
  def run_clients_per_round(self) -> float:
    """(Expected) users in a round of the process in hand; its denominator."""
    if self.simulation:
      return self.simulation.clients_per_round
    return self.expected_clients_per_round

  @property
  def run_noise_multiplier(self) -> float:
    """Noise multiplier of the process in hand."""
    return (
      self.noise_multiplier
      * self.run_clients_per_round
      / self.expected_clients_per_round
    )

  def noise_stddev(self, clip_norm: float) -> float:
    """Standard deviation of the noise on the sum of the cohort that runs.

    Args:
      clip_norm: The largest L2 norm of one user's update, above 0.

    Returns:
      The standard deviation of each coordinate, in units of the update.

    Raises:
      TypeError: `clip_norm` is not a number.
      ValueError: `clip_norm` is not positive.
    """
    return (
      self.run_noise_multiplier
      * self.sensitivity_factor
      * validation.positive("clip_norm", clip_norm)
    )

  def sampler(
    self, client_ids: Iterable[str], seed: int
  ) -> sampling_lib.ClientSampler:
    """Returns the sampler of the cohorts that this plan accounts for.

    Args:
      client_ids: All users of the run; as many as `run_population`.
      seed: In [0, 2**128); secret in a deployment.

    Raises:
      TypeError: An argument has the wrong type.
      ValueError: The number of ids is not the population that the accounting
        assumes, or an id appears twice.
    """
    sampler = sampling_lib.ClientSampler(
      client_ids,
      sampling=self.sampling,
      expected_clients_per_round=self.run_clients_per_round,
      seed=seed,
    )
    if len(sampler.client_ids) != self.run_population:
      raise ValueError(
        f"client_ids must be the whole population of {self.run_population},"
        f" got {len(sampler.client_ids)}"
      )
    return sampler

  @property
  def mechanism(self) -> str:
    """What is noised, in the words of a statement."""
    return "Gaussian noise on the sum of clipped updates; standard deviation"

  @property
  def sensitivity(self) -> str:
    """The sensitivity that the noise multiplier refers to, in words."""
    return (
      "twice the clip norm" if self.sensitivity_factor == 2 else "clip norm"
    )

  @property
  def trusted(self) -> str:
    """Against whom there is no guarantee, in words."""
    return statement_lib.TRUSTED_SERVER
