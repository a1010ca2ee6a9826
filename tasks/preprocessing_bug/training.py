"""One federated GAN of the task: its plan, its process, its samples."""

import dataclasses
import os
from typing import Optional

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tasks import deployment
from tasks.preprocessing_bug import config as config_lib
from tasks.preprocessing_bug import population
from tff_gen_debug import aggregators
from tff_gen_debug import files
from tff_gen_debug import learning
from tff_gen_debug import privacy
from tff_gen_debug.debugging import pictures
from tff_gen_debug.models import gan
from tff_gen_debug.runtime import program

# Samples of one GAN are drawn from the same inputs at every checkpoint, so that
# pictures over rounds show the same digits taking shape.
_GRID_SIDE = 8


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedGan:
  """What is left of a training run.

  Attributes:
    samples: Generated images, float32 of shape [n, 28, 28, 1] in [-1, 1].
    grids: PNG files of samples by the round they are from, in its order.
    plan: The plan that made sampler, noise and accounting.
    ledger: What was spent.
    rounds: How many rounds were run.
  """

  samples: np.ndarray
  grids: dict[int, bytes]
  plan: privacy.PrivacyPlan
  ledger: privacy.PrivacyLedger
  rounds: int


def make_model(config: config_lib.Config) -> gan.GanModel:
  """The networks and the loss of `config`."""
  if config.networks == "paper":
    generator = gan.paper_generator(config.latent_dim)
    discriminator = gan.paper_discriminator()
  else:
    generator = gan.small_generator(config.latent_dim)
    discriminator = gan.small_discriminator()
  loss: gan.GanLoss = gan.NonSaturatingLoss()
  if config.loss == "wasserstein":
    loss = gan.WassersteinLoss()
  return gan.GanModel(generator, discriminator, loss)


def build_process(
  config: config_lib.Config,
  model: gan.GanModel,
  plan: privacy.PrivacyPlan,
) -> tff.learning.templates.LearningProcess:
  """The training process; the same for all slices of a run."""
  optimizers = tff.learning.optimizers
  if config.generator_optimizer == "adam":
    generator_optimizer = optimizers.build_adam(
      config.generator_learning_rate, beta_1=0.5
    )
  else:
    generator_optimizer = optimizers.build_sgdm(config.generator_learning_rate)
  return learning.build_dp_fed_gan(
    model,
    aggregator=aggregators.gaussian_mean_factory(plan, config.clip_norm),
    client_optimizer=optimizers.build_sgdm(config.client_learning_rate),
    server_optimizer=optimizers.build_sgdm(config.server_learning_rate),
    generator_optimizer=generator_optimizer,
    discriminator_steps=config.discriminator_steps,
    batch_size=config.batch_size,
    client_epochs=config.client_epochs,
    generator_steps=config.generator_steps,
    generator_batch_size=config.generator_batch_size,
    averaging_decay=config.averaging_decay or None,
    client_metrics=deployment.client_metrics(config),
    seed=config.seed,
  )


def train_gan(
  config: config_lib.Config,
  name: str,
  chosen: population.Slice,
  process: tff.learning.templates.LearningProcess,
  model: gan.GanModel,
  plan: privacy.PrivacyPlan,
  folder: str,
) -> TrainedGan:
  """Trains a GAN on one slice, or goes on with an earlier run in `folder`."""
  ledger = plan.new_ledger()
  for release in chosen.releases:
    if release.event is not None:
      ledger.record(release.event)
  samples = _SampleFolder(os.path.join(folder, "samples"), model, config.seed)
  result = program.train(
    process,
    sample_clients=plan.sampler(list(chosen.images), config.seed).sample,
    client_datasets=chosen.datasets(),
    rounds=config.rounds,
    budget=program.Budget(
      round_event=plan.round_event,
      ledger=ledger,
      stop_at_epsilon=config.stop_at_epsilon or None,
    ),
    directory=os.path.join(folder, "checkpoints"),
    checkpoint_every=config.checkpoint_every,
    release_managers=deployment.release_managers(folder),
    on_checkpoint=lambda state, done: samples.write(
      process.get_model_weights(state), done
    ),
    description=name,
  )
  weights = process.get_model_weights(result.state)
  return TrainedGan(
    samples=learning.generate_images(
      model, weights, config.num_samples, config.seed
    ),
    grids=samples.read(result.rounds),
    plan=plan,
    ledger=result.ledger,
    rounds=result.rounds,
  )


class _SampleFolder:
  """Sample grids over rounds: PNG files, and TensorBoard's images."""

  def __init__(self, folder: str, model: gan.GanModel, seed: int):
    os.makedirs(folder, exist_ok=True)
    self._folder = folder
    self._model = model
    self._seed = seed
    self._writer = tf.summary.create_file_writer(
      os.path.join(os.path.dirname(folder), "tensorboard")
    )

  def write(self, weights: learning.GanWeights, round_num: int) -> None:
    images = learning.generate_images(
      self._model, weights, _GRID_SIDE**2, self._seed + 1
    )
    png = pictures.sample_grid(images, _GRID_SIDE, _GRID_SIDE)
    files.write_atomically(self._path(round_num), png)
    with self._writer.as_default():
      tf.summary.image(
        "samples", tf.io.decode_png(png)[tf.newaxis], step=round_num
      )

  def read(self, last_round: int) -> dict[int, bytes]:
    """The grids of rounds up to `last_round`, in their order."""
    grids = {}
    for name in sorted(os.listdir(self._folder)):
      round_num = _round_of(name)
      if round_num is not None and round_num <= last_round:
        with open(os.path.join(self._folder, name), "rb") as file:
          grids[round_num] = file.read()
    return grids

  def _path(self, round_num: int) -> str:
    return os.path.join(self._folder, f"round_{round_num:06d}.png")


def _round_of(name: str) -> Optional[int]:
  stem, extension = os.path.splitext(name)
  if extension != ".png" or not stem.startswith("round_"):
    return None
  return int(stem[len("round_") :])
