"""Images that say of what class they are, and a primary model that reads it."""

import numpy as np


class Scorer:
  """Reads the class of an image from one of its pixels."""

  def features(self, images):
    return images.reshape(len(images), -1)

  def probabilities(self, images):
    codes = np.rint((1 - images[:, 10, 13, 0]) * 20).astype(int)
    return np.eye(10)[np.minimum(codes, 9)]


def make(*counts):
  """White strokes on black, so many as given of each class."""
  classes = np.repeat(np.arange(len(counts)), counts)
  images = np.full([len(classes), 28, 28, 1], -1.0, np.float32)
  images[:, 6:22, 11:16] = 1.0
  images[:, 10, 13, 0] -= 0.05 * classes
  return np.random.default_rng(0).permutation(images)
