"""Teachers that need no training: witnesses of the energy distance.

The energy distance of two distributions (Szekely and Rizzo, 2013) is a kernel
distance with the kernel -|x - y|; what tells them apart best is a function of
means of distances to examples of each, and its gradient a mean of unit vectors
towards the one minus a mean of unit vectors towards the other. The second part
is about generated images, which are public. So a teacher has only to say the
first: in which direction its own images lie, a vector of norm 1 at most.
"""

from collections.abc import Sequence

import tensorflow as tf

from tff_gen_debug import low_frequencies
from tff_gen_debug.learning import teachers


class EnergyTeacher(teachers.Teacher):
  """Pulls each generated image towards its own images of the same class.

  Images are compared by their low frequencies, so the directions have no
  others. The pull of the own images of a class is

    sum_j p_j (a_j - a) / d_j,   d_j = sqrt(|a_j - a|^2 + softening^2),

  with p_j proportional to exp(-locality d_j). Without locality all own images
  count alike, and the sum over teachers is the pull of all of their images;
  with it the nearest of each teacher counts most, so that what is asked for is
  a distribution of *shards*, which holds more of its modes.

  Formal guarantees: a direction has an L2 norm below 1, whatever the images.

  Edge cases: a teacher without images of the class has no direction.
  """

  def __init__(
    self,
    image_shape: Sequence[int],
    *,
    num_classes: int,
    frequencies: int = 12,
    softening: float = 1.0,
    locality: float = 0.0,
  ):
    """Initializes the teacher.

    Args:
      image_shape: Height, width and channels.
      num_classes: At least 0; without classes all images are of one.
      frequencies: As for `low_frequencies.basis`.
      softening: The distance below which an image pulls less, positive; in
        units of images in [-1, 1].
      locality: At least 0, in one over those units.

    Raises:
      ValueError: If an argument is out of its range.
    """
    if not softening > 0:
      raise ValueError(f"softening must be positive, got {softening}")
    if not locality >= 0:
      raise ValueError(f"locality must be at least 0, got {locality}")
    if num_classes < 0:
      raise ValueError(f"num_classes must be at least 0, got {num_classes}")
    self._num_classes = num_classes
    self._softening = softening
    self._locality = locality
    self._basis = low_frequencies.basis(tuple(image_shape), frequencies)

  @property
  def num_features(self) -> int:
    """m, how many numbers an image is compared by."""
    return self._basis.shape[1]

  def initial_state(self, seed):
    del seed
    return teachers.TeacherState((), ())

  def judge(self, state, shard, fakes, is_first):
    del is_first
    own = self.features(shard.images)
    asked = self.features(fakes.images)
    same_class = shard.mask * tf.ones_like(asked[:, :1])
    if self._num_classes:
      same_class *= tf.cast(
        tf.equal(fakes.labels[:, tf.newaxis], shard.labels), tf.float32
      )
    pull = self.pull(asked, own, same_class)
    directions = tf.matmul(pull, self._basis, transpose_b=True)
    return tf.reshape(directions, fakes.images.shape), state

  def features(self, images: tf.Tensor) -> tf.Tensor:
    """Images by their low frequencies: float32 [n, ...] to [n, m]."""
    return tf.matmul(
      tf.reshape(images, [-1, self._basis.shape[0]]), self._basis
    )

  def pull(
    self, asked: tf.Tensor, own: tf.Tensor, weights: tf.Tensor
  ) -> tf.Tensor:
    """The pull of some images on others, by their features.

    Args:
      asked: float32 [..., q, m], the images that are pulled.
      own: float32 [..., n, m], those that pull.
      weights: float32 [..., q, n], 0 where one does not pull the other.

    Returns:
      float32 [..., q, m].
    """
    squares = (
      tf.reduce_sum(tf.square(asked), -1)[..., :, tf.newaxis]
      + tf.reduce_sum(tf.square(own), -1)[..., tf.newaxis, :]
      - 2 * tf.matmul(asked, own, transpose_b=True)
    )
    # Rounding can make the difference of large squares negative.
    distances = tf.sqrt(tf.nn.relu(squares) + self._softening**2)
    # The nearest of those that pull has the exponent 0.
    infinite = tf.constant(float("inf"), distances.dtype)
    far = tf.where(weights > 0, distances, infinite)
    nearest = tf.reduce_min(far, axis=-1, keepdims=True)
    nearest = tf.where(
      tf.math.is_finite(nearest), nearest, tf.zeros_like(nearest)
    )
    excess = distances - tf.stop_gradient(nearest)
    excess = tf.where(weights > 0, excess, tf.zeros_like(excess))
    shares = weights * tf.exp(-self._locality * excess)
    shares = tf.math.divide_no_nan(
      shares, tf.reduce_sum(shares, axis=-1, keepdims=True)
    )
    per_distance = shares / distances
    towards = tf.matmul(per_distance, own)
    return towards - tf.reduce_sum(per_distance, -1, keepdims=True) * asked
