"""What one client does with a model: a few steps of its optimizer.

McMahan et al. (2017), Communication-Efficient Learning of Deep Networks from
Decentralized Data, arXiv 1602.05629, for a functional model and with every
step unrolled, for the reason that `client_batches` gives.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.learning import client_batches
from tff_gen_debug.learning import optimizer_steps


class LocalUpdate(NamedTuple):
  """What a client's work yields.

  Attributes:
    update: The structure of the trainable weights: the initial ones minus the
      trained ones, the direction of a gradient, as in `tff.learning`.
    loss_sum: float32 scalar, the sum of the examples' losses.
    num_examples: float32 scalar, how many examples were used, repeats counted.
  """

  update: Any
  loss_sum: tf.Tensor
  num_examples: tf.Tensor


def train(
  model: tff.learning.models.FunctionalModel,
  optimizer: tff.learning.optimizers.Optimizer,
  weights: tff.learning.models.ModelWeights,
  batches: client_batches.ClientBatches,
) -> LocalUpdate:
  """Trains the trainable weights on one client, a step a batch.

  The model sees the examples of a batch without the padding, so a loss that is
  a mean over the batch is a mean over the client's own examples. A batch
  without examples changes neither the weights nor the optimizer's state.

  Args:
    model: What to train; its loss is a mean over the batch.
    optimizer: The client's optimizer; its state starts anew each round.
    weights: Initial weights.
    batches: The client's examples.

  Returns:
    The change of the weights, and how the client did.
  """
  trainable = weights.trainable
  state = optimizer.initialize(optimizer_steps.weight_specs(trainable))
  loss_sum = tf.zeros([])
  for step in range(batches.mask.shape[0]):
    count = tf.reduce_sum(batches.mask[step])
    batch = _rows(batches, step, count)
    loss, gradients = _gradients(model, trainable, weights.non_trainable, batch)
    state, trainable = optimizer_steps.step_if(
      count > 0, optimizer, state, trainable, gradients
    )
    loss_sum += tf.where(count > 0, tf.cast(loss, tf.float32) * count, 0.0)
  update = tf.nest.map_structure(tf.subtract, weights.trainable, trainable)
  return LocalUpdate(update, loss_sum, tf.reduce_sum(batches.mask))


def _rows(batches: client_batches.ClientBatches, step: int, count: tf.Tensor):
  """The examples of one batch without its padding."""
  # Of an empty batch one row of padding stays: a mean over no rows is a NaN.
  rows = tf.maximum(tf.cast(count, tf.int32), 1)
  return tf.nest.map_structure(lambda x: x[step, :rows], batches.examples)


def _gradients(model, trainable, non_trainable, batch):
  x, y = (batch["x"], batch["y"]) if isinstance(batch, Mapping) else batch
  with tf.GradientTape() as tape:
    tape.watch(trainable)
    output = model.predict_on_batch((trainable, non_trainable), x, True)
    loss = model.loss(output, y)
  return loss, tape.gradient(
    loss, trainable, unconnected_gradients=tf.UnconnectedGradients.ZERO
  )
