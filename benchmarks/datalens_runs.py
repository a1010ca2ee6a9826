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

from tasks import configuration
from tasks.datalens import config as config_lib
from tasks.datalens import experiment
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
# What each method changes of the demo's config.
RUNS: Mapping[str, Mapping[str, Any]] = {
  "best": dict(),
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
  overrides = dict(RUNS[name])
  by_budget = overrides.pop("by_budget", {})
  return dataclasses.replace(
    _DEMO,
    **{
      "references": False,
      **overrides,
      **by_budget.get(epsilon, {}),
      "dataset": dataset,
      "epsilon": epsilon,
      "seed": seed,
      "measured_on": split,
    },
  )


def accuracy(config: config_lib.Config, folder: str) -> float:
  """The CNN's accuracy after a run, from its report if there is one."""
  path = os.path.join(folder, "report.json")
  if os.path.exists(path):
    configuration.claim_folder(folder, config)
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
