"""The steps of federated GAN training, as pure functions of tensors.

Algorithm 1 of Augenstein et al. (2020), Generative Models for Effective ML on
Private, Decentralized Datasets, arXiv 1911.06679: clients train the
discriminator against a frozen generator, the server then trains the generator
against the new discriminator. Every step is unrolled and every client's images
are one padded tensor: a loop over a data set is instantiated anew at each call
of a client computation, which costs more than the arithmetic of a small model.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.models.gan import network

# Folded into a round's seed, so that no two draws of a round share one.
_BATCHES, _LATENT, _LOSS = 0, 1, 2


class ClientBatches(NamedTuple):
  """A client's images for one round.

  Attributes:
    images: float32 of shape [steps, batch_size, *image_shape].
    mask: float32 of shape [steps, batch_size]; 0 where there is no image.
  """

  images: tf.Tensor
  mask: tf.Tensor


class DiscriminatorUpdate(NamedTuple):
  """What a client's work on the discriminator yields.

  Attributes:
    delta: Tuple of tensors, the trained weights minus the initial ones.
    loss_sum: float32 scalar, the sum of the examples' losses.
    num_examples: float32 scalar, how many examples were used, repeats counted.
  """

  delta: network.Weights
  loss_sum: tf.Tensor
  num_examples: tf.Tensor


class GeneratorUpdate(NamedTuple):
  """What the server's work on the generator yields.

  Attributes:
    weights: The generator's trained weights.
    statistics: Its moving statistics.
    optimizer_state: The state of its optimizer.
    loss: float32 scalar, the mean loss of the steps.
  """

  weights: network.Weights
  statistics: network.Weights
  optimizer_state: object
  loss: tf.Tensor


def make_seed(seed: int, *data) -> tf.Tensor:
  """A stateless seed, int32 of shape [2], from a Python int and integers."""
  unsigned = seed % 2**64
  halves = np.array([unsigned >> 32, unsigned % 2**32], np.uint32)
  return fold_in(tf.constant(halves.view(np.int32)), *data)


def fold_in(seed: tf.Tensor, *data) -> tf.Tensor:
  """Derives a seed, int32 of shape [2], from `seed` and integers."""
  for value in data:
    seed = tf.random.experimental.stateless_fold_in(seed, value)
  return seed


def fingerprint(images: tf.Tensor) -> tf.Tensor:
  """A number in [0, 2^31 - 1) that depends on every byte of `images`.

  Clients do not know who they are, and must not draw the same noise. Folding
  this into the round's seed makes a client's work a function of its own data
  and the round, so that a repeated round repeats exactly.
  """
  return tf.strings.to_hash_bucket_fast(
    tf.io.serialize_tensor(images), 2**31 - 1
  )


def read_images(
  dataset: tf.data.Dataset, image_shape: tuple[int, ...], max_images: int
) -> tf.Tensor:
  """Reads at most `max_images` of `dataset`, [n, *image_shape]; n may be 0."""
  # The sentinel makes an empty data set one batch, as any other.
  sentinel = tf.data.Dataset.from_tensors(tf.zeros(image_shape))
  rows = dataset.take(max_images).concatenate(sentinel).batch(max_images + 1)
  return tf.ensure_shape(rows.get_single_element(), (None, *image_shape))[:-1]


def make_batches(
  images: tf.Tensor, steps: int, batch_size: int, epochs: int, seed: tf.Tensor
) -> ClientBatches:
  """Shuffles `images` and cuts them into at most `steps` batches.

  Args:
    images: float32 of shape [n, *image_shape]; n may be 0.
    steps: The number of batches, the last of them perhaps partial or empty.
    batch_size: Rows a batch.
    epochs: How often each image may be used.
    seed: int32 of shape [2]; each epoch has its own order.

  Returns:
    The batches, padded with zeros.
  """
  rows = tf.range(tf.shape(images)[0])
  orders = [
    tf.random.experimental.stateless_shuffle(rows, fold_in(seed, epoch))
    for epoch in range(epochs)
  ]
  capacity = steps * batch_size
  chosen = tf.concat(orders, axis=0)[:capacity]
  missing = capacity - tf.shape(chosen)[0]
  padding = [[0, missing]] + [[0, 0]] * (images.shape.rank - 1)
  padded = tf.pad(tf.gather(images, chosen), padding)
  mask = tf.pad(tf.ones_like(chosen, tf.float32), [[0, missing]])
  return ClientBatches(
    tf.reshape(padded, [steps, batch_size, *images.shape[1:]]),
    tf.reshape(mask, [steps, batch_size]),
  )


def train_discriminator(
  model: network.GanModel,
  optimizer: tff.learning.optimizers.Optimizer,
  discriminator: network.Weights,
  generator: network.Weights,
  statistics: network.Weights,
  batches: ClientBatches,
  seed: tf.Tensor,
) -> DiscriminatorUpdate:
  """Trains the discriminator on one client, a step a batch.

  The generator is frozen, so its images for all steps are made at once. A batch
  without examples changes neither the weights nor the optimizer's state.

  Args:
    model: The networks and their loss.
    optimizer: The client's optimizer; its state starts anew each round.
    discriminator: Initial weights.
    generator: The generator's weights.
    statistics: The generator's moving statistics, which are left as they are.
    batches: The client's images.
    seed: int32 of shape [2].

  Returns:
    The change of the weights, and how the client did.
  """
  steps, batch_size = batches.mask.shape
  latent = model.generator.sample_latent(
    steps * batch_size, fold_in(seed, _LATENT)
  )
  fakes, _ = model.generator.apply(generator, statistics, latent, True)
  fakes = tf.reshape(tf.stop_gradient(fakes), batches.images.shape)

  weights = discriminator
  state = optimizer.initialize(weight_specs(weights))
  loss_sum = tf.zeros([])
  for step in range(steps):
    mask = batches.mask[step]
    loss, gradients = _discriminator_gradients(
      model,
      weights,
      batches.images[step],
      fakes[step],
      mask,
      fold_in(seed, _LOSS, step),
    )
    new_state, new_weights = optimizer.next(state, weights, gradients)
    count = tf.reduce_sum(mask)
    state = _where(count > 0, new_state, state)
    weights = _where(count > 0, new_weights, weights)
    loss_sum += loss * count
  delta = tf.nest.map_structure(tf.subtract, weights, discriminator)
  return DiscriminatorUpdate(delta, loss_sum, tf.reduce_sum(batches.mask))


def _discriminator_gradients(model, weights, real, fake, mask, seed):
  with tf.GradientTape() as tape:
    tape.watch(weights)
    loss = model.loss.discriminator(
      lambda images, rows: model.discriminator.apply(weights, images, rows),
      real,
      fake,
      mask,
      seed,
    )
  gradients = tape.gradient(
    loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO
  )
  return loss, gradients


def train_generator(
  model: network.GanModel,
  optimizer: tff.learning.optimizers.Optimizer,
  optimizer_state,
  generator: network.Weights,
  statistics: network.Weights,
  discriminator: network.Weights,
  steps: int,
  batch_size: int,
  seed: tf.Tensor,
) -> GeneratorUpdate:
  """Trains the generator on the server, against a frozen discriminator.

  It sees no user data: whatever privacy the discriminator has, the generator
  has, as post-processing.

  Args:
    model: The networks and their loss.
    optimizer: The generator's optimizer.
    optimizer_state: Its state after the round before.
    generator: Initial weights.
    statistics: Initial moving statistics.
    discriminator: The discriminator's weights.
    steps: How many steps to take; 0 leaves everything as it is.
    batch_size: Images a step.
    seed: int32 of shape [2].

  Returns:
    The trained weights with their statistics, optimizer state and mean loss.
  """
  weights, state = generator, optimizer_state
  loss_sum = tf.zeros([])
  mask = tf.ones([batch_size])
  for step in range(steps):
    latent = model.generator.sample_latent(
      batch_size, fold_in(seed, _LATENT, step)
    )
    with tf.GradientTape() as tape:
      tape.watch(weights)
      images, statistics = model.generator.apply(
        weights, statistics, latent, True
      )
      loss = model.loss.generator(
        model.discriminator.apply(discriminator, images, mask)
      )
    gradients = tape.gradient(
      loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    state, weights = optimizer.next(state, weights, gradients)
    loss_sum += loss
  mean_loss = loss_sum / max(steps, 1)
  return GeneratorUpdate(weights, statistics, state, mean_loss)


def client_seed(round_seed: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
  """The seed of all that one client draws in one round."""
  return fold_in(round_seed, fingerprint(images))


def batches_seed(seed: tf.Tensor) -> tf.Tensor:
  """The seed of the order of a client's images, from its `client_seed`."""
  return fold_in(seed, _BATCHES)


def weight_specs(weights: network.Weights) -> tuple[tf.TensorSpec, ...]:
  """What an optimizer of `weights` wants to know to begin."""
  return tuple(tf.TensorSpec(w.shape, w.dtype) for w in weights)


def _where(condition: tf.Tensor, if_true, if_false):
  return tf.nest.map_structure(
    lambda x, y: tf.where(condition, x, y), if_true, if_false
  )
