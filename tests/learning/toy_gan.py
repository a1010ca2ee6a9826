"""A one-dimensional GAN small enough to train by hand.

An "image" is one number. The generator makes `offset + spread * latent`, the
discriminator's logit is `slope * image + bias`, and the references below are
their derivatives written out in NumPy.
"""

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tests.learning import exact_mean
from tff_gen_debug import learning
from tff_gen_debug.models import gan

OFFSET, SLOPE, BIAS = -0.5, 0.25, 0.125
# Of SGD in `build`.
CLIENT_RATE, SERVER_RATE, GENERATOR_RATE = 0.5, 0.75, 0.25


def generator(spread: float) -> gan.Generator:
  def init(seed):
    del seed
    return (tf.constant([OFFSET]),), ()

  def apply(weights, statistics, latent, training):
    del training
    return weights[0] + spread * latent, statistics

  return gan.Generator(latent_dim=1, init=init, apply=apply)


def discriminator() -> gan.Discriminator:
  def init(seed):
    del seed
    return tf.constant([SLOPE]), tf.constant(BIAS)

  def apply(weights, images, mask):
    del mask
    slope, bias = weights
    return images[:, 0] * slope[0] + bias

  return gan.Discriminator(init=init, apply=apply)


def model(loss: gan.GanLoss, spread: float = 0.0) -> gan.GanModel:
  return gan.GanModel(
    generator(spread), discriminator(), loss, image_shape=(1,)
  )


def dataset(values) -> tf.data.Dataset:
  array = np.asarray(values, np.float32).reshape([-1, 1])
  return tf.data.Dataset.from_tensor_slices(array)


def sgd(learning_rate: float) -> tff.learning.optimizers.Optimizer:
  return tff.learning.optimizers.build_sgdm(learning_rate)


def process() -> tff.learning.templates.LearningProcess:
  """A process without noise whose rounds are functions of the state."""
  return learning.build_dp_fed_gan(
    model(gan.NonSaturatingLoss(), spread=1.0),
    aggregator=tff.aggregators.DifferentiallyPrivateFactory.gaussian_fixed(
      noise_multiplier=0.0, clients_per_round=2.0, clip=1.0
    ),
    client_optimizer=sgd(0.1),
    generator_optimizer=tff.learning.optimizers.build_adam(0.1),
    discriminator_steps=1,
    batch_size=2,
    generator_steps=1,
  )


def build(loss=None, spread=0.0, **overrides):
  """A process with an exact mean, three client steps and two of the server."""
  arguments = dict(
    aggregator=exact_mean.factory(),
    client_optimizer=sgd(CLIENT_RATE),
    server_optimizer=sgd(SERVER_RATE),
    generator_optimizer=sgd(GENERATOR_RATE),
    discriminator_steps=3,
    batch_size=2,
    generator_steps=2,
  )
  arguments.update(overrides)
  loss = loss or gan.NonSaturatingLoss(0.9)
  return learning.build_dp_fed_gan(model(loss, spread), **arguments)


def all_weights(process, state):
  """The offset, the slope and the bias."""
  weights = process.get_model_weights(state)
  slope, bias = weights.discriminator
  return weights.generator[0][0], slope[0], bias


def _sigmoid(x):
  return 1.0 / (1.0 + np.exp(-x))


def non_saturating_step(slope, bias, real, fake, learning_rate, label):
  """One SGD step on real images that all equal `real`, against `fake`."""
  # d/dlogit of the cross entropy with a target t is sigmoid(logit) - t.
  on_real = _sigmoid(slope * real + bias) - label
  on_fake = _sigmoid(slope * fake + bias)
  slope_gradient = on_real * real + on_fake * fake
  return (
    slope - learning_rate * slope_gradient,
    bias - learning_rate * (on_real + on_fake),
  )


def wasserstein_step(slope, bias, real, fake, learning_rate, penalty):
  """The same for the Wasserstein loss: the critic's slope is its gradient."""
  gradient = (fake - real) + penalty * 2 * (abs(slope) - 1) * np.sign(slope)
  return slope - learning_rate * gradient, bias


def non_saturating_generator_step(offset, slope, bias, learning_rate):
  gradient = (_sigmoid(slope * offset + bias) - 1.0) * slope
  return offset - learning_rate * gradient


def wasserstein_generator_step(offset, slope, bias, learning_rate):
  del bias
  return offset + learning_rate * slope
