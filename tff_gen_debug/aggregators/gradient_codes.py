"""What a teacher sends for a generated image: a vector of bounded norm.

A teacher of a PATE-like GAN says of each image in which direction it should
change. A code turns that direction into what is summed over teachers, whose L2
norm it bounds, and turns a noised sum back into a direction. The bound is the
only thing that privacy rests on; decoding is post-processing.
"""

import abc
import math
from typing import Optional

import numpy as np
import tensorflow as tf

from tff_gen_debug.privacy import neighbors
from tff_gen_debug.privacy import validation


class GradientCode(abc.ABC):
  """An encoding of directions, row by row."""

  @property
  @abc.abstractmethod
  def norm_bound(self) -> float:
    """What no encoded row exceeds in L2 norm."""

  @property
  def is_integer(self) -> bool:
    """Whether codes are votes, whose sums are exact."""
    return False

  def sensitivity(self, neighboring_relation: str) -> float:
    """How far one teacher moves the sum for one image, at most, in L2 norm.

    Args:
      neighboring_relation: "add_or_remove_one" or "replace_one" teacher.
    """
    return neighbors.SENSITIVITY_FACTORS[neighboring_relation] * self.norm_bound

  @abc.abstractmethod
  def encode(self, rows: tf.Tensor) -> tf.Tensor:
    """Encodes directions.

    Args:
      rows: float32 `[n, d]`, a row for each teacher and image; may hold NaN.

    Returns:
      float32 `[n, m]`. A row that is not finite becomes 0.

    Raises:
      ValueError: If `d` is too small.
    """

  @abc.abstractmethod
  def decode(self, sums: tf.Tensor, teachers: float, size: int) -> tf.Tensor:
    """Decodes noised sums.

    Args:
      sums: float32 `[images, m]`.
      teachers: The expected number of teachers, which is public.
      size: d.

    Returns:
      float32 `[images, d]`.
    """


class TopKSignCode(GradientCode):
  """TopAgg of one image: the signs of the entries of largest magnitude.

  Wang et al. (2021), DataLens, arXiv 2103.11109, algorithms 1 and 2; the votes
  are those of `top_k_votes.cast_votes` for each row. A code of all entries
  without a threshold is signSGD's.
  """

  def __init__(
    self,
    top_k: int,
    *,
    coordinate_clip: Optional[float] = None,
    threshold: Optional[float] = None,
    stochastic: bool = True,
  ):
    """Initializes the code.

    Args:
      top_k: How many entries a row votes on, at least 1.
      coordinate_clip: The magnitude above which a stochastic vote is certain,
        positive; None for that of a row's largest entry.
      threshold: Share of the teachers that a sum has to exceed for the result
        to be its sign, and not 0; at least 0. None for no decision: the result
        is the noised sum, as a share of the teachers.
      stochastic: Whether a vote is drawn, with a probability that grows with
        the entry, or is the sign.

    Raises:
      TypeError: If an argument has the wrong type.
      ValueError: If an argument is out of its range.
    """
    self._top_k = validation.integer("top_k", top_k, 1)
    if coordinate_clip is not None:
      coordinate_clip = validation.positive("coordinate_clip", coordinate_clip)
    self._coordinate_clip = coordinate_clip
    if threshold is not None:
      threshold = validation.non_negative("threshold", threshold)
    self._threshold = threshold
    self._stochastic = bool(stochastic)

  @property
  def norm_bound(self) -> float:
    return math.sqrt(self._top_k)

  @property
  def is_integer(self) -> bool:
    return True

  def encode(self, rows):
    size = rows.shape[-1]
    if self._top_k > size:
      raise ValueError(
        f"top_k must be at most {size}, the entries of an image, got"
        f" {self._top_k}"
      )
    rows = finite_rows(rows)
    magnitudes = tf.abs(rows)
    votes = tf.sign(rows)
    if self._stochastic:
      bound = tf.reduce_max(magnitudes, axis=1, keepdims=True)
      if self._coordinate_clip is not None:
        bound = tf.minimum(bound, self._coordinate_clip)
      # A draw from [-1, 1) lies below an entry over the bound with the wanted
      # probability; not as a ratio, which is NaN where the bound is 0.
      draws = tf.random.uniform(tf.shape(rows), -1.0, 1.0)
      votes = tf.sign(rows - draws * bound)
    # Floats, because TensorFlow adds them up several times as fast as bytes.
    return votes * tf.cast(_voters(magnitudes, self._top_k), tf.float32)

  def decode(self, sums, teachers, size):
    if self._threshold is None:
      return sums / teachers
    decided = tf.abs(sums) > self._threshold * teachers
    return tf.where(decided, tf.sign(sums), 0.0)


class ClippedCode(GradientCode):
  """The direction itself, scaled down to a norm: the dense Gaussian mechanism.

  What DP-SGD does to gradients (Abadi et al., 2016, arXiv 1607.00133), for
  each image.
  """

  def __init__(self, clip_norm: float):
    """Initializes the code.

    Args:
      clip_norm: The largest L2 norm of a row, positive.

    Raises:
      TypeError: If it is not a number.
      ValueError: If it is not positive.
    """
    self._clip_norm = validation.positive("clip_norm", clip_norm)

  @property
  def norm_bound(self) -> float:
    return self._clip_norm

  def encode(self, rows):
    return clip_rows(finite_rows(rows), self._clip_norm)

  def decode(self, sums, teachers, size):
    return sums / teachers


class LinearCode(GradientCode):
  """A public linear map of the direction, scaled down to a norm.

  Decoding is its transpose.
  """

  def __init__(self, clip_norm: float):
    """Initializes the code.

    Args:
      clip_norm: The largest L2 norm of what a row becomes, positive.

    Raises:
      TypeError: If it is not a number.
      ValueError: If it is not positive.
    """
    self._clip_norm = validation.positive("clip_norm", clip_norm)

  @property
  def norm_bound(self) -> float:
    return self._clip_norm

  @abc.abstractmethod
  def matrix(self, size: int) -> np.ndarray:
    """The map of rows of that size, float32 `[size, m]`."""

  def encode(self, rows):
    mapped = finite_rows(rows) @ self.matrix(rows.shape[-1])
    return clip_rows(finite_rows(mapped), self._clip_norm)

  def decode(self, sums, teachers, size):
    return tf.matmul(sums / teachers, self.matrix(size), transpose_b=True)


class ProjectedCode(LinearCode):
  """A random projection of the direction, scaled down to a norm.

  The compression that DataLens compares with (Wang et al., 2021, arXiv
  2103.11109), and that G-PATE uses (Long et al., 2021, arXiv 1906.09338). The
  projection is public, and the same for all teachers, images and rounds.
  """

  def __init__(self, dimensions: int, *, clip_norm: float, seed: int = 0):
    """Initializes the code.

    Args:
      dimensions: How many numbers a row becomes, at least 1.
      clip_norm: The largest L2 norm of what a row becomes, positive.
      seed: Makes the projection, an integer in [0, 2**32).

    Raises:
      TypeError: If an argument has the wrong type.
      ValueError: If an argument is out of its range.
    """
    self._dimensions = validation.integer("dimensions", dimensions, 1)
    super().__init__(clip_norm)
    self._seed = projection_seed(seed)

  def matrix(self, size: int) -> np.ndarray:
    return random_projection(size, self._dimensions, self._seed)


def projection_seed(seed: int) -> int:
  """Checks a seed of `random_projection`: an integer in [0, 2**32)."""
  seed = validation.integer("seed", seed, 0)
  if seed >= 2**32:
    raise ValueError(f"seed must be below 2**32, got {seed}")
  return seed


def random_projection(size: int, dimensions: int, seed: int) -> np.ndarray:
  """Gaussian, float32 `[size, dimensions]`; keeps lengths on average."""
  draws = np.random.RandomState(seed).normal(size=(size, dimensions))
  return (draws / math.sqrt(dimensions)).astype(np.float32)


def finite_rows(rows: tf.Tensor) -> tf.Tensor:
  """Zeroes the rows of `[n, d]` that have a NaN or an infinity."""
  finite = tf.reduce_all(tf.math.is_finite(rows), axis=1, keepdims=True)
  return tf.where(finite, rows, tf.zeros_like(rows))


def clip_rows(rows: tf.Tensor, clip_norm: float) -> tf.Tensor:
  """Scales rows of finite `[n, d]` down to an L2 norm, if they exceed it."""
  # Squares of 1e30 overflow; relative to the largest entry nothing does.
  largest = tf.reduce_max(tf.abs(rows), axis=1, keepdims=True)
  relative = tf.math.divide_no_nan(rows, largest)
  norm = tf.norm(relative, axis=1, keepdims=True)
  # The norm of what is longer than allowed becomes `clip_norm`.
  too_long = norm > tf.math.divide_no_nan(clip_norm, largest)
  unit = tf.math.divide_no_nan(relative, norm)
  return tf.where(too_long & (largest > 0), clip_norm * unit, rows)


def _voters(magnitudes: tf.Tensor, k: int) -> tf.Tensor:
  """Marks the k largest entries of each row, without any that is 0.

  Of equal ones the first. Magnitudes below the smallest normal number are 0.
  """
  tiny = np.finfo(np.float32).tiny
  size = magnitudes.shape[1]
  if k == size:
    return magnitudes >= tiny
  # Unlike a partial sort, this takes the same time for any k.
  least = tf.raw_ops.NthElement(input=magnitudes, n=k - 1, reverse=True)
  least = tf.maximum(least, tiny)[:, tf.newaxis]
  marked = magnitudes >= least

  def count(marks):
    return tf.reduce_sum(tf.cast(marks, tf.float32), axis=1, keepdims=True)

  def without_surplus():
    larger = magnitudes > least
    equal = tf.equal(magnitudes, least)
    place = tf.cumsum(tf.cast(equal, tf.float32), axis=1)
    return larger | (equal & (place <= k - count(larger)))

  return tf.cond(
    tf.reduce_max(count(marked)) > k, without_surplus, lambda: marked
  )
