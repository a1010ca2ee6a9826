"""Real text that needs no network: docstrings of the installed packages.

One Python module is one client, and its sentences are the examples, with the
fields of `tff.simulation.datasets.stackoverflow`. It is technical English by
many authors, with words that no vocabulary has (ndarray, dtype, kwargs).
`docstrings_source` says which packages, `docstring_paragraphs` and
`docstring_sentences` what counts as a sentence.
"""

import collections
import hashlib
import logging
import os
from typing import Optional, Sequence, Tuple

import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.datasets import client_data as client_data_lib
from tff_gen_debug.datasets import docstrings_file
from tff_gen_debug.datasets import docstrings_source as source
from tff_gen_debug.datasets import handwriting_source

# A batch of TFF's Stack Overflow baseline has 16 sentences.
MIN_SENTENCES = 16

# Of 256 values of a hash, those that put a package into the test half.
_TEST_VALUES = 51
_SPLIT_SALT = "docstrings 0 "

_CREATION_DATE = "1970-01-01 00:00:00 UTC"


def load_data(
  cache_dir: Optional[str] = None,
) -> Tuple[
  tff.simulation.datasets.ClientData, tff.simulation.datasets.ClientData
]:
  """Loads sentences of docstrings as client data, one client a module.

  Examples are as in `tff.simulation.datasets.stackoverflow`: OrderedDict of
  scalars with `creation_date` (string, the same for all), `score` (int64, 0),
  `tags` (string, the distribution), `title` (string, the module's dotted name,
  which is the client's id too), `tokens` (string, one sentence: lower-case
  tokens separated by single spaces) and `type` (string, "docstring").

  No sentence occurs twice, in one client or in two, and no package is in train
  and in test. A client's sentences are in the order of the source.

  The first call parses the sources, which takes about half a minute, and keeps
  the result in `cache_dir`, in a file that is named for the packages' versions,
  Python's version and the rules': what another environment made is never read,
  and a damaged file is made again. Client data sets read that file, in TFF's
  workers too, so it must stay where it is.

  Args:
    cache_dir: Directory for the extracted text, made if it isn't there;
      `~/.tff_gen_debug` if None.

  Returns:
    Train and test client data.

  Raises:
    OSError: If `cache_dir` can't be made or written to.
    RuntimeError: If too few of the packages are installed.
  """
  directory = os.path.abspath(
    os.path.expanduser(cache_dir or handwriting_source.default_cache_dir())
  )
  os.makedirs(directory, exist_ok=True)
  versions = source.installed_versions(source.PACKAGES)
  environment = source.environment(versions)
  path = os.path.join(directory, f"docstrings_{source.digest(environment)}.txt")
  index = _cached_index(path)
  if index is None:
    texts = source.extract(list(versions), MIN_SENTENCES)
    docstrings_file.write(path, texts, environment)
    index = docstrings_file.read_index(path)
  in_test = [_is_test_package(package) for package in index.packages]
  if len(set(in_test)) < 2:
    raise RuntimeError(
      "docstrings need installed packages for train and for test, but only"
      f" {sorted(set(index.packages))} have modules with {MIN_SENTENCES}"
      " sentences. Install requirements.txt."
    )
  return (
    _to_client_data(index, [k for k, test in enumerate(in_test) if not test]),
    _to_client_data(index, [k for k, test in enumerate(in_test) if test]),
  )


def _cached_index(path: str) -> Optional[docstrings_file.Index]:
  try:
    return docstrings_file.read_index(path)
  except FileNotFoundError:
    return None
  except docstrings_file.DocstringsFileError as error:
    logging.getLogger(__name__).warning("%s; it is made again", error)
    return None


def _is_test_package(package: str) -> bool:
  """Deals packages by a hash of their names, so in any environment alike."""
  value = hashlib.sha256((_SPLIT_SALT + package).encode("utf-8")).digest()[0]
  return value < _TEST_VALUES


def _to_client_data(
  index: docstrings_file.Index, chosen: Sequence[int]
) -> client_data_lib.TracedClientData:
  """Makes client data of the modules at the `chosen` positions of an index."""
  ids = [index.modules[k] for k in chosen]
  packages = [index.packages[k] for k in chosen]
  offsets = [index.offsets[k] for k in chosen]
  sizes = [index.sizes[k] for k in chosen]

  def dataset_fn(client_id: tf.Tensor) -> tf.data.Dataset:
    # An unknown id fails here instead of giving some other client.
    position = tf.where(tf.equal(tf.constant(ids), client_id))[0, 0]
    offset = tf.constant(offsets, tf.int64)[position]
    size = tf.constant(sizes, tf.int64)[position]
    # The one record between header and footer is the client's text: only that
    # is read, and the graph that travels to the workers holds no text.
    text = tf.data.FixedLengthRecordDataset(
      index.path,
      record_bytes=size,
      header_bytes=offset,
      footer_bytes=index.size - offset - size,
    ).get_single_element()
    tokens = tf.strings.split(text, "\n")
    count = tf.shape(tokens)
    return tf.data.Dataset.from_tensor_slices(
      collections.OrderedDict(
        creation_date=tf.fill(count, _CREATION_DATE),
        score=tf.zeros(count, tf.int64),
        tags=tf.fill(count, tf.constant(packages)[position]),
        title=tf.fill(count, client_id),
        tokens=tokens,
        type=tf.fill(count, "docstring"),
      )
    )

  return client_data_lib.TracedClientData(ids, dataset_fn)
