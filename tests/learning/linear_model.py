"""A linear model small enough to train by hand, and its NumPy reference.

The prediction is `weights . x + bias`, the loss the mean squared error.
"""

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

WEIGHTS, BIAS = np.array([0.5, -0.25], np.float32), np.float32(0.125)


def model() -> tff.learning.models.FunctionalModel:
  @tf.function
  def predict(model_weights, x, training):
    del training
    (weights, bias), _ = model_weights
    return tf.linalg.matvec(x, weights) + bias

  @tf.function
  def loss(output, label, sample_weight=None):
    del sample_weight
    return tf.reduce_mean(tf.square(output - label))

  return tff.learning.models.FunctionalModel(
    initial_weights=((WEIGHTS, BIAS), ()),
    predict_on_batch_fn=predict,
    loss_fn=loss,
    input_spec=(
      tf.TensorSpec([None, 2], tf.float32),
      tf.TensorSpec([None], tf.float32),
    ),
  )


def examples(count, seed):
  """`count` examples `(x, y)`, as arrays."""
  rng = np.random.default_rng(seed)
  x = rng.normal(size=[count, 2]).astype(np.float32)
  return x, rng.normal(size=[count]).astype(np.float32)


def dataset(x, y) -> tf.data.Dataset:
  return tf.data.Dataset.from_tensor_slices(
    (
      np.asarray(x, np.float32).reshape([-1, 2]),
      np.asarray(y, np.float32).reshape([-1]),
    )
  )


def loss(weights, bias, x, y) -> float:
  return float(np.mean((x @ weights + bias - y) ** 2))


def sgd_step(weights, bias, x, y, rate):
  """One step on the mean squared error of the rows given."""
  error = x @ weights + bias - y
  return (
    weights - rate * 2 * (error[:, np.newaxis] * x).mean(axis=0),
    bias - rate * 2 * error.mean(),
  )
