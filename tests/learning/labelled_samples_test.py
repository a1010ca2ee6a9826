"""Tests of drawing labelled samples."""

import numpy as np
import pytest
import tensorflow as tf

from tff_gen_debug import learning
from tff_gen_debug.learning import students
from tff_gen_debug.models import gan


def _generator():
  """An image is a label's weight plus noise, or minus one while it trains."""

  def apply(weights, statistics, latent, training):
    images = (
      -tf.ones([latent.shape[0], 1])
      if training
      else (latent[:, :1] + tf.matmul(latent[:, 1:], weights[0]))
    )
    return tf.reshape(images, [-1, 1, 1, 1]), statistics

  return gan.LabelledGenerator(
    gan.Generator(latent_dim=4, init=lambda seed: ((), ()), apply=apply), 3
  )


_WEIGHTS = students.GeneratorWeights(
  generator=(tf.zeros([3, 1]),),
  statistics=(),
  averaged_generator=(tf.constant([[100.0], [200.0], [300.0]]),),
)


def test_images_are_of_their_labels_by_the_averaged_weights():
  labels = np.arange(2500) % 3
  images = learning.generate_labelled_images(_generator(), _WEIGHTS, labels)
  assert images.shape == (2500, 1, 1, 1)
  noise = images[:, 0, 0, 0] - 100 * (labels + 1)
  # Standard normal: 2500 draws within 5, mean 0 +- 0.02, all of them others.
  assert np.max(np.abs(noise)) < 5
  assert abs(noise.mean()) < 0.1
  assert len(np.unique(np.round(noise, 4))) > 2300


def test_seeds_repeat():
  def draw(seed):
    return learning.generate_labelled_images(
      _generator(), _WEIGHTS, np.zeros(5, int), seed
    )

  np.testing.assert_array_equal(draw(1), draw(1))
  assert not np.array_equal(draw(1), draw(2))


@pytest.mark.parametrize(
  "labels, message",
  [
    (np.zeros(0, int), r"labels must have shape \[n\] with n >= 1"),
    (np.zeros([2, 2], int), "labels must have shape"),
    (np.array([0, 3]), r"labels must be in \[0, 3\), got values in \[0, 3\]"),
    (np.array([-1]), r"labels must be in \[0, 3\)"),
  ],
)
def test_bad_labels(labels, message):
  with pytest.raises(ValueError, match=message):
    learning.generate_labelled_images(_generator(), _WEIGHTS, labels)
