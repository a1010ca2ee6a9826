"""From TFF's EMNIST examples to the images and classes of the paper.

As in the EMNIST experiment of Augenstein et al., "Generative Models for
Effective ML on Private, Decentralized Datasets" (ICLR 2020, arXiv:1911.06679):
pixels go from [0, 1] to [-1, 1] with x -> -2 (x - 0.5), so that paper is -1 and
ink is 1, and the 62 classes of EMNIST are folded to 36 by taking lower and
upper case for one letter. Digits alone keep their 10 classes.

The functions are pure TensorFlow and work in `tf.data.Dataset.map`, on eager
tensors and on NumPy arrays. Shapes and dtypes are always checked. Values are
checked where they can be seen, that is outside of a traced graph.
"""

import collections
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

IMAGE_SIZE = 28
NUM_DIGIT_CLASSES = 10
NUM_EMNIST_CLASSES = 62
NUM_FOLDED_EMNIST_CLASSES = 36

# EMNIST numbers digits 0-9, upper case 10-35, lower case 36-61.
_NUM_LETTERS = 26


def to_gan_range(pixels: Any) -> tf.Tensor:
  """Maps EMNIST pixels to the range of the generator's tanh.

  Args:
    pixels: float32 `[..., 28, 28]` in [0, 1], paper 1.0 and ink 0.0.

  Returns:
    float32 `[..., 28, 28, 1]` in [-1, 1], paper -1.0 and ink 1.0.

  Raises:
    TypeError: If `pixels` is not float32.
    ValueError: If the last two dimensions are not 28 by 28, or (outside of a
      graph) a value is NaN or out of [0, 1].
  """
  pixels = _tensor(pixels, "pixels")
  if pixels.dtype != tf.float32:
    raise TypeError(f"pixels must be float32, got {pixels.dtype.name}")
  shape = pixels.shape
  if shape.rank is None or tuple(shape[-2:]) != (IMAGE_SIZE, IMAGE_SIZE):
    raise ValueError(
      f"pixels must have shape [..., {IMAGE_SIZE}, {IMAGE_SIZE}], got {shape}"
    )
  if tf.executing_eagerly():
    _check_values(pixels.numpy(), "pixels", 0.0, 1.0)
  return tf.expand_dims(-2.0 * (pixels - 0.5), -1)


def fold_emnist_labels(labels: Any) -> tf.Tensor:
  """Gives lower-case letters the labels of the upper-case ones.

  Args:
    labels: Integer tensor of any shape with EMNIST's labels 0..61: digits 0-9,
      upper case 10-35, lower case 36-61.

  Returns:
    Tensor of the same shape and dtype with labels 0..35. Digits are unchanged.

  Raises:
    TypeError: If `labels` are not integers.
    ValueError: If (outside of a graph) a label is out of 0..61.
  """
  labels = _tensor(labels, "labels")
  if not labels.dtype.is_integer:
    raise TypeError(f"labels must be integers, got {labels.dtype.name}")
  if tf.executing_eagerly():
    _check_values(labels.numpy(), "labels", 0, NUM_EMNIST_CLASSES - 1)
  return tf.where(
    labels >= NUM_FOLDED_EMNIST_CLASSES, labels - _NUM_LETTERS, labels
  )


def paper_example(
  example: Mapping[str, Any],
) -> "collections.OrderedDict[str, tf.Tensor]":
  """Turns an example of TFF's EMNIST into one for the paper's models.

  Args:
    example: Mapping with `pixels`, float32 `[..., 28, 28]` in [0, 1], and
      `label`, integers `[...]` in 0..61. One example or a batch.

  Returns:
    OrderedDict with `image`, float32 `[..., 28, 28, 1]` in [-1, 1] with paper
    at -1, and `label`, int32 `[...]` in 0..35 (0..9 for digits).

  Raises:
    TypeError: If `example` is no mapping or a dtype is wrong.
    ValueError: If a field is missing, or a shape or a value is wrong.
  """
  if not isinstance(example, Mapping):
    raise TypeError(f"example must be a mapping, got {type(example).__name__}")
  for field in ("label", "pixels"):
    if field not in example:
      raise ValueError(
        f"example must have the field {field!r}, got"
        f" {sorted(map(str, example))}"
      )
  image = to_gan_range(example["pixels"])
  label = tf.cast(fold_emnist_labels(example["label"]), tf.int32)
  if not label.shape.is_compatible_with(image.shape[:-3]):
    raise ValueError(
      f"label must have the shape {image.shape[:-3]}, one for each image, got"
      f" {label.shape}"
    )
  return collections.OrderedDict(image=image, label=label)


def _tensor(value: Any, name: str) -> tf.Tensor:
  """Returns `value` as a tensor; errors name it."""
  try:
    return tf.convert_to_tensor(value)
  except (TypeError, ValueError) as error:
    raise type(error)(f"{name} must be a tensor: {error}") from error


def _check_values(
  values: np.ndarray, name: str, low: float, high: float
) -> None:
  """Raises ValueError unless all values are in [low, high]."""
  # Not `(values < low) | ...`: NaN must fail too.
  if not ((values >= low) & (values <= high)).all():
    raise ValueError(
      f"{name} must be in [{low}, {high}], got values in"
      f" [{values.min()}, {values.max()}]"
    )
