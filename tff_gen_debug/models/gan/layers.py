"""Layers as functions of their weights, for the networks of this package.

Keras layers own their variables, which TFF would have to lift out of a graph
again; plain functions of tensors also build smaller graphs, and a client
computation is instantiated anew at each call.
"""

import math

import tensorflow as tf

# What Keras' BatchNormalization uses for epsilon; its momentum of 0.99 is for
# thousands of steps, a federated GAN takes a few at each round.
_EPSILON = 1e-3
_MOMENTUM = 0.9


def glorot_uniform(shape: list[int], seed: tf.Tensor) -> tf.Tensor:
  """Glorot and Bengio's (2010) initial kernel, as Keras computes its fans."""
  receptive_field = math.prod(shape[:-2])
  limit = math.sqrt(6.0 / (receptive_field * (shape[-2] + shape[-1])))
  return tf.random.stateless_uniform(
    shape, seed, minval=-limit, maxval=limit, dtype=tf.float32
  )


def affine_weights(
  shape: list[int], outputs: int, seed: tf.Tensor, index: int
) -> tuple[tf.Tensor, tf.Tensor]:
  """A kernel and a zero bias; `index` tells the layers of a network apart."""
  layer_seed = tf.random.experimental.stateless_fold_in(seed, index)
  return glorot_uniform(shape, layer_seed), tf.zeros([outputs])


def dense(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
  """An affine map of the rows of `x`, [batch, inputs] to [batch, outputs]."""
  return tf.nn.bias_add(tf.matmul(x, kernel), bias)


def conv2d(
  x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, stride: int
) -> tf.Tensor:
  """A convolution of `x` [batch, height, width, channels], padding SAME."""
  return tf.nn.bias_add(tf.nn.conv2d(x, kernel, stride, "SAME"), bias)


def conv2d_transpose(
  x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, stride: int
) -> tf.Tensor:
  """A transposed convolution that makes `x` `stride` times larger.

  Args:
    x: float32 of shape [batch, height, width, inputs].
    kernel: float32 of shape [rows, columns, outputs, inputs].
    bias: float32 of shape [outputs].
    stride: The factor.

  Returns:
    float32 of shape [batch, stride * height, stride * width, outputs].
  """
  output_shape = [
    tf.shape(x)[0],
    x.shape[1] * stride,
    x.shape[2] * stride,
    kernel.shape[2],
  ]
  result = tf.nn.conv2d_transpose(x, kernel, output_shape, stride, "SAME")
  return tf.nn.bias_add(result, bias)


def batch_moments(x: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """Mean and variance of each column of `x` [batch, n] over unmasked rows."""
  weights = mask[:, tf.newaxis]
  count = tf.reduce_sum(mask)
  mean = tf.math.divide_no_nan(tf.reduce_sum(x * weights, axis=0), count)
  squares = tf.reduce_sum(tf.square(x - mean) * weights, axis=0)
  return mean, tf.math.divide_no_nan(squares, count)


def normalize(
  x: tf.Tensor,
  mean: tf.Tensor,
  variance: tf.Tensor,
  scale: tf.Tensor,
  offset: tf.Tensor,
) -> tf.Tensor:
  """Batch normalization with given moments."""
  return tf.nn.batch_normalization(x, mean, variance, offset, scale, _EPSILON)


def batch_norm_with_statistics(
  x: tf.Tensor,
  scale: tf.Tensor,
  offset: tf.Tensor,
  moving_mean: tf.Tensor,
  moving_variance: tf.Tensor,
  training: bool,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Batch normalization of the last axis of `x`.

  Ioffe and Szegedy (2015), arXiv 1502.03167.

  Args:
    x: float32 of shape [batch, ..., channels].
    scale: float32 of shape [channels].
    offset: float32 of shape [channels].
    moving_mean: float32 of shape [channels].
    moving_variance: float32 of shape [channels].
    training: Whether to normalize with the moments of the batch, and to move
      the moving ones towards them, or to normalize with the moving ones.

  Returns:
    `(normalized, moving_mean, moving_variance)`.
  """
  if not training:
    normalized = normalize(x, moving_mean, moving_variance, scale, offset)
    return normalized, moving_mean, moving_variance
  mean, variance = tf.nn.moments(x, axes=list(range(x.shape.rank - 1)))
  return (
    normalize(x, mean, variance, scale, offset),
    _MOMENTUM * moving_mean + (1 - _MOMENTUM) * mean,
    _MOMENTUM * moving_variance + (1 - _MOMENTUM) * variance,
  )
