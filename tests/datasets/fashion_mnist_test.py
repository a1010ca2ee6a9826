"""Tests for fashion_mnist, on small files of its form and on the real ones."""

import gzip
import os

import numpy as np
import pytest
import tensorflow_datasets as tfds
import tensorflow_federated as tff

from tests.datasets import small_idx_files as small
from tff_gen_debug.datasets import dirichlet
from tff_gen_debug.datasets import fashion_mnist

_installed = os.path.exists(
  os.path.join(fashion_mnist.DEBIAN_DIRECTORY, f"{small.NAMES[0]}.gz")
)
needs_the_data = pytest.mark.skipif(
  not _installed,
  reason="needs the data: apt-get install dataset-fashion-mnist",
)


@pytest.fixture(autouse=True)
def _no_home(monkeypatch, tmp_path):
  monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture(name="small_data")
def _small_data(monkeypatch, tmp_path):
  """The loader takes the small files for Fashion-MNIST's; none is there yet."""
  monkeypatch.setattr(fashion_mnist, "_TRAIN", small.TRAIN)
  monkeypatch.setattr(fashion_mnist, "_TEST", small.TEST)
  monkeypatch.setattr(
    fashion_mnist, "DEBIAN_DIRECTORY", str(tmp_path / "debian")
  )
  # Nobody answers there.
  monkeypatch.setattr(fashion_mnist, "URL", "http://127.0.0.1:9/")
  small.forget_proxies(monkeypatch)


@pytest.fixture(name="server")
def _server(monkeypatch, tmp_path, small_data):
  """A directory that is served where the loader downloads from."""
  del small_data
  directory = tmp_path / "server"
  directory.mkdir()
  with small.serve(directory) as url:
    monkeypatch.setattr(fashion_mnist, "URL", url)
    yield directory


def _assert_small(halves):
  for half, files in zip(halves, (small.TRAIN, small.TEST)):
    small.assert_is(half, files)


@pytest.mark.parametrize("packed", [True, False])
def test_files_in_the_cache(tmp_path, small_data, packed):
  small.put(tmp_path / "cache", packed)

  _assert_small(fashion_mnist.load_arrays(str(tmp_path / "cache")))


def test_cache_is_in_the_home_directory(tmp_path, small_data):
  small.put(tmp_path / "home" / ".tff_gen_debug" / "fashion-mnist")

  _assert_small(fashion_mnist.load_arrays())


def test_tilde_is_the_home_directory(tmp_path, small_data):
  small.put(tmp_path / "home" / "data")

  _assert_small(fashion_mnist.load_arrays("~/data"))


def test_cache_comes_before_debian(tmp_path, small_data):
  small.put(tmp_path / "cache")
  small.put_rubbish(tmp_path / "debian")

  _assert_small(fashion_mnist.load_arrays(str(tmp_path / "cache")))


def test_debian_comes_before_the_network(tmp_path, server):
  small.put(tmp_path / "debian")
  small.put_rubbish(server, ".gz")

  _assert_small(fashion_mnist.load_arrays(str(tmp_path / "cache")))
  assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("missing", small.NAMES)
def test_incomplete_directory_is_passed_over(tmp_path, small_data, missing):
  small.put(tmp_path / "cache", leave_out=[missing])
  small.put(tmp_path / "debian")

  _assert_small(fashion_mnist.load_arrays(str(tmp_path / "cache")))


def test_download(tmp_path, server):
  small.put(server)
  cache = tmp_path / "cache"

  _assert_small(fashion_mnist.load_arrays(str(cache)))

  names = sorted(path.name for path in cache.iterdir())
  assert names == sorted(f"{name}.gz" for name in small.NAMES)
  for name in names:
    (server / name).unlink()
  _assert_small(fashion_mnist.load_arrays(str(cache)))


def test_downloads_what_tensorflow_datasets_knows_the_checksums_of():
  fashion = tfds.builder_cls("fashion_mnist")

  assert fashion.URL == fashion_mnist.URL
  for name in small.NAMES:
    assert f"{fashion_mnist.URL}{name}.gz" in fashion.url_infos


def test_server_lacks_a_file(tmp_path, server):
  small.put(server, leave_out=[small.NAMES[2]])

  with pytest.raises(fashion_mnist.FashionMnistDownloadError, match="404"):
    fashion_mnist.load_arrays(str(tmp_path / "cache"))
  assert list((tmp_path / "cache").iterdir()) == []


def test_server_has_other_files(tmp_path, server):
  small.put(server)
  changed = small.flip_last(small.content(small.NAMES[3]))
  (server / f"{small.NAMES[3]}.gz").write_bytes(gzip.compress(changed))

  with pytest.raises(
    fashion_mnist.FashionMnistDownloadError, match="must have sha256"
  ):
    fashion_mnist.load_arrays(str(tmp_path / "cache"))
  assert list((tmp_path / "cache").iterdir()) == []


def test_nothing_anywhere(tmp_path, small_data):
  cache = tmp_path / "cache"

  with pytest.raises(fashion_mnist.FashionMnistDownloadError) as caught:
    fashion_mnist.load_arrays(str(cache))

  message = str(caught.value)
  assert message.startswith(
    f"Fashion-MNIST is neither in {cache} nor in {tmp_path / 'debian'}, and"
    " could not be downloaded (ConnectionRefusedError:"
  )
  assert "apt-get install dataset-fashion-mnist" in message
  for name in small.NAMES:
    assert f"{name}.gz" in message
  assert "from http://127.0.0.1:9/ on a machine that can" in message
  assert f"into {cache}" in message
  assert "with a network and tensorflow-datasets installed" in message
  assert list(cache.iterdir()) == []


def test_cache_that_cannot_be_made(tmp_path, small_data):
  (tmp_path / "file").write_bytes(b"")

  with pytest.raises(
    fashion_mnist.FashionMnistDownloadError, match="NotADirectoryError"
  ):
    fashion_mnist.load_arrays(str(tmp_path / "file" / "cache"))


@pytest.mark.parametrize("name", small.NAMES)
def test_damaged_file(tmp_path, small_data, name):
  small.put(tmp_path)
  path = tmp_path / f"{name}.gz"
  damaged = small.flip_last(small.content(name))
  path.write_bytes(gzip.compress(damaged))

  with pytest.raises(
    fashion_mnist.FashionMnistFileError,
    match=rf"{path.name} is damaged .*sha256.*\. Delete it and load again",
  ):
    fashion_mnist.load_arrays(str(tmp_path))


def test_damaged_debian_file_is_installed_again(tmp_path, small_data):
  small.put_rubbish(tmp_path / "debian")

  with pytest.raises(
    fashion_mnist.FashionMnistFileError,
    match="Run apt-get install --reinstall dataset-fashion-mnist and load",
  ):
    fashion_mnist.load_arrays(str(tmp_path / "cache"))


def _examples(client_data, client_id):
  """The labels and the ink, 0 to 255, of a client."""
  dataset = client_data.create_tf_dataset_for_client(client_id)
  labels, inks = [], []
  for example in dataset:
    labels.append(int(example["label"]))
    inks.append(np.rint(255 * (1 - example["pixels"].numpy())))
  return labels, np.array(inks)


def test_clients_are_the_partition(tmp_path, small_data):
  small.put(tmp_path)
  images = np.frombuffer(small.values(small.NAMES[0]), np.uint8).reshape(
    60, 28, 28
  )

  train, test = fashion_mnist.load_data(
    num_clients=12, alpha=0.5, seed=3, cache_dir=str(tmp_path)
  )

  assert train.client_ids == [f"train_{k:02d}" for k in range(12)]
  assert test.client_ids == ["test_0", "test_1"]
  emnist = tff.simulation.datasets.emnist.get_synthetic()
  for half in (train, test):
    assert half.element_type_structure == emnist.element_type_structure
  parts = dirichlet.partition(np.arange(60) % 10, 12, 0.5, 3)
  for client_id, part in zip(train.client_ids, parts):
    labels, inks = _examples(train, client_id)
    assert labels == [row % 10 for row in part]
    np.testing.assert_array_equal(inks, images[part])


def test_halves_are_partitioned_independently(tmp_path, small_data):
  small.put(tmp_path)
  labels = np.arange(10)

  _, test = fashion_mnist.load_data(
    num_clients=60, seed=3, cache_dir=str(tmp_path)
  )

  found = [_examples(test, c)[0] for c in test.client_ids]
  with_same_seed = dirichlet.partition(labels, 10, 1.0, 3)
  assert found != [labels[part].tolist() for part in with_same_seed]


def test_every_test_image_has_a_client(tmp_path, small_data):
  small.put(tmp_path)
  expected = np.frombuffer(small.values(small.NAMES[2]), np.uint8).reshape(
    10, -1
  )

  _, test = fashion_mnist.load_data(num_clients=12, cache_dir=str(tmp_path))
  found = np.concatenate([_examples(test, c)[1] for c in test.client_ids])

  found = sorted(found.reshape(10, -1).tolist())
  assert found == sorted(expected.tolist())


@pytest.mark.parametrize(
  "num_clients, expected", [(1, 1), (3, 1), (10, 2), (12, 2), (60, 10)]
)
def test_test_has_a_sixth_of_the_clients(
  tmp_path, small_data, num_clients, expected
):
  small.put(tmp_path)

  train, test = fashion_mnist.load_data(
    num_clients=num_clients, cache_dir=str(tmp_path)
  )

  assert len(train.client_ids) == num_clients
  assert len(test.client_ids) == expected


def test_seed_decides_both_halves(tmp_path, small_data):
  small.put(tmp_path)

  def labels(seed):
    halves = fashion_mnist.load_data(
      num_clients=12, seed=seed, cache_dir=str(tmp_path)
    )
    return [[_examples(half, c)[0] for c in half.client_ids] for half in halves]

  first, again, other = labels(0), labels(0), labels(1)
  assert first == again
  assert first[0] != other[0]
  assert first[1] != other[1]


@pytest.mark.parametrize(
  "change, error, message",
  [
    ({"num_clients": 61}, ValueError, r"num_clients must be in \[1, 60\]"),
    ({"num_clients": 0}, ValueError, r"num_clients must be in \[1, 60\]"),
    ({"alpha": 0.0}, ValueError, "alpha must be positive"),
    ({"seed": -1}, ValueError, "seed must be in"),
  ],
)
def test_bad_arguments(tmp_path, small_data, change, error, message):
  small.put(tmp_path)

  with pytest.raises(error, match=message):
    fashion_mnist.load_data(
      **{"num_clients": 12, "cache_dir": str(tmp_path), **change}
    )


@needs_the_data
def test_real_arrays(tmp_path):
  train, test = fashion_mnist.load_arrays(str(tmp_path))

  assert train.images.shape == (60_000, 28, 28)
  assert test.images.shape == (10_000, 28, 28)
  # The paper: classes of equal size in both halves, pixels of 0 to 255.
  assert np.bincount(train.labels).tolist() == [6_000] * 10
  assert np.bincount(test.labels).tolist() == [1_000] * 10
  assert train.images.min() == 0 and train.images.max() == 255
  # The corners are background, which is 0, more often than not.
  assert (np.median(train.images[:, ::27, ::27], axis=0) == 0).all()
  # An ankle boot (9) comes first, in train as in test.
  assert train.labels[0] == test.labels[0] == 9


@needs_the_data
def test_real_clients_in_a_computation(tmp_path, tff_runtime):
  del tff_runtime
  train, test = fashion_mnist.load_data(
    num_clients=600, alpha=0.1, cache_dir=str(tmp_path)
  )

  assert len(train.client_ids) == 600
  assert len(test.client_ids) == 100
  # The computation that holds all images reaches TFF's worker.
  dataset = train.dataset_computation("train_123")
  labels = [int(example["label"]) for example in dataset]
  assert labels == _examples(train, "train_123")[0]
  assert len(labels) == 100
