"""The whole task: users, two models, with and without the bug, the report."""

import dataclasses
import logging
import os
import time
from typing import Optional

from tasks.tokenization_bug import config as config_lib
from tasks.tokenization_bug import generation
from tasks.tokenization_bug import population
from tasks.tokenization_bug import presentation
from tasks.tokenization_bug import training
from tff_gen_debug import privacy
from tff_gen_debug import run_folder
from tff_gen_debug.debugging import character_model
from tff_gen_debug.debugging import kept_measurements
from tff_gen_debug.debugging import oov_positions
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
    ValueError: If there are fewer users than a round is expected to have.
  """
  start = time.monotonic()
  run_folder.claim(folder, dataclasses.asdict(config))
  users = population.load_users(config)
  plan = training.make_plan(config, len(users.sentences.client_ids))
  _logger.info("Noise multiplier %.4g", plan.noise_multiplier)
  word_trainer = (
    training.word_trainer(config, users.vocabulary.size, plan)
    if config.word_rounds
    else None
  )
  char_trainer = training.char_trainer(config, plan)
  results = {}
  for name, probability in (("bug", config.bug_probability), ("control", 0.0)):
    results[name] = _investigate(
      config,
      population.make_scenario(config, users, probability),
      users,
      plan,
      word_trainer,
      char_trainer,
      name,
      os.path.join(folder, name),
    )
  report = presentation.make_report(
    config, users, plan, results, time.monotonic() - start
  )
  for finding in report.findings:
    _logger.info("Finding: %s", finding.claim)
  return report_lib.write_report(folder, report)


def _investigate(
  config: config_lib.Config,
  scenario: population.Scenario,
  users: population.Users,
  plan: privacy.PrivacyPlan,
  word_trainer: Optional[training.Trainer],
  char_trainer: training.Trainer,
  name: str,
  folder: str,
) -> presentation.ScenarioResult:
  """Measures the positions of one scenario and trains its models."""
  os.makedirs(folder, exist_ok=True)
  positions = _positions(
    config, scenario, users, plan, os.path.join(folder, "positions.json")
  )
  ledger = plan.new_ledger()
  if positions.event is not None:
    ledger.record(positions.event)
  rounds = 0
  generated_shares = None
  if word_trainer is not None:
    words = training.train(
      config,
      word_trainer,
      scenario.word_examples,
      ledger,
      f"{name}, word model",
      os.path.join(folder, "word_model"),
    )
    ledger, rounds = words.ledger, words.rounds
    generated_shares = generation.unknown_shares(
      config, word_trainer.model, words.weights
    )
  characters = training.train(
    config,
    char_trainer,
    scenario.char_examples,
    ledger,
    f"{name}, character model",
    os.path.join(folder, "char_model"),
  )
  return presentation.ScenarioResult(
    positions=positions,
    generated_shares=generated_shares,
    words=character_model.generate(
      char_trainer.model,
      characters.weights,
      population.ALPHABET,
      users.vocabulary,
      num_draws=config.num_draws,
      max_characters=config.max_characters,
      seed=config.seed,
    ).words,
    ledger=characters.ledger,
    rounds=rounds + characters.rounds,
    real_words=population.count_unknown_words(scenario),
  )


def _positions(
  config: config_lib.Config,
  scenario: population.Scenario,
  users: population.Users,
  plan: privacy.PrivacyPlan,
  path: str,
) -> oov_positions.OovPositions:
  """The shares that this run released before, or new ones."""
  return kept_measurements.keep(
    path,
    oov_positions.OovPositions,
    lambda: oov_positions.measure_oov_positions(
      scenario.sentences,
      users.vocabulary,
      noise_multiplier=config.position_noise_multiplier,
      neighboring_relation=plan.neighboring_relation,
      length=config.sentence_length,
      max_sentences=config.max_sentences,
    ),
  )
