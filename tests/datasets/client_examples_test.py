import collections

import numpy as np
import pytest
import tensorflow as tf

from tff_gen_debug import datasets
from tff_gen_debug.datasets import client_examples

_NUMBERS = {"none": 0, "one": 1, "many": 9}


@pytest.fixture
def client_data():
  """Client "many" has (0, [0, 0]) to (8, [8, 8]), "one" the first, "none" no
  example.
  """
  ids = list(_NUMBERS)
  counts = list(_NUMBERS.values())

  def dataset_fn(client_id):
    position = tf.where(tf.equal(tf.constant(ids), client_id))[0, 0]
    numbers = tf.range(tf.constant(counts)[position])
    return tf.data.Dataset.from_tensor_slices(
      (numbers, tf.stack([numbers, numbers], axis=1))
    )

  return datasets.TracedClientData(ids, dataset_fn)


def _read(dataset):
  return [(int(x), y.tolist()) for x, y in dataset.as_numpy_iterator()]


def test_each_client_has_its_first_examples(client_data):
  examples = client_examples.ClientExamples(client_data, max_examples=3)
  expected = [(0, [0, 0]), (1, [1, 1]), (2, [2, 2])]
  assert _read(examples["many"]) == expected
  assert _read(examples["one"]) == expected[:1]
  assert _read(examples["none"]) == []
  assert examples["none"].element_spec == examples["many"].element_spec
  assert list(examples) == list(_NUMBERS) and len(examples) == 3


def test_tensors_are_those_of_the_data_set(client_data):
  examples = client_examples.ClientExamples(client_data, max_examples=3)
  numbers, pairs = examples.tensors("many")
  assert numbers.numpy().tolist() == [0, 1, 2]
  assert pairs.numpy().tolist() == [[0, 0], [1, 1], [2, 2]]
  numbers, pairs = examples.tensors("none")
  assert numbers.shape == [0] and pairs.shape == [0, 2]
  with pytest.raises(KeyError):
    examples.tensors("nobody")


def test_a_client_is_read_once_alone_or_in_a_cohort():
  reads = collections.Counter()

  def count(client_id):
    reads[client_id.decode()] += 1
    return np.int32(7)

  def dataset_fn(client_id):
    value = tf.numpy_function(count, [client_id], tf.int32)
    return tf.data.Dataset.from_tensors(tf.ensure_shape(value, []))

  ids = ["a", "b", "c"]
  examples = client_examples.ClientExamples(
    datasets.TracedClientData(ids, dataset_fn), max_examples=3
  )
  reads.clear()  # The first client is read to learn its element's type.
  examples.read(["a", "b"])
  examples.read(["b", "c"])
  for client_id in ids:
    assert list(examples[client_id].as_numpy_iterator()) == [7]
  assert reads == {"a": 1, "b": 1, "c": 1}


def test_an_unknown_client_is_no_key(client_data):
  examples = client_examples.ClientExamples(client_data, max_examples=3)
  assert "nobody" not in examples
  with pytest.raises(KeyError, match="nobody"):
    examples["nobody"]
