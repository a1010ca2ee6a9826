"""Client data out of arrays of images and a partition of them."""

import collections
from typing import Sequence
import zlib

import numpy as np
import tensorflow as tf

from tff_gen_debug.datasets import client_data as client_data_lib


def from_arrays(
  images: np.ndarray,
  labels: np.ndarray,
  partition: Sequence[np.ndarray],
  client_ids: Sequence[str],
) -> client_data_lib.TracedClientData:
  """Makes client data with the examples of TFF's EMNIST.

  Examples are OrderedDicts of `label`, int32 scalar, and `pixels`, float32
  `[h, w]` in [0, 1], background 1.0 and ink 0.0: pixels = 1 - images / 255.

  Only the images that some client has are kept, as deflated bytes. A client's
  floats are made when its data set is asked for, also inside TFF's workers.

  Edge cases: a client without examples has an empty data set. An example may
  belong to several clients, or to none.

  Args:
    images: Background 0 and ink 255, uint8 `[n, h, w]`.
    labels: Integers `[n]` that fit into int32.
    partition: For each client the indexes of its examples, integers in
      [0, n - 1], as `dirichlet.partition` returns them.
    client_ids: The clients' distinct ids, at least one.

  Returns:
    Client data with `client_ids`, each client's examples in the order of its
    indexes.

  Raises:
    TypeError: If a dtype is wrong.
    ValueError: If a shape, a length, an index, a label or an id is wrong.
  """
  _check_arrays(images, labels)
  for name, value in (("partition", partition), ("client_ids", client_ids)):
    if not hasattr(value, "__len__") or isinstance(value, (str, bytes)):
      raise TypeError(f"{name} must be a sequence, got {type(value).__name__}")
  if len(partition) != len(client_ids):
    raise ValueError(
      "partition and client_ids must have the same length, got"
      f" {len(partition)} and {len(client_ids)}"
    )
  rows = [_check_indexes(indexes, len(images)) for indexes in partition]
  # The graph that looks a client up by its id holds all of them, and travels to
  # the workers. Every set of client data that is derived from this one has
  # such a graph: with Fashion-MNIST's 60,000 images 0.1 GB and a second each,
  # if they are deflated, and 0.45 GB and 2.6 s if not.
  packed = np.array(
    [zlib.compress(images[r].tobytes()) for r in rows],
    dtype=object,
  )
  sizes = np.array([len(r) for r in rows], np.int64)
  ends = np.cumsum(sizes)
  dealt_labels = np.concatenate([labels[r] for r in rows] or [labels[:0]])
  dealt_labels = dealt_labels.astype(np.int32)
  ids = list(client_ids)
  height, width = images.shape[1:]

  def dataset_fn(client_id: tf.Tensor) -> tf.data.Dataset:
    # An unknown id fails here instead of giving some other client.
    position = tf.where(tf.equal(tf.constant(ids), client_id))[0, 0]
    end = tf.constant(ends)[position]
    size = tf.constant(sizes)[position]
    pixels = tf.io.decode_raw(
      tf.io.decode_compressed(tf.constant(packed)[position], "ZLIB"), tf.uint8
    )
    pixels = tf.reshape(pixels, tf.stack([size, height, width]))
    pixels = tf.ensure_shape(pixels, [None, height, width])
    return tf.data.Dataset.from_tensor_slices(
      collections.OrderedDict(
        label=tf.constant(dealt_labels)[end - size : end],
        pixels=1.0 - tf.cast(pixels, tf.float32) / 255.0,
      )
    )

  return client_data_lib.TracedClientData(ids, dataset_fn)


def _check_arrays(images: np.ndarray, labels: np.ndarray) -> None:
  """Raises unless there are images and a label for each."""
  for name, array in (("images", images), ("labels", labels)):
    if not isinstance(array, np.ndarray):
      raise TypeError(
        f"{name} must be a NumPy array, got {type(array).__name__}"
      )
  if images.dtype != np.uint8:
    raise TypeError(f"images must be uint8, got {images.dtype}")
  if images.ndim != 3:
    raise ValueError(f"images must have shape [n, h, w], got {images.shape}")
  if not np.issubdtype(labels.dtype, np.integer):
    raise TypeError(f"labels must be integers, got {labels.dtype}")
  if labels.shape != images.shape[:1]:
    raise ValueError(
      f"labels must have shape {images.shape[:1]}, one for each image, got"
      f" {labels.shape}"
    )
  limits = np.iinfo(np.int32)
  if labels.size and not (
    limits.min <= labels.min() and labels.max() <= limits.max
  ):
    raise ValueError(
      f"labels must be in [{limits.min}, {limits.max}], got values in"
      f" [{labels.min()}, {labels.max()}]"
    )


def _check_indexes(indexes: np.ndarray, num_images: int) -> np.ndarray:
  """Returns one client's indexes if they are such."""
  try:
    indexes = np.asarray(indexes)
  except ValueError as error:
    raise ValueError(
      f"partition must have indexes of rank 1, got {indexes!r}"
    ) from error
  if indexes.ndim != 1:
    raise ValueError(
      f"partition must have indexes of rank 1, got shape {indexes.shape}"
    )
  if indexes.size == 0:
    return indexes.astype(np.int64)
  if not np.issubdtype(indexes.dtype, np.integer):
    raise TypeError(f"partition must have integer indexes, got {indexes.dtype}")
  # A negative one would count from the end.
  if indexes.min() < 0 or indexes.max() >= num_images:
    raise ValueError(
      f"partition must have indexes in [0, {num_images - 1}], got values in"
      f" [{indexes.min()}, {indexes.max()}]"
    )
  return indexes
