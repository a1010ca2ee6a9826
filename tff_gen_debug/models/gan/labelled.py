"""Networks that are told a label: critics and generators of classes.

A network follows the protocol of `network`, with the label as a further input.
Without classes the label has no entries, and the networks are those of any GAN.
"""

from collections.abc import Callable
import dataclasses

import tensorflow as tf

from tff_gen_debug.models.gan import network


@dataclasses.dataclass(frozen=True)
class LabelledDiscriminator:
  """A critic of images of a class.

  Attributes:
    init: `seed -> weights`, as for `network.Discriminator`.
    apply: `(weights, images, labels) -> logits`. `images` is float32 of shape
      [batch, ...], `labels` float32 of shape [batch, classes], one-hot,
      `logits` float32 of shape [batch]. No operation may mix examples.
  """

  init: Callable[[tf.Tensor], network.Weights]
  apply: Callable[[network.Weights, tf.Tensor, tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class LabelledGenerator:
  """A maker of images of a class.

  Attributes:
    network: Reads noise with the one-hot label behind it, so its `latent_dim`
      is the sum of both.
    num_classes: At least 0; 0 for a generator without labels.
  """

  network: network.Generator
  num_classes: int

  def __post_init__(self):
    if self.num_classes < 0:
      raise ValueError(
        f"num_classes must be at least 0, got {self.num_classes}"
      )
    if self.noise_dim < 1:
      raise ValueError(
        "the network's latent_dim must be more than num_classes, since it reads"
        f" noise and label, got {self.network.latent_dim} and"
        f" {self.num_classes}"
      )

  @property
  def noise_dim(self) -> int:
    """The number of independent standard normal inputs."""
    return self.network.latent_dim - self.num_classes

  def one_hot(self, labels: tf.Tensor) -> tf.Tensor:
    """Labels, int32 [batch], as float32 [batch, num_classes]."""
    return tf.one_hot(labels, self.num_classes)

  def sample_inputs(self, labels: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draws inputs for images of some labels.

    Args:
      labels: int32 of shape [batch]; ignored without classes.
      seed: int32 of shape [2].

    Returns:
      float32 of shape [batch, network.latent_dim].
    """
    noise = tf.random.stateless_normal(
      [tf.shape(labels)[0], self.noise_dim], seed
    )
    return tf.concat([noise, self.one_hot(labels)], axis=1)
