"""From the questions' answers to findings and the report."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

import numpy as np

from tasks.topagg_fedavg import comparisons
from tasks.topagg_fedavg import conclusions
from tasks.topagg_fedavg import config as config_lib
from tasks.topagg_fedavg import overlap as overlap_lib
from tasks.topagg_fedavg import population as population_lib
from tasks.topagg_fedavg import settings
from tff_gen_debug import privacy
from tff_gen_debug.debugging import charts
from tff_gen_debug.debugging import report as report_lib

_TITLES = {
  "epsilon": "How well can a model be trained at a privacy budget?",
  "top_k": "How many weights should a client vote on?",
  "threshold": "Does a threshold help?",
  "votes": "Should votes be drawn?",
  "overlap": "Do clients vote on the same weights?",
  "examples": "And where one image is the unit of privacy (DP-SGD)?",
}
_AXES = {
  "epsilon": "epsilon",
  "top_k": "share of the weights, in percent",
  "threshold": "threshold, in percent of the expected users",
  "votes": "entry above which a drawn vote is certain",
  "examples": "epsilon",
}


def make_report(
  config: config_lib.Config,
  population: population_lib.Population,
  num_weights: int,
  answers: Mapping[str, Any],
  wall_seconds: float,
) -> report_lib.Report:
  """Makes the report.

  Args:
    config: The config of the run.
    population: The users.
    num_weights: The size of an update.
    answers: By question, what `comparisons` returns.
    wall_seconds: How long the run took.

  Returns:
    The report.
  """
  plan = settings.make_plan(
    config,
    settings.Setting("topagg", config.detail_epsilon),
    len(population.users),
  )
  releases = [
    privacy.Release(
      name="everything else",
      what=(
        "settings chosen, and trainings repeated, on the same users; epsilon "
        "is what one training costs. The images are public"
      ),
    )
  ]
  sections: list[report_lib.Section] = []
  for question, answer in answers.items():
    sections += _sections(config, question, answer)
  return report_lib.Report(
    title="What does TopAgg do to training?",
    question=(
      "At the same epsilon, is a vote on the largest entries of the users' "
      "updates better or worse than their clipped mean with Gaussian noise?"
    ),
    findings=[
      finding
      for question, answer in answers.items()
      for finding in conclusions.FINDINGS[question](config, answer)
    ],
    sections=sections,
    privacy=plan.to_dict(releases),
    privacy_statement=plan.statement(releases),
    releases=releases,
    config=dataclasses.asdict(config),
    metrics={
      "num_users": len(population.users),
      "num_images": len(population.pooled),
      "num_validation_images": len(population.validation),
      "num_test_images": len(population.test),
      "num_weights": num_weights,
      "answers": {q: _to_json(answer) for q, answer in answers.items()},
    },
    wall_seconds=wall_seconds,
  )


def _sections(
  config: config_lib.Config, question: str, answer: Any
) -> list[report_lib.Section]:
  title = _TITLES[question]
  if question == "overlap":
    return [_overlap_chart(title, answer), _overlap_table(answer)]
  if question == "votes":
    lines = _by_clip(answer)
    measured = list(answer.items())
  else:
    lines = answer
    measured = [(name, m) for name, row in answer.items() for m in row]
  values = _values(config, question)
  chart = report_lib.ImageGrid(
    title=title,
    figures=[
      report_lib.Figure(
        label="Accuracy on test images",
        png=charts.line_chart(
          {name: [m.mean for m in row] for name, row in lines.items()},
          errors={name: [m.stddev for m in row] for name, row in lines.items()},
          x=_positions(values),
          x_names=_names(question, values),
          x_label=_AXES[question],
          y_label="accuracy",
          as_percent=True,
          log_x=question != "threshold",
        ),
        caption=_caption(config, question),
      )
    ],
  )
  return [chart, _accuracy_table("In numbers", measured)]


def _by_clip(
  answer: Mapping[str, comparisons.Measured],
) -> Mapping[str, Sequence[comparisons.Measured]]:
  """Drawn votes by clip, and plain signs, which no clip changes."""
  *drawn, signs = answer.values()
  # No clip is the largest one.
  drawn.sort(key=lambda m: m.setting.coordinate_clip or np.inf)
  return {"drawn": drawn, "plain signs": [signs] * len(drawn)}


def _values(config: config_lib.Config, question: str) -> list[float]:
  """What is compared along the axis."""
  if question == "top_k":
    return config_lib.numbers(config.top_shares)
  if question == "threshold":
    return config_lib.numbers(config.thresholds)
  if question == "votes":
    clips = config_lib.numbers(config.coordinate_clips)
    return sorted(clip or np.inf for clip in clips)
  return config_lib.numbers(config.epsilons)


def _positions(values: Sequence[float]) -> list[float]:
  """Where on the axis: what is infinite is beyond the largest."""
  finite = [value for value in values if np.isfinite(value)]
  beyond = 4 * max(finite, default=1)
  return [value if np.isfinite(value) else beyond for value in values]


def _names(question: str, values: Sequence[float]) -> list[str]:
  if question in ("top_k", "threshold"):
    return [f"{value:.3g}" for value in 100 * np.array(values)]
  infinite = "no clip" if question == "votes" else "no noise"
  return [f"{v:g}" if np.isfinite(v) else infinite for v in values]


def _caption(config: config_lib.Config, question: str) -> str:
  caption = (
    f"Mean and standard deviation of {len(config_lib.integers(config.seeds))} "
    "trainings."
  )
  if question in ("top_k", "threshold", "votes"):
    caption += f" Epsilon {config.detail_epsilon:g}."
  return caption


def _accuracy_table(
  title: str, measured: Sequence[tuple[str, comparisons.Measured]]
) -> report_lib.Table:
  """One row a measurement, with its name."""
  return report_lib.Table(
    title=title,
    columns=(
      "aggregation",
      "epsilon",
      "top_k",
      "threshold",
      "step or rate",
      "clip norm",
      "validation",
      "test",
      "sd",
    ),
    rows=[
      (
        label,
        f"{m.setting.epsilon:g}",
        f"{m.setting.top_share:.1%}",
        f"{m.setting.threshold:g}",
        f"{m.chosen.rate:g}",
        f"{m.chosen.clip_norm:g}" if m.chosen.clip_norm else None,
        f"{m.validation:.1%}",
        f"{m.mean:.1%}",
        f"{m.stddev:.1%}",
      )
      for label, m in measured
    ],
    text=(
      "Steps, rates, clip norms and, where budgets are compared, top_k were "
      "chosen by the validation images with a training of another seed."
    ),
  )


def _overlap_chart(
  title: str, answer: Mapping[str, Sequence[overlap_lib.Overlap]]
) -> report_lib.ImageGrid:
  first = next(iter(answer.values()))
  return report_lib.ImageGrid(
    title=title,
    figures=[
      report_lib.Figure(
        label="What a vote is worth, relative to a full sign vote",
        png=charts.line_chart(
          {
            "all on the same weights": [o.same_weights_gain for o in first],
            **{name: [o.gain for o in row] for name, row in answer.items()},
            "uniformly, agreeing": [o.uniform_gain for o in first],
          },
          x=[o.top_share for o in first],
          x_names=_names("top_k", [o.top_share for o in first]),
          x_label=_AXES["top_k"],
          y_label="gain",
          log_x=True,
          log_y=True,
        ),
        caption=(
          "The sum that a vote is part of, over the noise on it. Deterministic "
          "votes of one cohort, without noise."
        ),
        simulation_only=True,
      )
    ],
  )


def _overlap_table(
  answer: Mapping[str, Sequence[overlap_lib.Overlap]],
) -> report_lib.Table:
  return report_lib.Table(
    title="Overlap",
    columns=("when", "top_k", "shared by two users", "gain", "from", "to"),
    rows=[
      (
        name,
        f"{o.top_share:.1%}",
        f"{o.shared:.1%}",
        o.gain,
        o.uniform_gain,
        o.same_weights_gain,
      )
      for name, row in answer.items()
      for o in row
    ],
    text=(
      "Of a user's largest entries, the share that another user has among "
      "theirs: as much as the share of the weights, if users choose uniformly."
    ),
    simulation_only=True,
  )


def _to_json(answer: Any) -> Any:
  if isinstance(answer, Mapping):
    return {name: _to_json(value) for name, value in answer.items()}
  if isinstance(answer, Sequence):
    return [_to_json(value) for value in answer]
  content = dataclasses.asdict(answer)
  if isinstance(answer, comparisons.Measured):
    content.update(mean=answer.mean, stddev=answer.stddev)
  return content
