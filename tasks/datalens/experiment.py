"""The whole task: images, training, samples, their worth, the report."""

import dataclasses
import logging
import os
import time

from tasks.datalens import config as config_lib
from tasks.datalens import dp_gan
from tasks.datalens import measuring
from tasks.datalens import methods
from tasks.datalens import population as population_lib
from tasks.datalens import presentation
from tasks.datalens import training
from tff_gen_debug import run_folder
from tff_gen_debug.debugging import report as report_lib

_logger = logging.getLogger(__name__)


def run(config: config_lib.Config, folder: str) -> str:
  """Runs the task, or goes on with an unfinished run in `folder`.

  TFF computations run in the default context, such as
  `tff_gen_debug.runtime.use_local_runtime` sets.

  Args:
    config: What to run.
    folder: Where everything goes; made if missing.

  Returns:
    The path of report.html.

  Raises:
    tff_gen_debug.run_folder.DifferentRunError: If `folder` holds another run.
    ValueError: If there are fewer images than teachers, or a budget that no
      noise keeps, or sampling that its accountant has no theorem for.
  """
  start = time.monotonic()
  run_folder.claim(folder, dataclasses.asdict(config))
  config = methods.resolve(config)
  population = population_lib.load(config)
  _logger.info(
    "%d images for training, %d for validation",
    len(population.train),
    len(population.validation),
  )
  train = dp_gan.train if config.method == "dp_gan" else training.train
  trained = train(config, population, folder)
  measured = measuring.measure(config, population, trained.samples)
  report = presentation.make_report(
    config, population, trained, measured, time.monotonic() - start
  )
  for finding in report.findings:
    _logger.info("Finding: %s", finding.claim)
  return report_lib.write_report(os.fspath(folder), report)
