"""Tests for stackoverflow, on small files in TFF's schemas."""

import collections
import io
import json
import lzma
import sqlite3
import sys
import tarfile
import urllib.error
import urllib.request

import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.datasets import stackoverflow

_SPLITS = ("train", "heldout", "test")


def _client_examples(split, client):
  """Two sentences that tell the split and the client apart."""
  return collections.OrderedDict(
    creation_date=["2010-01-08 09:34:05 UTC"] * 2,
    score=[client, -1],
    tags=["sql|median", "css"],
    title=["how to ?", "how to ?"],
    tokens=[f"i use {split} .", f"client {client} doesn't ."],
    type=["question", "answer"],
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
          (f"000{client}", part),
        )
  connection.close()


@pytest.fixture(scope="module", name="database")
def _database(tmp_path_factory):
  path = tmp_path_factory.mktemp("stackoverflow") / "source.sqlite"
  _write_database(path)
  return path.read_bytes()


@pytest.fixture(name="cache")
def _cache(tmp_path, monkeypatch):
  """A cache directory, and a network that is down."""

  def no_network(*args, **kwargs):
    raise urllib.error.URLError("no route to host")

  monkeypatch.setattr(urllib.request, "urlopen", no_network)
  # Keras, which fetches the counts, has a name of its own for it.
  keras_module = sys.modules[tf.keras.utils.get_file.__module__]
  monkeypatch.setattr(keras_module, "urlopen", no_network)
  return tmp_path / "cache"


def _put(cache, content, name="stackoverflow.sqlite"):
  (cache / name).parent.mkdir(parents=True, exist_ok=True)
  (cache / name).write_bytes(content)


def _archive(name, text):
  """A tar.bz2 file with one text file in it."""
  packed = io.BytesIO()
  with tarfile.open(fileobj=packed, mode="w:bz2") as archive:
    member = tarfile.TarInfo(name)
    member.size = len(text)
    archive.addfile(member, io.BytesIO(text.encode("utf-8")))
  return packed.getvalue()


@pytest.fixture(name="any_checksum")
def _any_checksum(monkeypatch):
  """Lets TFF take count files with other checksums than its server's."""
  get_file = tf.keras.utils.get_file

  def get_any_file(*args, file_hash, **kwargs):
    del file_hash
    return get_file(*args, **kwargs)

  monkeypatch.setattr(tf.keras.utils, "get_file", get_any_file)


def test_file_put_there_by_hand(cache, database):
  _put(cache, database)

  parts = stackoverflow.load_data(cache_dir=str(cache))

  synthetic = tff.simulation.datasets.stackoverflow.get_synthetic()
  for split, part in zip(_SPLITS, parts):
    assert part.client_ids == ["0000", "0001"]
    assert part.element_type_structure == synthetic.element_type_structure
    for client in (0, 1):
      dataset = part.create_tf_dataset_for_client(f"000{client}")
      found = sorted(
        (example["tokens"], example["score"])
        for example in dataset.as_numpy_iterator()
      )
      assert found == [
        (f"client {client} doesn't .".encode(), -1),
        (f"i use {split} .".encode(), client),
      ]


def test_compressed_file_put_there_by_hand(cache, database):
  _put(cache, lzma.compress(database), "stackoverflow.sqlite.lzma")

  train, _, _ = stackoverflow.load_data(cache_dir=str(cache))

  assert train.client_ids == ["0000", "0001"]
  assert (cache / "stackoverflow.sqlite").read_bytes() == database


def test_download(cache, database, monkeypatch):
  asked = []

  class Response(io.BytesIO):
    headers = {"content-length": None}

  def urlopen(url):
    asked.append(url)
    return Response(lzma.compress(database))

  monkeypatch.setattr(urllib.request, "urlopen", urlopen)

  for _ in range(2):
    stackoverflow.load_data(cache_dir=str(cache))

  assert asked == [stackoverflow.URL]
  assert [p.name for p in cache.iterdir()] == ["stackoverflow.sqlite"]


def test_no_network(cache):
  with pytest.raises(stackoverflow.StackOverflowDownloadError) as caught:
    stackoverflow.load_data(cache_dir=str(cache))

  message = str(caught.value)
  assert "no route to host" in message
  assert stackoverflow.URL in message
  assert "stackoverflow.sqlite.lzma (or stackoverflow.sqlite" in message
  assert f"into {cache}" in message
  assert "docstrings.load_data()" in message
  assert list(cache.iterdir()) == []


def test_damaged_file(cache, database):
  _put(cache, database[: len(database) // 2])

  with pytest.raises(
    stackoverflow.StackOverflowFileError,
    match="sqlite is damaged or is not TFF's Stack Overflow.*docstrings",
  ):
    stackoverflow.load_data(cache_dir=str(cache))


@pytest.mark.parametrize("missing", _SPLITS)
def test_database_without_a_split(cache, tmp_path, missing):
  splits = [split for split in _SPLITS if split != missing]
  _write_database(tmp_path / "part.sqlite", splits=splits)
  _put(cache, (tmp_path / "part.sqlite").read_bytes())

  with pytest.raises(
    stackoverflow.StackOverflowFileError, match=f"split '{missing}'"
  ):
    stackoverflow.load_data(cache_dir=str(cache))


def test_database_of_other_examples(cache, tmp_path):
  _write_database(
    tmp_path / "images.sqlite", examples_fn=lambda *_: {"label": [1]}
  )
  _put(cache, (tmp_path / "images.sqlite").read_bytes())

  with pytest.raises(
    stackoverflow.StackOverflowFileError, match="creation_date"
  ):
    stackoverflow.load_data(cache_dir=str(cache))


@pytest.mark.parametrize("vocab_size", [None, 1, 2, 9])
def test_word_counts(cache, any_checksum, vocab_size):
  _put(
    cache,
    _archive("stackoverflow.word_count", "the 30\nto 20\nregex 1\n"),
    "datasets/stackoverflow.word_count.tar.bz2",
  )

  counts = stackoverflow.load_word_counts(str(cache), vocab_size)

  expected = [("the", 30), ("to", 20), ("regex", 1)]
  assert list(counts.items()) == expected[:vocab_size]


def test_tag_counts(cache, any_checksum):
  _put(
    cache,
    _archive("stackoverflow.tag_count", json.dumps({"sql": 2, "css": 7})),
    "datasets/stackoverflow.tag_count.tar.bz2",
  )

  counts = stackoverflow.load_tag_counts(str(cache))

  assert list(counts.items()) == [("css", 7), ("sql", 2)]


@pytest.mark.parametrize("name", ["word_count", "tag_count"])
@pytest.mark.parametrize("brought", [False, True])
def test_no_network_for_counts(cache, name, brought):
  # Not TFF's file, as its checksum shows.
  file_name = f"stackoverflow.{name}.tar.bz2"
  if brought:
    _put(
      cache,
      _archive(f"stackoverflow.{name}", "the 1"),
      f"datasets/{file_name}",
    )
  load = getattr(stackoverflow, f"load_{name}s")

  with pytest.raises(stackoverflow.StackOverflowDownloadError) as caught:
    load(str(cache))

  message = str(caught.value)
  assert "no route to host" in message
  assert f"public/{file_name} on a machine" in message
  assert f"{file_name} into {cache / 'datasets'}" in message
  assert "docstrings.load_data()" in message


@pytest.mark.parametrize(
  "vocab_size, error, message",
  [
    (0, ValueError, "at least 1, got 0"),
    (True, TypeError, "int or None, got bool"),
    ("9", TypeError, "int or None, got str"),
  ],
)
def test_bad_vocab_size(cache, vocab_size, error, message):
  with pytest.raises(error, match=f"vocab_size must be .*{message}"):
    stackoverflow.load_word_counts(str(cache), vocab_size)
