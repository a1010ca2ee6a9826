"""Tests for image_clients."""

import numpy as np
import pytest
import tensorflow_federated as tff

from tff_gen_debug.datasets import image_clients

_IMAGES = np.arange(5 * 28 * 28, dtype=np.uint32).reshape(5, 28, 28)
_IMAGES = (_IMAGES * 37 % 256).astype(np.uint8)
_LABELS = np.array([9, 0, 4, 2, 7], np.uint8)


def _make(partition=((3, 0), (), (4,)), client_ids=("ann", "bob", "cid")):
  return image_clients.from_arrays(
    _IMAGES, _LABELS, [np.array(p) for p in partition], client_ids
  )


def _examples(dataset):
  return [(int(x["label"]), x["pixels"].numpy()) for x in dataset]


def test_examples_are_of_the_type_of_emnist():
  data = _make()

  emnist = tff.simulation.datasets.emnist.get_synthetic()
  assert data.element_type_structure == emnist.element_type_structure
  assert list(data.element_type_structure) == ["label", "pixels"]


def test_each_client_has_its_examples_in_order():
  data = _make()

  assert data.client_ids == ["ann", "bob", "cid"]
  for client_id, rows in (("ann", [3, 0]), ("bob", []), ("cid", [4])):
    found = _examples(data.create_tf_dataset_for_client(client_id))
    assert [label for label, _ in found] == [_LABELS[row] for row in rows]
    for (_, pixels), row in zip(found, rows):
      ink = np.rint((1 - pixels.astype(np.float64)) * 255)
      np.testing.assert_array_equal(ink, _IMAGES[row])


def test_background_is_one_and_ink_zero():
  images = np.array([[[0, 255, 51]]], np.uint8)

  data = image_clients.from_arrays(images, np.array([1]), [[0]], ["ann"])

  ((_, pixels),) = _examples(data.create_tf_dataset_for_client("ann"))
  assert pixels.dtype == np.float32
  np.testing.assert_allclose(pixels, [[1.0, 0.0, 0.8]], rtol=0, atol=1e-7)


def test_client_without_examples():
  dataset = _make().create_tf_dataset_for_client("bob")

  assert _examples(dataset.batch(2)) == []
  assert dataset.element_spec["pixels"].shape == [28, 28]


def test_only_empty_clients():
  data = _make(partition=((), ()), client_ids=("ann", "bob"))

  assert _examples(data.create_tf_dataset_for_client("ann")) == []


def test_clients_may_share_an_example():
  data = _make(partition=((1, 1), (1,)), client_ids=("ann", "bob"))

  for client_id, count in (("ann", 2), ("bob", 1)):
    found = _examples(data.create_tf_dataset_for_client(client_id))
    assert [label for label, _ in found] == [0] * count


def test_works_in_a_computation(tff_runtime):
  del tff_runtime
  data = _make()

  @tff.tensorflow.computation(np.str_)
  def sum_of_labels(client_id):
    return data.dataset_computation(client_id).reduce(
      0, lambda total, example: total + example["label"]
    )

  @tff.federated_computation(tff.FederatedType(np.str_, tff.CLIENTS))
  def sums(client_ids):
    return tff.federated_sum(tff.federated_map(sum_of_labels, client_ids))

  # Ann has 2 + 9, Bob nothing, Cid 7.
  assert sums(["ann", "bob", "cid", "cid"]) == 25


def test_later_changes_of_the_arrays_do_not_matter():
  images, labels = _IMAGES.copy(), _LABELS.copy()
  rows = [np.array([2])]
  data = image_clients.from_arrays(images, labels, rows, ["ann"])
  images[:], labels[:], rows[0][:] = 0, 0, 0

  ((label, pixels),) = _examples(data.create_tf_dataset_for_client("ann"))
  assert label == 4
  assert pixels.min() < 1.0


@pytest.mark.parametrize(
  "images, labels, partition, client_ids, error, message",
  [
    (_IMAGES / 255.0, _LABELS, [[0]], ["a"], TypeError, "images must be uint8"),
    (_IMAGES[0], _LABELS, [[0]], ["a"], ValueError, r"\[n, h, w\].*\(28, 28\)"),
    (_IMAGES, _LABELS / 1.0, [[0]], ["a"], TypeError, "labels must be int"),
    (_IMAGES, _LABELS[1:], [[0]], ["a"], ValueError, r"labels.*\(5,\).*\(4,\)"),
    (
      _IMAGES,
      np.full(5, 2**31),
      [[0]],
      ["a"],
      ValueError,
      r"labels must be in \[-2147483648, 2147483647\]",
    ),
    (_IMAGES, _LABELS, [[0], [1]], ["a"], ValueError, "same length.*2 and 1"),
    (_IMAGES, _LABELS, [], [], ValueError, "at least one id"),
    (_IMAGES, _LABELS, [[0], [1]], ["a", "a"], ValueError, "distinct"),
    (_IMAGES, _LABELS, [[0, 5]], ["a"], ValueError, r"in \[0, 4\].*\[0, 5\]"),
    (_IMAGES, _LABELS, [[-1]], ["a"], ValueError, r"in \[0, 4\].*\[-1, -1\]"),
    (_IMAGES, _LABELS, [[0.0]], ["a"], TypeError, "partition.*float64"),
    (_IMAGES, _LABELS, [[[0]]], ["a"], ValueError, r"partition.*\(1, 1\)"),
    (_IMAGES, _LABELS, [[True]], ["a"], TypeError, "partition.*bool"),
  ],
)
def test_bad_arguments(images, labels, partition, client_ids, error, message):
  with pytest.raises(error, match=message):
    image_clients.from_arrays(images, labels, partition, client_ids)
