"""One federated GAN of the task: its plan, its process, its samples."""

import dataclasses
import os

import numpy as np
import tensorflow_federated as tff

from tasks import deployment
from tasks import sample_folder
from tasks.preprocessing_bug import config as config_lib
from tasks.preprocessing_bug import population
from tff_gen_debug import aggregators
from tff_gen_debug import learning
from tff_gen_debug import privacy
from tff_gen_debug.models import gan
from tff_gen_debug.runtime import program

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
  samples = sample_folder.SampleFolder(
    os.path.join(folder, "samples"),
    lambda weights: learning.generate_images(
      model, weights, _GRID_SIDE**2, config.seed + 1
    ),
    rows=_GRID_SIDE,
    columns=_GRID_SIDE,
  )
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
