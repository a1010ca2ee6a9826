"""The whole task: users, primary model, slices, four GANs, findings, report."""

from collections.abc import Mapping
import dataclasses
import logging
import os
import time

from tasks import deployment
from tasks.preprocessing_bug import config as config_lib
from tasks.preprocessing_bug import population
from tasks.preprocessing_bug import presentation
from tasks.preprocessing_bug import training
from tff_gen_debug import run_folder
from tff_gen_debug.debugging import bugs
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
    ValueError: If a slice has too few users for a round.
  """
  start = time.monotonic()
  run_folder.claim(folder, dataclasses.asdict(config))
  clean_users, held_out_users = population.load_users(config)
  held_out = population.train_primary_model(config, held_out_users, folder)
  scenarios = {}
  for name, probability in (("bug", config.bug_probability), ("control", 0)):
    users = bugs.inject(
      clean_users,
      getattr(bugs, config.bug),
      probability=probability,
      seed=config.seed,
    )
    scenarios[name] = _investigate(
      config, users, held_out, name, os.path.join(folder, name)
    )
  report = presentation.make_report(
    config, held_out, scenarios, time.monotonic() - start
  )
  for finding in report.findings:
    _logger.info("Finding: %s", finding.claim)
  return report_lib.write_report(folder, report)


def _investigate(
  config: config_lib.Config,
  users,
  held_out: population.HeldOut,
  scenario: str,
  folder: str,
) -> Mapping[str, presentation.SliceResult]:
  """Chooses the slices of one scenario and trains a GAN on each."""
  os.makedirs(folder, exist_ok=True)
  slices = population.choose_slices(
    config,
    users,
    held_out.classifier,
    os.path.join(folder, "accuracy_histogram.json"),
  )
  model = training.make_model(config)
  results = {}
  process = None
  for name, chosen in slices.items():
    plan = deployment.make_plan(config, len(chosen.images), config.rounds)
    # Noise and denominator are the same for all slices of a run.
    process = process or training.build_process(config, model, plan)
    trained = training.train_gan(
      config,
      f"{scenario}, {name}",
      chosen,
      process,
      model,
      plan,
      os.path.join(folder, name.replace(" ", "_")),
    )
    results[name] = presentation.SliceResult(
      criterion=chosen.criterion,
      num_users=len(chosen.images),
      releases=chosen.releases,
      real_images=chosen.some_images(64, config.seed),
      trained=trained,
    )
  return results
