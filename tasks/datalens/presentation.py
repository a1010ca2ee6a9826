"""From the numbers of a run to findings and the report."""

import dataclasses
import math
from typing import Any, Optional

from tasks.datalens import config as config_lib
from tasks.datalens import measuring
from tasks.datalens import population as population_lib
from tasks.datalens import training
from tff_gen_debug import privacy
from tff_gen_debug.debugging import charts
from tff_gen_debug.debugging import findings as findings_lib
from tff_gen_debug.debugging import pictures
from tff_gen_debug.debugging import report as report_lib

_KINDS = {
  "cnn": "convolutional network",
  "logistic_regression": "logistic regression",
  "random_forest": "random forest",
}
# Accuracies of CNNs that Wang et al. (2021) report, (epsilon, 1e-5)-DP.
_REPORTED: dict[tuple[str, float], float] = {
  ("mnist", 1): 0.7123,
  ("mnist", 10): 0.8066,
  ("fashion_mnist", 1): 0.6478,
  ("fashion_mnist", 10): 0.7061,
}
_MOST_GRIDS = 6
# Where the epsilon of a longer run is drawn.
_MOST_POINTS = 40


def make_report(
  config: config_lib.Config,
  population: population_lib.Population,
  trained: training.Trained,
  measured: measuring.Measured,
  wall_seconds: float,
) -> report_lib.Report:
  """Makes the report.

  Args:
    config: The config of the run.
    population: The real images.
    trained: The synthetic ones, and what they cost.
    measured: What they are worth.
    wall_seconds: How long the run took.

  Returns:
    The report.
  """
  releases = [
    privacy.Release(
      name=f"judgement by {measured.split} images",
      what=(
        "accuracies, scores and distances are computed from real images, which"
        " a deployment would not look at"
      ),
    )
  ]
  statement = trained.plan.statement(releases, rounds=trained.rounds)
  return report_lib.Report(
    title=_title(config),
    question=(
      f"What are labelled images worth that {_made_by(config)} made, to"
      " somebody who may not see the real ones?"
    ),
    findings=_findings(config, trained, measured),
    sections=[
      _samples(population, trained),
      _over_rounds(trained),
      *_accuracies(config, measured),
      _scores(measured),
      _epsilon(trained),
    ],
    privacy=trained.plan.to_dict(releases, rounds=trained.rounds),
    privacy_statement=f"{_unit(config, trained)}\n\n{statement}",
    releases=releases,
    config=dataclasses.asdict(config),
    metrics={
      "num_images": len(population.train),
      "num_teachers": config.num_teachers,
      "rounds": trained.rounds,
      **_asked(config, trained),
      **dataclasses.asdict(measured),
    },
    wall_seconds=wall_seconds,
  )


def _title(config: config_lib.Config) -> str:
  if config.method == "dp_gan":
    return "DP-GAN: a federated GAN, to compare DataLens with"
  return "DataLens: a private GAN of many teachers"


def _made_by(config: config_lib.Config) -> str:
  if config.method == "dp_gan":
    return (
      "a GAN with noised discriminator updates of"
      f" {config.num_teachers} clients has"
    )
  teachers = config.simulated_teachers or config.num_teachers
  return f"noised votes of {teachers} teachers have"


def _unit(config: config_lib.Config, trained: training.Trained) -> str:
  """Whom the statement is about, and what that means for an image."""
  user = "client" if config.method == "dp_gan" else "teacher"
  text = (
    f"In this statement a user is a {user}: all images of one shard. An image"
    " is in one shard, by its number"
  )
  if trained.plan.neighboring_relation == "replace_one":
    return f"{text}, so the guarantee holds for each image as well."
  return (
    f"{text}. The guarantee is for a shard that comes or goes as a whole. To"
    " exchange a shard, or an image in it, is to take one away and to add"
    " another: against that, and so for each image by itself, epsilon is"
    " larger, at most twice as large, at a delta that is 1 + exp(epsilon) times"
    " as large."
  )


def _asked(
  config: config_lib.Config, trained: training.Trained
) -> dict[str, int]:
  if config.method == "dp_gan":
    return {}  # Nobody is asked about images.
  return {"images_asked_about": trained.rounds * config.images_per_round}


def _findings(
  config: config_lib.Config,
  trained: training.Trained,
  measured: measuring.Measured,
) -> list[findings_lib.Finding]:
  accuracy = measured.accuracies["cnn"]
  reported = _reported(config)
  evidence = (
    f"One run with seed {config.seed}, judged by {measured.split} images. Only"
    " the generator's samples were trained on."
  )
  claim = (
    f"a CNN trained on synthetic images alone gets {accuracy:.1%} of real ones"
    f" right, at epsilon {trained.ledger.epsilon():.3g}"
  )
  if measured.real_accuracies:
    claim += (
      f"; trained on real ones it gets {measured.real_accuracies['cnn']:.1%}"
    )
  findings = [
    findings_lib.Finding(
      name="samples_are_useful",
      # Twice what guessing gets.
      holds=accuracy > 2 / max(len(measured.class_accuracies), 2),
      claim=claim,
      evidence=evidence,
      numbers={"accuracy": accuracy},
    )
  ]
  if reported is not None:
    relation = "more" if accuracy > reported else "no more"
    findings.append(
      findings_lib.Finding(
        name="at_least_reported",
        holds=accuracy >= reported,
        claim=(
          f"{accuracy:.1%} is {relation} than the {reported:.1%} that Wang et"
          f" al. (2021) report at epsilon {config.epsilon:g}"
        ),
        evidence=(
          f"{evidence} Theirs is the best epoch on the test images, and their"
          " classifier another."
        ),
        numbers={"reported": reported},
      )
    )
  return findings


def _reported(config: config_lib.Config) -> Optional[float]:
  if config.method == "dp_gan":
    return None  # What is reported is of teachers.
  if not math.isfinite(config.epsilon) or config.delta != 1e-5:
    return None
  return _REPORTED.get((config.dataset, config.epsilon))


def _samples(
  population: population_lib.Population, trained: training.Trained
) -> report_lib.ImageGrid:
  classes = max(population.num_classes, 1)
  order = [
    i
    for row in range(10)
    for label in range(classes)
    for i in _nth(trained.samples.labels, label, row)
  ]
  real = [
    i
    for row in range(10)
    for label in range(classes)
    for i in _nth(population.validation.labels, label, row)
  ]
  return report_lib.ImageGrid(
    title="Synthetic images, a column a class",
    figures=[
      report_lib.Figure(
        label="synthetic",
        png=pictures.sample_grid(trained.samples.images[order], 10, classes),
      ),
      report_lib.Figure(
        label="real",
        png=pictures.sample_grid(
          population.validation[real].pixels, 10, classes
        ),
        simulation_only=True,
      ),
    ],
    text="Not chosen: the first of each class.",
  )


def _nth(labels: Any, label: int, place: int) -> list[int]:
  """The position of one image of a class, in a list; empty if there is none."""
  positions = (labels == label).nonzero()[0]
  return positions[place : place + 1].tolist()


def _over_rounds(trained: training.Trained) -> report_lib.ImageGrid:
  rounds = sorted(trained.grids)
  last = _MOST_GRIDS - 1
  picked = sorted(
    {rounds[i * (len(rounds) - 1) // last] for i in range(last + 1)}
  )
  return report_lib.ImageGrid(
    title="Samples over rounds",
    figures=[
      report_lib.Figure(label=f"round {number}", png=trained.grids[number])
      for number in picked
    ],
    text="The same generator inputs at each round.",
    compact=True,
  )


def _accuracies(
  config: config_lib.Config, measured: measuring.Measured
) -> list[report_lib.Section]:
  users = "clients" if config.method == "dp_gan" else "teachers"
  return [
    report_lib.Table(
      title="Trained on synthetic images, tested on real ones",
      columns=("classifier", "synthetic", "real"),
      rows=[
        (
          _KINDS[kind],
          f"{accuracy:.2%}",
          f"{measured.real_accuracies[kind]:.2%}"
          if kind in measured.real_accuracies
          else None,
        )
        for kind, accuracy in measured.accuracies.items()
      ],
      text=(
        f"Accuracy on real {measured.split} images, which neither {users} nor"
        " classifiers have seen, of training on synthetic and on real images."
      ),
      simulation_only=True,
    ),
    report_lib.Table(
      title="Of the convolutional network, by class",
      columns=("class", "accuracy"),
      rows=[
        (str(label), f"{share:.1%}")
        for label, share in enumerate(measured.class_accuracies)
      ],
      simulation_only=True,
    ),
  ]


def _scores(measured: measuring.Measured) -> report_lib.Table:
  rows: list[tuple[str, float, Optional[float]]] = [
    ("median distance to training images", measured.nearest_train, None),
    ("median distance to other images", measured.nearest_held_out, None),
  ]
  if measured.scores is not None:
    scores = measured.scores
    rows = [
      (
        "classifier score",
        scores.classifier_score,
        scores.real_classifier_score,
      ),
      (
        "Frechet distance",
        scores.frechet_distance,
        scores.real_frechet_distance,
      ),
      *rows,
    ]
  return report_lib.Table(
    title="Scores",
    columns=("score", "synthetic", "real"),
    rows=rows,
    text=(
      "Classifier score and Frechet distance are by a CNN trained on real"
      " images, the distance on its logits. Samples that lie nearer to training"
      " images than to as many others would be copies."
    ),
    simulation_only=True,
  )


def _epsilon(trained: training.Trained) -> report_lib.Section:
  rounds = max(trained.rounds, 1)
  points = sorted(
    {max(1, rounds * (i + 1) // _MOST_POINTS) for i in range(_MOST_POINTS)}
  )
  return report_lib.ImageGrid(
    title="What it cost",
    figures=[
      report_lib.Figure(
        label="Epsilon along the run",
        png=charts.line_chart(
          {"epsilon": [trained.plan.epsilon_after(n) for n in points]},
          x=points,
          x_label="round",
          y_label="epsilon",
        ),
        caption=f"At delta {trained.plan.delta:g}.",
      )
    ],
  )
