"""Tests of reading a client as one batch."""

import numpy as np
import tensorflow as tf

from tff_gen_debug.datasets import whole_client


def test_all_examples_in_their_order():
  dataset = tf.data.Dataset.from_tensor_slices(
    {"x": np.arange(6.0).reshape(3, 2), "y": [b"a", b"b", b"c"]}
  )
  batch = whole_client.as_batch(dataset)
  np.testing.assert_array_equal(batch["x"], [[0, 1], [2, 3], [4, 5]])
  assert batch["y"].numpy().tolist() == [b"a", b"b", b"c"]


def test_no_examples_are_an_empty_batch():
  dataset = tf.data.Dataset.from_tensors(tf.zeros([4, 2])).take(0)
  assert whole_client.as_batch(dataset).shape == [0, 4, 2]


def test_a_map_before_it_takes_no_memory_for_what_is_not_there():
  """Fused with a map, a batch of a billion images would be allocated."""
  dataset = tf.data.Dataset.range(3).map(
    lambda i: tf.fill([28, 28], tf.cast(i, tf.float32))
  )
  assert whole_client.as_batch(dataset).shape == [3, 28, 28]
