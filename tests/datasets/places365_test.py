"""Tests for places365, on few scenes that TensorFlow Datasets has prepared.

It prepares them from files of the form of Places365's own, put where a person
who can't download them would.
"""

import io
import tarfile
import types

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core.utils import gcs_utils

from tests.datasets import small_idx_files as small
from tff_gen_debug.datasets import places365
from tff_gen_debug.datasets import tfds_images

_NAMES_FILE = "image_classification/categories_places365.txt"

# The scenes of the pictures, and whether that is outdoors.
_TRAIN = {
  "airfield": 1,
  "airplane_cabin": 0,
  "balcony/interior": 1,
  "bazaar/indoor": 0,
  "bazaar/outdoor": 1,
  "zen_garden": 1,
}
_VALIDATION = {"youth_hostel": 0, "yard": 1}


def _scenes():
  return tfds.core.tfds_path(_NAMES_FILE).read_text().split()


def _picture(k):
  """A scene as JPEG: a slope of its own grey."""
  picture = np.empty((256, 256, 3), np.uint8)
  picture[:] = (25 * k + np.arange(256) // 12)[:, None, None]
  return tf.io.encode_jpeg(picture, quality=100).numpy()


def _put_tar(path, contents):
  with tarfile.open(path, "w") as archive:
    for name, content in contents.items():
      member = tarfile.TarInfo(name)
      member.size = len(content)
      archive.addfile(member, io.BytesIO(content))


def _put_files(directory):
  """Writes the four files that the builder reads."""
  directory.mkdir(parents=True)
  scenes = _scenes()
  train = {f"/{name[0]}/{name}/00000001.jpg": name for name in _TRAIN}
  validation = {f"Places365_val_{k}.jpg": n for k, n in enumerate(_VALIDATION)}
  _put_tar(
    directory / "train_256_places365standard.tar",
    {f"data_256{path}": _picture(k) for k, path in enumerate(train)},
  )
  _put_tar(
    directory / "val_256.tar",
    {f"val_256/{path}": _picture(k) for k, path in enumerate(validation)},
  )
  _put_tar(
    directory / "test_256.tar", {"test_256/Places365_test_1.jpg": _picture(0)}
  )
  lists = {
    f"places365_{split}.txt": "".join(
      f"{path} {scenes.index(name)}\n" for path, name in pictures.items()
    ).encode()
    for split, pictures in (("train_standard", train), ("val", validation))
  }
  lists["places365_test.txt"] = b"Places365_test_1.jpg\n"
  _put_tar(directory / "filelist_places365-standard.tar", lists)


@pytest.fixture(scope="module", name="data_dir")
def _data_dir(tmp_path_factory):
  directory = tmp_path_factory.mktemp("tfds")
  _put_files(directory / "downloads" / "manual")
  return str(directory)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
  # It would ask Google's cloud for what it knows of the set.
  monkeypatch.setattr(gcs_utils, "_is_gcs_disabled", True)
  small.forget_proxies(monkeypatch)


@pytest.mark.parametrize(
  "split, scenes", [("train", _TRAIN), ("validation", _VALIDATION)]
)
def test_scenes_of_a_split(data_dir, split, scenes):
  found = places365.load_arrays(split=split, data_dir=data_dir)

  assert found.images.shape == (len(scenes), 64, 64, 3)
  assert found.images.dtype == found.labels.dtype == np.uint8
  assert not found.images.flags.writeable
  # They were shuffled when they were prepared.
  order = np.argsort(found.images[:, 0, 0, 0])
  assert found.labels[order].tolist() == list(scenes.values())
  for k, image in enumerate(found.images[order]):
    expected = tfds_images.shrink(tf.io.decode_jpeg(_picture(k)))
    np.testing.assert_array_equal(image, expected)


def test_limit(data_dir):
  whole = places365.load_arrays(split="train", data_dir=data_dir)

  part = places365.load_arrays(split="train", data_dir=data_dir, limit=2)

  for all_of_it, some_of_it in zip(whole, part):
    np.testing.assert_array_equal(all_of_it[:2], some_of_it)


def test_every_scene_is_indoor_or_outdoor():
  names = _scenes()

  labels = dict(zip(names, places365._labels(names)))

  assert len(labels) == 365
  assert places365._INDOOR.issubset(names)
  assert places365.CLASS_NAMES == ("indoor", "outdoor")
  # Counted in IO_places365.txt.
  assert list(labels.values()).count(0) == 161
  assert list(labels.values()).count(1) == 204
  for name, label in labels.items():
    if name.endswith("/indoor"):
      assert label == 0, name
    if name.endswith(("/outdoor", "/exterior")):
      assert label == 1, name
  for name in ("stable", "swimming_hole", "archaelogical_excavation"):
    assert labels[name] == 0


def test_names_what_tensorflow_datasets_downloads():
  builder = tfds.builder_cls("places365_small")

  assert str(builder.VERSION) == places365._SCENES.version
  expected = [places365._SCENES.url + name for name in places365._SCENES.files]
  assert sorted(builder.url_infos) == sorted(expected)


@pytest.mark.parametrize("lost, new", [("yard", ()), ("kitchen", ("lounge",))])
def test_other_scenes(monkeypatch, tmp_path, lost, new):
  (tmp_path / "places365_small" / "2.1.0").mkdir(parents=True)
  names = [*new, *(name for name in _scenes() if name != lost)]
  info = types.SimpleNamespace(
    splits={"train": types.SimpleNamespace(num_examples=1)},
    features={"label": types.SimpleNamespace(names=names)},
  )
  monkeypatch.setattr(tfds, "load", lambda *args, **kwargs: (None, info))

  with pytest.raises(
    places365.Places365FileError, match="scenes are not the 365 of Places365"
  ):
    places365.load_arrays(split="train", data_dir=str(tmp_path))


@pytest.mark.parametrize(
  "change, error, message",
  [
    ({"split": "test"}, ValueError, "split must be one of train, validation,"),
    ({"limit": 0}, ValueError, "limit must be at least 1"),
    ({"limit": "all"}, TypeError, "limit must be an int or None"),
  ],
)
def test_bad_arguments(tmp_path, change, error, message):
  with pytest.raises(error, match=message):
    places365.load_arrays(
      **{"split": "train", "data_dir": str(tmp_path), **change}
    )


def _refuse(*args, **kwargs):
  raise ConnectionRefusedError("not today")


def test_no_network(monkeypatch, tmp_path):
  monkeypatch.setattr("socket.create_connection", _refuse)

  with pytest.raises(places365.Places365DownloadError) as caught:
    places365.load_arrays(split="train", data_dir=str(tmp_path))

  message = str(caught.value)
  assert message.startswith(f"Places365 is not in {tmp_path}, and ")
  assert "(ConnectionRefusedError: not today). It downloads all" in message
  assert f"into {tmp_path}/downloads/manual, and load again" in message
  for name in (
    "train_256_places365standard.tar",
    "val_256.tar",
    "test_256.tar",
    "filelist_places365-standard.tar",
  ):
    assert name in message


def test_brought_files_are_damaged(tmp_path):
  manual = tmp_path / "downloads" / "manual"
  _put_files(manual)
  (manual / "val_256.tar").write_bytes(b"half of it")

  with pytest.raises(
    places365.Places365DownloadError,
    match=f"could not be prepared from the files in {manual} .*val_256.tar",
  ):
    places365.load_arrays(split="train", data_dir=str(tmp_path))


def test_prepared_data_is_damaged(tmp_path):
  _put_files(tmp_path / "downloads" / "manual")
  places365.load_arrays(split="train", data_dir=str(tmp_path))
  (path,) = (tmp_path / "places365_small" / "2.1.0").glob("*train*")
  path.write_bytes(path.read_bytes()[:-100])

  with pytest.raises(
    places365.Places365FileError,
    match=f"{path.parent} is damaged or is not Places365 .*delete it and load",
  ):
    places365.load_arrays(split="train", data_dir=str(tmp_path))
