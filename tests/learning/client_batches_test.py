"""Tests of the batches of a client's round."""

import collections

import numpy as np
import pytest
import tensorflow as tf

from tff_gen_debug.learning import client_batches
from tff_gen_debug.learning import seeds

_SEED = tf.constant([5, 6])


def _numbers(count):
  return tf.range(1, count + 1, dtype=tf.float32)[:, tf.newaxis]


def _used(batches):
  return sorted(batches.examples.numpy()[batches.mask.numpy() == 1].ravel())


def test_batches_hold_each_example_once_and_then_padding():
  batches = client_batches.make_batches(_numbers(5), 3, 2, 1, _SEED)
  assert batches.examples.shape == (3, 2, 1)
  np.testing.assert_array_equal(batches.mask, [[1, 1], [1, 1], [1, 0]])
  assert _used(batches) == [1, 2, 3, 4, 5]
  assert batches.examples[2, 1] == 0


def test_batches_of_many_examples_are_a_random_part():
  first = client_batches.make_batches(_numbers(100), 2, 3, 1, _SEED)
  again = client_batches.make_batches(_numbers(100), 2, 3, 1, _SEED)
  other = client_batches.make_batches(
    _numbers(100), 2, 3, 1, seeds.fold_in(_SEED, 1)
  )
  assert len(set(_used(first))) == 6
  np.testing.assert_array_equal(first.examples, again.examples)
  assert _used(first) != _used(other)


def test_an_epoch_repeats_an_example_only_when_all_were_used():
  batches = client_batches.make_batches(_numbers(4), 3, 2, 2, _SEED)
  values = batches.examples.numpy().ravel()
  assert sorted(values[:4]) == [1, 2, 3, 4]
  assert len(set(values[4:])) == 2
  assert np.all(batches.mask == 1)


def test_no_examples_make_empty_batches():
  batches = client_batches.make_batches(_numbers(0), 2, 3, 2, _SEED)
  assert batches.examples.shape == (2, 3, 1)
  assert np.all(batches.mask == 0) and np.all(batches.examples == 0)


def test_components_of_an_example_stay_together():
  examples = collections.OrderedDict(
    x=_numbers(9), y=(10 * tf.range(1, 10), tf.strings.as_string(tf.range(9)))
  )
  batches = client_batches.make_batches(examples, 2, 4, 1, _SEED)
  x = batches.examples["x"].numpy().ravel()
  tens, names = (part.numpy().ravel() for part in batches.examples["y"])
  np.testing.assert_array_equal(tens, 10 * x)
  assert [int(name) for name in names] == list(x - 1)


@pytest.mark.parametrize(
  ("most", "expected"), [(1, [1.0]), (2, [1.0, 2.0]), (9, [1.0, 2.0, 3.0])]
)
def test_reads_the_first_examples_up_to_the_most(most, expected):
  data = tf.data.Dataset.from_tensor_slices(
    ([1.0, 2.0, 3.0], [[10, 11], [20, 21], [30, 31]])
  )
  spec = (tf.TensorSpec([]), tf.TensorSpec([2], tf.int32))
  x, y = client_batches.read_examples(data, spec, most)
  np.testing.assert_array_equal(x, expected)
  np.testing.assert_array_equal(y[:, 1], 10 * np.array(expected) + 1)
  x, y = client_batches.read_examples(data.take(0), spec, most)
  assert x.shape == (0,) and y.shape == (0, 2) and y.dtype == tf.int32
