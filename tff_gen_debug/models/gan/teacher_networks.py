"""Networks for GANs of many teachers: a small critic, and wide enough makers.

A teacher of DataLens (Wang et al., 2021, arXiv 2103.11109) sees some 15 images.
There are thousands of teachers, so their critic is a small one of two dense
layers, whose products many teachers share one call of.
"""

import math

import tensorflow as tf

from tff_gen_debug.models.gan import labelled
from tff_gen_debug.models.gan import layers
from tff_gen_debug.models.gan import network

_LEAK = 0.2  # Radford et al. (2016), section 3.


def dense_discriminator(
  image_shape: tuple[int, ...],
  num_classes: int,
  units: int = 32,
  initial_scale: float = 0.02,
) -> labelled.LabelledDiscriminator:
  """A hidden layer, and a logit for each class of which the label takes one.

  The logit is h (u + v_y) + b with the hidden units h: what all classes have in
  common and what is one class' own. (A one-hot input beside 784 pixels would
  hardly be heard.)

  Args:
    image_shape: The shape of an image.
    num_classes: At least 0.
    units: Hidden units, at least 1.
    initial_scale: Multiplies the first layer's usual initial weights. The
      gradient for an image is made of that layer's columns, which have to come
      from the data in a few steps, and not from chance.

  Returns:
    A discriminator of float32 images of shape [batch, *image_shape].

  Raises:
    ValueError: If a number is out of its range.
  """
  if units < 1:
    raise ValueError(f"units must be at least 1, got {units}")
  if not initial_scale > 0:
    raise ValueError(f"initial_scale must be positive, got {initial_scale}")
  size = math.prod(image_shape)

  def init(seed):
    kernel, bias = layers.affine_weights([size, units], units, seed, 0)
    common, offset = layers.affine_weights([units, 1], 1, seed, 1)
    return (
      initial_scale * kernel,
      bias,
      common,
      offset,
      tf.zeros([units, num_classes]),
    )

  def apply(weights, images, labels):
    kernel, bias, common, offset, own = weights
    hidden = layers.dense(tf.reshape(images, [-1, size]), kernel, bias)
    hidden = tf.nn.leaky_relu(hidden, _LEAK)
    logits = layers.dense(hidden, common, offset)[:, 0]
    return logits + tf.reduce_sum(tf.matmul(hidden, own) * labels, axis=1)

  return labelled.LabelledDiscriminator(init=init, apply=apply)


def upsampling_generator(
  image_shape: tuple[int, int, int], latent_dim: int = 64, filters: int = 32
) -> network.Generator:
  """`small_generator` for images of any size that is a multiple of 4.

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
