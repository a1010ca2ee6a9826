"""The training of a config: its teachers, its rounds, its samples."""

import dataclasses
import logging
import math
import os

import numpy as np

from tasks import deployment
from tasks import sample_folder
from tasks.datalens import config as config_lib
from tasks.datalens import methods
from tasks.datalens import population as population_lib
from tff_gen_debug import learning
from tff_gen_debug import privacy
from tff_gen_debug.learning import teacher_data
from tff_gen_debug.runtime import program

_logger = logging.getLogger(__name__)

_GRID_ROWS = 10


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
  """What is left of a training run.

  Attributes:
    samples: The synthetic images, with uniform labels.
    grid_labels: The labels of the columns of the grids.
    grids: PNG files by the round they are from, a column a class.
    plan: The plan that made the noise and the accounting.
    ledger: What was spent.
    rounds: How many rounds were run.
  """

  samples: population_lib.Synthetic
  grid_labels: list[int]
  grids: dict[int, bytes]
  plan: privacy.PrivacyPlan
  ledger: privacy.PrivacyLedger
  rounds: int


def train(
  config: config_lib.Config, population: population_lib.Population, folder: str
) -> Trained:
  """Trains a generator, or goes on with an earlier run in `folder`.

  Args:
    config: A resolved config; see `methods.resolve`.
    population: The images.
    folder: The output folder.

  Returns:
    Its samples, and what they cost.
  """
  parts = population_lib.deal(config, population)
  scene = methods.Scene(
    image_shape=population.image_shape,
    num_classes=population.num_classes,
    images_per_teacher=max(len(part) for part in parts),
  )
  plan = methods.make_plan(config, scene.image_shape)
  _logger.info(
    "%d teachers with %d images or fewer each, %d rounds of %d images, noise"
    " multiplier %.3g",
    config.num_teachers,
    scene.images_per_teacher,
    plan.rounds,
    config.images_per_round,
    plan.noise_multiplier,
  )
  datasets = teacher_data.client_datasets(
    population.train.images,
    population.train.labels,
    parts,
    teachers_per_client=config.teachers_per_client,
    directory=os.path.join(folder, "shards"),
  )
  generator = methods.make_generator(config, scene)
  process = methods.build_process(
    config, scene, plan, os.path.join(folder, "teachers")
  )
  grid_labels = list(range(scene.num_classes or _GRID_ROWS))
  samples = sample_folder.SampleFolder(
    os.path.join(folder, "samples"),
    lambda weights: learning.generate_labelled_images(
      generator,
      weights,
      np.tile(grid_labels if scene.num_classes else [0], _GRID_ROWS),
      config.seed + 1,
    ),
    rows=_GRID_ROWS,
    columns=len(grid_labels),
  )
  clients = list(datasets)
  result = program.train(
    process,
    sample_clients=lambda round_num: clients,
    client_datasets=datasets,
    rounds=plan.rounds,
    budget=program.Budget(
      round_event=plan.round_event,
      ledger=plan.new_ledger(),
      stop_at_epsilon=(
        config.epsilon if math.isfinite(config.epsilon) else None
      ),
    ),
    directory=os.path.join(folder, "checkpoints"),
    # Teachers can go back one round, and no further.
    checkpoint_every=1,
    release_managers=deployment.release_managers(folder),
    on_checkpoint=lambda state, done: samples.write(
      process.get_model_weights(state), done
    ),
    description=config.dataset,
  )
  labels = np.arange(config.num_samples) % max(scene.num_classes, 1)
  images = learning.generate_labelled_images(
    generator, process.get_model_weights(result.state), labels, config.seed
  )
  return Trained(
    samples=population_lib.Synthetic(images, labels),
    grid_labels=grid_labels,
    grids=samples.read(result.rounds),
    plan=plan,
    ledger=result.ledger,
    rounds=result.rounds,
  )
