"""The weights of a trained GAN, and samples from them."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tff_gen_debug.learning import seeds
from tff_gen_debug.models.gan import network


class GanWeights(NamedTuple):
  """The weights of a GAN.

  Attributes:
    discriminator: Tuple of tensors.
    generator: Tuple of tensors.
    statistics: Tuple of tensors, the generator's moving statistics.
    averaged_generator: Tuple of tensors, the exponential moving average of
      `generator`; empty if the process keeps none.
  """

  discriminator: Any
  generator: Any
  statistics: Any
  averaged_generator: Any

  @property
  def sampling_generator(self):
    """The weights to draw samples with: the averaged ones if there are."""
    return self.averaged_generator or self.generator


def generate_images(
  model: network.GanModel, weights: GanWeights, count: int, seed: int = 0
) -> np.ndarray:
  """Draws images from a trained generator.

  Batch normalization uses the moving statistics, so that each image depends on
  its own input alone.

  Args:
    model: The networks that `weights` belong to.
    weights: What `get_model_weights` of the process returned.
    count: How many images, at least 1.
    seed: Makes the inputs; the same images for the same seed.

  Returns:
    float32 of shape [count, *model.image_shape] in [-1, 1].

  Raises:
    ValueError: If `count` is less than 1.
  """
  if count < 1:
    raise ValueError(f"count must be at least 1, got {count}")
  generator = tuple(tf.constant(w) for w in weights.sampling_generator)
  statistics = tuple(tf.constant(w) for w in weights.statistics)
  latent = model.generator.sample_latent(count, seeds.make_seed(seed))
  images, _ = model.generator.apply(generator, statistics, latent, False)
  return images.numpy()
