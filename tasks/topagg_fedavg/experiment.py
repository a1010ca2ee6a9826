"""The whole task: users, the questions' trainings, the report."""

from collections.abc import Mapping
import contextlib
import dataclasses
import logging
import os
import time
from typing import Any

from tasks.topagg_fedavg import comparisons as comparisons_lib
from tasks.topagg_fedavg import config as config_lib
from tasks.topagg_fedavg import population as population_lib
from tasks.topagg_fedavg import presentation
from tasks.topagg_fedavg import settings
from tasks.topagg_fedavg import training
from tasks.topagg_fedavg import training_pool
from tff_gen_debug import run_folder
from tff_gen_debug.debugging import report as report_lib

_logger = logging.getLogger(__name__)


def run(config: config_lib.Config, folder: str, processes: int = 1) -> str:
  """Runs the task, or goes on with an unfinished run in `folder`.

  TFF computations run in the default context, such as
  `tff_gen_debug.runtime.use_local_runtime` sets.

  Args:
    config: What to run.
    folder: Where everything goes; made if missing.
    processes: How many trainings run at a time. Those of more than one run in
      processes of their own, on local runtimes of their own.

  Returns:
    The path of report.html.

  Raises:
    tff_gen_debug.run_folder.DifferentRunError: If `folder` holds another run.
    ValueError: If there are fewer users than a round is expected to have, or a
      budget that no noise keeps.
  """
  start = time.monotonic()
  run_folder.claim(folder, dataclasses.asdict(config))
  population = population_lib.load(config)
  _logger.info(
    "%d users with %d images, %d images for validation and %d for the test",
    len(population.users),
    len(population.pooled),
    len(population.validation),
    len(population.test),
  )
  trainer = training.Trainer(
    config, population, os.path.join(folder, "trainings")
  )
  pool: contextlib.AbstractContextManager[comparisons_lib.Trainings]
  if processes > 1:
    pool = training_pool.TrainingPool(
      config, population, trainer.folder, processes
    )
  else:
    pool = contextlib.nullcontext(trainer)
  with pool as trainings:
    answers = _ask(config, population, trainer, trainings)
  report = presentation.make_report(
    config,
    population,
    trainer.num_weights,
    answers,
    time.monotonic() - start,
  )
  for finding in report.findings:
    _logger.info("Finding: %s", finding.claim)
  return report_lib.write_report(folder, report)


def _ask(
  config: config_lib.Config,
  population: population_lib.Population,
  trainer: training.Trainer,
  trainings: comparisons_lib.Trainings,
) -> Mapping[str, Any]:
  comparisons = comparisons_lib.Comparisons(config, trainings)
  ask = {
    "epsilon": lambda: comparisons.by_epsilon(settings.USER),
    "top_k": comparisons.by_top_share,
    "threshold": comparisons.by_threshold,
    "votes": comparisons.by_votes,
    "overlap": lambda: comparisons_lib.overlaps(config, population, trainer),
    "examples": lambda: comparisons.by_epsilon(settings.EXAMPLE),
  }
  return {
    question: ask[question]()
    for question in config_lib.QUESTIONS
    if question in config_lib.strings(config.questions)
  }
