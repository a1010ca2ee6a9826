"""Tests for tfds_images, on a data set that TensorFlow Datasets hasn't got."""

import dataclasses
import time
import types

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tests.datasets import small_idx_files as small
from tff_gen_debug.datasets import hosted_database
from tff_gen_debug.datasets import tfds_images


class _NotFetchedError(hosted_database.DownloadError):
  pass


class _NotTheDataError(hosted_database.DataFileError):
  pass


_TOYS = tfds_images.PictureSet(
  title="Toys",
  name="toys",
  version="1.2.3",
  url="http://127.0.0.1:9/toys/",  # Nobody answers there.
  files=("bricks.zip", "labels.txt"),
  page="http://example.org/toys",
  obstacle="The toys are heavy.",
  download_error=_NotFetchedError,
  file_error=_NotTheDataError,
)


@pytest.fixture(autouse=True)
def _isolated(monkeypatch, tmp_path):
  monkeypatch.setenv("HOME", str(tmp_path / "home"))
  monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
  small.forget_proxies(monkeypatch)


def _weights(length):
  """The share of each pixel of a row in each of 64 areas, `[64, length]`."""
  edges = np.linspace(0, length, 65)
  pixels = np.arange(length)
  shares = np.minimum(edges[1:, None], pixels + 1) - np.maximum(
    edges[:-1, None], pixels
  )
  return np.maximum(shares, 0) * 64 / length


@pytest.mark.parametrize(
  "height, width, top, left, side",
  [
    (218, 178, 20, 0, 178),
    (256, 256, 0, 0, 256),
    (178, 219, 0, 20, 178),
    (64, 64, 0, 0, 64),
  ],
)
def test_shrunk_pictures_are_means_over_areas(height, width, top, left, side):
  rng = np.random.default_rng(5)
  picture = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)

  found = tfds_images.shrink(tf.constant(picture)).numpy()

  square = picture[top : top + side, left : left + side]
  weights = _weights(side)
  expected = np.einsum(
    "ij,jkc,lk->ilc", weights, square, weights, optimize=True
  )
  assert found.dtype == np.uint8
  assert np.abs(found - expected).max() < 0.501


def _load(num_examples=300, calls=None):
  """Stands in for `tfds.load`; example k is all k % 256, of class k % 5."""

  def load(name, *, split, data_dir, with_info):
    if calls is not None:
      calls.append((name, split, data_dir))
    assert with_info
    dataset = tf.data.Dataset.range(num_examples).map(
      lambda k: {
        "image": tf.fill([70, 64, 3], tf.cast(k % 256, tf.uint8)),
        "label": k % 5,
      }
    )
    splits = {split: types.SimpleNamespace(num_examples=num_examples)}
    return dataset, types.SimpleNamespace(splits=splits)

  return load


def _label(example):
  return example["label"]


@pytest.fixture(name="toys")
def _toys(monkeypatch, tmp_path):
  """Toys that are prepared in `tmp_path`."""
  (tmp_path / "toys" / "1.2.3").mkdir(parents=True)
  monkeypatch.setattr(tfds, "load", _load())
  return _TOYS.open("train", str(tmp_path))


@pytest.mark.parametrize("limit", [None, 1, 128, 129, 300, 1000])
def test_arrays_have_what_the_dataset_has(toys, limit):
  images, labels = toys.arrays(_label, limit)

  expected = np.arange(min(limit or 300, 300))
  assert images.shape == (len(expected), 64, 64, 3)
  assert images.dtype == labels.dtype == np.uint8
  np.testing.assert_array_equal(labels, expected % 5)
  assert (images == (expected % 256)[:, None, None, None]).all()
  for array in (images, labels):
    assert not array.flags.writeable
    with pytest.raises(ValueError, match="WRITEABLE"):
      array.setflags(write=True)


@pytest.mark.parametrize("limit", [None, 7])
def test_examples_of_a_negative_class_are_left_out(toys, limit):
  images, labels = toys.arrays(lambda example: example["label"] - 2, limit)

  kept = [k for k in range(300) if k % 5 >= 2][:limit]
  assert images[:, 0, 0, 0].tolist() == [k % 256 for k in kept]
  assert labels.tolist() == [k % 5 - 2 for k in kept]


def test_all_examples_are_left_out(toys):
  images, labels = toys.arrays(lambda example: example["label"] - 9, None)

  assert images.shape == (0, 64, 64, 3)
  assert labels.shape == (0,)


@pytest.mark.parametrize(
  "given, variable, expected",
  [
    (None, None, "home/tensorflow_datasets"),
    (None, "variable", "variable"),
    ("given", "variable", "given"),
    ("~/given", None, "home/given"),
  ],
)
def test_directory_is_the_one_of_tensorflow_datasets(
  monkeypatch, tmp_path, given, variable, expected
):
  if variable:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / variable))
  if given and not given.startswith("~"):
    given = str(tmp_path / given)
  calls = []
  monkeypatch.setattr(tfds, "load", _load(calls=calls))
  (tmp_path / expected / "toys" / "1.2.3").mkdir(parents=True)

  _TOYS.open("some", given)

  assert calls == [("toys:1.2.3", "some", str(tmp_path / expected))]


def test_nothing_there_and_nobody_answers(monkeypatch, tmp_path):
  calls = []
  monkeypatch.setattr(tfds, "load", _load(calls=calls))
  started = time.monotonic()

  with pytest.raises(_NotFetchedError) as caught:
    _TOYS.open("train", str(tmp_path))

  assert time.monotonic() - started < 5
  assert not calls  # It would try for minutes.
  manual = tmp_path / "downloads" / "manual"
  assert str(caught.value) == (
    f"Toys is not in {tmp_path}, and TensorFlow Datasets could not get it"
    f" (ConnectionRefusedError: {small.REFUSED}). The toys are"
    " heavy. Either load again with a network that reaches"
    " http://127.0.0.1:9/toys/; or fetch bricks.zip, labels.txt from"
    " http://example.org/toys on a machine that can, put them under these names"
    f" into {manual}, and load again; or copy the directory toys into"
    f" {tmp_path} from a machine where TensorFlow Datasets has prepared it."
  )
  assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("brought", [1, 2])
def test_files_that_were_brought_need_no_network(
  monkeypatch, tmp_path, brought
):
  calls = []
  monkeypatch.setattr(tfds, "load", _load(calls=calls))
  manual = tmp_path / "downloads" / "manual"
  manual.mkdir(parents=True)
  for name in _TOYS.files[:brought]:
    (manual / name).write_bytes(b"toys")

  if brought < len(_TOYS.files):
    with pytest.raises(_NotFetchedError, match="ConnectionRefusedError"):
      _TOYS.open("train", str(tmp_path))
  else:
    _TOYS.open("train", str(tmp_path))
  assert len(calls) == brought - 1


def _fail(error):
  def load(*args, **kwargs):
    raise error

  return load


def test_server_refuses(monkeypatch, tmp_path):
  (tmp_path / "server").mkdir()
  refusal = RuntimeError("Artifact toys has wrong checksum:\n* Expected: ...")
  monkeypatch.setattr(tfds, "load", _fail(refusal))

  with small.serve(tmp_path / "server") as url:
    toys = dataclasses.replace(_TOYS, url=url)
    with pytest.raises(
      _NotFetchedError,
      match=r"get it \(RuntimeError: Artifact toys has wrong checksum:\)\. The",
    ):
      toys.open("train", str(tmp_path))


def test_prepared_data_cannot_be_opened(monkeypatch, tmp_path):
  path = tmp_path / "toys" / "1.2.3"
  path.mkdir(parents=True)
  monkeypatch.setattr(tfds, "load", _fail(OSError()))

  with pytest.raises(_NotTheDataError) as caught:
    _TOYS.open("train", str(tmp_path))

  assert str(caught.value) == (
    f"{path} is damaged or is not Toys (OSError: no reason given). Unless"
    " that says what else to do, delete it and load again."
  )


def test_prepared_data_lacks_the_split(monkeypatch, tmp_path, toys):
  del toys

  with pytest.raises(_NotTheDataError, match="KeyError: 'valid"):
    load = _load()
    monkeypatch.setattr(
      tfds, "load", lambda name, split, **kwargs: load("", split="b", **kwargs)
    )
    _TOYS.open("valid", str(tmp_path))


def test_damage_that_reading_finds(toys):
  def label(example):
    message = tf.strings.join(
      ["block ", tf.strings.as_string(example["label"])]
    )
    with tf.control_dependencies(
      [tf.debugging.Assert(example["label"] < 3, [message])]
    ):
      return tf.identity(example["label"])

  with pytest.raises(
    _NotTheDataError, match="1.2.3 is damaged or is not Toys .*delete it"
  ):
    toys.arrays(label, None)


@pytest.mark.parametrize("limit", [None, 1, np.int64(5)])
def test_good_limits(limit):
  tfds_images.check_limit(limit)


@pytest.mark.parametrize(
  "limit, error, message",
  [
    (0, ValueError, "limit must be at least 1, or None for all, got 0"),
    (-1, ValueError, "at least 1"),
    (1.0, TypeError, "limit must be an int or None, got float"),
    (True, TypeError, "got bool"),
    ("9", TypeError, "got str"),
  ],
)
def test_bad_limits(limit, error, message):
  with pytest.raises(error, match=message):
    tfds_images.check_limit(limit)


def test_choices():
  tfds_images.check_choice("toy", "ball", ("ball", "doll"))
  with pytest.raises(
    ValueError, match="toy must be one of ball, doll, got 'bal'"
  ):
    tfds_images.check_choice("toy", "bal", ("ball", "doll"))
