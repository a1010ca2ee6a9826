"""Codes that send less of a direction than there are pixels."""

import math

import numpy as np
import tensorflow as tf

from tff_gen_debug import low_frequencies
from tff_gen_debug.aggregators import gradient_codes
from tff_gen_debug.privacy import validation


class LowFrequencyCode(gradient_codes.LinearCode):
  """The low frequencies of a direction, scaled down to a norm.

  The noise on what is not sent is saved. The bound is on what is sent.
  """

  def __init__(
    self,
    image_shape: tuple[int, ...],
    frequencies: int,
    *,
    clip_norm: float,
  ):
    """Initializes the code.

    Args:
      image_shape: Height, width and channels.
      frequencies: As for `low_frequencies.basis`.
      clip_norm: The largest L2 norm of the coefficients, positive.

    Raises:
      TypeError: If an argument has the wrong type.
      ValueError: If an argument is out of its range.
    """
    self._basis = low_frequencies.basis(image_shape, frequencies)
    super().__init__(clip_norm)

  def matrix(self, size: int) -> np.ndarray:
    del size  # The images' shape says it.
    return self._basis


class BinVoteCode(gradient_codes.GradientCode):
  """Votes for the values of a random projection of the direction.

  As G-PATE aggregates (Long et al., 2021, arXiv 1906.09338, section 4.2): each
  number of the projection is cut to an interval and rounded to one of some
  equal bins, a teacher votes for that bin, and the result is the middle of the
  bin with the most votes. A direction is scaled to norm 1 before. Here all
  numbers of an image are one Gaussian mechanism; their votes, one for each
  number, have norm sqrt(dimensions), and moving all of them to other bins is
  sqrt(2) times that.
  """

  def __init__(
    self, dimensions: int, *, bins: int = 10, bound: float = 1.0, seed: int = 0
  ):
    """Initializes the code.

    Args:
      dimensions: Numbers of the projection, at least 1.
      bins: Values that a number is rounded to, at least 2.
      bound: Numbers are cut to [-bound, bound]; positive. The numbers of a
        random direction have a standard deviation of 1 / sqrt(dimensions).
      seed: Makes the projection, an integer in [0, 2**32).

    Raises:
      TypeError: If an argument has the wrong type.
      ValueError: If an argument is out of its range.
    """
    self._dimensions = validation.integer("dimensions", dimensions, 1)
    self._bins = validation.integer("bins", bins, 2)
    self._bound = validation.positive("bound", bound)
    self._seed = gradient_codes.projection_seed(seed)

  @property
  def norm_bound(self) -> float:
    return math.sqrt(self._dimensions)

  @property
  def is_integer(self) -> bool:
    return True

  def sensitivity(self, neighboring_relation):
    # Votes are not negative: another's are at most orthogonal, not opposite.
    factor = math.sqrt(2) if neighboring_relation == "replace_one" else 1.0
    return factor * self.norm_bound

  def encode(self, rows):
    unit = gradient_codes.clip_rows(gradient_codes.finite_rows(rows), 1.0)
    length = tf.norm(unit, axis=1, keepdims=True)
    unit = tf.math.divide_no_nan(unit, length)
    numbers = unit @ self._matrix(rows.shape[-1])
    width = 2 * self._bound / self._bins
    index = tf.cast(tf.floor((numbers + self._bound) / width), tf.int32)
    index = tf.clip_by_value(index, 0, self._bins - 1)
    votes = tf.one_hot(index, self._bins)
    # Nothing to say is not the middle bin.
    votes = tf.where(length[:, :, tf.newaxis] > 0, votes, tf.zeros_like(votes))
    return tf.reshape(votes, [-1, self._dimensions * self._bins])

  def decode(self, sums, teachers, size):
    del teachers  # The largest is the largest.
    votes = tf.reshape(sums, [-1, self._dimensions, self._bins])
    width = 2 * self._bound / self._bins
    winner = tf.cast(tf.argmax(votes, axis=2), tf.float32)
    numbers = (winner + 0.5) * width - self._bound
    return tf.matmul(numbers, self._matrix(size), transpose_b=True)

  def _matrix(self, size: int) -> np.ndarray:
    return gradient_codes.random_projection(size, self._dimensions, self._seed)
