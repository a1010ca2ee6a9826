"""Federated Stack Overflow: TFF's own loader, with errors that say what to do.

The data is `tff.simulation.datasets.stackoverflow`'s: the sentences of
questions and answers by user, 342,477 of them in train. `hosted_database` has
what this loader adds to TFF's; without a network, `docstrings.load_data()` has
real text with the same fields.
"""

import collections
import os
from typing import Any, Callable, Optional, Tuple

import tensorflow_federated as tff

from tff_gen_debug.datasets import hosted_database

_SERVER = "https://storage.googleapis.com/tff-datasets-public/"

# What TFF 0.87 downloads, and what it calls the database once unpacked.
URL = _SERVER + "stackoverflow.sqlite.lzma"
FILE_NAME = "stackoverflow.sqlite"
WORD_COUNTS_URL = _SERVER + "stackoverflow.word_count.tar.bz2"
TAG_COUNTS_URL = _SERVER + "stackoverflow.tag_count.tar.bz2"

_ALTERNATIVE = (
  "real text that needs no network: tff_gen_debug.datasets.docstrings"
  ".load_data()"
)


class StackOverflowDownloadError(hosted_database.DownloadError):
  """A file of Stack Overflow is not in the cache and could not be fetched."""


class StackOverflowFileError(hosted_database.DataFileError):
  """The Stack Overflow file is damaged or is not TFF's."""


_DATABASE = hosted_database.HostedDatabase(
  name="Stack Overflow",
  url=URL,
  file_name=FILE_NAME,
  split="heldout",
  loader=lambda directory: tff.simulation.datasets.stackoverflow.load_data(
    cache_dir=directory
  ),
  alternative=_ALTERNATIVE,
  download_error=StackOverflowDownloadError,
  file_error=StackOverflowFileError,
)


def load_data(
  cache_dir: Optional[str] = None,
) -> Tuple[
  tff.simulation.datasets.ClientData,
  tff.simulation.datasets.ClientData,
  tff.simulation.datasets.ClientData,
]:
  """Loads federated Stack Overflow, from the cache or from TFF's server.

  Examples are OrderedDicts of scalars: `creation_date`, `tags`, `title`,
  `tokens` and `type` are strings and `score` is int64. `tokens` is one
  sentence in lower case, its tokens separated by single spaces.

  Args:
    cache_dir: Directory of the data; TFF's own, `~/.tff`, if None. It may hold
      `stackoverflow.sqlite` already, or the compressed
      `stackoverflow.sqlite.lzma`, which is then unpacked beside it.

  Returns:
    Train (before 2018), held-out (other users, all dates) and test (from 2018,
    users as in train) client data.

  Raises:
    StackOverflowDownloadError: If there is no file and it can't be downloaded;
      the message says where to put it by hand.
    StackOverflowFileError: If the file is damaged or holds other data.
  """
  path = _DATABASE.fetch(cache_dir)
  for split in ("train", "heldout", "test"):
    _DATABASE.check_split(path, split)
  train, held_out, test = _DATABASE.read(
    path,
    lambda: tff.simulation.datasets.stackoverflow.load_data(
      cache_dir=os.path.dirname(path)
    ),
  )
  for part in (train, held_out, test):
    _DATABASE.check_first_example(path, part)
  return train, held_out, test


def load_word_counts(
  cache_dir: Optional[str] = None, vocab_size: Optional[int] = None
) -> "collections.OrderedDict[str, int]":
  """Loads how many users of the train split have used each word.

  Args:
    cache_dir: Directory of the data; TFF's own, `~/.tff`, if None. It may hold
      `datasets/stackoverflow.word_count.tar.bz2` already.
    vocab_size: How many words to load, the most used first; all if None.

  Returns:
    The counts by word, the most used first.

  Raises:
    StackOverflowDownloadError: If there is no file, or one with another
      checksum, and it can't be downloaded; the message says where to put it.
    TypeError: If `vocab_size` is neither None nor an int.
    ValueError: If `vocab_size` is less than 1.
  """
  if vocab_size is not None:
    if isinstance(vocab_size, bool) or not isinstance(vocab_size, int):
      raise TypeError(
        f"vocab_size must be an int or None, got {type(vocab_size).__name__}"
      )
    if vocab_size < 1:
      raise ValueError(f"vocab_size must be at least 1, got {vocab_size}")
  return _load_counts(
    "word counts",
    WORD_COUNTS_URL,
    cache_dir,
    lambda directory: tff.simulation.datasets.stackoverflow.load_word_counts(
      cache_dir=directory, vocab_size=vocab_size
    ),
  )


def load_tag_counts(
  cache_dir: Optional[str] = None,
) -> "collections.OrderedDict[str, int]":
  """Loads how many users of the train split have each tag.

  Args:
    cache_dir: Directory of the data; TFF's own, `~/.tff`, if None. It may hold
      `datasets/stackoverflow.tag_count.tar.bz2` already.

  Returns:
    The counts by tag, the most used first.

  Raises:
    StackOverflowDownloadError: If there is no file, or one with another
      checksum, and it can't be downloaded; the message says where to put it.
  """
  return _load_counts(
    "tag counts",
    TAG_COUNTS_URL,
    cache_dir,
    lambda directory: tff.simulation.datasets.stackoverflow.load_tag_counts(
      cache_dir=directory
    ),
  )


def _load_counts(
  what: str,
  url: str,
  cache_dir: Optional[str],
  loader: Callable[[str], Any],
) -> "collections.OrderedDict[str, int]":
  """Calls TFF's loader, which verifies the file's checksum before it reads."""
  directory = hosted_database.cache_directory(cache_dir)
  os.makedirs(directory, exist_ok=True)
  try:
    return loader(directory)
  except Exception as error:
    # Keras raises plain Exceptions for the network, and what the archive and
    # the disk raise has the same remedy.
    raise StackOverflowDownloadError(
      f"Stack Overflow's {what} could not be loaded ({type(error).__name__}:"
      f" {error}). Either fetch {url} on a machine that can, and put the file"
      f" {os.path.basename(url)} into {os.path.join(directory, 'datasets')};"
      f" or use {_ALTERNATIVE}."
    ) from error
