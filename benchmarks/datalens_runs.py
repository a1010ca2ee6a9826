"""Runs of the DataLens task over methods, budgets and seeds, as one table.

    python -m benchmarks.datalens_runs --method_names best --data_sets mnist \
      --budgets 1,10 --run_seeds 1,2,3 --judged_on test

Each run is one of `tasks.datalens` with its own folder, config and report; one
that is there is not run again. `--method_names` are keys of `RUNS` below.
Prints a Markdown table of the CNN's accuracies, their mean and standard
deviation. Choose settings with `--judged_on validation`; the test images are
for the end.
"""

from collections.abc import Mapping
import dataclasses
import json
import math
import os
import statistics
from typing import Any

from absl import app
from absl import flags
from absl import logging

from tasks.datalens import config as config_lib
from tasks.datalens import experiment
from tff_gen_debug import run_folder
from tff_gen_debug import runtime

_RUNS = flags.DEFINE_list("method_names", ["best"], "Names of methods.")
_DATASETS = flags.DEFINE_list("data_sets", ["mnist"], "Data sets.")
_BUDGETS = flags.DEFINE_list("budgets", ["1", "10"], "Epsilons.")
_SEEDS = flags.DEFINE_list("run_seeds", ["1", "2", "3"], "Seeds.")
_SPLIT = flags.DEFINE_enum(
  "judged_on", "validation", ["validation", "test"], "What to measure on."
)
_FOLDER = flags.DEFINE_string("runs_folder", "out/datalens", "Where runs go.")

_DEMO = config_lib.PRESETS["demo"]

# What was chosen by validation images with another seed, by data set and
# budget; what is missing is the demo's.
_LARGE_SHARDS = dict(num_teachers=500, locality=2.0, generated_per_class=40)
_SMALL_SHARDS = dict(num_teachers=2000, locality=0.8, generated_per_class=20)
_BEST: Mapping[tuple[str, float], Mapping[str, Any]] = {
  ("mnist", 10.0): _LARGE_SHARDS,
  ("mnist", 1.0): _SMALL_SHARDS,
  ("fashion_mnist", 10.0): _LARGE_SHARDS,
  ("fashion_mnist", 1.0): _SMALL_SHARDS,
}

# The paper's mechanism with a twentieth of its teachers, each with as many
# images as one of all 4000 would have, and a twentieth of the noise.
_PAPER = dict(
  num_teachers=200,
  images_per_teacher=13,
  generator_learning_rate=1e-3,
)


def _paper(**changes: Any) -> Mapping[str, Any]:
  return {"preset": "paper", **_PAPER, **changes}


def _own_noise(**changes: Any) -> Mapping[str, Any]:
  """As the paper, but for what is sent; as many rounds, calibrated noise."""
  same = dict(
    published=False,
    simulated_teachers=4000,
    images_per_round=15,
    rounds=142,
    top_k=300,
    threshold=0.2,
  )
  return _paper(**{**same, **changes})


# By method, the preset and what to change in it.
RUNS: Mapping[str, Mapping[str, Any]] = {
  "best": dict(preset="demo"),
  **{
    f"teachers_{number}": dict(preset="demo", num_teachers=number, locality=0.8)
    for number in (250, 500, 1000, 2000, 4000)
  },
  "paper": _paper(),
  "top_k_50": _own_noise(top_k=50),
  "top_k_784": _own_noise(top_k=784),
  "threshold_0": _own_noise(threshold=0.0),
  "threshold_0.4": _own_noise(threshold=0.4),
  "no_threshold": _own_noise(threshold=-1.0),
  "signs": _own_noise(stochastic=False),
  "signs_784_no_threshold": _own_noise(
    stochastic=False, top_k=784, threshold=-1.0
  ),
  "coordinate_clip": _own_noise(coordinate_clip=1e-3),
  "half_the_rounds": _own_noise(rounds=71),
  "twice_the_rounds": _own_noise(rounds=284),
  "dense": _own_noise(code="clipped"),
  "projected": _own_noise(code="projected"),
  "low_frequencies": _own_noise(code="low_frequencies"),
  "bins": _own_noise(code="bins"),
  # Noised steps of the discriminator to steps of the generator, n_D to 1.
  **{
    f"dp_gan_{noised}_to_{free}": dict(
      preset="dp_gan", discriminator_rounds=noised, gan_generator_steps=free
    )
    for noised, free in ((1, 20), (1, 6), (1, 1), (4, 1))
  },
}


def make_config(
  name: str, dataset: str, epsilon: float, seed: int, split: str
) -> config_lib.Config:
  """The config of a run.

  Args:
    name: A key of `RUNS`.
    dataset: The data set.
    epsilon: The budget.
    seed: The seed.
    split: "validation" or "test".

  Returns:
    The config.
  """
  changes = dict(RUNS[name])
  base = config_lib.PRESETS[changes.pop("preset")]
  best = _BEST.get((dataset, epsilon), {}) if base is _DEMO else {}
  changes = {
    "references": False,
    "num_samples": 20_000,
    **best,
    **changes,
    "dataset": dataset,
    "epsilon": epsilon,
    "seed": seed,
    "measured_on": split,
  }
  return dataclasses.replace(base, **changes)


def accuracy(config: config_lib.Config, folder: str) -> float:
  """The CNN's accuracy after a run, from its report if there is one."""
  path = os.path.join(folder, "report.json")
  if os.path.exists(path):
    run_folder.claim(folder, dataclasses.asdict(config))
  else:
    experiment.run(config, folder)
  with open(path, encoding="utf-8") as file:
    return float(json.load(file)["metrics"]["accuracies"]["cnn"])


def markdown(rows: Mapping[tuple[str, str, float], list[float]]) -> str:
  """The table; a row is a method, data set and budget with its accuracies."""
  lines = [
    "| method | data set | epsilon | runs | mean | sd |",
    "|---|---|---|---|---|---|",
  ]
  for (name, dataset, epsilon), accuracies in rows.items():
    spread = (
      f"{statistics.stdev(accuracies):.2%}" if len(accuracies) > 1 else ""
    )
    lines.append(
      f"| {name} | {dataset} | {epsilon:g} | {len(accuracies)} |"
      f" {statistics.mean(accuracies):.2%} | {spread} |"
    )
  return "\n".join(lines)


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f"Unknown arguments: {' '.join(argv[1:])}")
  logging.set_verbosity(logging.ERROR)
  rows: dict[tuple[str, str, float], list[float]] = {}
  with runtime.use_local_runtime():
    for dataset in _DATASETS.value:
      for name in _RUNS.value:
        for budget in map(float, _BUDGETS.value):
          for seed in map(int, _SEEDS.value):
            config = make_config(name, dataset, budget, seed, _SPLIT.value)
            label = "inf" if math.isinf(budget) else f"{budget:g}"
            folder = os.path.join(
              _FOLDER.value,
              _SPLIT.value,
              dataset,
              name,
              f"epsilon_{label}_seed_{seed}",
            )
            result = accuracy(config, folder)
            rows.setdefault((name, dataset, budget), []).append(result)
            print(f"{folder}: {result:.2%}", flush=True)
  print(markdown(rows))


if __name__ == "__main__":
  app.run(main)
