"""A generator for images of any size that doubling leads to.

In the manner of DCGAN, Radford et al. (2016), arXiv 1511.06434.
"""

import tensorflow as tf

from tff_gen_debug.models.gan import layers
from tff_gen_debug.models.gan import network


def upsampling_generator(
  image_shape: tuple[int, int, int], latent_dim: int = 64, filters: int = 32
) -> network.Generator:
  """A dense layer and transposed convolutions, batch-normalized.

  A dense layer makes a picture of at most 8 pixels a side, or of the side's
  largest odd factor; each transposed convolution doubles it and halves the
  channels.

  Args:
    image_shape: Height, width and channels of an image, height = width.
    latent_dim: The number of inputs.
    filters: Filters before the last convolution, at least 1.

  Returns:
    A generator of float32 images of shape [batch, *image_shape] in [-1, 1].

  Raises:
    ValueError: If the shape is none that doubling leads to, or a number is out
      of its range.
  """
  height, width, channels = image_shape
  doublings = 0
  side = height
  while side % 2 == 0 and (side > 8 or doublings < 2):
    side //= 2
    doublings += 1
  if height != width or doublings < 2:
    raise ValueError(
      "image_shape must be of equal height and width, a multiple of 4, got"
      f" {image_shape}"
    )
  if filters < 1:
    raise ValueError(f"filters must be at least 1, got {filters}")
  widths = [filters * 2**i for i in reversed(range(doublings))]
  flat = side * side * widths[0]
  normalized = (flat, *widths[1:])

  def init(seed):
    weights = [*layers.affine_weights([latent_dim, flat], flat, seed, 0)]
    for i, (fewer, more) in enumerate(zip([*widths[1:], channels], widths)):
      weights += layers.affine_weights([4, 4, fewer, more], fewer, seed, i + 1)
    scales = [tf.ones([size]) for size in normalized]
    offsets = [tf.zeros([size]) for size in normalized]
    means = [tf.zeros([size]) for size in normalized]
    variances = [tf.ones([size]) for size in normalized]
    return (*weights, *scales, *offsets), (*means, *variances)

  def apply(weights, statistics, latent, training):
    affine, rest = weights[: 2 * doublings + 2], weights[2 * doublings + 2 :]
    scales, offsets = rest[:doublings], rest[doublings:]
    means = list(statistics[:doublings])
    variances = list(statistics[doublings:])
    x = layers.dense(latent, affine[0], affine[1])
    for i in range(doublings):
      x, means[i], variances[i] = layers.batch_norm_with_statistics(
        x, scales[i], offsets[i], means[i], variances[i], training
      )
      x = tf.nn.relu(x)
      if i == 0:
        x = tf.reshape(x, [-1, side, side, widths[0]])
      kernel, bias = affine[2 * i + 2], affine[2 * i + 3]
      x = layers.conv2d_transpose(x, kernel, bias, 2)
    return tf.tanh(x), (*means, *variances)

  return network.Generator(latent_dim=latent_dim, init=init, apply=apply)
