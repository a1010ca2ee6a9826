"""Small convolutional networks in the manner of DCGAN.

Radford et al. (2016), arXiv 1511.06434. The discriminator normalizes nothing,
so each of its examples counts for itself; with 37 thousand weights it is also
easier on a clipped and noised update than the paper's with 6.56 million.
"""

import tensorflow as tf

from tff_gen_debug.models.gan import layers
from tff_gen_debug.models.gan import network
from tff_gen_debug.models.gan import upsampling

_LEAK = 0.2  # Radford et al. (2016), section 3.


def small_discriminator(filters: int = 32) -> network.Discriminator:
  """Two strided convolutions and a dense layer.

  Args:
    filters: Filters of the first convolution, the second has twice as many.

  Returns:
    A discriminator of float32 images of shape [batch, 28, 28, 1].

  Raises:
    ValueError: If `filters` is less than 1.
  """
  _check_at_least_one("filters", filters)
  flat = 7 * 7 * 2 * filters

  def init(seed):
    return (
      *layers.affine_weights([4, 4, 1, filters], filters, seed, 0),
      *layers.affine_weights(
        [4, 4, filters, 2 * filters], 2 * filters, seed, 1
      ),
      *layers.affine_weights([flat, 1], 1, seed, 2),
    )

  def apply(weights, images, mask):
    del mask  # No operation mixes examples.
    k1, b1, k2, b2, k3, b3 = weights
    x = tf.nn.leaky_relu(layers.conv2d(images, k1, b1, 2), _LEAK)
    x = tf.nn.leaky_relu(layers.conv2d(x, k2, b2, 2), _LEAK)
    return tf.reshape(layers.dense(tf.reshape(x, [-1, flat]), k3, b3), [-1])

  return network.Discriminator(init=init, apply=apply)


def small_generator(
  latent_dim: int = 64, filters: int = 32
) -> network.Generator:
  """A dense layer and two transposed convolutions, batch-normalized.

  Args:
    latent_dim: The number of inputs.
    filters: Filters between the two transposed convolutions; twice as many
      before the first.

  Returns:
    A generator of float32 images of shape [batch, 28, 28, 1] in [-1, 1].

  Raises:
    ValueError: If `filters` is less than 1.
  """
  return upsampling.upsampling_generator((28, 28, 1), latent_dim, filters)


def _check_at_least_one(name: str, value: int) -> None:
  if value < 1:
    raise ValueError(f"{name} must be at least 1, got {value}")
