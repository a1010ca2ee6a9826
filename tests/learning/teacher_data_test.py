"""Tests of shards of images as the data sets of clients."""

import os

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.learning import teacher_data

_COUNT, _HEIGHT, _WIDTH = 20, 4, 5


def _images(channels=None):
  """All of their pixels differ, up to what a byte holds."""
  shape = [_COUNT, _HEIGHT, _WIDTH] + ([channels] if channels else [])
  return np.arange(np.prod(shape)).astype(np.uint8).reshape(shape)


_LABELS = np.arange(_COUNT) * 3 % 7
# Of unequal sizes, in an order of their own, with an image in two of them.
_SHARDS = (
  np.array([3, 1, 19]),
  np.array([0, 5, 6, 7]),
  np.array([], np.int64),
  np.array([19, 2]),
  np.array([8]),
)


def _elements(datasets):
  """The only element of each data set."""
  elements = {}
  for client_id, dataset in datasets.items():
    (elements[client_id],) = list(dataset.as_numpy_iterator())
  return elements


def _expected(images, shards, teachers_per_client, capacity):
  """By hand, a pixel at a time where it matters."""
  if images.ndim == 3:
    images = images[..., np.newaxis]
  elements = {}
  for client in range(-(-len(shards) // teachers_per_client)):
    pixels = np.full(
      [teachers_per_client, capacity, *images.shape[1:]], -1, np.float64
    )
    labels = np.zeros([teachers_per_client, capacity])
    mask = np.zeros([teachers_per_client, capacity])
    for row in range(teachers_per_client):
      teacher = client * teachers_per_client + row
      shard = shards[teacher] if teacher < len(shards) else []
      for column, index in enumerate(shard):
        if column < capacity:
          pixels[row, column] = images[index].astype(float) / 255 * 2 - 1
          labels[row, column] = _LABELS[index]
          mask[row, column] = 1
    elements[f"client_{client:04d}"] = (client, pixels, labels, mask)
  return elements


def _check(elements, expected):
  assert list(elements) == list(expected)
  for client_id, (client, pixels, labels, mask) in expected.items():
    element = elements[client_id]
    assert list(element) == ["client", "images", "labels", "mask"]
    assert {name: v.dtype for name, v in element.items()} == {
      "client": np.int32,
      "images": np.float32,
      "labels": np.int32,
      "mask": np.float32,
    }
    assert element["client"] == client
    # float32 numbers in [-1, 1].
    np.testing.assert_allclose(element["images"], pixels, atol=1e-6)
    np.testing.assert_array_equal(element["labels"], labels)
    np.testing.assert_array_equal(element["mask"], mask)


@pytest.mark.parametrize("in_files", [False, True])
@pytest.mark.parametrize("channels", [None, 1, 3])
@pytest.mark.parametrize("teachers_per_client", [1, 2, 3, 7])
def test_a_client_has_the_images_of_its_teachers(
  tmp_path, in_files, channels, teachers_per_client
):
  images = _images(channels)
  datasets = teacher_data.client_datasets(
    images,
    _LABELS,
    _SHARDS,
    teachers_per_client=teachers_per_client,
    directory=str(tmp_path / "new" / "one") if in_files else None,
  )
  # The largest shard has four.
  _check(
    _elements(datasets), _expected(images, _SHARDS, teachers_per_client, 4)
  )
  if in_files:
    assert sorted(os.listdir(tmp_path / "new" / "one")) == sorted(datasets)


@pytest.mark.parametrize("capacity", [1, 2, 6])
def test_shards_are_cut_or_padded_to_a_size(tmp_path, capacity):
  for directory in (None, tmp_path):
    datasets = teacher_data.client_datasets(
      _images(),
      _LABELS,
      _SHARDS,
      teachers_per_client=2,
      images_per_teacher=capacity,
      directory=directory,
    )
    _check(_elements(datasets), _expected(_images(), _SHARDS, 2, capacity))


def test_black_is_minus_one_and_white_is_one():
  images = np.array([[[0, 255, 51]]], np.uint8)
  datasets = teacher_data.client_datasets(
    images, np.array([4]), [np.array([0])]
  )
  (element,) = _elements(datasets).values()
  assert element["images"].shape == (1, 1, 1, 3, 1)
  # 51 is a fifth of 255; float32.
  np.testing.assert_allclose(
    element["images"].ravel(), [-1, 1, -0.6], atol=1e-6
  )
  assert element["images"].min() == -1 and element["images"].max() == 1


def test_shards_may_be_lists():
  datasets = teacher_data.client_datasets(
    _images(), _LABELS, [[2, 4], [], [7]], teachers_per_client=3
  )
  _check(_elements(datasets), _expected(_images(), [[2, 4], [], [7]], 3, 2))


def _graph_size(dataset) -> int:
  """The bytes that travel to TFF's worker, but for its own few."""
  graph = tf.raw_ops.DatasetToGraphV2(input_dataset=dataset._variant_tensor)
  return len(graph.numpy())


def test_with_files_only_the_path_travels(tmp_path):
  # 120 kB of bytes that don't compress.
  pixels = np.random.default_rng(0).integers(0, 256, [2, 200, 300])
  arguments = (pixels.astype(np.uint8), np.zeros(2, int), [np.arange(2)])
  (within,) = teacher_data.client_datasets(*arguments).values()
  assert _graph_size(within) > pixels.size
  (outside,) = teacher_data.client_datasets(
    *arguments, directory=str(tmp_path)
  ).values()
  # A graph of a dozen operations.
  assert _graph_size(outside) < 10_000
  path = tmp_path / "client_0000"
  assert path.read_bytes() == pixels.astype(np.uint8).tobytes()
  # The files are read when the data set is, not when it is made.
  path.write_bytes(bytes(pixels.size))
  (element,) = outside.as_numpy_iterator()
  np.testing.assert_array_equal(
    element["images"], np.full([1, 2, 200, 300, 1], -1)
  )


def test_in_bytes_a_data_set_is_as_small_as_the_images():
  pixels = np.zeros([8, 100, 100], np.uint8)
  (dataset,) = teacher_data.client_datasets(
    pixels, np.zeros(8, int), [np.arange(8)]
  ).values()
  # As float32 they would be four times that.
  assert _graph_size(dataset) < 1.2 * pixels.size


def test_files_of_an_earlier_run_are_replaced(tmp_path):
  for images in (_images(), 255 - _images()):
    datasets = teacher_data.client_datasets(
      images, _LABELS, _SHARDS, directory=tmp_path
    )
    _check(_elements(datasets), _expected(images, _SHARDS, 1, 4))


@pytest.mark.parametrize("in_files", [False, True])
def test_clients_of_tff_read_them(tff_runtime, tmp_path, in_files):
  datasets = teacher_data.client_datasets(
    _images(),
    _LABELS,
    _SHARDS,
    teachers_per_client=2,
    directory=tmp_path if in_files else None,
  )
  spec = next(iter(datasets.values())).element_spec
  assert all(d.element_spec == spec for d in datasets.values())
  data_type = tff.SequenceType(tff.types.tensorflow_to_type(spec))

  @tff.tensorflow.computation(data_type)
  def read(dataset):
    return dataset.get_single_element()

  @tff.federated_computation(tff.FederatedType(data_type, tff.CLIENTS))
  def read_all(data):
    return tff.federated_map(read, data)

  elements = dict(zip(datasets, read_all(list(datasets.values()))))
  _check(elements, _expected(_images(), _SHARDS, 2, 4))


@pytest.mark.parametrize(
  "changes, error, message",
  [
    (dict(images=np.zeros([20, 4, 5])), TypeError, "uint8.*float64"),
    (dict(images=np.zeros([20, 4], np.uint8)), ValueError, r"\[20, 4\]"),
    (
      dict(images=np.zeros([20, 4, 5, 1, 1], np.uint8)),
      ValueError,
      r"images must have shape",
    ),
    (dict(labels=np.zeros(19, int)), ValueError, r"labels.*\[20\].*\[19\]"),
    (dict(labels=np.zeros([20, 10], int)), ValueError, "labels"),
    (dict(shards=[]), ValueError, "shards"),
    (dict(shards=[np.array([], int)]), ValueError, "shards"),
    (dict(teachers_per_client=0), ValueError, "teachers_per_client"),
    (dict(images_per_teacher=0), ValueError, "images_per_teacher"),
  ],
)
def test_bad_arguments_are_named(changes, error, message):
  arguments = dict(images=_images(), labels=_LABELS, shards=_SHARDS)
  arguments.update(changes)
  with pytest.raises(error, match=message):
    teacher_data.client_datasets(**arguments)
