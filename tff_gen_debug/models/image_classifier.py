"""What the library asks of a primary model: logits of images, in a graph.

The primary model is the one whose mistakes are to be explained. Clients run it
on their own examples inside a TFF computation; afterwards the server runs it on
generated images. `classifier.Classifier` and
`functional_classifier.FunctionalClassifier` are such models, and so is any
class that fills in the three abstract members.
"""

import abc
import functools
from typing import Tuple

import numpy as np
import tensorflow as tf

# The paper's network takes about 0.2 MB an image for its activations.
_PREDICTION_BATCH = 512


class ImageClassifier(abc.ABC):
  """A trained classifier of images."""

  @property
  @abc.abstractmethod
  def image_shape(self) -> Tuple[int, ...]:
    """Height, width and channels of an image."""

  @property
  @abc.abstractmethod
  def num_classes(self) -> int:
    """Number of classes, and of logits an image."""

  @abc.abstractmethod
  def logits(self, images: tf.Tensor) -> tf.Tensor:
    """Applies the model in eager mode or in the graph of a TFF computation.

    It must not refer to a `tf.Variable`, which the graph would not have; its
    weights go in as constants.

    Args:
      images: float32 `[n, *image_shape]` in [-1, 1]; n = 0 is legal.

    Returns:
      float32 `[n, num_classes]`.
    """

  def features(self, images: np.ndarray) -> np.ndarray:
    """Logits, the features on which the authors take Frechet distances.

    Args:
      images: Floats `[n, *image_shape]` in [-1, 1].

    Returns:
      float32 `[n, num_classes]`.

    Raises:
      ValueError: If `images` has another shape.
    """
    images = check_images(images, self.image_shape)
    batches = [np.zeros((0, self.num_classes), np.float32)]
    for start in range(0, len(images), _PREDICTION_BATCH):
      batch = images[start : start + _PREDICTION_BATCH]
      batches.append(self._traced_logits(tf.constant(batch)).numpy())
    return np.concatenate(batches)

  def probabilities(self, images: np.ndarray) -> np.ndarray:
    """Class probabilities, float32 `[n, num_classes]`; see `features`."""
    logits = self.features(images)
    unnormalized = np.exp(logits - logits.max(axis=1, keepdims=True))
    return unnormalized / unnormalized.sum(axis=1, keepdims=True)

  def accuracy(self, images: np.ndarray, labels: np.ndarray) -> float:
    """Share of images whose largest logit is their label's.

    Args:
      images: Floats `[n, *image_shape]` in [-1, 1], n >= 1.
      labels: Integers `[n]`.

    Returns:
      A number in [0, 1].

    Raises:
      ValueError: If there are no images or the shapes do not fit.
    """
    labels = np.asarray(labels)
    if len(images) == 0 or labels.shape != (len(images),):
      raise ValueError(
        "labels must hold one integer an image, for at least one image, got "
        f"shape {list(labels.shape)} for {len(images)} images"
      )
    return float(np.mean(self.features(images).argmax(axis=1) == labels))

  @functools.cached_property
  def _traced_logits(self):
    return tf.function(self.logits, reduce_retracing=True)


def check_images(images: np.ndarray, image_shape: Tuple[int, ...]):
  """Returns `images` as float32, or raises ValueError for another shape."""
  images = np.asarray(images)
  if images.shape[1:] != tuple(image_shape) or images.ndim < 2:
    shape = ", ".join(map(str, image_shape))
    raise ValueError(
      f"images must have shape [n, {shape}], got {list(images.shape)}"
    )
  return images.astype(np.float32, copy=False)
