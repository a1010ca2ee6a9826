"""The whole task: users with a fault, an investigation of them, its report."""

import dataclasses
import logging
import os

from tasks.investigation import config as config_lib
from tasks.investigation import image_scenarios
from tasks.investigation import word_scenarios
from tff_gen_debug import run_folder
from tff_gen_debug.debugging import investigation as investigation_lib
from tff_gen_debug.debugging import labelling
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
    ValueError: If the population is not the users of the run.
  """
  run_folder.claim(folder, dataclasses.asdict(config))
  result = make(config).run(os.path.join(folder, "investigation"))
  if config.criterion == "unlabelled":
    _write_labelling_sheet(result, os.path.join(folder, "to_label"))
  report = result.report()
  report = dataclasses.replace(
    report,
    title=f"{config_lib.TASKS[config.criterion]}: {report.title}",
    config={**dataclasses.asdict(config), **report.config},
  )
  return report_lib.write_report(folder, report)


def make(config: config_lib.Config) -> investigation_lib.Investigation:
  """The investigation that a config describes."""
  if config.is_about_words:
    return word_scenarios.make(config)
  return image_scenarios.make(config)


def _write_labelling_sheet(
  result: investigation_lib.Result, folder: str
) -> None:
  if os.path.exists(folder):
    _logger.info("%s is there already, perhaps with labels: left alone", folder)
    return
  path = labelling.write_sheet(
    folder, result.trained[0].samples, result.investigation.primary
  )
  _logger.info("Samples to label: %s", path)
