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
