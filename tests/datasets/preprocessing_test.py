"""Tests for preprocessing."""

import collections

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.datasets import preprocessing


def _image(value):
  return np.full([28, 28], value, np.float32)


@pytest.mark.parametrize(
  "value,expected", [(1.0, -1.0), (0.0, 1.0), (0.5, 0.0), (0.75, -0.5)]
)
def test_gan_range(value, expected):
  images = preprocessing.to_gan_range(_image(value))

  assert images.dtype == tf.float32
  assert images.shape == (28, 28, 1)
  np.testing.assert_array_equal(images, np.full([28, 28, 1], expected))


def test_gan_range_keeps_pixels_in_place():
  pixels = _image(1.0)
  pixels[3, 5] = 0.0

  images = preprocessing.to_gan_range(pixels).numpy()

  assert images[3, 5, 0] == 1.0
  assert (images == -1.0).sum() == 28 * 28 - 1


def test_gan_range_of_a_batch():
  images = preprocessing.to_gan_range(np.stack([_image(0.0), _image(1.0)]))

  assert images.shape == (2, 28, 28, 1)
  np.testing.assert_array_equal(images[:, 0, 0, 0], [1.0, -1.0])


def test_range_of_bad_pixels():
  with pytest.raises(TypeError, match="pixels must be float32, got uint8"):
    preprocessing.to_gan_range(np.zeros([28, 28], np.uint8))
  with pytest.raises(ValueError, match=r"pixels must have shape.*\(28, 27\)"):
    preprocessing.to_gan_range(np.zeros([28, 27], np.float32))
  with pytest.raises(ValueError, match=r"pixels must have shape.*28, 1\)"):
    preprocessing.to_gan_range(np.zeros([28, 28, 1], np.float32))


@pytest.mark.parametrize("bad", [-0.1, 1.1, 255.0, np.nan, np.inf])
def test_pixels_out_of_range(bad):
  pixels = _image(1.0)
  pixels[0, 0] = bad

  with pytest.raises(ValueError, match=r"pixels must be in \[0.0, 1.0\], got"):
    preprocessing.to_gan_range(pixels)


def test_folding_gives_one_label_to_both_cases():
  digits = "0123456789"
  upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
  emnist = digits + upper + upper.lower()

  folded = preprocessing.fold_emnist_labels(np.arange(62)).numpy()

  for character, label in zip(emnist, folded):
    assert (digits + upper)[label] == character.upper()


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8])
def test_folding_keeps_the_dtype(dtype):
  labels = preprocessing.fold_emnist_labels(np.array([61, 0], dtype))

  assert labels.dtype.as_numpy_dtype == dtype
  assert labels.numpy().tolist() == [35, 0]


def test_bad_labels():
  with pytest.raises(TypeError, match="labels must be integers, got float32"):
    preprocessing.fold_emnist_labels(np.float32(3))
  with pytest.raises(ValueError, match=r"labels must be in \[0, 61\]"):
    preprocessing.fold_emnist_labels(62)
  with pytest.raises(ValueError, match=r"labels must be in \[0, 61\]"):
    preprocessing.fold_emnist_labels(-1)


def test_example_in_a_data_set():
  data = tff.simulation.datasets.emnist.get_synthetic().preprocess(
    lambda dataset: dataset.map(preprocessing.paper_example)
  )

  assert data.element_type_structure == collections.OrderedDict(
    image=tf.TensorSpec([28, 28, 1], tf.float32),
    label=tf.TensorSpec([], tf.int32),
  )
  examples = list(data.create_tf_dataset_for_client("synthetic1"))
  assert [int(e["label"]) for e in examples] == list(range(10))
  for example in examples:
    # TFF's synthetic digits are black on white, and leave the corner white.
    assert float(example["image"][0, 0, 0]) == -1.0
    assert float(tf.reduce_max(example["image"])) == 1.0


def test_example_of_a_batch_of_letters():
  example = preprocessing.paper_example(
    {"label": np.array([36, 9]), "pixels": np.ones([2, 28, 28], np.float32)}
  )

  assert example["label"].dtype == tf.int32
  assert example["label"].numpy().tolist() == [10, 9]
  assert example["image"].shape == (2, 28, 28, 1)


def test_example_without_a_label():
  with pytest.raises(ValueError, match=r"the field 'label', got \['pixels'\]"):
    preprocessing.paper_example({"pixels": _image(1.0)})


def test_bad_shape_in_a_data_set():
  dataset = tf.data.Dataset.from_tensors(
    {"label": 1, "pixels": np.ones([32, 32], np.float32)}
  )

  with pytest.raises(ValueError, match="pixels must have shape"):
    dataset.map(preprocessing.paper_example)
