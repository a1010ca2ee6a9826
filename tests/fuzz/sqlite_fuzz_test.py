"""Damaged SQLite files for the loaders of EMNIST and Stack Overflow.

A loader either names the file that is damaged, or its data can be read: at the
least the first client of each part, which it has tried.
"""

import lzma
import pathlib
import sqlite3
import tempfile
import urllib.error
import urllib.request

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.datasets import emnist
from tff_gen_debug.datasets import hosted_database
from tff_gen_debug.datasets import stackoverflow

_SETTINGS = hypothesis.settings(
  deadline=None, derandomize=True, max_examples=12, database=None
)
_LOADERS = {"emnist": emnist, "stackoverflow": stackoverflow}
_SPLITS = {
  "emnist": ("digits_only_train", "digits_only_test", "all_train", "all_test"),
  "stackoverflow": ("train", "heldout", "test"),
}
_EXAMPLES = {
  "emnist": dict(
    label=np.array([1, 2], np.int64), pixels=np.ones([2, 28, 28], np.float32)
  ),
  "stackoverflow": dict(
    creation_date=["2010-01-08 09:34:05 UTC"] * 2,
    score=[1, -1],
    tags=["sql|median", "css"],
    title=["how to ?", "how to ?"],
    tokens=["i use 😀 .", "it doesn't ."],
    type=["question", "answer"],
  ),
}


def _database(name):
  """A small file in TFF's schema, one client a split."""
  with tempfile.TemporaryDirectory() as folder:
    path = f"{folder}/source.sqlite"
    tff.simulation.datasets.save_to_sql_client_data(
      list(_SPLITS[name]),
      lambda _: tf.data.Dataset.from_tensor_slices(_EXAMPLES[name]),
      path,
      split_names_by_client_id={split: split for split in _SPLITS[name]},
    )
    return pathlib.Path(path).read_bytes()


_DATA = {name: _database(name) for name in _LOADERS}


@pytest.fixture(autouse=True, scope="module")
def _no_network():
  """So that nothing is fetched instead of what is damaged."""

  def no_network(*args, **kwargs):
    raise urllib.error.URLError("no route to host")

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(urllib.request, "urlopen", no_network)
    yield


def _load(name, put):
  """Loads from a cache; the message of the error that names the file, or None.

  Args:
    name: The loader.
    put: Puts something in place of the file at the path that it is given.
  """
  module = _LOADERS[name]
  with tempfile.TemporaryDirectory() as cache:
    path = pathlib.Path(cache) / module.FILE_NAME
    put(path)
    try:
      parts = module.load_data(cache_dir=cache)
    except hosted_database.DataFileError as error:
      assert type(error).__module__ == module.__name__
      assert str(error).startswith(f"{path}")
      assert "is damaged or is not TFF's" in str(error)
      return str(error)
    for part in parts:
      dataset = part.create_tf_dataset_for_client(part.client_ids[0])
      example = next(iter(dataset))
      assert set(example) == set(_EXAMPLES[name])
    return None


def _load_bytes(name, content):
  """As `_load`, of a file with that content."""
  return _load(name, lambda path: path.write_bytes(content))


@pytest.mark.parametrize("name", list(_LOADERS))
def test_the_undamaged_file_is_loaded(name):
  assert _load_bytes(name, _DATA[name]) is None


@pytest.mark.parametrize("name", list(_LOADERS))
@_SETTINGS
@hypothesis.given(st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_named(name, share):
  data = _DATA[name]
  assert _load_bytes(name, data[: int(len(data) * share)])


@pytest.mark.parametrize("name", list(_LOADERS))
@_SETTINGS
@hypothesis.given(
  st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)),
    min_size=1,
    max_size=60,
  )
)
def test_flipped_bits_are_named_or_elsewhere(name, flips):
  data = bytearray(_DATA[name])
  for share, change in flips:
    data[int(len(data) * share)] ^= change
  _load_bytes(name, bytes(data))


@pytest.mark.parametrize("name", list(_LOADERS))
@_SETTINGS
@hypothesis.given(st.integers(0, 599), st.binary(min_size=1, max_size=9))
def test_garbled_examples_are_named_or_elsewhere(name, offset, garbage):
  data = bytearray(_DATA[name])
  start = data.index(b"title" if name == "stackoverflow" else b"pixels")
  data[start + offset : start + offset + len(garbage)] = garbage
  _load_bytes(name, bytes(data))


@pytest.mark.parametrize("name", list(_LOADERS))
@pytest.mark.parametrize(
  "content",
  [b"", b"\0" * 5000, b"<html>not found</html>", b"SQLite format 3\0"],
  ids=["empty", "zeros", "text", "header"],
)
def test_another_file_is_named(name, content):
  assert _load_bytes(name, content)


@pytest.mark.parametrize("name", list(_LOADERS))
def test_a_directory_is_named(name):
  assert _load(name, lambda path: path.mkdir())


def _changed(statement):
  """Puts the file in place, with SQL run on it."""

  def put(name, path):
    path.write_bytes(_DATA[name])
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()

  return put


_EXAMPLE = "UPDATE examples SET serialized_example_proto = "


@pytest.mark.parametrize("name", list(_LOADERS))
@pytest.mark.parametrize(
  "put",
  [
    _changed("DROP TABLE examples"),
    _changed("DROP TABLE client_metadata"),
    _changed("DELETE FROM examples"),
    _changed("DELETE FROM client_metadata"),
    _changed("ALTER TABLE examples RENAME COLUMN client_id TO user"),
    _changed("ALTER TABLE examples RENAME COLUMN split_name TO part"),
    _changed("ALTER TABLE client_metadata RENAME COLUMN client_id TO user"),
    _changed("ALTER TABLE client_metadata RENAME COLUMN split_name TO part"),
    _changed("UPDATE client_metadata SET split_name = 'other'"),
    _changed("UPDATE examples SET client_id = 'nobody'"),
    _changed("UPDATE client_metadata SET client_id = CAST(x'ff00' AS TEXT)"),
    _changed("UPDATE client_metadata SET split_name = x'ff'"),
    _changed(_EXAMPLE + "x'ffffffff'"),
    _changed(_EXAMPLE + "x''"),
    _changed(_EXAMPLE + "'text'"),
    _changed(_EXAMPLE + "3"),
  ],
)
def test_other_tables_and_rows_are_named(name, put):
  assert _load(name, lambda path: put(name, path))


@pytest.mark.parametrize("name", list(_LOADERS))
@_SETTINGS
@hypothesis.given(
  st.floats(0, 1, exclude_max=True), st.integers(1, 255), st.booleans()
)
def test_a_damaged_compressed_file_is_named(name, share, change, truncate):
  packed = bytearray(lzma.compress(_DATA[name]))
  position = int(len(packed) * share)
  if truncate:
    del packed[position:]
  else:
    packed[position] ^= change
  message = _load(
    name, lambda path: pathlib.Path(f"{path}.lzma").write_bytes(packed)
  )
  assert ".sqlite.lzma is damaged" in str(message)


@pytest.mark.parametrize("name", list(_LOADERS))
@pytest.mark.parametrize("cache_dir", [3, b"x", [], True, "\0", "a\0b"])
def test_a_cache_dir_that_is_none_is_named(name, cache_dir):
  with pytest.raises((TypeError, ValueError), match="cache_dir must"):
    _LOADERS[name].load_data(cache_dir=cache_dir)


@pytest.mark.parametrize("name", list(_LOADERS))
def test_a_cache_dir_that_is_a_file_is_named(name, tmp_path):
  path = tmp_path / "cache 😀"
  path.write_text("")
  with pytest.raises(FileExistsError, match="cache 😀"):
    _LOADERS[name].load_data(cache_dir=str(path))
