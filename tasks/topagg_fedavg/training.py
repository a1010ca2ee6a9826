"""Runs trainings, each once: its result is a file that later runs read."""

from collections.abc import Sequence
import dataclasses
import json
import logging
import os
import time

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tasks.topagg_fedavg import config as config_lib
from tasks.topagg_fedavg import dp_sgd
from tasks.topagg_fedavg import population as population_lib
from tasks.topagg_fedavg import settings
from tff_gen_debug import files
from tff_gen_debug import learning
from tff_gen_debug import run_folder
from tff_gen_debug.models import classifier
from tff_gen_debug.models import cnn

_logger = logging.getLogger(__name__)


class Trainer:
  """Trains a population's model in any setting.

  Attributes:
    folder: Where the results are kept.
  """

  def __init__(
    self,
    config: config_lib.Config,
    population: population_lib.Population,
    folder: str,
  ):
    """Initializes the trainer.

    Args:
      config: The config.
      population: The users and the images to measure with.
      folder: Where the results go; made if missing.
    """
    self._config = config
    self._population = population
    self._pooled = population.pooled
    self.folder = folder
    os.makedirs(folder, exist_ok=True)
    widths = config_lib.integers(config.conv_widths)
    self._architecture = cnn.Architecture(
      conv_widths=tuple(widths), dense_width=config.dense_width
    )
    self._datasets = {
      user: tf.data.Dataset.from_tensor_slices(
        (examples.images, examples.labels)
      )
      for user, examples in population.users.items()
    }

  @property
  def num_weights(self) -> int:
    """The size of an update."""
    shapes = self._architecture.weight_shapes
    return sum(int(np.prod(shape)) for shape in shapes)

  def model(self, seed: int) -> tff.learning.models.FunctionalModel:
    """The model with initial weights of a seed."""
    return cnn.as_functional_model(self._architecture, seed)

  def accuracies(self, trials: Sequence[settings.Trial]) -> list[float]:
    """`accuracy` of each training, in their order."""
    return [self.accuracy(trial) for trial in trials]

  def accuracy(self, trial: settings.Trial) -> float:
    """Accuracy after a training, from its file if it has been run before.

    Args:
      trial: The training.

    Returns:
      Accuracy on the validation images for the tuning seed, and on the test
      images for others.
    """
    path = os.path.join(self.folder, f"{trial.key}.json")
    if os.path.exists(path):
      return float(run_folder.read_json(path, ("accuracy",))["accuracy"])
    start = time.perf_counter()
    trained = classifier.Classifier(self.train(trial))
    tuning = trial.seed == self._config.tuning_seed
    measured = self._population.validation if tuning else self._population.test
    accuracy = trained.accuracy(measured.images, measured.labels)
    content = dict(
      trial=dataclasses.asdict(trial),
      split="validation" if tuning else "test",
      accuracy=accuracy,
      seconds=time.perf_counter() - start,
    )
    files.write_atomically(path, json.dumps(content, indent=1).encode())
    _logger.info(
      "%s: %.1f %% of %s after %.0f s",
      trial,
      100 * accuracy,
      content["split"],
      content["seconds"],
    )
    return accuracy

  def train(self, trial: settings.Trial) -> tuple[np.ndarray, ...]:
    """Runs a training.

    Args:
      trial: The training.

    Returns:
      The weights of the CNN.
    """
    if trial.setting.unit == settings.EXAMPLE:
      return dp_sgd.train(
        self._config,
        trial,
        self._pooled,
        cnn.initial_weights(self._architecture, trial.seed),
      )
    config = self._config
    plan = settings.make_plan(config, trial.setting, len(self._datasets))
    optimizers = tff.learning.optimizers
    process = learning.build_dp_fed_avg(
      self.model(trial.seed),
      aggregator=settings.make_aggregator(trial, plan, self.num_weights),
      client_optimizer=optimizers.build_sgdm(config.client_learning_rate),
      server_optimizer=optimizers.build_sgdm(
        settings.server_learning_rate(trial)
      ),
      batch_size=config.batch_size,
      client_steps=config.client_steps,
      max_client_examples=config.images_per_user,
      seed=trial.seed,
    )
    sampler = plan.sampler(list(self._datasets), trial.seed)
    state = process.initialize()
    for round_num in range(plan.rounds):
      cohort = [self._datasets[user] for user in sampler.sample(round_num)]
      state = process.next(state, cohort).state
    return tuple(process.get_model_weights(state).trainable)
