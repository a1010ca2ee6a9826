"""Tests for hosted_database, on a data set that nobody hosts."""

import lzma
import os

import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.datasets import hosted_database


class _NotFetchedError(hosted_database.DownloadError):
  pass


class _NotTheFileError(hosted_database.DataFileError):
  pass


def _no_network(directory):
  raise ConnectionError("no route to host")


def _hosted(loader=_no_network):
  return hosted_database.HostedDatabase(
    name="Toy Data",
    url="https://example.org/toy.sqlite.lzma",
    file_name="toy.sqlite",
    split="test",
    loader=loader,
    alternative="toys.load_data()",
    download_error=_NotFetchedError,
    file_error=_NotTheFileError,
  )


def _write(path, split="test", num_examples=2):
  tff.simulation.datasets.save_to_sql_client_data(
    ["ann"],
    lambda _: tf.data.Dataset.from_tensor_slices(
      {"word": ["a", "b"][:num_examples]}
    ),
    str(path),
    split_names_by_client_id={"ann": split},
  )


@pytest.fixture(scope="module", name="content")
def _content(tmp_path_factory):
  path = tmp_path_factory.mktemp("toy") / "source.sqlite"
  _write(path)
  return path.read_bytes()


def _names(directory):
  return sorted(path.name for path in directory.iterdir())


def test_file_put_there_by_hand_is_left_alone(tmp_path, content):
  (tmp_path / "toy.sqlite").write_bytes(content)
  (tmp_path / "toy.sqlite.lzma").write_bytes(b"not looked at")

  assert _hosted().fetch(str(tmp_path)) == str(tmp_path / "toy.sqlite")
  assert (tmp_path / "toy.sqlite").read_bytes() == content


def test_compressed_file_is_unpacked(tmp_path, content):
  (tmp_path / "toy.sqlite.lzma").write_bytes(lzma.compress(content))

  _hosted().fetch(str(tmp_path))

  assert (tmp_path / "toy.sqlite").read_bytes() == content
  assert _names(tmp_path) == ["toy.sqlite", "toy.sqlite.lzma"]


@pytest.mark.parametrize("damage", [lambda p: p[:-100], lambda p: p[10:]])
def test_damaged_compressed_file(tmp_path, content, damage):
  (tmp_path / "toy.sqlite.lzma").write_bytes(damage(lzma.compress(content)))

  with pytest.raises(
    _NotTheFileError, match="toy.sqlite.lzma is damaged.*Delete it"
  ):
    _hosted().fetch(str(tmp_path))
  assert _names(tmp_path) == ["toy.sqlite.lzma"]


def test_download_appears_when_it_is_whole(tmp_path, content):
  target = tmp_path / "cache" / "toy.sqlite"
  calls = []

  def loader(directory):
    calls.append(directory)
    with open(os.path.join(directory, "toy.sqlite"), "wb") as file:
      file.write(content[:100])
      assert not target.exists()
      file.write(content[100:])

  for _ in range(2):
    assert _hosted(loader).fetch(str(target.parent)) == str(target)

  assert len(calls) == 1
  assert target.read_bytes() == content
  assert _names(target.parent) == ["toy.sqlite"]


def test_no_network(tmp_path):
  with pytest.raises(_NotFetchedError) as caught:
    _hosted().fetch(str(tmp_path / "cache"))

  assert str(caught.value) == (
    "Toy Data could not be downloaded (ConnectionError: no route to host)."
    " Either fetch https://example.org/toy.sqlite.lzma on a machine that can,"
    " and put the file toy.sqlite.lzma (or toy.sqlite, unpacked with `xz"
    f" --decompress`) into {tmp_path / 'cache'}; or use toys.load_data()."
  )
  assert _names(tmp_path / "cache") == []


@pytest.mark.parametrize("kept", [0, 100, 6000])
def test_half_a_download_is_not_taken_for_the_data(tmp_path, content, kept):
  def loader(directory):
    with open(os.path.join(directory, "toy.sqlite"), "wb") as file:
      file.write(content[:kept])

  with pytest.raises(_NotFetchedError, match="_NotTheFileError"):
    _hosted(loader).fetch(str(tmp_path))
  assert _names(tmp_path) == []


def test_interrupted_download_leaves_nothing_behind(tmp_path, content):
  def loader(directory):
    with open(os.path.join(directory, "toy.sqlite"), "wb") as file:
      file.write(content[:100])
    raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    _hosted(loader).fetch(str(tmp_path))
  assert _names(tmp_path) == []


def _without_middle(content):
  third = len(content) // 3
  return content[:third] + b"\0" * third + content[2 * third :]


@pytest.mark.parametrize(
  "damage",
  [
    lambda content: b"<html>not found</html>" * 1000,
    lambda content: b"",
    lambda content: content[: len(content) // 2],
    _without_middle,
  ],
)
def test_damaged_file(tmp_path, content, damage):
  path = tmp_path / "toy.sqlite"
  path.write_bytes(damage(content))
  hosted = _hosted()

  with pytest.raises(
    _NotTheFileError,
    match="toy.sqlite is damaged or is not TFF's Toy Data.*toys.load_data",
  ):
    hosted.check_split(str(path), "test")
    client_data = tff.simulation.datasets.load_and_parse_sql_client_data(
      str(path), {"word": tf.TensorSpec([], tf.string)}, "test"
    )
    hosted.check_first_example(str(path), client_data)


def test_whole_file_passes(tmp_path, content):
  path = tmp_path / "toy.sqlite"
  path.write_bytes(content)
  hosted = _hosted()

  hosted.check_split(str(path), "test")
  client_data = tff.simulation.datasets.load_and_parse_sql_client_data(
    str(path), {"word": tf.TensorSpec([], tf.string)}, "test"
  )
  hosted.check_first_example(str(path), client_data)


def test_file_without_the_split(tmp_path):
  path = str(tmp_path / "toy.sqlite")
  _write(path, split="train")

  with pytest.raises(_NotTheFileError, match="no client in the split 'test'"):
    _hosted().check_split(path, "test")


def test_client_without_examples(tmp_path):
  path = str(tmp_path / "toy.sqlite")
  _write(path, num_examples=0)
  client_data = tff.simulation.datasets.load_and_parse_sql_client_data(
    path, {"word": tf.TensorSpec([], tf.string)}
  )

  with pytest.raises(_NotTheFileError, match="'ann' has no examples"):
    _hosted().check_first_example(path, client_data)


def test_cache_directory(monkeypatch):
  monkeypatch.setenv("HOME", "/home/ann")

  assert hosted_database.cache_directory(None) == "/home/ann/.tff"
  assert hosted_database.cache_directory("~/data") == "/home/ann/data"
  assert hosted_database.cache_directory("data") == os.path.abspath("data")
