"""Shards of private images as the clients of a `build_topagg_gan` process."""

import collections
from collections.abc import Sequence
import os
from typing import Optional

import numpy as np
import tensorflow as tf

from tff_gen_debug import files
from tff_gen_debug.learning import process_arguments


def client_datasets(
  images: np.ndarray,
  labels: np.ndarray,
  shards: Sequence[np.ndarray],
  *,
  teachers_per_client: int = 1,
  images_per_teacher: Optional[int] = None,
  directory: Optional[str] = None,
) -> dict[str, tf.data.Dataset]:
  """Makes the data sets of clients that compute for some teachers each.

  A data set has one element, an ordered dict of `client`, the client's number,
  int32 scalar; `images`, float32 `[teachers_per_client, images_per_teacher,
  h, w, c]` in [-1, 1], where 0 is -1 and 255 is 1; `labels`, int32
  `[teachers_per_client, images_per_teacher]`; and `mask`, float32 of that
  shape, 1 where there is an image.

  With a `directory` the images are in files there, one a client, which TFF's
  worker reads itself; else they travel to the worker every round, as bytes.

  Edge cases: the last client is filled up with teachers without images. What a
  shard has beyond `images_per_teacher` is left out.

  Args:
    images: uint8 `[n, h, w]` or `[n, h, w, c]`.
    labels: Integers `[n]`; zeros if there are no classes.
    shards: For each teacher the indexes of its images.
    teachers_per_client: At least 1.
    images_per_teacher: At least 1; the largest shard's size by default.
    directory: Where to put the images, None to keep them in the data sets.

  Returns:
    The data sets by client id, `client_0000` and so on.

  Raises:
    TypeError: If `images` is not uint8.
    ValueError: If a shape is wrong, or there are no shards or only empty ones.
  """
  if images.dtype != np.uint8:
    raise TypeError(f"images must be uint8, got {images.dtype}")
  if images.ndim not in (3, 4):
    raise ValueError(
      "images must have shape [n, h, w] or [n, h, w, c], got"
      f" {list(images.shape)}"
    )
  if labels.shape != images.shape[:1]:
    raise ValueError(
      f"labels must have shape {list(images.shape[:1])}, one an image, got"
      f" {list(labels.shape)}"
    )
  largest = max([len(shard) for shard in shards], default=0)
  if not largest:
    raise ValueError("shards must hold at least one image, got none")
  capacity = largest if images_per_teacher is None else images_per_teacher
  process_arguments.check_at_least("images_per_teacher", capacity, 1)
  process_arguments.check_at_least(
    "teachers_per_client", teachers_per_client, 1
  )
  if images.ndim == 3:
    images = images[..., np.newaxis]
  if directory is not None:
    os.makedirs(directory, exist_ok=True)
  datasets = {}
  for client, start in enumerate(range(0, len(shards), teachers_per_client)):
    own = shards[start : start + teachers_per_client]
    shape = (teachers_per_client, capacity)
    pixels = np.zeros((*shape, *images.shape[1:]), np.uint8)
    classes = np.zeros(shape, np.int32)
    mask = np.zeros(shape, np.float32)
    for row, shard in enumerate(own):
      if not len(shard):
        continue  # NumPy takes [] for floats, which are no indexes.
      kept = np.asarray(shard)[:capacity]
      pixels[row, : len(kept)] = images[kept]
      classes[row, : len(kept)] = labels[kept]
      mask[row, : len(kept)] = 1
    client_id = f"client_{client:04d}"
    path = None
    if directory is not None:
      path = os.path.join(os.path.abspath(directory), client_id)
      files.write_atomically(path, pixels.tobytes())
    datasets[client_id] = _dataset(client, pixels, classes, mask, path)
  return datasets


def _dataset(
  client: int,
  pixels: np.ndarray,
  labels: np.ndarray,
  mask: np.ndarray,
  path: Optional[str],
) -> tf.data.Dataset:
  def element(source):
    values = source
    if path is not None:
      values = tf.io.decode_raw(tf.io.read_file(source), tf.uint8)
    values = tf.reshape(values, pixels.shape)
    return collections.OrderedDict(
      client=tf.constant(client, tf.int32),
      images=tf.cast(values, tf.float32) / 127.5 - 1.0,
      labels=tf.constant(labels),
      mask=tf.constant(mask),
    )

  source = tf.constant(pixels if path is None else path)
  return tf.data.Dataset.from_tensors(source).map(element)
