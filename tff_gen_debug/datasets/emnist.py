"""Federated EMNIST: TFF's own loader, with errors that say what to do.

The data is `tff.simulation.datasets.emnist`'s: digits and letters by writer
(Caldas et al., "LEAF", 2018, arXiv:1812.01097). `hosted_database` has what this
loader adds to TFF's.
"""

import os
from typing import Optional, Tuple

import tensorflow_federated as tff

from tff_gen_debug.datasets import hosted_database

# What TFF 0.87 downloads, and what it calls the file once unpacked.
URL = (
  "https://storage.googleapis.com/tff-datasets-public/emnist_all.sqlite.lzma"
)
FILE_NAME = "emnist_all.sqlite"


class EmnistDownloadError(hosted_database.DownloadError):
  """The EMNIST file is not in the cache and could not be fetched."""


class EmnistFileError(hosted_database.DataFileError):
  """The EMNIST file is damaged or is not TFF's."""


_DATABASE = hosted_database.HostedDatabase(
  name="EMNIST",
  url=URL,
  file_name=FILE_NAME,
  split="all_test",
  loader=lambda directory: tff.simulation.datasets.emnist.load_data(
    cache_dir=directory
  ),
  alternative=(
    "the real digits that come with this package:"
    " tff_gen_debug.datasets.handwriting.load_data()"
  ),
  download_error=EmnistDownloadError,
  file_error=EmnistFileError,
)


def load_data(
  only_digits: bool = True, cache_dir: Optional[str] = None
) -> Tuple[
  tff.simulation.datasets.ClientData, tff.simulation.datasets.ClientData
]:
  """Loads federated EMNIST, from the cache or from TFF's server.

  Examples are OrderedDicts with `label`, int32 scalar, and `pixels`, float32
  `[28, 28]` in [0, 1], paper 1.0 and ink 0.0. Every client is in train and in
  test, with different examples.

  Args:
    only_digits: True for 3,383 clients with labels 0..9, False for 3,400
      clients with labels 0..61 (see `preprocessing.fold_emnist_labels`).
    cache_dir: Directory of the data; TFF's own, `~/.tff`, if None. It may hold
      `emnist_all.sqlite` already, or the compressed `emnist_all.sqlite.lzma`,
      which is then unpacked beside it.

  Returns:
    Train and test client data.

  Raises:
    EmnistDownloadError: If there is no file and it can't be downloaded; the
      message says where to put it by hand.
    EmnistFileError: If the file is damaged or holds other data.
    TypeError: If `only_digits` is not a bool.
  """
  if not isinstance(only_digits, bool):
    raise TypeError(
      f"only_digits must be a bool, got {type(only_digits).__name__}"
    )
  path = _DATABASE.fetch(cache_dir)
  prefix = "digits_only" if only_digits else "all"
  for split in (f"{prefix}_train", f"{prefix}_test"):
    _DATABASE.check_split(path, split)
  train, test = _DATABASE.read(
    path,
    lambda: tff.simulation.datasets.emnist.load_data(
      only_digits=only_digits, cache_dir=os.path.dirname(path)
    ),
  )
  for half in (train, test):
    _DATABASE.check_first_example(path, half)
  return train, test
