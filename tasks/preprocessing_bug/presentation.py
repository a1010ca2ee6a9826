"""From trained GANs to findings and the report."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

import numpy as np

from tasks import deployment
from tasks.preprocessing_bug import config as config_lib
from tasks.preprocessing_bug import population
from tasks.preprocessing_bug import training
from tff_gen_debug import privacy
from tff_gen_debug.debugging import findings as findings_lib
from tff_gen_debug.debugging import pictures
from tff_gen_debug.debugging import report as report_lib

_SCENARIOS = {"bug": "with the bug", "control": "control, no bug"}


@dataclasses.dataclass(frozen=True, eq=False)
class SliceResult:
  """All that the report says of one slice.

  Attributes:
    criterion: Who is in it.
    num_users: How many that are.
    releases: What was released to choose it.
    real_images: float32 of shape [n, 28, 28, 1] in [-1, 1].
    trained: The GAN.
  """

  criterion: str
  num_users: int
  releases: Sequence[privacy.Release]
  real_images: np.ndarray
  trained: training.TrainedGan


Scenarios = Mapping[str, Mapping[str, SliceResult]]


def make_report(
  config: config_lib.Config,
  held_out: population.HeldOut,
  scenarios: Scenarios,
  wall_seconds: float,
) -> report_lib.Report:
  """Measures all samples and makes the report.

  Args:
    config: The config of the run.
    held_out: The primary model and the images that no GAN has seen.
    scenarios: "bug" and "control", each with its slices by name.
    wall_seconds: How long the run took.

  Returns:
    The report.
  """
  samples = {
    f"{prefix}{side}": result.trained.samples
    for scenario, prefix in (("bug", ""), ("control", "control_"))
    for side, result in zip(("low", "high"), scenarios[scenario].values())
  }
  shares = {
    name: findings_lib.Share.inverted(images)
    for name, images in samples.items()
  }
  numbers = {
    scenario: {
      name: findings_lib.slice_numbers(
        result.trained.samples, held_out.classifier, held_out.reference
      )
      for name, result in slices.items()
    }
    for scenario, slices in scenarios.items()
  }
  releases = _releases(config, scenarios["bug"])
  rounds = _rounds_of_a_user(config, scenarios["bug"])
  # The slice with fewer users protects them less.
  plan = min(
    (result.trained.plan for result in scenarios["bug"].values()),
    key=lambda plan: plan.run_population,
  )
  return report_lib.Report(
    title="What do the users look like on whom the model does badly?",
    question=(
      "A digit classifier does badly on some users and nobody may look at "
      "their images. Do the samples of a differentially private GAN, trained "
      f"on the {config.slice_names[0]} slice, show why?"
    ),
    findings=findings_lib.find_inversion(
      samples["low"],
      samples["high"],
      samples["control_low"],
      samples["control_high"],
    ),
    sections=(
      _samples("Generated: what the modeler may see", scenarios, "bug"),
      _samples("Generated: the control", scenarios, "control"),
      _share_bars(shares, config),
      _table(numbers, scenarios),
      *_over_rounds(scenarios["bug"]),
      _real(scenarios["bug"]),
    ),
    privacy=plan.to_dict(releases, rounds=rounds),
    privacy_statement=plan.statement(releases, rounds=rounds),
    releases=releases,
    config=dataclasses.asdict(config),
    metrics={
      "primary_model_accuracy": held_out.accuracy,
      "slices": {
        scenario: {
          name: {
            **values,
            "criterion": scenarios[scenario][name].criterion,
            "num_users": scenarios[scenario][name].num_users,
            "rounds": scenarios[scenario][name].trained.rounds,
            "epsilon": scenarios[scenario][name].trained.ledger.epsilon(),
          }
          for name, values in by_slice.items()
        }
        for scenario, by_slice in numbers.items()
      },
    },
    wall_seconds=wall_seconds,
  )


def _samples(
  title: str, scenarios: Scenarios, scenario: str
) -> report_lib.ImageGrid:
  return report_lib.ImageGrid(
    title=title,
    figures=[
      report_lib.Figure(
        label=f"{name} slice, {_SCENARIOS[scenario]}",
        png=pictures.sample_grid(result.trained.samples),
        caption=f"{result.num_users} users: {result.criterion}",
      )
      for name, result in scenarios[scenario].items()
    ],
    text=(
      f"Samples after the last round, {_SCENARIOS[scenario]}: not images of "
      "users. White is +1, black is -1; undamaged ink is white on black."
    ),
  )


def _share_bars(
  shares: Mapping[str, findings_lib.Share], config: config_lib.Config
) -> report_lib.ShareBars:
  low, high = config.slice_names
  labels = {
    "low": f"{low}, with the bug",
    "high": f"{high}, with the bug",
    "control_low": f"{low}, control",
    "control_high": f"{high}, control",
  }
  return report_lib.ShareBars(
    title="Share of inverted samples",
    shares={labels[key]: share for key, share in shares.items()},
    text="Bars are shares of generated images, whiskers exact 95 % intervals.",
  )


def _table(
  numbers: Mapping[str, Mapping[str, Mapping[str, Any]]], scenarios: Scenarios
) -> report_lib.Table:
  return report_lib.Table(
    title="Numbers by slice",
    columns=(
      "slice",
      "users",
      "border intensity",
      "inverted",
      "classifier score",
      "Frechet distance",
      "rounds",
    ),
    rows=[
      (
        f"{name}, {_SCENARIOS[scenario]}",
        scenarios[scenario][name].num_users,
        values["border_intensity"],
        f"{values['inverted']['share']:.1%}",
        values["classifier_score"],
        values["frechet_distance"],
        scenarios[scenario][name].trained.rounds,
      )
      for scenario, by_slice in numbers.items()
      for name, values in by_slice.items()
    ],
    text=(
      "Classifier score and Frechet distance use the primary model, trained on "
      "clean users on whom no GAN is trained; the distance is to images of "
      "further such users, on the model's logits."
    ),
  )


def _over_rounds(
  slices: Mapping[str, SliceResult],
) -> list[report_lib.ImageGrid]:
  sections = []
  for name, result in slices.items():
    rounds = sorted(result.trained.grids)
    picked = sorted({rounds[i * (len(rounds) - 1) // 4] for i in range(5)})
    sections.append(
      report_lib.ImageGrid(
        title=f"Samples over rounds, {name} slice",
        figures=[
          report_lib.Figure(
            label=f"round {number}", png=result.trained.grids[number]
          )
          for number in picked
        ],
        text="The same generator inputs at each round.",
        compact=True,
      )
    )
  return sections


def _real(slices: Mapping[str, SliceResult]) -> report_lib.ImageGrid:
  return report_lib.ImageGrid(
    title="What the users' images really are",
    figures=[
      report_lib.Figure(
        label=f"{name} slice, real images",
        png=pictures.sample_grid(result.real_images),
        simulation_only=True,
      )
      for name, result in slices.items()
    ],
    text="Nobody sees these outside a simulation; they are here to compare.",
  )


def _releases(
  config: config_lib.Config, slices: Mapping[str, SliceResult]
) -> list[privacy.Release]:
  """What left the clients beside the noised updates, each once."""
  releases = {
    release.name: release
    for result in slices.values()
    for release in result.releases
  }
  return [*releases.values(), *deployment.client_metric_releases(config)]


def _rounds_of_a_user(
  config: config_lib.Config, slices: Mapping[str, SliceResult]
) -> int:
  """For how many rounds a user pays at most.

  A user is in one slice of accuracies, and so in one GAN; of misclassified and
  correct examples most users have both, and pay for both GANs.
  """
  rounds = [result.trained.rounds for result in slices.values()]
  return max(rounds) if config.selection == "by_user" else sum(rounds)
