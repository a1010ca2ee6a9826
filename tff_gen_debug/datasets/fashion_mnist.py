"""Fashion-MNIST: photographs of clothes in the place of MNIST's digits.

Xiao, Rasul and Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking
Machine Learning Algorithms" (2017, arXiv:1708.07747): 60,000 and 10,000 grey
images of 28 x 28 pixels in 10 classes, by Zalando, under the MIT licence.

The set has no users, so `load_data` makes clients by `dirichlet.partition`.
"""

import os
from typing import List, Optional, Sequence, Tuple

import numpy as np
import tensorflow_federated as tff

from tff_gen_debug.datasets import dirichlet
from tff_gen_debug.datasets import handwriting_source
from tff_gen_debug.datasets import hosted_database
from tff_gen_debug.datasets import idx_files
from tff_gen_debug.datasets import image_clients

IMAGE_SIZE = 28
NUM_CLASSES = 10

# Where TensorFlow Datasets 4.9.3 has the files from; it knows their checksums.
URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"

DEBIAN_PACKAGE = "dataset-fashion-mnist"
DEBIAN_DIRECTORY = "/usr/share/datasets/fashion-mnist"

_CACHE_NAME = "fashion-mnist"


class FashionMnistDownloadError(hosted_database.DownloadError):
  """Fashion-MNIST is nowhere on this machine and could not be fetched."""


class FashionMnistFileError(hosted_database.DataFileError):
  """A file of Fashion-MNIST is damaged or holds something else."""


LabelledImages = idx_files.LabelledImages

# Measured from Debian's dataset-fashion-mnist 0.0~git20200523.55506a9-1. With
# the file name and the time that Debian took out of their gzip headers put back
# in, its files have the four checksums by which TensorFlow Datasets knows
# Zalando's own.
_TRAIN = idx_files.Files(
  images=idx_files.ArrayFile(
    "train-images-idx3-ubyte",
    (60_000, IMAGE_SIZE, IMAGE_SIZE),
    "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012",
  ),
  labels=idx_files.ArrayFile(
    "train-labels-idx1-ubyte",
    (60_000,),
    "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7",
  ),
)
_TEST = idx_files.Files(
  images=idx_files.ArrayFile(
    "t10k-images-idx3-ubyte",
    (10_000, IMAGE_SIZE, IMAGE_SIZE),
    "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a",
  ),
  labels=idx_files.ArrayFile(
    "t10k-labels-idx1-ubyte",
    (10_000,),
    "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9",
  ),
)


def load_arrays(
  cache_dir: Optional[str] = None,
) -> Tuple[LabelledImages, LabelledImages]:
  """Loads Fashion-MNIST as arrays.

  Looks for the four original files, compressed or not, in `cache_dir`, then
  where Debian's package `dataset-fashion-mnist` puts them, and then has
  TensorFlow Datasets download them into `cache_dir`. Wherever they come from,
  the arrays are the same, in the same order: their content is verified.
  TensorFlow Datasets' own prepared copies are not used, since it shuffles them.

  Args:
    cache_dir: Directory of the data, `~/.tff_gen_debug/fashion-mnist` if None.

  Returns:
    Train and test, 60,000 and 10,000 images: uint8 `[n, 28, 28]`, background 0
    to 255, and labels 0..9, uint8 `[n]`.

  Raises:
    FashionMnistDownloadError: If there are no such files and they can't be
      downloaded; the message says what to do.
    FashionMnistFileError: If a file is damaged or holds something else.
  """
  directory = hosted_database.cache_directory(
    cache_dir
    or os.path.join(handwriting_source.default_cache_dir(), _CACHE_NAME)
  )
  for source in (directory, DEBIAN_DIRECTORY):
    if all(idx_files.are_in(source, files) for files in (_TRAIN, _TEST)):
      return _read(source)
  return _download(directory)


def load_data(
  *,
  num_clients: int = 100,
  alpha: float = 1.0,
  seed: int = 0,
  cache_dir: Optional[str] = None,
) -> Tuple[
  tff.simulation.datasets.ClientData, tff.simulation.datasets.ClientData
]:
  """Loads Fashion-MNIST as client data, each client with classes of its own.

  Both halves are partitioned by `dirichlet.partition`, train with `seed` itself
  and test with one that follows from it. They have no client in common:
  `train_00` to `train_99` and `test_00` to `test_16` by default.

  Examples are as in `tff.simulation.datasets.emnist`: OrderedDict with `label`,
  int32 scalar in 0..9, and `pixels`, float32 `[28, 28]` in [0, 1], background
  1.0 and the brightest cloth 0.0.

  Args:
    num_clients: Clients in train, in [1, 60000]. Test has a sixth of that,
      rounded, and at least one, so that clients are equally large.
    alpha: Concentration of the classes, positive: `math.inf` makes clients
      alike, near 0 each has a single class. The sum of the Dirichlet's
      parameters, as in Hsu et al.; see `dirichlet`.
    seed: Integer in [0, 2**63 - 1].
    cache_dir: As in `load_arrays`.

  Returns:
    Train and test client data.

  Raises:
    FashionMnistDownloadError: If there is no data and it can't be downloaded;
      the message says what to do.
    FashionMnistFileError: If a file is damaged or holds something else.
    TypeError: If an argument has the wrong type.
    ValueError: If an argument is out of range.
  """
  train, test = load_arrays(cache_dir)
  train_parts = dirichlet.partition(train.labels, num_clients, alpha, seed)
  num_test_clients = max(
    1, round(num_clients * len(test.labels) / len(train.labels))
  )
  test_parts = dirichlet.partition(
    test.labels, num_test_clients, alpha, _test_seed(seed)
  )
  return (
    image_clients.from_arrays(*train, train_parts, _ids("train", train_parts)),
    image_clients.from_arrays(*test, test_parts, _ids("test", test_parts)),
  )


def _ids(prefix: str, parts: Sequence[np.ndarray]) -> List[str]:
  width = len(str(len(parts) - 1))
  return [f"{prefix}_{k:0{width}d}" for k in range(len(parts))]


def _test_seed(seed: int) -> int:
  """A seed in [0, 2**63 - 1] for draws independent of those with `seed`."""
  state = np.random.SeedSequence(seed, spawn_key=(1,)).generate_state(
    1, np.uint64
  )
  return int(state[0] >> np.uint64(1))


def _read(directory: str) -> Tuple[LabelledImages, LabelledImages]:
  """Reads and verifies the files of a directory that has all of them."""
  train = idx_files.read(directory, _TRAIN, _file_error)
  return train, idx_files.read(directory, _TEST, _file_error)


def _file_error(path: str, reason: object) -> FashionMnistFileError:
  if os.path.dirname(path) == DEBIAN_DIRECTORY:
    remedy = f"Run apt-get install --reinstall {DEBIAN_PACKAGE}"
  else:
    remedy = "Delete it"
  return FashionMnistFileError(
    f"{path} is damaged or is not Fashion-MNIST's ({reason}). {remedy} and load"
    " again."
  )


def _download(directory: str) -> Tuple[LabelledImages, LabelledImages]:
  try:
    train, test = idx_files.download(
      URL, (_TRAIN, _TEST), directory, _file_error
    )
  except Exception as error:
    # The network, the disk, TensorFlow Datasets (or its absence) and the look
    # at the result each fail in ways of their own, and the remedy is the same.
    names = [f"{file.name}.gz" for file in (*_TRAIN, *_TEST)]
    raise FashionMnistDownloadError(
      f"Fashion-MNIST is neither in {directory} nor in {DEBIAN_DIRECTORY}, and"
      f" could not be downloaded ({type(error).__name__}: {error}). Either"
      f" install Debian's package: apt-get install {DEBIAN_PACKAGE}; or fetch"
      f" {', '.join(names)} from {URL} on a machine that can, and put them into"
      f" {directory}; or load again with a network and tensorflow-datasets"
      " installed."
    ) from error
  return train, test
