"""Tests for celeba, on few faces that TensorFlow Datasets has prepared.

It prepares them from files of the form of CelebA's own, put where a person who
can't download them would: so this also tests what the messages say to do.
"""

import io
import zipfile

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core.utils import gcs_utils
from tensorflow_datasets.datasets.celeb_a import celeb_a_dataset_builder

from tests.datasets import small_idx_files as small
from tff_gen_debug.datasets import celeba
from tff_gen_debug.datasets import tfds_images

# Of each face: its split, whether it is male, and which of the three colours
# its hair is said to be.
_FACES = [
  (0, False, ()),
  (0, True, ("Black",)),
  (0, False, ("Blond",)),
  (0, True, ("Brown",)),
  (0, False, ("Black", "Brown")),
  (0, True, ("Black", "Blond", "Brown")),
  (0, True, ("Brown",)),
  (1, True, ("Blond",)),
  (1, False, ("Brown",)),
  (2, False, ("Black",)),
]
_SPLITS = ("train", "validation", "test")


def _picture(k):
  """A face as JPEG: a slope of its own grey between a white top and bottom."""
  picture = np.full((218, 178, 3), 255, np.uint8)
  picture[20:198] = (20 * k + np.arange(178) // 9)[:, None, None]
  return tf.io.encode_jpeg(picture, quality=100).numpy()


def _table(heading, rows):
  lines = [str(len(rows)), " ".join(heading)]
  return "\n".join([*lines, *(" ".join(map(str, row)) for row in rows), ""])


def _put_files(directory):
  """Writes the five files that the builder reads."""
  directory.mkdir(parents=True)
  names = [f"{k + 1:06}.jpg" for k in range(len(_FACES))]
  packed = io.BytesIO()
  with zipfile.ZipFile(packed, "w") as archive:
    for k, name in enumerate(names):
      archive.writestr(f"img_align_celeba/{name}", _picture(k))
  (directory / "img_align_celeba.zip").write_bytes(packed.getvalue())
  attributes = celeb_a_dataset_builder.ATTR_HEADINGS
  landmarks = celeb_a_dataset_builder.LANDMARK_HEADINGS
  rows = []
  for name, (_, is_male, colours) in zip(names, _FACES):
    true = {f"{colour}_Hair" for colour in colours} | {"Young"}
    true |= {"Male"} if is_male else set()
    rows.append([name, *(1 if word in true else -1 for word in attributes)])
  texts = {
    "list_eval_partition.txt": "".join(
      f"{name} {split}\n" for name, (split, _, _) in zip(names, _FACES)
    ),
    "list_attr_celeba.txt": _table(attributes, rows),
    "list_landmarks_align_celeba.txt": _table(
      landmarks, [[name, *range(len(landmarks))] for name in names]
    ),
    "identity_CelebA.txt": "".join(f"{name} 7\n" for name in names),
  }
  for file_name, text in texts.items():
    (directory / file_name).write_text(text)


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


def _expected(k):
  picture = tf.io.decode_jpeg(_picture(k))
  return tfds_images.shrink(picture).numpy()


def _assert_faces(found, split, classes):
  """Checks that `found` are the faces of a split with a class."""
  rows = [
    k
    for k, (number, _, _) in enumerate(_FACES)
    if _SPLITS[number] == split and classes[k] is not None
  ]
  assert found.images.shape == (len(rows), 64, 64, 3)
  assert found.images.dtype == found.labels.dtype == np.uint8
  assert not found.images.flags.writeable
  # They were shuffled when they were prepared.
  order = np.argsort(found.images[:, 0, 0, 0])
  for place, row in zip(order, rows):
    np.testing.assert_array_equal(found.images[place], _expected(row))
    assert found.labels[place] == classes[row]


@pytest.mark.parametrize("split", _SPLITS)
def test_gender_of_all_faces(data_dir, split):
  found = celeba.load_arrays("gender", split=split, data_dir=data_dir)

  _assert_faces(found, split, [int(is_male) for _, is_male, _ in _FACES])


@pytest.mark.parametrize("split", _SPLITS)
def test_hair_of_faces_with_one_colour(data_dir, split):
  found = celeba.load_arrays("hair", split=split, data_dir=data_dir)

  names = ("Black", "Blond", "Brown")
  _assert_faces(
    found,
    split,
    [
      names.index(colours[0]) if len(colours) == 1 else None
      for _, _, colours in _FACES
    ],
  )


def test_crop_leaves_no_white(data_dir):
  images, _ = celeba.load_arrays("gender", split="train", data_dir=data_dir)

  assert images.max() < 200


def test_limit_counts_faces_with_one_colour(data_dir):
  whole = celeba.load_arrays("hair", split="train", data_dir=data_dir)

  part = celeba.load_arrays("hair", split="train", data_dir=data_dir, limit=3)

  assert len(whole.labels) == 4
  for all_of_it, some_of_it in zip(whole, part):
    np.testing.assert_array_equal(all_of_it[:3], some_of_it)


def test_classes_have_names():
  assert celeba.CLASS_NAMES["gender"] == ("female", "male")
  assert celeba.CLASS_NAMES["hair"] == ("black", "blond", "brown")


def test_names_what_tensorflow_datasets_downloads():
  builder = tfds.builder_cls("celeb_a")

  assert str(builder.VERSION) == celeba._FACES.version
  assert all(url.startswith(celeba._FACES.url) for url in builder.url_infos)
  names = [info.filename for info in builder.url_infos.values()]
  assert sorted(names) == sorted(celeba._FACES.files)


@pytest.mark.parametrize(
  "attribute, change, error, message",
  [
    ("age", {}, ValueError, "attribute must be one of gender, hair, got 'age'"),
    ("hair", {"split": "all"}, ValueError, "one of train, validation, test,"),
    ("hair", {"limit": 0}, ValueError, "limit must be at least 1"),
    ("hair", {"limit": 1.5}, TypeError, "limit must be an int or None"),
  ],
)
def test_bad_arguments(tmp_path, attribute, change, error, message):
  with pytest.raises(error, match=message):
    celeba.load_arrays(
      attribute, **{"split": "train", "data_dir": str(tmp_path), **change}
    )


def _refuse(*args, **kwargs):
  raise ConnectionRefusedError("not today")


def test_no_network(monkeypatch, tmp_path):
  monkeypatch.setattr("socket.create_connection", _refuse)

  with pytest.raises(celeba.CelebaDownloadError) as caught:
    celeba.load_arrays("hair", split="test", data_dir=str(tmp_path))

  message = str(caught.value)
  assert message.startswith(f"CelebA is not in {tmp_path}, and ")
  assert "(ConnectionRefusedError: not today). Google Drive" in message
  assert f"into {tmp_path}/downloads/manual, and load again" in message
  for name in (
    "img_align_celeba.zip",
    "list_eval_partition.txt",
    "list_attr_celeba.txt",
    "list_landmarks_align_celeba.txt",
    "identity_CelebA.txt",
  ):
    assert name in message


def test_brought_files_are_damaged(tmp_path):
  manual = tmp_path / "downloads" / "manual"
  _put_files(manual)
  (manual / "img_align_celeba.zip").write_bytes(b"half of it")

  with pytest.raises(
    celeba.CelebaDownloadError,
    match=f"could not be prepared from the files in {manual} .*img_align",
  ):
    celeba.load_arrays("hair", split="test", data_dir=str(tmp_path))


@pytest.mark.parametrize("damaged", ["train", "dataset_info"])
def test_prepared_data_is_damaged(tmp_path, damaged):
  _put_files(tmp_path / "downloads" / "manual")
  celeba.load_arrays("hair", split="test", data_dir=str(tmp_path))
  (path,) = (tmp_path / "celeb_a" / "2.1.0").glob(f"*{damaged}*[0-9n]")
  path.write_bytes(path.read_bytes()[:-100])

  with pytest.raises(
    celeba.CelebaFileError,
    match=f"{path.parent} is damaged or is not CelebA .*delete it and load",
  ):
    celeba.load_arrays("gender", split="train", data_dir=str(tmp_path))
