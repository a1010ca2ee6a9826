"""An investigation: from users' data that nobody may look at to findings.

The walk of Augenstein et al. (ICLR 2020, arXiv 1911.06679, section 3) for any
of the six tasks of their Table 1: a criterion selects examples on the devices,
an auxiliary generative model is trained on each slice of them with differential
privacy, and its samples are shown, measured and held against each other.
"""

from collections.abc import Collection, Mapping, Sequence
import dataclasses
import hashlib
import json
import logging
import os
import time
from typing import Any, Optional

import tensorflow_federated as tff

from tff_gen_debug import arguments
from tff_gen_debug import privacy
from tff_gen_debug import run_folder
from tff_gen_debug.debugging import auxiliary as auxiliary_lib
from tff_gen_debug.debugging import findings as findings_lib
from tff_gen_debug.debugging import label_differences
from tff_gen_debug.debugging import report as report_lib
from tff_gen_debug.debugging import splits
from tff_gen_debug.models import image_classifier
from tff_gen_debug.runtime import program

_logger = logging.getLogger(__name__)

# Of the slices, in their order.
_FOLDERS = ("suspect", "reference")


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedSlice:
  """A slice, and what an auxiliary model has made of it.

  Attributes:
    slice: The slice.
    samples: What the auxiliary model generates.
    plan: The plan that made sampler, noise and accounting.
    rounds: How many rounds were run; fewer than planned if the budget ended it.
  """

  slice: splits.Slice
  samples: Any
  plan: privacy.PrivacyPlan
  rounds: int


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
  """What an investigation has found, and what it has cost.

  Attributes:
    investigation: What was asked.
    split: The slices.
    trained: For each slice, the suspect one first.
    findings: What samples show, those that hold first.
    ledger: What a user has spent at most, in this investigation and in those
      before whose ledger was given.
    wall_seconds: How long it took since it was last started.
  """

  investigation: "Investigation"
  split: splits.Split
  trained: tuple[TrainedSlice, ...]
  findings: tuple[findings_lib.Finding, ...]
  ledger: privacy.PrivacyLedger
  wall_seconds: float

  @property
  def samples(self) -> dict[str, Any]:
    """Samples by the name of their slice, the suspect one first."""
    return {t.slice.name: t.samples for t in self.trained}

  @property
  def found(self) -> tuple[findings_lib.Finding, ...]:
    """The findings that hold."""
    return tuple(finding for finding in self.findings if finding.holds)

  @property
  def rounds_of_a_user(self) -> int:
    """In how many rounds a user can have been sampled with examples."""
    rounds = [t.rounds for t in self.trained]
    return max(rounds) if self.split.exclusive else sum(rounds)

  def report(
    self, extra_sections: Sequence[report_lib.Section] = ()
  ) -> report_lib.Report:
    """The report; `report.write_report` writes it.

    Args:
      extra_sections: What else the page shows, after the samples.

    Returns:
      The report. Its epsilon is of this investigation alone; that of `ledger`,
      earlier ones included, is among the metrics.
    """
    # The slice with fewer users protects them less.
    plan = min((t.plan for t in self.trained), key=lambda p: p.run_population)
    releases = self.split.releases
    slices = {
      t.slice.name: {"description": t.slice.description, "rounds": t.rounds}
      for t in self.trained
    }
    return report_lib.Report(
      title=self.split.question,
      question=(
        "Nobody may look at the users' data. Samples of differentially private "
        f"generative models stand for them: {self.investigation.criterion}."
      ),
      findings=self.findings,
      sections=(
        *self.investigation.auxiliary.sections(self.samples),
        *extra_sections,
      ),
      privacy=plan.to_dict(releases, rounds=self.rounds_of_a_user),
      privacy_statement=plan.statement(releases, rounds=self.rounds_of_a_user),
      releases=releases,
      config=self.investigation.to_dict(),
      metrics={"slices": slices, "epsilon_of_ledger": self.ledger.epsilon()},
      wall_seconds=self.wall_seconds,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Investigation:
  """What to look into, with what, and at what cost.

    investigation = Investigation(
      client_data=images,
      criterion=criteria.MisclassifiedExamples(),
      auxiliary=image_gan.ImageGan(),
      plan=plan,
      primary=classifier,
    )
    result = investigation.run("out/mistakes")
    print([finding.claim for finding in result.found])
    report.write_report("out/mistakes", result.report())

  Formal guarantees: the report, the samples and the findings are functions of
  the auxiliary models and of what the criterion released, so they have the
  privacy of `Result.ledger`, at its delta, provided that `plan` is not a
  simulation. Then the clients of each slice are *all* users: whoever has no
  selected example sends a zero update when sampled, and nobody learns how many
  those are. A plan that simulates a deployment protects the users of that
  deployment, not those at hand: each slice then stands for `plan.population`
  users who have selected examples, and the run draws its cohorts from its users
  who do (topped up with others if they are fewer than a cohort).

  A user who may be in both slices of a criterion pays for both models:
  `plan.epsilon_after(2 * plan.rounds)`. See `splits.Split.exclusive`.

  Attributes:
    client_data: The users' data, of the elements that criterion and auxiliary
      model take.
    criterion: Which examples to look into; see `criteria`,
      `accuracy_criteria` and `oov`.
    auxiliary: The generative model; see `image_gan` and `character_model`.
    plan: Of each auxiliary model: `plan.rounds` rounds of each. Without
      simulation its population must be the number of clients.
    primary: The model that got worse. Some criteria need it; findings about
      classes, too.
    public: Examples that may be looked at, in the form of the auxiliary model's
      samples, for a criterion without a reference slice to be held against.
    epsilon_limit: Training stops before the round that would take the ledger
      over it; no limit by default.
    checkpoint_every: Rounds between checkpoints, at least 1.
    seed: Of the cohorts, in [0, 2**63 - 1], together with everything else that
      is asked, so that another investigation draws others; secret in a
      deployment. Ask the same twice with two seeds.

  Raises:
    TypeError: If a number has another type.
    ValueError: If a number is out of its range.
  """

  client_data: tff.simulation.datasets.ClientData
  criterion: splits.Criterion
  auxiliary: auxiliary_lib.AuxiliaryModel
  plan: privacy.PrivacyPlan
  primary: Optional[image_classifier.ImageClassifier] = None
  public: Optional[Any] = None
  epsilon_limit: Optional[float] = None
  checkpoint_every: int = 20
  seed: int = 0

  def __post_init__(self):
    arguments.integer("checkpoint_every", self.checkpoint_every, 1)
    arguments.integer("seed", self.seed, 0)
    if self.epsilon_limit is not None:
      limit = arguments.real("epsilon_limit", self.epsilon_limit)
      if limit < 0:
        raise ValueError(f"epsilon_limit must be at least 0, got {limit}")

  def to_dict(self) -> dict[str, Any]:
    """What is asked, of JSON types: a folder belongs to one such question."""
    return {
      "criterion": str(self.criterion),
      "num_clients": len(self.client_data.client_ids),
      "auxiliary": self.auxiliary.to_dict(),
      "plan": self.plan.to_dict(),
      "epsilon_limit": self.epsilon_limit,
      "seed": self.seed,
    }

  def run(
    self, folder: str, ledger: Optional[privacy.PrivacyLedger] = None
  ) -> Result:
    """Runs the investigation, or goes on with an unfinished one in `folder`.

    TFF computations run in the default context, such as
    `tff_gen_debug.runtime.use_local_runtime` sets.

    Args:
      folder: Where checkpoints and metrics go; made if missing.
      ledger: What the same users have spent before, such as the
        `Result.ledger` of another investigation; nothing by default. It is not
        changed.

    Returns:
      What was found.

    Raises:
      run_folder.DifferentRunError: If `folder` holds another investigation.
      ValueError: If the parts don't fit each other: the criterion needs a
        primary model, the elements of `client_data` are not what a part takes,
        the plan's population is not the number of clients, or the ledger has
        another neighbouring relation.
    """
    start = time.monotonic()
    ledger = ledger or self.plan.new_ledger()
    if ledger.neighboring_relation != self.plan.neighboring_relation:
      raise ValueError(
        "ledger must have the neighbouring relation of the plan, "
        f"{self.plan.neighboring_relation!r}, got "
        f"{ledger.neighboring_relation!r}"
      )
    run_folder.claim(folder, self.to_dict())
    split = self.criterion.split(
      self.client_data,
      splits.Context(
        folder=folder,
        neighboring_relation=self.plan.neighboring_relation,
        primary=self.primary,
      ),
    )
    spent = privacy.PrivacyLedger.from_json(ledger.to_json())
    for release in split.releases:
      if release.event is not None:
        spent.record(release.event)
    # Noise and denominator are the same for all slices.
    process = self.auxiliary.build_process(self.plan)
    trained, ledgers = [], [spent]
    for number, chosen in enumerate(split.slices):
      before = ledgers[0] if split.exclusive else ledgers[-1]
      one, after = self._train(number, chosen, process, before, folder)
      trained.append(one)
      ledgers.append(after)
    findings = self.find(
      {t.slice.name: t.samples for t in trained}, split.suspect.labels
    )
    for finding in findings:
      if finding.holds:
        _logger.info("Finding: %s", finding.claim)
    return Result(
      investigation=self,
      split=split,
      trained=tuple(trained),
      findings=tuple(findings),
      ledger=max(ledgers, key=lambda spent: spent.epsilon()),
      wall_seconds=time.monotonic() - start,
    )

  def find(
    self,
    samples: Mapping[str, Any],
    labels: Optional[Collection[int]] = None,
  ) -> list[findings_lib.Finding]:
    """What samples show, those of `Result.samples` or others of their kind.

    Args:
      samples: By the name of their slice, the suspect one first. A single one
        is held against `public`.
      labels: Those of the suspect slice, if it was chosen by them. What the
        primary model is asked is then `label_differences.compare_labels`.

    Returns:
      The findings, those that hold first.
    """
    names, values = [*samples], [*samples.values()]
    if len(names) == 1:
      names.append(auxiliary_lib.PUBLIC)
      values.append(self.public)
    chosen = (names[0], names[1])
    if labels is None or self.primary is None:
      return self.auxiliary.find(values[0], values[1], chosen, self.primary)
    found = [
      label_differences.compare_labels(
        values[0],
        values[1],
        self.primary,
        labels,
        suspect_name=names[0],
        reference_name=names[1],
      ),
      *self.auxiliary.find(values[0], values[1], chosen, None),
    ]
    return sorted(found, key=lambda finding: not finding.holds)

  def _train(
    self,
    number: int,
    chosen: splits.Slice,
    process: tff.learning.templates.LearningProcess,
    ledger: privacy.PrivacyLedger,
    folder: str,
  ) -> tuple[TrainedSlice, privacy.PrivacyLedger]:
    """Trains the auxiliary model on a slice, and says what was spent then."""
    examples = self.auxiliary.examples(chosen.client_data)
    client_ids, plan = self._participants(examples)
    folder = os.path.join(folder, _FOLDERS[number])
    outcome = program.train(
      process,
      sample_clients=plan.sampler(
        client_ids, self._sampling_seed(number)
      ).sample,
      client_datasets=examples,
      rounds=plan.rounds,
      budget=program.Budget(
        round_event=plan.round_event,
        ledger=ledger,
        stop_at_epsilon=self.epsilon_limit,
      ),
      directory=os.path.join(folder, "checkpoints"),
      checkpoint_every=self.checkpoint_every,
      release_managers=[
        tff.program.CSVFileReleaseManager(
          os.path.join(folder, "metrics.csv"), key_fieldname="round"
        )
      ],
      description=chosen.name,
    )
    samples = self.auxiliary.sample(process.get_model_weights(outcome.state))
    return (
      TrainedSlice(chosen, samples, plan, outcome.rounds),
      outcome.ledger,
    )

  def _sampling_seed(self, number: int) -> int:
    """The seed of a slice's cohorts, in [0, 2**128).

    Rounds add up as the accountant says only if their cohorts are drawn
    independently. So models of the same users, here or in another
    investigation, must not draw the same ones.
    """
    text = json.dumps([self.to_dict(), number], sort_keys=True)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")

  def _participants(
    self, examples: Mapping[str, Any]
  ) -> tuple[list[str], privacy.PrivacyPlan]:
    """The clients that a slice's cohorts are drawn from, and their plan."""
    everybody = list(examples)
    if self.plan.simulation is None:
      return everybody, self.plan
    cohort = self.plan.run_clients_per_round
    with_examples: list[str] = []
    without: list[str] = []
    for client_id in everybody:
      is_empty = int(examples[client_id].cardinality()) == 0
      (without if is_empty else with_examples).append(client_id)
    missing = max(0, int(-(-cohort // 1)) - len(with_examples))
    client_ids = with_examples + without[:missing]
    return client_ids, self.plan.simulated_by(
      population=len(client_ids), clients_per_round=cohort
    )
