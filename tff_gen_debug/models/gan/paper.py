"""The networks of the federated GAN experiment on EMNIST.

Augenstein et al. (2020), Generative Models for Effective ML on Private,
Decentralized Datasets, arXiv 1911.06679, and the code that the authors
published with it. At full width the discriminator has 6.56 million weights and
the generator 13.3 million.
"""

import tensorflow as tf

from tff_gen_debug.models.gan import layers
from tff_gen_debug.models.gan import network

_LEAK = 0.01


def _scaled(width: float, units: int) -> int:
  if not width > 0:
    raise ValueError(f"width must be positive, got {width}")
  return max(1, round(width * units))


def paper_discriminator(width: float = 1.0) -> network.Discriminator:
  """Two strided convolutions and two dense layers.

  Batch normalization after the first dense layer uses the moments of the
  client's own batch, real and generated images apart; unlike in the published
  run there are no moving statistics, which nothing reads.

  Args:
    width: Multiplies the number of filters and units; 1 is the paper's.

  Returns:
    A discriminator of float32 images of shape [batch, 28, 28, 1].
  """
  first, second = _scaled(width, 64), _scaled(width, 128)
  units = _scaled(width, 1024)
  flat = 7 * 7 * second

  def init(seed):
    return (
      *layers.affine_weights([4, 4, 1, first], first, seed, 0),
      *layers.affine_weights([4, 4, first, second], second, seed, 1),
      *layers.affine_weights([flat, units], units, seed, 2),
      tf.ones([units]),
      tf.zeros([units]),
      *layers.affine_weights([units, 1], 1, seed, 3),
    )

  def apply(weights, images, mask):
    k1, b1, k2, b2, k3, b3, scale, offset, k4, b4 = weights
    x = tf.nn.leaky_relu(layers.conv2d(images, k1, b1, 2), _LEAK)
    x = tf.nn.leaky_relu(layers.conv2d(x, k2, b2, 2), _LEAK)
    x = layers.dense(tf.reshape(x, [-1, flat]), k3, b3)
    mean, variance = layers.batch_moments(x, mask)
    x = layers.normalize(x, mean, variance, scale, offset)
    x = layers.dense(tf.nn.leaky_relu(x, _LEAK), k4, b4)
    return tf.reshape(x, [-1])

  return network.Discriminator(init=init, apply=apply)


def paper_generator(
  latent_dim: int = 128, width: float = 1.0
) -> network.Generator:
  """Two dense layers and two transposed convolutions, batch-normalized.

  Args:
    latent_dim: The number of inputs; the paper's is 128.
    width: Multiplies the number of filters and units; 1 is the paper's.

  Returns:
    A generator of float32 images of shape [batch, 28, 28, 1] in [-1, 1].
  """
  units, channels = _scaled(width, 1024), _scaled(width, 256)
  second, third = _scaled(width, 64), _scaled(width, 32)
  flat = 7 * 7 * channels
  normalized = (units, flat, second, third)

  def init(seed):
    affine = (
      *layers.affine_weights([latent_dim, units], units, seed, 0),
      *layers.affine_weights([units, flat], flat, seed, 1),
      *layers.affine_weights([4, 4, second, channels], second, seed, 2),
      *layers.affine_weights([4, 4, third, second], third, seed, 3),
      *layers.affine_weights([4, 4, third, 1], 1, seed, 4),
    )
    scales = tuple(tf.ones([size]) for size in normalized)
    offsets = tuple(tf.zeros([size]) for size in normalized)
    means = tuple(tf.zeros([size]) for size in normalized)
    variances = tuple(tf.ones([size]) for size in normalized)
    return affine + scales + offsets, means + variances

  def apply(weights, statistics, latent, training):
    k1, b1, k2, b2, k3, b3, k4, b4, k5, b5 = weights[:10]
    scales, offsets = weights[10:14], weights[14:]
    means, variances = list(statistics[:4]), list(statistics[4:])

    def normalized_relu(x, index):
      x, means[index], variances[index] = layers.batch_norm_with_statistics(
        x,
        scales[index],
        offsets[index],
        means[index],
        variances[index],
        training,
      )
      return tf.nn.relu(x)

    x = normalized_relu(layers.dense(latent, k1, b1), 0)
    x = normalized_relu(layers.dense(x, k2, b2), 1)
    x = tf.reshape(x, [-1, 7, 7, channels])
    x = normalized_relu(layers.conv2d_transpose(x, k3, b3, 2), 2)
    x = normalized_relu(layers.conv2d_transpose(x, k4, b4, 2), 3)
    images = tf.tanh(layers.conv2d(x, k5, b5, 1))
    return images, tuple(means + variances)

  return network.Generator(latent_dim=latent_dim, init=init, apply=apply)
