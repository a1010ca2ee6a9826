"""Tests for client_data."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.datasets import client_data as client_data_lib


def _numbered(client_id):
  """A client called "n" has the examples 0 to n - 1, each times 10."""
  count = tf.strings.to_number(client_id, tf.int64)
  return tf.data.Dataset.range(count).map(lambda x: 10 * x)


def _values(dataset):
  return [int(x) for x in dataset]


def test_makes_each_client_its_own_data():
  data = client_data_lib.TracedClientData(["3", "0", "1"], _numbered)

  assert data.client_ids == ["3", "0", "1"]
  assert data.element_type_structure == tf.TensorSpec([], tf.int64)
  assert _values(data.create_tf_dataset_for_client("3")) == [0, 10, 20]
  assert _values(data.create_tf_dataset_for_client("0")) == []
  assert _values(data.create_tf_dataset_for_client("1")) == [0]


def test_composes_with_tffs_own_operations():
  data = client_data_lib.TracedClientData(["3", "2", "1"], _numbered)

  mapped = data.preprocess(lambda dataset: dataset.map(lambda x: x + 1))
  train, test = data.train_test_client_split(data, num_test_clients=1, seed=0)

  assert _values(mapped.create_tf_dataset_for_client("3")) == [1, 11, 21]
  assert mapped.client_ids == data.client_ids
  for derived in (mapped, train, test):
    assert isinstance(derived, client_data_lib.TracedClientData)
  assert sorted(train.client_ids + test.client_ids) == ["1", "2", "3"]
  everything = data.create_tf_dataset_from_all_clients(seed=0)
  assert sorted(_values(everything)) == [0, 0, 0, 10, 10, 20]


def test_works_in_a_computation(tff_runtime):
  del tff_runtime
  data = client_data_lib.TracedClientData(["3", "4"], _numbered)

  assert _values(data.dataset_computation("4")) == [0, 10, 20, 30]


def test_function_is_traced_once_for_all_clients():
  calls = []

  def dataset_fn(client_id):
    calls.append(client_id)
    return _numbered(client_id)

  data = client_data_lib.TracedClientData(["1", "2", "3"], dataset_fn)
  mapped = data.preprocess(lambda dataset: dataset.batch(2))
  traces = len(calls)
  for client_id in data.client_ids * 5:
    data.create_tf_dataset_for_client(client_id)
    mapped.create_tf_dataset_for_client(client_id)

  assert 1 <= traces == len(calls)


def test_unknown_client():
  data = client_data_lib.TracedClientData(["3"], _numbered)

  with pytest.raises(ValueError, match="must be one of the 1 client_ids.*'4'"):
    data.create_tf_dataset_for_client("4")


def test_no_clients():
  with pytest.raises(ValueError, match="at least one id"):
    client_data_lib.TracedClientData([], _numbered)


def test_repeated_client():
  with pytest.raises(ValueError, match="distinct"):
    client_data_lib.TracedClientData(["3", "3"], _numbered)


def test_computation_instead_of_a_function():
  @tff.tensorflow.computation(np.str_)
  def computation(client_id):
    return _numbered(client_id)

  with pytest.raises(TypeError, match="dataset_fn must.*got a tff.Computation"):
    client_data_lib.TracedClientData(["3"], computation)
  data = client_data_lib.TracedClientData(["3"], _numbered)
  with pytest.raises(TypeError, match="preprocess_fn must.*tff.Computation"):
    data.preprocess(computation)
