"""Tests of the TopAgg task's trainings, and of the task as a whole."""

import dataclasses
import json
import math
import os
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from tasks.topagg_fedavg import config as config_lib
from tasks.topagg_fedavg import experiment
from tasks.topagg_fedavg import population as population_lib
from tasks.topagg_fedavg import settings
from tasks.topagg_fedavg import training
from tasks.topagg_fedavg import training_pool
from tests.runtime import worker_programs
from tff_gen_debug import run_folder

pytestmark = pytest.mark.usefixtures("tff_runtime")

_FREE = math.inf
_CONFIG = dataclasses.replace(
  config_lib.PRESETS["smoke"],
  rounds=30,
  users_per_round=10.0,
  batch_size=4,
  client_steps=2,
  images_per_user=8,
  client_learning_rate=0.2,
  example_steps=30,
  examples_per_step=60.0,
)


def _two_classes(count, seed):
  """Images that are light or dark on their left half."""
  rng = np.random.default_rng(seed)
  labels = rng.integers(0, 2, count).astype(np.int32)
  images = rng.normal(scale=0.3, size=(count, 28, 28, 1)).astype(np.float32)
  images[:, :, :14] += np.where(labels, 0.7, -0.7)[:, None, None, None]
  return population_lib.Examples(np.clip(images, -1, 1), labels)


@pytest.fixture(scope="module")
def population():
  return population_lib.Population(
    users={f"user_{i}": _two_classes(8, i) for i in range(20)},
    validation=_two_classes(200, 100),
    test=_two_classes(300, 101),
  )


def _accuracy(population, folder, setting, rate, clip_norm=0.0, seed=1):
  trainer = training.Trainer(_CONFIG, population, str(folder))
  return trainer.accuracy(settings.Trial(setting, rate, clip_norm, seed))


def _slow(*values):
  return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
  "setting, rate, clip_norm",
  [
    (settings.Setting("topagg", _FREE, 0.2, False), 0.02, 0.0),
    _slow(settings.Setting("topagg", _FREE, 1.0, True), 0.02, 0.0),
    _slow(settings.Setting("gaussian", _FREE), 1.0, 1.0),
    _slow(settings.Setting("top_k", _FREE, 0.2), 1.0, 1.0),
    _slow(settings.Setting("random_k", _FREE, 0.5), 1.0, 1.0),
    (settings.Setting("gaussian", _FREE, unit="example"), 0.5, 1.0),
    (settings.Setting("topagg", _FREE, 0.2, False, unit="example"), 0.02, 0.0),
  ],
  ids=lambda value: getattr(value, "name", None),
)
def test_every_aggregation_learns_what_is_easy(
  population, tmp_path, setting, rate, clip_norm
):
  accuracy = _accuracy(population, tmp_path, setting, rate, clip_norm)
  # Of ten classes two occur, equally often.
  assert accuracy > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["user", "example"])
@pytest.mark.parametrize("method, clip_norm", [("topagg", 0), ("gaussian", 1)])
def test_a_tiny_budget_leaves_nothing_to_learn(
  population, tmp_path, unit, method, clip_norm
):
  # Missing noise would give what the test above gives.
  setting = settings.Setting(method, 0.05, unit=unit)
  rate = 0.02 if method == "topagg" else 0.5
  accuracies = [
    _accuracy(population, tmp_path, setting, rate, clip_norm, seed)
    for seed in (1, 2)
  ]
  assert min(accuracies) < 0.8


def test_only_trainings_with_other_seeds_see_the_test_images(
  population, tmp_path
):
  setting = settings.Setting("gaussian", _FREE)
  blind = dataclasses.replace(population, test=population.test[:0])
  tuning = settings.Trial(setting, 1.0, 1.0, _CONFIG.tuning_seed)
  training.Trainer(_CONFIG, blind, str(tmp_path / "a")).accuracy(tuning)
  blind = dataclasses.replace(population, validation=population.validation[:0])
  final = dataclasses.replace(tuning, seed=1)
  training.Trainer(_CONFIG, blind, str(tmp_path / "b")).accuracy(final)
  for folder, split in (("a", "validation"), ("b", "test")):
    (name,) = os.listdir(tmp_path / folder)
    content = json.loads((tmp_path / folder / name).read_text())
    assert content["split"] == split


@pytest.mark.slow
def test_a_run_answers_all_questions_and_does_not_train_twice(
  tmp_path, monkeypatch
):
  config = dataclasses.replace(
    config_lib.PRESETS["smoke"],
    epsilons="8",
    top_shares="1",
    thresholds="0.1",
    coordinate_clips="0.01",
    rounds=1,
    example_steps=1,
  )
  folder = str(tmp_path)
  assert experiment.run(config, folder) == os.path.join(folder, "report.html")

  def read():
    with open(os.path.join(folder, "report.json"), encoding="utf-8") as file:
      return json.load(file)

  report = read()
  assert set(report["metrics"]["answers"]) == set(config_lib.QUESTIONS)
  assert report["privacy"]["epsilon"] <= 8.0
  assert not report["privacy"]["simulated"]
  names = {finding["name"] for finding in report["findings"]}
  assert {"overlap_law", "drawn_votes_help"} < names

  kept = training.Trainer.train

  def train(self, trial):
    # The updates that overlap are those of a training that is not kept.
    assert math.isinf(trial.setting.epsilon)
    return kept(self, trial)

  monkeypatch.setattr(training.Trainer, "train", train)
  experiment.run(config, folder)
  again = read()
  assert again["metrics"] == report["metrics"]
  with pytest.raises(run_folder.DifferentRunError, match="rounds"):
    experiment.run(dataclasses.replace(config, rounds=2), folder)


@pytest.mark.slow
def test_trainings_in_other_processes_are_the_same(population, tmp_path):
  config = dataclasses.replace(_CONFIG, rounds=3)
  # Nothing of it is drawn but what the seeds draw.
  setting = settings.Setting("gaussian", _FREE)
  trials = [
    settings.Trial(setting, rate, 1.0, seed)
    for rate, seed in ((1.0, 1), (0.5, 2), (1.0, 1), (0.5, 1))
  ]
  trainer = training.Trainer(config, population, str(tmp_path / "a"))
  folder = tmp_path / "b"
  folder.mkdir()
  with training_pool.TrainingPool(config, population, str(folder), 2) as pool:
    accuracies = pool.accuracies(trials)
  assert len(list(folder.iterdir())) == 3
  assert accuracies == pytest.approx(trainer.accuracies(trials), abs=1e-6)
  assert len(set(accuracies)) == 3


@pytest.mark.slow
def test_a_pool_whose_processes_do_not_start_says_what_to_do(
  population, tmp_path
):
  file = tmp_path / "file"
  file.touch()
  trial = settings.Trial(settings.Setting("gaussian", _FREE), 1.0, 1.0, 1)
  with training_pool.TrainingPool(_CONFIG, population, str(file), 1) as pool:
    with pytest.raises(training_pool.TrainingPoolError, match="goes on"):
      pool.accuracies([trial])


_ENDLESS = """
import dataclasses
import math
import sys

import numpy as np

from tasks.topagg_fedavg import config as config_lib
from tasks.topagg_fedavg import population as population_lib
from tasks.topagg_fedavg import settings
from tasks.topagg_fedavg import training_pool

examples = population_lib.Examples(
  np.zeros([8, 28, 28, 1], np.float32), np.zeros(8, np.int32)
)
population = population_lib.Population(
  {f"user_{i}": examples for i in range(20)}, examples, examples
)
config = dataclasses.replace(config_lib.PRESETS["smoke"], rounds=10**6)
trial = settings.Trial(settings.Setting("gaussian", math.inf), 1.0, 1.0, 1)
with training_pool.TrainingPool(config, population, sys.argv[1], 1) as pool:
  pool.accuracies([trial])
"""


@pytest.mark.slow
def test_a_killed_program_leaves_no_process_of_its_pool(tmp_path):
  with subprocess.Popen(
    [sys.executable, "-c", _ENDLESS, str(tmp_path)], stdin=subprocess.DEVNULL
  ) as program:
    try:
      deadline = time.monotonic() + 120
      started = []
      while not any("worker_binary" in child.name() for child in started):
        assert time.monotonic() < deadline and program.poll() is None
        time.sleep(0.2)
        started = psutil.Process(program.pid).children(recursive=True)
    finally:
      program.kill()
  for child in started:
    assert worker_programs.wait_until_gone(child.pid, 20), child
