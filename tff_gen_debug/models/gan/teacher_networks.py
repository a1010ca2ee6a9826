"""A critic for teachers, of whom there are many.

A teacher of DataLens (Wang et al., 2021, arXiv 2103.11109) sees some 15 images.
There are thousands of teachers, so their critic is a small one of two dense
layers, whose products many teachers share one call of.
"""

import math

import tensorflow as tf

from tff_gen_debug.models.gan import labelled
from tff_gen_debug.models.gan import layers

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


def conv_discriminator(
  image_shape: tuple[int, int, int],
  num_classes: int,
  filters: int = 8,
) -> labelled.LabelledDiscriminator:
  """`small_discriminator` with a logit for each class.

  Two convolutions of 4 x 4 pixels and stride 2, and a dense layer. They are
  written as products of matrices: unlike convolutions, these can have other
  weights for each teacher in one operation.

  Args:
    image_shape: Height, width, both multiples of 4, and channels of an image.
    num_classes: At least 0.
    filters: Filters of the first convolution, the second has twice as many.

  Returns:
    A discriminator of float32 images of shape [batch, *image_shape].

  Raises:
    ValueError: If the shape is another, or `filters` is less than 1.
  """
  height, width, channels = image_shape
  if height % 4 or width % 4:
    raise ValueError(
      "image_shape must have a height and a width that are multiples of 4, got"
      f" {image_shape}"
    )
  if filters < 1:
    raise ValueError(f"filters must be at least 1, got {filters}")
  flat = height // 4 * (width // 4) * 2 * filters

  def init(seed):
    return (
      *layers.affine_weights([4, 4, channels, filters], filters, seed, 0),
      *layers.affine_weights(
        [4, 4, filters, 2 * filters], 2 * filters, seed, 1
      ),
      *layers.affine_weights([flat, 1], 1, seed, 2),
      tf.zeros([flat, num_classes]),
    )

  def apply(weights, images, labels):
    k1, b1, k2, b2, common, offset, own = weights
    x = tf.nn.leaky_relu(_conv_by_two(images, k1, b1), _LEAK)
    x = tf.nn.leaky_relu(_conv_by_two(x, k2, b2), _LEAK)
    x = tf.reshape(x, [-1, flat])
    logits = layers.dense(x, common, offset)[:, 0]
    return logits + tf.reduce_sum(tf.matmul(x, own) * labels, axis=1)

  return labelled.LabelledDiscriminator(init=init, apply=apply)


def _conv_by_two(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
  """`layers.conv2d` with a kernel of 4 x 4 and stride 2, as a product."""
  height, width, channels = x.shape[1:]
  # A window is two by two blocks of two by two pixels.
  padded = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
  rows, columns = height // 2, width // 2
  blocks = tf.reshape(padded, [-1, rows + 1, 2, columns + 1, 2, channels])
  windows = tf.stack(
    [
      tf.stack(
        [blocks[:, i : i + rows, :, j : j + columns] for j in (0, 1)], axis=5
      )
      for i in (0, 1)
    ],
    axis=3,
  )
  # [batch, row, pixel row, block row, column, pixel column, block column,
  # channel] in the order of the kernel's rows and columns.
  windows = tf.transpose(windows, [0, 1, 4, 3, 2, 6, 5, 7])
  windows = tf.reshape(windows, [-1, rows, columns, 16 * channels])
  flat_kernel = tf.reshape(kernel, [16 * channels, kernel.shape[3]])
  products = tf.matmul(tf.reshape(windows, [-1, 16 * channels]), flat_kernel)
  return tf.reshape(products + bias, [-1, rows, columns, kernel.shape[3]])
