"""DP-GAN: a federated GAN on the teachers' shards, to compare with.

Every shard is a client of `learning.build_dp_fed_gan`, whose discriminator
updates are clipped, summed and noised densely (Xie et al., 2018, arXiv
1802.06739, with the clients of Augenstein et al., 2020, arXiv 1911.06679).

That process knows no labels. An image carries its own as one more channel, a
plane of stripes, a stripe a class; the generator paints the plane of the class
that one of its inputs picks; the discriminator reads the plane and judges the
image by that class.

How many discriminator steps there are to one of the generator decides how good
a private GAN is (Bie et al., 2023, Private GANs, Revisited, arXiv 2302.02936).
Their n_D counts noised steps. A round is the noised step here, so n_D is
`config.discriminator_rounds` / `config.gan_generator_steps`: the generator
takes its steps at the end of each `discriminator_rounds` rounds. A client's
`discriminator_steps` within a round cost no privacy and don't count.
"""

import collections
import logging
import math
import os
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tasks import deployment
from tasks import sample_folder
from tasks.datalens import config as config_lib
from tasks.datalens import methods
from tasks.datalens import population as population_lib
from tasks.datalens import training
from tff_gen_debug import aggregators
from tff_gen_debug import learning
from tff_gen_debug import privacy
from tff_gen_debug.learning import optimizer_steps
from tff_gen_debug.learning import students
from tff_gen_debug.models import gan
from tff_gen_debug.models.gan import layers
from tff_gen_debug.runtime import program

_logger = logging.getLogger(__name__)

_LEAK = 0.2  # As in `gan.conv_discriminator`.
_GRID_ROWS = 10
_CHECKPOINTS = 10
# The neighbours that amplification by each kind of sampling is proved for.
_NEIGHBOURS = {"poisson": "add_or_remove_one", "fixed_size": "replace_one"}


class LabelPlanes:
  """Labels as images: of the stripes, a label's own is 1 and the others -1."""

  def __init__(self, height: int, width: int, num_classes: int):
    """Initializes the planes.

    Args:
      height: Rows of a plane.
      width: Columns of a plane.
      num_classes: Stripes of a plane, of one row or more each.

    Raises:
      ValueError: If there are no classes, or fewer rows than classes.
    """
    if not 1 <= num_classes <= height:
      raise ValueError(
        f"num_classes must be between 1 and the {height} rows of an image, got"
        f" {num_classes}"
      )
    self._width = width
    stripe_of_row = np.arange(height) * num_classes // height
    self._rows = np.eye(num_classes, dtype=np.float32)[:, stripe_of_row]

  def append(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """uint8 images `[n, h, w, c]` with the planes of their labels behind."""
    stripes = (255 * self._rows[labels]).astype(np.uint8)
    planes = np.repeat(stripes[:, :, np.newaxis], self._width, axis=2)
    return np.concatenate([images, planes[..., np.newaxis]], axis=3)

  def paint(self, one_hot: tf.Tensor) -> tf.Tensor:
    """The planes, `[batch, h, w, 1]`, of labels, `[batch, classes]`."""
    stripes = 2 * tf.matmul(one_hot, self._rows) - 1
    planes = tf.repeat(stripes[:, :, tf.newaxis], self._width, axis=2)
    return planes[..., tf.newaxis]

  def read(self, images: tf.Tensor) -> tf.Tensor:
    """The labels, `[batch, classes]`, of `[batch, h, w, c + 1]`, exactly."""
    rows = (tf.reduce_mean(images[..., -1], axis=2) + 1) / 2
    return tf.matmul(rows, self._rows.T) / self._rows.sum(axis=1)


def pick_labels(inputs: tf.Tensor, num_classes: int) -> tf.Tensor:
  """Uniform labels, int32 [n], from standard normal numbers, float32 [n]."""
  quantiles = (1 + tf.math.erf(inputs / math.sqrt(2))) / 2
  labels = tf.cast(tf.floor(quantiles * num_classes), tf.int32)
  return tf.minimum(labels, num_classes - 1)  # A quantile can round to 1.


def make_model(config: config_lib.Config, scene: methods.Scene) -> gan.GanModel:
  """The GAN of images with label planes.

  Args:
    config: The config.
    scene: What is known of the data.

  Returns:
    A model whose generator has the weights of `methods.make_generator`, so
    that images of chosen labels are drawn from that one.

  Raises:
    ValueError: If the planes don't have a row for each class.
  """
  height, width, channels = scene.image_shape
  planes = LabelPlanes(height, width, scene.num_classes)
  labelled = methods.make_generator(config, scene)
  initial = gan.conv_discriminator(
    scene.image_shape, scene.num_classes, config.discriminator_width
  ).init

  def generate(weights, statistics, latent, training_mode):
    one_hot = labelled.one_hot(pick_labels(latent[:, 0], scene.num_classes))
    images, statistics = labelled.network.apply(
      weights,
      statistics,
      tf.concat([latent[:, 1:], one_hot], axis=1),
      training_mode,
    )
    return tf.concat([images, planes.paint(one_hot)], axis=3), statistics

  def judge(weights, images, mask):
    del mask  # No operation mixes examples.
    return _logits(weights, images[..., :-1], planes.read(images))

  return gan.GanModel(
    gan.Generator(
      latent_dim=1 + labelled.noise_dim,
      init=labelled.network.init,
      apply=generate,
    ),
    gan.Discriminator(init=initial, apply=judge),
    gan.NonSaturatingLoss(),
    (height, width, channels + 1),
  )


def _logits(weights: Any, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
  """What `gan.conv_discriminator` computes, in a third of the operations."""
  # Its products are for many teachers at once. Here, each client has a graph.
  k1, b1, k2, b2, common, offset, own = weights
  x = tf.nn.leaky_relu(layers.conv2d(images, k1, b1, 2), _LEAK)
  x = tf.nn.leaky_relu(layers.conv2d(x, k2, b2, 2), _LEAK)
  x = tf.reshape(x, [-1, common.shape[0]])
  logits = layers.dense(x, common, offset)[:, 0]
  return logits + tf.reduce_sum(tf.matmul(x, own) * labels, axis=1)


def make_plan(config: config_lib.Config) -> privacy.PrivacyPlan:
  """The plan of all rounds, with the noise that the budget leaves."""
  plan = privacy.PrivacyPlan(
    population=config.num_teachers,
    expected_clients_per_round=config.clients_per_round,
    rounds=config.rounds,
    noise_multiplier=0.0,
    delta=config.delta,
    sampling=config.sampling,
    neighboring_relation=_NEIGHBOURS[config.sampling],
    accountant=config.accountant,
  )
  if not math.isfinite(config.epsilon):
    return plan
  return plan.calibrate(target_epsilon=config.epsilon)


class RareSteps(tff.learning.optimizers.Optimizer):
  """An optimizer that is at work in the last of every few rounds only."""

  def __init__(
    self, optimizer: tff.learning.optimizers.Optimizer, every: int, steps: int
  ):
    """Initializes the optimizer.

    Args:
      optimizer: What it is at work.
      every: In which rounds: every so many-th; all with 1.
      steps: Steps that each round asks for.
    """
    self._optimizer = optimizer
    self._every = every
    self._steps = steps

  def initialize(self, specs):
    """The optimizer's state, and the steps that were asked for."""
    return collections.OrderedDict(
      asked=tf.constant(0, tf.int64), inner=self._optimizer.initialize(specs)
    )

  def next(self, state, weights, gradients):
    """Takes a step if the round is one for it."""
    round_num = state["asked"] // self._steps
    inner, weights = optimizer_steps.step_if(
      # Not `==`, which compares identities in the graphs that TFF traces.
      tf.equal(round_num % self._every, self._every - 1),
      self._optimizer,
      state["inner"],
      weights,
      gradients,
    )
    state = collections.OrderedDict(asked=state["asked"] + 1, inner=inner)
    return state, weights


def build_process(
  config: config_lib.Config,
  scene: methods.Scene,
  plan: privacy.PrivacyPlan,
) -> tff.learning.templates.LearningProcess:
  """The training process of a config."""
  optimizers = tff.learning.optimizers
  # A batch beyond the largest shard would be padding.
  batch_size = min(config.client_batch_size, scene.images_per_teacher)
  return learning.build_dp_fed_gan(
    make_model(config, scene),
    aggregator=aggregators.gaussian_mean_factory(plan, config.gan_clip_norm),
    client_optimizer=optimizers.build_sgdm(config.client_learning_rate),
    server_optimizer=optimizers.build_sgdm(config.server_learning_rate),
    generator_optimizer=RareSteps(
      optimizers.build_adam(config.gan_generator_learning_rate, beta_1=0.5),
      config.discriminator_rounds,
      config.gan_generator_steps,
    ),
    discriminator_steps=config.discriminator_steps,
    batch_size=batch_size,
    client_epochs=math.ceil(
      config.discriminator_steps * batch_size / scene.images_per_teacher
    ),
    max_client_images=scene.images_per_teacher,
    generator_steps=config.gan_generator_steps,
    generator_batch_size=config.gan_generator_batch_size,
    averaging_decay=config.gan_averaging_decay or None,
    seed=config.seed,
  )


def client_datasets(
  population: population_lib.Population, parts: list[np.ndarray]
) -> dict[str, tf.data.Dataset]:
  """By client id a shard: float32 `[h, w, c + 1]` in [-1, 1], with planes."""
  height, width, _ = population.image_shape
  planes = LabelPlanes(height, width, population.num_classes)

  @tf.function
  def as_pixels(image):
    return tf.cast(image, tf.float32) / 127.5 - 1.0

  datasets = {}
  for client, part in enumerate(parts):
    own = population.train[part]
    datasets[f"client_{client:05d}"] = tf.data.Dataset.from_tensor_slices(
      planes.append(own.images, own.labels)
    ).map(as_pixels)
  return datasets


def train(
  config: config_lib.Config, population: population_lib.Population, folder: str
) -> training.Trained:
  """Trains the GAN, or goes on with an earlier run in `folder`.

  Args:
    config: A config with method dp_gan.
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
  plan = make_plan(config)
  _logger.info(
    "%d clients with %d images or fewer each, %d rounds of about %g of them,"
    " noise multiplier %.3g",
    config.num_teachers,
    scene.images_per_teacher,
    plan.rounds,
    plan.expected_clients_per_round,
    plan.noise_multiplier,
  )
  process = build_process(config, scene, plan)
  datasets = client_datasets(population, parts)
  grid_labels = list(range(scene.num_classes))

  def draw(state: Any, labels: np.ndarray, seed: int) -> np.ndarray:
    weights = process.get_model_weights(state)
    return learning.generate_labelled_images(
      methods.make_generator(config, scene),
      students.GeneratorWeights(
        generator=weights.generator,
        statistics=weights.statistics,
        averaged_generator=weights.sampling_generator,
      ),
      labels,
      seed,
    )

  samples = sample_folder.SampleFolder(
    os.path.join(folder, "samples"),
    lambda state: draw(
      state, np.tile(grid_labels, _GRID_ROWS), config.seed + 1
    ),
    rows=_GRID_ROWS,
    columns=len(grid_labels),
  )
  result = program.train(
    process,
    sample_clients=plan.sampler(list(datasets), config.seed).sample,
    client_datasets=datasets,
    rounds=plan.rounds,
    # The plan's noise is for its rounds: no round can be beyond the budget.
    budget=program.Budget(
      round_event=plan.round_event, ledger=plan.new_ledger()
    ),
    directory=os.path.join(folder, "checkpoints"),
    checkpoint_every=math.ceil(plan.rounds / _CHECKPOINTS),
    release_managers=deployment.release_managers(folder),
    on_checkpoint=samples.write,
    description=config.dataset,
  )
  labels = np.arange(config.num_samples) % scene.num_classes
  return training.Trained(
    samples=population_lib.Synthetic(
      draw(result.state, labels, config.seed), labels
    ),
    grid_labels=grid_labels,
    grids=samples.read(result.rounds),
    plan=plan,
    ledger=result.ledger,
    rounds=result.rounds,
  )
