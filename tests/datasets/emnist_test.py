"""Tests for emnist, on small SQLite files in TFF's schema."""

import collections
import io
import lzma
import sqlite3
import urllib.error
import urllib.request

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.datasets import emnist
from tff_gen_debug.datasets import preprocessing

_SPLITS = ("digits_only_train", "digits_only_test", "all_train", "all_test")


def _client_examples(split, client):
  """Two examples of which the label and one grey pixel tell them apart."""
  kind = _SPLITS.index(split)
  pixels = np.ones([2, 28, 28], np.float32)
  pixels[:, kind, client] = 0.25
  return collections.OrderedDict(
    label=np.array([client, 9 if kind < 2 else 61], np.int64), pixels=pixels
  )


def _write_database(path, splits=_SPLITS, examples_fn=_client_examples):
  """Writes two clients, each in every split, as in TFF's file."""
  parts = {f"{split}/{c}": (split, c) for split in splits for c in (0, 1)}
  tff.simulation.datasets.save_to_sql_client_data(
    list(parts),
    lambda part: tf.data.Dataset.from_tensor_slices(examples_fn(*parts[part])),
    str(path),
    split_names_by_client_id={part: parts[part][0] for part in parts},
  )
  with sqlite3.connect(path) as connection:
    for part, (_, client) in parts.items():
      for table in ("examples", "client_metadata"):
        connection.execute(
          f"UPDATE {table} SET client_id = ? WHERE client_id = ?",
          (f"f000{client}_14", part),
        )
  connection.close()


@pytest.fixture(scope="module", name="database")
def _database(tmp_path_factory):
  path = tmp_path_factory.mktemp("emnist") / "source.sqlite"
  _write_database(path)
  return path.read_bytes()


@pytest.fixture(name="cache")
def _cache(tmp_path, monkeypatch):
  """A cache directory, and a network that is down."""

  def no_network(*args, **kwargs):
    raise urllib.error.URLError("no route to host")

  monkeypatch.setattr(urllib.request, "urlopen", no_network)
  return tmp_path / "cache"


class _Response(io.BytesIO):
  """What `urlopen` gives."""

  headers = {"content-length": None}


def _serve(monkeypatch, content):
  asked = []

  def urlopen(url):
    asked.append(url)
    return _Response(content)

  monkeypatch.setattr(urllib.request, "urlopen", urlopen)
  return asked


def _put(cache, content, name="emnist_all.sqlite"):
  cache.mkdir(exist_ok=True)
  (cache / name).write_bytes(content)


def _examples(data, client_id):
  dataset = data.create_tf_dataset_for_client(client_id)
  return next(iter(dataset.batch(10).as_numpy_iterator()))


@pytest.mark.parametrize("only_digits", [True, False])
def test_file_put_there_by_hand(cache, database, only_digits):
  _put(cache, database)

  halves = emnist.load_data(only_digits=only_digits, cache_dir=str(cache))

  for split, half in zip(_SPLITS[:2] if only_digits else _SPLITS[2:], halves):
    assert half.client_ids == ["f0000_14", "f0001_14"]
    assert half.element_type_structure == collections.OrderedDict(
      label=tf.TensorSpec([], tf.int32),
      pixels=tf.TensorSpec([28, 28], tf.float32),
    )
    for client in (0, 1):
      found = _examples(half, f"f000{client}_14")
      expected = _client_examples(split, client)
      order = np.argsort(found["label"])
      np.testing.assert_array_equal(found["label"][order], expected["label"])
      np.testing.assert_array_equal(found["pixels"], expected["pixels"])


def test_loaded_data_goes_through_the_papers_preprocessing(cache, database):
  _put(cache, database)

  train, _ = emnist.load_data(only_digits=False, cache_dir=str(cache))
  images = train.preprocess(lambda ds: ds.map(preprocessing.paper_example))

  found = _examples(images, "f0001_14")
  assert sorted(found["label"].tolist()) == [1, 35]
  assert found["image"].shape == (2, 28, 28, 1)
  assert found["image"][0, 2, 1, 0] == 0.5
  assert (found["image"] == -1).sum() == 2 * (28 * 28 - 1)


def test_compressed_file_put_there_by_hand(cache, database):
  _put(cache, lzma.compress(database), "emnist_all.sqlite.lzma")

  train, _ = emnist.load_data(cache_dir=str(cache))

  assert len(train.client_ids) == 2
  assert (cache / "emnist_all.sqlite").read_bytes() == database


def test_half_a_compressed_file(cache, database):
  compressed = lzma.compress(database)
  _put(cache, compressed[: len(compressed) // 2], "emnist_all.sqlite.lzma")

  with pytest.raises(emnist.EmnistFileError, match="sqlite.lzma is damaged"):
    emnist.load_data(cache_dir=str(cache))
  assert [p.name for p in cache.iterdir()] == ["emnist_all.sqlite.lzma"]


def test_download(cache, database, monkeypatch):
  asked = _serve(monkeypatch, lzma.compress(database))

  first, _ = emnist.load_data(cache_dir=str(cache))
  again, _ = emnist.load_data(cache_dir=str(cache))

  assert asked == [emnist.URL]
  assert first.client_ids == again.client_ids == ["f0000_14", "f0001_14"]
  assert [p.name for p in cache.iterdir()] == ["emnist_all.sqlite"]


def test_no_network(cache):
  with pytest.raises(emnist.EmnistDownloadError) as caught:
    emnist.load_data(cache_dir=str(cache))

  message = str(caught.value)
  assert "no route to host" in message
  assert emnist.URL in message
  assert "emnist_all.sqlite.lzma (or emnist_all.sqlite" in message
  assert f"into {cache}" in message
  assert "handwriting.load_data()" in message
  assert list(cache.iterdir()) == []


def test_download_of_something_else(cache, monkeypatch):
  _serve(monkeypatch, b"<html>log in to the network</html>")

  with pytest.raises(emnist.EmnistDownloadError, match="LZMAError"):
    emnist.load_data(cache_dir=str(cache))
  assert list(cache.iterdir()) == []


def test_damaged_file(cache, database):
  _put(cache, database[: len(database) // 2])

  with pytest.raises(
    emnist.EmnistFileError,
    match="emnist_all.sqlite is damaged or is not TFF's EMNIST.*Delete it",
  ):
    emnist.load_data(cache_dir=str(cache))


def test_database_without_the_split(cache, tmp_path):
  _write_database(tmp_path / "part.sqlite", splits=_SPLITS[:2])
  _put(cache, (tmp_path / "part.sqlite").read_bytes())

  emnist.load_data(only_digits=True, cache_dir=str(cache))
  with pytest.raises(emnist.EmnistFileError, match="split 'all_train'"):
    emnist.load_data(only_digits=False, cache_dir=str(cache))


def test_database_of_other_examples(cache, tmp_path):
  _write_database(
    tmp_path / "text.sqlite", examples_fn=lambda *_: {"tokens": ["a b"]}
  )
  _put(cache, (tmp_path / "text.sqlite").read_bytes())

  with pytest.raises(emnist.EmnistFileError, match="(label|pixels)"):
    emnist.load_data(cache_dir=str(cache))


def test_only_digits_of_a_wrong_type(cache):
  with pytest.raises(TypeError, match="only_digits must be a bool, got str"):
    emnist.load_data(only_digits="yes", cache_dir=str(cache))
