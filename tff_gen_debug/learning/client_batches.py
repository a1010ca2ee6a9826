"""A client's examples for one round, as batches of one fixed shape.

Everything is one padded tensor for each component of an example: a loop over a
data set is instantiated anew at each call of a client computation, which costs
more than the arithmetic of a small model.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from tff_gen_debug.learning import seeds


class ClientBatches(NamedTuple):
  """A client's examples for one round.

  Attributes:
    examples: The structure of an example, of tensors of shape [steps,
      batch_size, *shape]; zeros where there is no example.
    mask: float32 of shape [steps, batch_size]; 0 where there is no example.
      The examples come first: no batch goes on after a 0.
  """

  examples: Any
  mask: tf.Tensor


def read_examples(dataset: tf.data.Dataset, spec, max_examples: int):
  """Reads at most `max_examples` of `dataset` at once.

  Args:
    dataset: Single examples; may be empty.
    spec: A structure of `tf.TensorSpec` of one example, with known shapes.
    max_examples: At least 1.

  Returns:
    The structure of `spec`, of tensors of shape [n, *shape]; n may be 0.
  """
  # The sentinel makes an empty data set one batch, as any other.
  sentinel = tf.data.Dataset.from_tensors(
    tf.nest.map_structure(lambda s: tf.zeros(s.shape, s.dtype), spec)
  )
  rows = dataset.take(max_examples).concatenate(sentinel)
  return tf.nest.map_structure(
    lambda x, s: tf.ensure_shape(x, [None, *s.shape])[:-1],
    rows.batch(max_examples + 1).get_single_element(),
    spec,
  )


def make_batches(
  examples, steps: int, batch_size: int, epochs: int, seed: tf.Tensor
) -> ClientBatches:
  """Shuffles `examples` and cuts them into at most `steps` batches.

  Args:
    examples: A structure of tensors of shape [n, *shape]; n may be 0.
    steps: The number of batches, the last of them perhaps partial or empty.
    batch_size: Rows a batch.
    epochs: How often each example may be used.
    seed: int32 of shape [2]; each epoch has its own order.

  Returns:
    The batches, padded with zeros.
  """
  rows = tf.range(tf.shape(tf.nest.flatten(examples)[0])[0])
  orders = [
    tf.random.experimental.stateless_shuffle(rows, seeds.fold_in(seed, epoch))
    for epoch in range(epochs)
  ]
  capacity = steps * batch_size
  chosen = tf.concat(orders, axis=0)[:capacity]
  missing = capacity - tf.shape(chosen)[0]

  def cut(values):
    padding = [[0, missing]] + [[0, 0]] * (values.shape.rank - 1)
    padded = tf.pad(tf.gather(values, chosen), padding)
    return tf.reshape(padded, [steps, batch_size, *values.shape[1:]])

  return ClientBatches(
    tf.nest.map_structure(cut, examples), cut(tf.ones_like(rows, tf.float32))
  )
