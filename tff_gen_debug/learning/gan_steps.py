"""The steps of federated GAN training, as pure functions of tensors.

Algorithm 1 of Augenstein et al. (2020), Generative Models for Effective ML on
Private, Decentralized Datasets, arXiv 1911.06679: clients train the
discriminator against a frozen generator, the server then trains the generator
against the new discriminator. Every step is unrolled, for the reason that
`client_batches` gives.
"""

from typing import NamedTuple

import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.learning import client_batches
from tff_gen_debug.learning import optimizer_steps
from tff_gen_debug.learning import seeds
from tff_gen_debug.models.gan import network

# Folded into a round's seed, so that no two draws of a round share one.
_BATCHES, _LATENT, _LOSS = 0, 1, 2


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


def train_discriminator(
  model: network.GanModel,
  optimizer: tff.learning.optimizers.Optimizer,
  discriminator: network.Weights,
  generator: network.Weights,
  statistics: network.Weights,
  batches: client_batches.ClientBatches,
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
    steps * batch_size, seeds.fold_in(seed, _LATENT)
  )
  fakes, _ = model.generator.apply(generator, statistics, latent, True)
  fakes = tf.reshape(tf.stop_gradient(fakes), batches.examples.shape)

  weights = discriminator
  state = optimizer.initialize(optimizer_steps.weight_specs(weights))
  loss_sum = tf.zeros([])
  for step in range(steps):
    mask = batches.mask[step]
    loss, gradients = _discriminator_gradients(
      model,
      weights,
      batches.examples[step],
      fakes[step],
      mask,
      seeds.fold_in(seed, _LOSS, step),
    )
    count = tf.reduce_sum(mask)
    state, weights = optimizer_steps.step_if(
      count > 0, optimizer, state, weights, gradients
    )
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
      batch_size, seeds.fold_in(seed, _LATENT, step)
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


def batches_seed(seed: tf.Tensor) -> tf.Tensor:
  """The seed of the order of a client's images, from `seeds.client_seed`."""
  return seeds.fold_in(seed, _BATCHES)
