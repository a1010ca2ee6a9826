"""Tests of bugs in whole data sets, on clients made by hand."""

import collections

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.datasets import client_data as client_data_lib
from tff_gen_debug.debugging import bugs
from tff_gen_debug.debugging import client_bugs

_NUM_CLIENTS = 16
_LABELS = np.array([3, 1, 3, 7], np.int32)


def _data():
  """Clients with four images each, of which no two are alike."""
  draw = np.random.RandomState(0).uniform
  return tff.simulation.datasets.TestClientData(
    {
      f"client_{i}": collections.OrderedDict(
        label=np.roll(_LABELS, i),
        pixels=draw(size=[4, 28, 28]).astype(np.float32),
      )
      for i in range(_NUM_CLIENTS)
    }
  )


def _examples(data, client_id):
  dataset = data.create_tf_dataset_for_client(client_id)
  return next(iter(dataset.batch(10).as_numpy_iterator()))


_BUGS = {
  "duplicate_images": client_bugs.duplicate_images,
  "wrong_label": lambda data, *draw: client_bugs.wrong_label(
    data, 3, 42, *draw
  ),
  "drop_class": lambda data, *draw: client_bugs.drop_class(data, 3, *draw),
}


def _expected(name, examples):
  """What an affected client has, as labels and pixels."""
  labels, pixels = examples["label"], examples["pixels"]
  if name == "duplicate_images":
    return np.full([4], labels[0]), np.stack([pixels[0]] * 4)
  if name == "wrong_label":
    return np.where(labels == 3, 42, labels), pixels
  return labels[labels != 3], pixels[labels != 3]


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", list(_BUGS))
def test_affected_clients_and_no_others(name, probability):
  data = _data()

  broken = _BUGS[name](data, probability, 11)

  affected = bugs.affected_clients(data.client_ids, probability, 11)
  assert broken.client_ids == data.client_ids
  assert broken.element_type_structure == data.element_type_structure
  for client_id in data.client_ids:
    before, after = _examples(data, client_id), _examples(broken, client_id)
    labels, pixels = before["label"], before["pixels"]
    if client_id in affected:
      labels, pixels = _expected(name, before)
    np.testing.assert_array_equal(after["label"], labels)
    np.testing.assert_array_equal(after["pixels"], pixels)
  expected_counts = {0.0: [0], 1.0: [16]}.get(probability, range(1, 16))
  assert len(affected) in expected_counts


def test_first_image_is_the_first_of_the_same_reading():
  """Of a data set in random order, too, all copies are of one image."""
  numbers = np.arange(50, dtype=np.int64)
  data = client_data_lib.TracedClientData(
    ["a"],
    lambda _: tf.data.Dataset.from_tensor_slices(
      collections.OrderedDict(label=numbers)
    ).shuffle(50),
  )
  broken = client_bugs.duplicate_images(data, 1.0, 0)

  firsts = set()
  for _ in range(5):
    labels = _examples_of_all(broken, "a")
    assert len(labels) == 50
    assert len(set(labels)) == 1
    firsts |= set(labels)
  # Five draws out of 50 are all the same with probability 50**-4.
  assert len(firsts) > 1


def _examples_of_all(data, client_id):
  dataset = data.create_tf_dataset_for_client(client_id)
  return [int(e["label"]) for e in dataset.as_numpy_iterator()]


def test_examples_of_unknown_shape_and_clients_without_any():
  """Strings and vectors of any length are copied as they are."""
  data = client_data_lib.TracedClientData(
    ["some", "none"],
    lambda client_id: (
      tf.data.Dataset.range(
        1, tf.where(tf.equal(client_id, "some"), tf.int64.max, 1)
      )
      .take(3)
      .map(
        lambda i: collections.OrderedDict(
          name=tf.strings.as_string(i), values=tf.range(i)
        )
      )
    ),
  )
  broken = client_bugs.duplicate_images(data, 1.0, 0)
  unbroken = client_bugs.duplicate_images(data, 0.0, 0)

  def read(client_data, client_id):
    dataset = client_data.create_tf_dataset_for_client(client_id)
    return [
      (e["name"], e["values"].tolist()) for e in dataset.as_numpy_iterator()
    ]

  assert read(broken, "some") == [(b"1", [0])] * 3
  assert read(unbroken, "some") == [
    (b"1", [0]),
    (b"2", [0, 1]),
    (b"3", [0, 1, 2]),
  ]
  assert read(broken, "none") == []


def test_a_client_of_one_class_is_left_with_nothing():
  data = tff.simulation.datasets.TestClientData(
    {
      client_id: collections.OrderedDict(label=labels)
      for client_id, labels in (("a", [3, 3]), ("b", [3, 4]))
    }
  )

  broken = client_bugs.drop_class(data, 3, 1.0, 0)

  assert _examples_of_all(broken, "a") == []
  assert _examples_of_all(broken, "b") == [4]


def test_label_that_is_taken_holds_both_classes():
  data = tff.simulation.datasets.TestClientData(
    {"a": collections.OrderedDict(label=[3, 7, 3, 1])}
  )

  broken = client_bugs.wrong_label(data, 3, 7, 1.0, 0)

  assert _examples_of_all(broken, "a") == [7, 7, 7, 1]


def test_bugs_add_up():
  data = _data()
  once = client_bugs.drop_class(data, 3, 1.0, 1)
  twice = client_bugs.duplicate_images(once, 1.0, 2)
  thrice = bugs.inject(twice, bugs.blank, 1.0, 3)

  # Of 3, 1, 3, 7 the first that is left is the 1.
  assert _examples_of_all(thrice, "client_0") == [1, 1]
  assert (_examples(thrice, "client_0")["pixels"] == 1).all()


@pytest.mark.parametrize("name", list(_BUGS))
def test_worker_breaks_the_same_clients(name, tff_runtime):
  del tff_runtime
  data = _data()
  broken = _BUGS[name](data, 0.5, 11)
  affected = bugs.affected_clients(data.client_ids, 0.5, 11)
  sums = tff.tensorflow.computation(
    lambda dataset: dataset.reduce(
      np.zeros(2, np.float32),
      lambda total, e: (
        total
        + tf.stack(
          [tf.cast(e["label"], tf.float32), tf.reduce_sum(e["pixels"])]
        )
      ),
    ),
    tff.SequenceType(broken.dataset_computation.type_signature.result.element),
  )

  @tff.federated_computation(tff.FederatedType(np.str_, tff.CLIENTS))
  def totals(client_ids):
    return tff.federated_map(
      sums, tff.federated_map(broken.dataset_computation, client_ids)
    )

  expected = []
  for client_id in data.client_ids:
    examples = _examples(data, client_id)
    labels, pixels = examples["label"], examples["pixels"]
    if client_id in affected:
      labels, pixels = _expected(name, examples)
    expected.append([labels.sum(), pixels.sum()])
  np.testing.assert_allclose(totals(data.client_ids), expected, rtol=1e-5)
  assert 0 < len(affected) < _NUM_CLIENTS


def test_labels_that_are_none():
  data = _data()
  with pytest.raises(TypeError, match="from_label must be an int, got str"):
    client_bugs.wrong_label(data, "3", 4, 0.5, 0)
  with pytest.raises(TypeError, match="to_label must be an int, got float"):
    client_bugs.wrong_label(data, 3, 4.0, 0.5, 0)
  with pytest.raises(TypeError, match="label must be an int, got bool"):
    client_bugs.drop_class(data, True, 0.5, 0)
  with pytest.raises(ValueError, match="must differ from from_label, got 3"):
    client_bugs.wrong_label(data, 3, np.int32(3), 0.5, 0)
  with pytest.raises(ValueError, match=r"to_label must be in \[-2147483648, "):
    client_bugs.wrong_label(data, 3, 2**31, 0.5, 0)


@pytest.mark.parametrize(
  "examples",
  [{"tokens": ["x"]}, {"label": [1.0]}, {"label": [[1, 2]]}],
  ids=["none", "floats", "vectors"],
)
def test_data_without_labels(examples):
  data = tff.simulation.datasets.TestClientData(
    {"a": collections.OrderedDict(examples)}
  )
  for bug in (_BUGS["wrong_label"], _BUGS["drop_class"]):
    with pytest.raises(ValueError, match="must have examples with `label`"):
      bug(data, 0.5, 0)


def test_data_that_are_not_dense():
  data = client_data_lib.TracedClientData(
    ["a"],
    lambda _: tf.data.Dataset.from_tensor_slices(
      {"label": tf.ragged.constant([[1], [1, 2]])}
    ),
  )
  with pytest.raises(TypeError, match="examples of dense tensors, got Ragged"):
    client_bugs.duplicate_images(data, 0.5, 0)


@pytest.mark.parametrize("name", list(_BUGS))
def test_bad_draws(name):
  data = _data()
  with pytest.raises(ValueError, match=r"probability must be in \[0, 1\], got"):
    _BUGS[name](data, 1.1, 0)
  with pytest.raises(TypeError, match="probability must be a number, got str"):
    _BUGS[name](data, "0.5", 0)
  with pytest.raises(TypeError, match="seed must be an int, got float"):
    _BUGS[name](data, 0.5, 0.5)
