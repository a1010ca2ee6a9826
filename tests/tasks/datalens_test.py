"""Tests of the DataLens task: what it costs, whom it asks, what it says."""

import dataclasses
import json
import math
import os

import numpy as np
import pytest

from tasks.datalens import config as config_lib
from tasks.datalens import experiment
from tasks.datalens import measuring
from tasks.datalens import methods
from tasks.datalens import population as population_lib
from tasks.datalens import published
from tff_gen_debug import run_folder
from tff_gen_debug.datasets import celeba
from tff_gen_debug.datasets import idx_files
from tff_gen_debug.datasets import mnist

_SMOKE = config_lib.PRESETS["smoke"]
_SHAPE = (28, 28, 1)


def _published(dataset, epsilon):
  return methods.resolve(
    dataclasses.replace(
      config_lib.PRESETS["paper"], dataset=dataset, epsilon=epsilon
    )
  )


@pytest.mark.parametrize(
  "dataset, epsilon, authors_steps, gain",
  [
    # Their ledger's steps, and how many more an exact one pays for: 1.7 times
    # at an epsilon of 1, 1.3 times at 10.
    ("mnist", 1.0, 86, 1.7),
    ("fashion_mnist", 1.0, 86, 1.7),
    ("mnist", 10.0, 109, 1.3),
    ("fashion_mnist", 10.0, 146, 1.3),
  ],
)
def test_published_settings_last_longer_by_the_exact_accountant(
  dataset, epsilon, authors_steps, gain
):
  config = _published(dataset, epsilon)
  plan = methods.make_plan(config, _SHAPE)
  assert plan.rounds / authors_steps == pytest.approx(gain, abs=0.05)
  assert plan.epsilon() <= epsilon < plan.epsilon_after(plan.rounds + 1)


def test_published_noise_is_the_papers():
  config = _published("mnist", 10.0)
  plan = methods.make_plan(config, _SHAPE)
  # 800 on each pixel of each of 15 images; 300 votes of a teacher can all turn.
  assert plan.noise_multiplier * 2 * math.sqrt(300 * 15) == pytest.approx(800)
  assert config.top_k == 300
  assert config.threshold == 0.2
  assert config.num_teachers == 4000
  # One of the exact epsilons of the paper's own number of steps.
  assert plan.epsilon_after(109) == pytest.approx(8.50, abs=0.005)


def test_fewer_teachers_than_published_are_a_simulation():
  config = methods.resolve(
    dataclasses.replace(config_lib.PRESETS["paper"], num_teachers=200)
  )
  plan = methods.make_plan(config, _SHAPE)
  assert (config.num_teachers, config.simulated_teachers) == (200, 4000)
  assert plan.epsilon() <= 10
  # A twentieth of the noise on the sum: the same on the mean vote.
  assert plan.run_noise_multiplier * 2 * math.sqrt(300 * 15) == pytest.approx(
    40
  )
  assert plan.to_dict()["simulated"]


def test_other_budgets_are_not_published():
  with pytest.raises(
    ValueError, match="published settings are known for mnist"
  ):
    published.settings("mnist", 2.0)


def test_noise_is_what_the_rounds_leave():
  plan = methods.make_plan(_SMOKE, _SHAPE)
  assert plan.rounds == 2
  assert 9.9 < plan.epsilon() <= 10
  assert plan.neighboring_relation == "replace_one"
  assert plan.sampling_probability == 1


@pytest.fixture(scope="module")
def population():
  return population_lib.load(_SMOKE)


def test_teachers_share_no_image(population):
  parts = population_lib.deal(_SMOKE, population)
  everybody = np.concatenate(parts)
  assert len(set(everybody)) == len(everybody) == len(population.train)


def test_validation_images_are_others_and_the_same_for_all_seeds(population):
  again = population_lib.load(dataclasses.replace(_SMOKE, seed=9))
  np.testing.assert_array_equal(
    population.validation.images, again.validation.images
  )
  train = {image.tobytes() for image in population.train.images}
  held_out = {image.tobytes() for image in population.validation.images}
  assert not train & held_out
  assert len(population.validation) == 100


def test_more_teachers_than_images(population):
  with pytest.raises(ValueError, match="num_teachers must be at most 500"):
    population_lib.deal(
      dataclasses.replace(_SMOKE, num_teachers=501), population
    )


def test_teachers_can_leave_images_unused(population):
  some = dataclasses.replace(_SMOKE, images_per_teacher=3)
  parts = population_lib.deal(some, population)
  whole = population_lib.deal(_SMOKE, population)
  assert [len(part) for part in parts] == [3] * 20
  assert all(set(part) < set(all_) for part, all_ in zip(parts, whole))


def test_settings_are_chosen_without_the_test_images(monkeypatch):
  """The test half of MNIST isn't even read."""
  rng = np.random.RandomState(1)
  half = idx_files.LabelledImages(
    rng.randint(0, 256, (60, 28, 28)).astype(np.uint8),
    rng.randint(0, 10, 60).astype(np.uint8),
  )
  monkeypatch.setattr(mnist, "load_train", lambda directory: half)

  def forbidden(directory):
    raise AssertionError("test images were read")

  monkeypatch.setattr(mnist, "load_test", forbidden)
  loaded = population_lib.load(dataclasses.replace(_SMOKE, dataset="mnist"))
  assert len(loaded.train) == 50
  with pytest.raises(AssertionError, match="test images were read"):
    loaded.load_test()


@pytest.mark.parametrize(
  "code", ["low_frequencies", "signs", "clipped", "projected", "bins"]
)
def test_every_code_is_for_images(code):
  config = dataclasses.replace(_SMOKE, code=code)
  made = methods.make_code(config, _SHAPE)
  plan = methods.make_plan(config, _SHAPE)
  assert made.sensitivity("replace_one") > 0
  assert plan.epsilon() <= 10


@pytest.mark.parametrize(
  "overrides, message",
  [
    (dict(dataset="cifar"), "dataset must be one of"),
    (dict(code="none"), "code must be one of"),
    (dict(epsilon=0.0), "epsilon must be positive, got 0.0"),
    (dict(epsilon=float("nan")), "epsilon must be positive, got nan"),
    (dict(epsilon=math.inf, published=True), "epsilon must be finite"),
    (dict(num_teachers=0), "num_teachers must be at least 1, got 0"),
    (dict(measured_on="train"), "measured_on must be one of"),
    (dict(simulated_teachers=5), "simulated_teachers must be 0, or at least"),
  ],
)
def test_bad_configs(overrides, message):
  with pytest.raises(ValueError, match=message):
    dataclasses.replace(_SMOKE, **overrides)


def test_discriminators_have_no_field(tff_runtime):
  config = dataclasses.replace(_SMOKE, teacher="discriminator")
  plan = methods.make_plan(config, _SHAPE)
  with pytest.raises(ValueError, match="student must be gradient"):
    methods.build_process(config, methods.Scene(_SHAPE, 10, 25), plan, "")


@pytest.fixture(scope="module")
def smoke_run(tff_runtime, tmp_path_factory):
  folder = str(tmp_path_factory.mktemp("smoke"))
  config = dataclasses.replace(_SMOKE, measured_on="validation")
  return config, folder, experiment.run(config, folder)


def test_smoke_writes_a_report(smoke_run):
  _, folder, path = smoke_run
  with open(os.path.join(folder, "report.json"), encoding="utf-8") as file:
    report = json.load(file)
  assert 9.9 < report["privacy"]["epsilon"] <= 10
  assert report["privacy"]["delta"] == 1e-5
  assert not report["privacy"]["simulated"]
  metrics = report["metrics"]
  assert metrics["split"] == "validation"
  assert metrics["rounds"] == 2
  assert metrics["images_asked_about"] == 40
  assert set(metrics["accuracies"]) == {
    "cnn",
    "logistic_regression",
    "random_forest",
  }
  # Real images are easy, whatever the samples are.
  assert metrics["real_accuracies"]["cnn"] > 0.8
  assert metrics["scores"]["real_classifier_score"] > 4
  with open(path, encoding="utf-8") as file:
    page = file.read()
  assert "a user is a teacher" in page
  assert page.count("data:image/png") >= 5


class _AfterTrainingError(Exception):
  pass


def test_a_finished_training_is_not_run_again(smoke_run, monkeypatch):
  config, folder, _ = smoke_run

  def stop(*args):
    raise _AfterTrainingError()

  monkeypatch.setattr(measuring, "measure", stop)
  checkpoints = os.path.join(folder, "checkpoints")
  before = {
    name: os.stat(os.path.join(checkpoints, name)).st_mtime_ns
    for name in os.listdir(checkpoints)
  }
  with pytest.raises(_AfterTrainingError):
    experiment.run(config, folder)
  assert before == {
    name: os.stat(os.path.join(checkpoints, name)).st_mtime_ns
    for name in os.listdir(checkpoints)
  }


def test_another_config_is_refused(smoke_run):
  config, folder, _ = smoke_run
  other = dataclasses.replace(config, epsilon=3.0)
  with pytest.raises(run_folder.DifferentRunError, match="epsilon: 10.0"):
    experiment.run(other, folder)


@pytest.mark.slow
def test_discriminators_run_and_resume(tff_runtime, tmp_path):
  config = dataclasses.replace(
    _SMOKE,
    teacher="discriminator",
    student="gradient",
    code="signs",
    top_k=100,
    threshold=0.1,
    stochastic=True,
    references=False,
    measured_on="validation",
  )
  experiment.run(config, str(tmp_path))
  # Two clients, each with states in two places.
  marks = [n for n in os.listdir(tmp_path / "teachers") if "round" in n]
  assert len(marks) == 4


@pytest.mark.slow
def test_images_become_useful(tff_runtime, tmp_path):
  """The demo's method on a third of its images, without noise."""
  config = dataclasses.replace(
    config_lib.PRESETS["demo"],
    limit=6000,
    num_teachers=100,
    epsilon=math.inf,
    rounds=3,
    generator_steps=60,
    last_generator_steps=120,
    num_samples=5000,
    references=False,
    measured_on="validation",
  )
  experiment.run(config, str(tmp_path))
  with open(tmp_path / "report.json", encoding="utf-8") as file:
    metrics = json.load(file)["metrics"]
  # Guessing gets 10 %.
  assert metrics["accuracies"]["cnn"] > 0.5


@pytest.mark.slow
def test_colour_images(tff_runtime, tmp_path, monkeypatch):
  """Of CelebA's size; which half is asked for is in their brightness."""

  def load_arrays(attribute, *, split, data_dir, limit):
    assert attribute == "hair"
    rng = np.random.RandomState(len(split))
    brightest = {"train": 200, "test": 256}[split]
    return idx_files.LabelledImages(
      rng.randint(0, brightest, (limit, 64, 64, 3)).astype(np.uint8),
      rng.randint(0, 3, limit).astype(np.uint8),
    )

  monkeypatch.setattr(celeba, "load_arrays", load_arrays)
  config = dataclasses.replace(
    _SMOKE,
    dataset="celeba_hair",
    limit=120,
    num_teachers=10,
    num_samples=60,
    images_per_round=12,
    references=False,
  )
  population = population_lib.load(config)
  assert population.num_classes == 3
  assert (
    population.train.images.max() < 200 <= population.load_test().images.max()
  )
  path = experiment.run(config, str(tmp_path))
  assert os.path.exists(path)
