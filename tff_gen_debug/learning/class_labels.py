"""Labels of generated images, drawn by public chances."""

from collections.abc import Sequence
from typing import Optional

import numpy as np
import tensorflow as tf


def shares_of_classes(
  label_weights: Optional[Sequence[float]], num_classes: int
) -> np.ndarray:
  """The chance of each class, float64; of one class if there are none.

  Raises:
    ValueError: If the weights are not as many as classes, or no chances.
  """
  if label_weights is None:
    return np.full(max(num_classes, 1), 1 / max(num_classes, 1))
  shares = np.asarray(label_weights, np.float64)
  if shares.shape != (num_classes,):
    raise ValueError(
      f"label_weights must be {num_classes} numbers, one a class, got shape"
      f" {list(shares.shape)}"
    )
  if not (np.all(shares >= 0) and 0 < shares.sum() < np.inf):
    raise ValueError(
      f"label_weights must be at least 0, not all 0, got {label_weights}"
    )
  return shares / shares.sum()


def draw_labels(shares: np.ndarray, count: int, seed: tf.Tensor) -> tf.Tensor:
  """Draws labels, int32 [count], each class as often as its share, nearly.

  One draw places all of a regular grid (systematic sampling): a class has at
  most one image more or less than its share of them.
  """
  grid = (tf.range(count, dtype=tf.float32)) / count
  points = grid + tf.random.stateless_uniform([], seed, maxval=1 / count)
  edges = np.cumsum(shares)[:-1].astype(np.float32)
  return tf.cast(tf.searchsorted(edges, points, side="right"), tf.int32)
