"""All examples of a client as one batch."""

from typing import Any

import tensorflow as tf

# tf.data reserves no memory for a batch that it cannot fill, unless it fuses it
# with a map before it, which it cannot where `concatenate` is in between.
_WHOLE_CLIENT = 1 << 30


def as_batch(dataset: tf.data.Dataset) -> Any:
  """Reads a data set to its end, in the graph where this is called.

  A tensor once read is far cheaper in a worker than a data set function, which
  it instantiates anew at every call.

  Args:
    dataset: One client's examples, dense tensors all of one shape; may be
      empty.

  Returns:
    The examples with a leading dimension, which may be 0.
  """
  empty = tf.nest.map_structure(
    lambda leaf: tf.zeros([0, *leaf.shape], leaf.dtype), dataset.element_spec
  )
  # An empty data set has no single element; its stand-in is an empty batch.
  batches = dataset.concatenate(dataset.take(0)).batch(_WHOLE_CLIENT)
  batches = batches.concatenate(tf.data.Dataset.from_tensors(empty)).take(1)
  return batches.get_single_element()
