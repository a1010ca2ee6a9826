"""Samples from a trained generator of classes."""

import numpy as np
import tensorflow as tf

from tff_gen_debug.learning import seeds
from tff_gen_debug.learning import students
from tff_gen_debug.models.gan import labelled

# Images made at once, a bound of memory.
_BATCH = 1000


def generate_labelled_images(
  generator: labelled.LabelledGenerator,
  weights: students.GeneratorWeights,
  labels: np.ndarray,
  seed: int = 0,
) -> np.ndarray:
  """Draws images of given labels from a trained generator.

  Batch normalization uses the moving statistics, so that each image depends on
  its own input alone.

  Args:
    generator: The network that `weights` belong to.
    weights: What `get_model_weights` of the process returned.
    labels: Integers `[n]` in [0, num_classes), n >= 1; zeros without classes.
    seed: Makes the inputs; the same images for the same seed and labels.

  Returns:
    float32 of shape [n, *image_shape] in [-1, 1].

  Raises:
    ValueError: If there are no labels, or one is out of its range.
  """
  labels = np.asarray(labels)
  if labels.ndim != 1 or labels.size == 0:
    raise ValueError(
      f"labels must have shape [n] with n >= 1, got {list(labels.shape)}"
    )
  classes = max(generator.num_classes, 1)
  if labels.min() < 0 or labels.max() >= classes:
    raise ValueError(
      f"labels must be in [0, {classes}), got values in [{labels.min()},"
      f" {labels.max()}]"
    )
  averaged = tuple(tf.constant(w) for w in weights.averaged_generator)
  statistics = tuple(tf.constant(w) for w in weights.statistics)
  images = []
  for batch, start in enumerate(range(0, len(labels), _BATCH)):
    part = tf.constant(labels[start : start + _BATCH], tf.int32)
    inputs = generator.sample_inputs(part, seeds.make_seed(seed, batch))
    made, _ = generator.network.apply(averaged, statistics, inputs, False)
    images.append(made.numpy())
  return np.concatenate(images)
