"""Federated EMNIST: TFF's own loader, with errors that say what to do.

The data is `tff.simulation.datasets.emnist`'s: digits and letters by writer
(Caldas et al., "LEAF", 2018, arXiv:1812.01097). This module adds what the
loader lacks when the network or the file fails: an interrupted download leaves
nothing behind that the next run would take for the data, a file brought by hand
is taken as it came, and a damaged file is named before training starts.
"""

import lzma
import os
import pathlib
import shutil
import sqlite3
import tempfile
from typing import Optional, Tuple

import tensorflow as tf
import tensorflow_federated as tff

# What TFF 0.87 downloads, and what it calls the file once unpacked.
URL = (
  "https://storage.googleapis.com/tff-datasets-public/emnist_all.sqlite.lzma"
)
FILE_NAME = "emnist_all.sqlite"


class EmnistDownloadError(RuntimeError):
  """The EMNIST file is not in the cache and could not be fetched."""


class EmnistFileError(RuntimeError):
  """The EMNIST file is damaged or is not TFF's."""


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
  directory = os.path.abspath(
    os.path.expanduser(cache_dir if cache_dir is not None else "~/.tff")
  )
  path = os.path.join(directory, FILE_NAME)
  os.makedirs(directory, exist_ok=True)
  if not os.path.exists(path):
    if os.path.exists(path + ".lzma"):
      _unpack(path + ".lzma", path)
    else:
      _download(path)
  prefix = "digits_only" if only_digits else "all"
  for split in (f"{prefix}_train", f"{prefix}_test"):
    _check_split(path, split)
  train, test = tff.simulation.datasets.emnist.load_data(
    only_digits=only_digits, cache_dir=directory
  )
  for split in (train, test):
    _check_first_example(path, split)
  return train, test


def _download(path: str) -> None:
  """Lets TFF download into a directory of its own and moves the result."""
  directory = os.path.dirname(path)
  # TFF writes straight to the final name and takes any file of that name for
  # the data, so it must not see `path` until the download is complete.
  unfinished = tempfile.mkdtemp(prefix="emnist_download_", dir=directory)
  try:
    tff.simulation.datasets.emnist.load_data(cache_dir=unfinished)
    downloaded = os.path.join(unfinished, FILE_NAME)
    _check_split(downloaded, "all_test")
    os.replace(downloaded, path)
  except Exception as error:
    # The network, the disk, the unpacking and TFF's look at the result each
    # fail in ways of their own, and the remedy is the same.
    raise EmnistDownloadError(
      f"EMNIST could not be downloaded ({type(error).__name__}: {error})."
      f" Either fetch {URL} on a machine that can, and put the file"
      f" {FILE_NAME}.lzma (or {FILE_NAME}, unpacked with `xz --decompress`)"
      f" into {directory}; or use the real digits that come with this package:"
      " tff_gen_debug.datasets.handwriting.load_data()."
    ) from error
  finally:
    shutil.rmtree(unfinished, ignore_errors=True)


def _unpack(compressed: str, path: str) -> None:
  """Unpacks a file brought by hand; `path` appears when it is whole."""
  handle, unfinished = tempfile.mkstemp(
    dir=os.path.dirname(path), prefix="emnist_unpack_"
  )
  try:
    with os.fdopen(handle, "wb") as out, lzma.open(compressed) as packed:
      shutil.copyfileobj(packed, out, 1 << 20)
    os.replace(unfinished, path)
  except (EOFError, lzma.LZMAError) as error:
    raise _file_error(compressed, error) from error
  finally:
    if os.path.exists(unfinished):
      os.remove(unfinished)


def _check_split(path: str, split: str) -> None:
  """Raises EmnistFileError unless the database lists clients of `split`."""
  query = "SELECT client_id FROM client_metadata WHERE split_name = ? LIMIT 1"
  try:
    connection = sqlite3.connect(
      pathlib.Path(path).as_uri() + "?mode=ro", uri=True
    )
    try:
      row = connection.execute(query, (split,)).fetchone()
    finally:
      connection.close()
  except sqlite3.Error as error:
    raise _file_error(path, error) from error
  if row is None:
    raise _file_error(path, f"no client in the split {split!r}")


def _check_first_example(
  path: str, client_data: tff.simulation.datasets.ClientData
) -> None:
  """Raises EmnistFileError unless the first client's data can be read."""
  client_id = client_data.client_ids[0]
  try:
    dataset = client_data.create_tf_dataset_for_client(client_id)
    found = next(iter(dataset), None)
  except tf.errors.OpError as error:
    raise _file_error(path, error.message) from error
  if found is None:
    raise _file_error(path, f"client {client_id!r} has no examples")


def _file_error(path: str, reason) -> EmnistFileError:
  return EmnistFileError(
    f"{path} is damaged or is not TFF's EMNIST ({reason}). Delete it and load"
    " again, or use tff_gen_debug.datasets.handwriting.load_data()."
  )
