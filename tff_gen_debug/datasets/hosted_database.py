"""A data set that TFF downloads as one SQLite file, and what can go wrong.

`tff.simulation.datasets` keeps EMNIST and Stack Overflow as `.sqlite.lzma` on a
server. This module adds what its loaders lack when the network or the file
fails: an interrupted download leaves nothing behind that the next run would
take for the data, a file brought by hand is taken as it came, and a damaged
file is named before training starts.
"""

import dataclasses
import lzma
import os
import pathlib
import shutil
import sqlite3
import tempfile
from typing import Any, Callable, Optional, Type, TypeVar

import tensorflow as tf
import tensorflow_federated as tff

_T = TypeVar("_T")

# What TFF reads, in statements that find nothing.
_TABLES = (
  "SELECT client_id, split_name, num_examples FROM client_metadata LIMIT 0",
  "SELECT client_id, split_name, serialized_example_proto FROM examples"
  " LIMIT 0",
)


class DownloadError(RuntimeError):
  """A file is not in the cache and could not be fetched."""


class DataFileError(RuntimeError):
  """A file in the cache is damaged or is not TFF's."""


@dataclasses.dataclass(frozen=True)
class HostedDatabase:
  """One such data set.

  Attributes:
    name: What messages call it.
    url: What TFF downloads.
    file_name: What TFF calls the file once unpacked.
    split: A split that tells the right file from others.
    loader: From a directory to whatever TFF's loader returns, after it has
      downloaded the file into that directory if it wasn't there.
    alternative: What messages recommend to use instead.
    download_error: Raised if there is no file and it can't be fetched.
    file_error: Raised if the file is damaged or another.
  """

  name: str
  url: str
  file_name: str
  split: str
  loader: Callable[[str], Any]
  alternative: str
  download_error: Type[DownloadError]
  file_error: Type[DataFileError]

  def fetch(self, cache_dir: Optional[str]) -> str:
    """Makes sure that the file is in the cache.

    Args:
      cache_dir: Directory of the data, made if it isn't there; TFF's own,
        `~/.tff`, if None. It may hold the file already, or the compressed
        file, which is then unpacked beside it.

    Returns:
      The file's absolute path.

    Raises:
      DownloadError: The `download_error`, if there is no file and it can't be
        downloaded; the message says where to put it by hand.
      DataFileError: The `file_error`, if the compressed file is damaged.
    """
    path = os.path.join(cache_directory(cache_dir), self.file_name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if not os.path.exists(path):
      if os.path.exists(path + ".lzma"):
        self._unpack(path + ".lzma", path)
      else:
        self._download(path)
    return path

  def check_split(self, path: str, split: str) -> None:
    """Raises the `file_error` unless the file lists clients of `split`.

    Args:
      path: The file.
      split: Name of the split.

    Raises:
      DataFileError: The `file_error`, also if the file is cut off or has not
        the tables that TFF reads.
    """
    query = "SELECT client_id FROM client_metadata WHERE split_name = ? LIMIT 1"
    missing = _missing_bytes(path)
    if missing:
      raise self._file_error(path, f"{missing} bytes are missing at its end")
    try:
      connection = sqlite3.connect(
        pathlib.Path(path).as_uri() + "?mode=ro", uri=True
      )
      try:
        for statement in _TABLES:
          connection.execute(statement)
        row = connection.execute(query, (split,)).fetchone()
      finally:
        connection.close()
    except (sqlite3.Error, UnicodeDecodeError) as error:
      raise self._file_error(path, error) from error
    if row is None:
      raise self._file_error(path, f"no client in the split {split!r}")

  def read(self, path: str, reader: Callable[[], _T]) -> _T:
    """Returns what `reader` makes of the file.

    Args:
      path: The file.
      reader: Reads it, by TFF's functions.

    Raises:
      DataFileError: The `file_error`, if it fails as it does on a damaged file.
    """
    try:
      return reader()
    except tf.errors.OpError as error:
      raise self._file_error(path, error.message) from error
    except (sqlite3.Error, UnicodeDecodeError) as error:
      # TensorFlow's own messages quote a damaged example, which need not be
      # UTF-8.
      raise self._file_error(path, error) from error

  def check_first_example(
    self, path: str, client_data: tff.simulation.datasets.ClientData
  ) -> None:
    """Raises the `file_error` unless the first client's data can be read."""
    client_id = client_data.client_ids[0]
    found = self.read(
      path,
      lambda: next(
        iter(client_data.create_tf_dataset_for_client(client_id)), None
      ),
    )
    if found is None:
      raise self._file_error(path, f"client {client_id!r} has no examples")

  def _download(self, path: str) -> None:
    """Lets TFF download into a directory of its own and moves the result."""
    directory = os.path.dirname(path)
    # TFF writes straight to the final name and takes any file of that name for
    # the data, so it must not see `path` until the download is complete.
    unfinished = tempfile.mkdtemp(
      prefix=f".{self.file_name}.download_", dir=directory
    )
    try:
      self.loader(unfinished)
      downloaded = os.path.join(unfinished, self.file_name)
      self.check_split(downloaded, self.split)
      os.replace(downloaded, path)
    except Exception as error:
      # The network, the disk, the unpacking and TFF's look at the result each
      # fail in ways of their own, and the remedy is the same.
      raise self.download_error(
        f"{self.name} could not be downloaded ({type(error).__name__}:"
        f" {error}). Either fetch {self.url} on a machine that can, and put the"
        f" file {self.file_name}.lzma (or {self.file_name}, unpacked with `xz"
        f" --decompress`) into {directory}; or use {self.alternative}."
      ) from error
    finally:
      shutil.rmtree(unfinished, ignore_errors=True)

  def _unpack(self, compressed: str, path: str) -> None:
    """Unpacks a file brought by hand; `path` appears when it is whole."""
    handle, unfinished = tempfile.mkstemp(
      prefix=f".{self.file_name}.unpack_", dir=os.path.dirname(path)
    )
    try:
      with os.fdopen(handle, "wb") as out, lzma.open(compressed) as packed:
        shutil.copyfileobj(packed, out, 1 << 20)
      os.replace(unfinished, path)
    except (EOFError, lzma.LZMAError) as error:
      raise self._file_error(compressed, error) from error
    finally:
      if os.path.exists(unfinished):
        os.remove(unfinished)

  def _file_error(self, path: str, reason: object) -> DataFileError:
    return self.file_error(
      f"{path} is damaged or is not TFF's {self.name} ({reason}). Delete it and"
      f" load again, or use {self.alternative}."
    )


def _missing_bytes(path: str) -> int:
  """How many bytes an SQLite file has lost at its end, by its own header.

  SQLite itself notices when it reads a page that is not there, which may be
  late in a training.

  Args:
    path: The file, or something else; of that nothing is missing.
  """
  if not os.path.isfile(path):
    return 0
  with open(path, "rb") as file:
    header = file.read(100)
  # https://www.sqlite.org/fileformat.html: the size in pages is valid if the
  # two counters of changes agree. A size of 1 is 65,536.
  if len(header) < 100 or header[24:28] != header[92:96]:
    return 0
  page_size = int.from_bytes(header[16:18], "big")
  pages = int.from_bytes(header[28:32], "big")
  size = pages * (65_536 if page_size == 1 else page_size)
  return max(size - os.path.getsize(path), 0)


def cache_directory(cache_dir: Optional[str]) -> str:
  """Returns the absolute path of a cache directory, TFF's own if None.

  Args:
    cache_dir: Path of the directory, which need not exist.

  Raises:
    TypeError: If it is not a path of text.
    ValueError: If it has a NUL, which no path can hold.
  """
  if cache_dir is None:
    cache_dir = "~/.tff"
  if not isinstance(cache_dir, (str, os.PathLike)):
    raise TypeError(f"cache_dir must be a str or None, got {cache_dir!r}")
  if "\0" in os.fspath(cache_dir):
    raise ValueError(f"cache_dir must not have a NUL, got {cache_dir!r}")
  return os.path.abspath(os.path.expanduser(cache_dir))
