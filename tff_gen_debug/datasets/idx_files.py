"""MNIST's four files, and those of the sets that come in the same form.

A half of the data, train or test, is two IDX files: images and labels. This
module finds them in a directory, plain or compressed, reads them and has
TensorFlow Datasets download them. Whoever asks says which files they are, and
only what has the expected digest is taken for them.

TensorFlow Datasets takes seconds to import, so only a download imports it; this
module needs neither TensorFlow nor TensorFlow Federated otherwise.
"""

import contextlib
import gzip
import hashlib
import os
import shutil
import socket
import tempfile
from typing import (
  Callable,
  Iterator,
  List,
  NamedTuple,
  Optional,
  Sequence,
  Tuple,
)
import urllib.parse
import urllib.request
import zlib

import numpy as np

from tff_gen_debug.datasets import idx

_CONNECT_SECONDS = 10
_PORTS = {"http": 80, "https": 443}


class LabelledImages(NamedTuple):
  """Images and what each of them shows.

  Attributes:
    images: uint8, read-only: `[n, height, width]` if grey, 0 the background and
      255 the brightest; `[n, height, width, 3]`, RGB, if in colour.
    labels: Classes, counted from 0, uint8 `[n]`, read-only.
  """

  images: np.ndarray
  labels: np.ndarray


class ArrayFile(NamedTuple):
  """An IDX file of unsigned bytes, which may have `.gz` after its name.

  Attributes:
    name: The name of the file, not compressed.
    shape: The shape of the array in it.
    sha256: The digest of the array's bytes, without the header.
  """

  name: str
  shape: Tuple[int, ...]
  sha256: str


class Files(NamedTuple):
  """The files of one half of the data."""

  images: ArrayFile
  labels: ArrayFile


# Makes the exception to raise from the path of a file and what is wrong with
# it.
FileError = Callable[[str, object], Exception]


def are_in(directory: str, files: Files) -> bool:
  """Returns whether both files are there, plain or compressed."""
  return all(_find(directory, file.name) for file in files)


def read(directory: str, files: Files, file_error: FileError) -> LabelledImages:
  """Reads and verifies the files of a directory that has both.

  Args:
    directory: Where they are. A plain file comes before a compressed one.
    files: Which files to read.
    file_error: Makes the exception for a bad file, from its path and a reason.

  Returns:
    The arrays, of the shapes and with the digests that `files` says.

  Raises:
    Exception: What `file_error` returns, if a file is missing, damaged or
      another one.
  """
  return LabelledImages(
    *(_read_array(directory, file, file_error) for file in files)
  )


def parse(data: bytes, file: ArrayFile) -> np.ndarray:
  """Reads and verifies the content of a file.

  Args:
    data: The whole file, decompressed.
    file: What it has to be.

  Returns:
    uint8 array of the shape that `file` says, read-only: a view of `data`.

  Raises:
    ValueError: If the content is not what `file` says.
  """
  array = idx.parse(data)
  if array.shape != file.shape:
    raise ValueError(
      f"its shape must be {list(file.shape)}, got {list(array.shape)}"
    )
  found = hashlib.sha256(array.data).hexdigest()
  if found != file.sha256:
    raise ValueError(f"its values must have sha256 {file.sha256}, got {found}")
  return array


def download(
  url: str, halves: Sequence[Files], directory: str, file_error: FileError
) -> List[LabelledImages]:
  """Fetches compressed files; they appear when all are whole and verified.

  Args:
    url: What to put before `<name>.gz`.
    halves: The files.
    directory: Where to put them; made if it isn't there.
    file_error: As in `read`.

  Returns:
    The arrays of each of `halves`.

  Raises:
    Exception: What `file_error` returns, if the server has other files. Or what
      the network, the disk or TensorFlow Datasets raise, which is of many
      kinds; nothing is left in `directory` then.
  """
  names = [file.name + ".gz" for files in halves for file in files]
  with unfinished_directory(directory) as unfinished:
    check_connection(url)
    # Here, because it takes seconds and few come this far.
    import tensorflow_datasets as tfds

    manager = tfds.download.DownloadManager(download_dir=unfinished)
    # One after the other: if one of several at once fails, the others go on
    # writing while the directory is cleared away.
    for name in names:
      path = manager.download(url + name)
      os.replace(path, os.path.join(unfinished, name))
    arrays = [read(unfinished, files, file_error) for files in halves]
    for name in names:
      os.replace(os.path.join(unfinished, name), os.path.join(directory, name))
  return arrays


@contextlib.contextmanager
def unfinished_directory(directory: str) -> Iterator[str]:
  """A directory inside `directory`, which is made, to fetch files into.

  It is removed in the end, whatever is in it; what is good is moved out before.

  Args:
    directory: Where the files are to be in the end.

  Yields:
    The path of the new directory, on the same file system.

  Raises:
    OSError: If a directory can't be made.
  """
  os.makedirs(directory, exist_ok=True)
  unfinished = tempfile.mkdtemp(prefix=".download_", dir=directory)
  try:
    yield unfinished
  finally:
    shutil.rmtree(unfinished, ignore_errors=True)


def check_connection(url: str) -> None:
  """Makes sure that a server answers, unless there is a proxy to ask.

  TensorFlow Datasets tries again for minutes (204 and 206 s were measured for
  names that do not resolve) before it says that it can't reach a server.

  Args:
    url: An address on the server, `http` or `https`.

  Raises:
    OSError: If the server can't be reached within 10 seconds.
  """
  if urllib.request.getproxies():
    return
  server = urllib.parse.urlsplit(url)
  address = (server.hostname, server.port or _PORTS[server.scheme])
  socket.create_connection(address, timeout=_CONNECT_SECONDS).close()


def _find(directory: str, name: str) -> Optional[str]:
  """The path of a file, plain or compressed, or None."""
  for path in (os.path.join(directory, name + end) for end in ("", ".gz")):
    if os.path.isfile(path):
      return path
  return None


def _read_array(
  directory: str, file: ArrayFile, file_error: FileError
) -> np.ndarray:
  path = _find(directory, file.name) or os.path.join(directory, file.name)
  size = idx.num_bytes(file.shape)
  try:
    with open(path, "rb") as plain:
      opened = gzip.GzipFile(fileobj=plain) if path.endswith(".gz") else plain
      # No more than tells a file that is too long: gigabytes of one value
      # compress to next to nothing.
      data = opened.read(size + 1)
    if len(data) > size:
      raise ValueError(f"it must have {size} bytes, got more")
    return parse(data, file)
  except (EOFError, OSError, ValueError, zlib.error) as error:
    raise file_error(path, error) from error
