"""What the discriminator and the generator of a GAN minimize.

A loss sees the discriminator as a function of images alone, `critic(images,
mask) -> logits`, so that it can also look at its gradient. `mask` (float32 of
shape [batch], 1 or 0) marks the rows that count; means are over those.
"""

import abc
from collections.abc import Callable
import dataclasses

import tensorflow as tf

Critic = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class GanLoss(abc.ABC):
  """The two losses of a GAN."""

  @abc.abstractmethod
  def discriminator(
    self,
    critic: Critic,
    real: tf.Tensor,
    fake: tf.Tensor,
    mask: tf.Tensor,
    seed: tf.Tensor,
  ) -> tf.Tensor:
    """The discriminator's loss on one batch.

    Args:
      critic: `(images, mask) -> logits`.
      real: Images of a client, float32 of shape [batch, ...].
      fake: Generated images, of the same shape.
      mask: float32 of shape [batch]; 0 for rows that don't count.
      seed: int32 tensor of shape [2] for stateless random operations.

    Returns:
      A float32 scalar.
    """

  @abc.abstractmethod
  def generator(self, logits: tf.Tensor) -> tf.Tensor:
    """The generator's loss, a scalar, from the logits of generated images."""


def masked_mean(values: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
  """The mean of `values` where `mask` is 1, and 0 where it is nowhere 1."""
  return tf.math.divide_no_nan(
    tf.reduce_sum(values * mask), tf.reduce_sum(mask)
  )


@dataclasses.dataclass(frozen=True)
class NonSaturatingLoss(GanLoss):
  """The non-saturating loss with one-sided label smoothing.

  Goodfellow et al. (2014), Generative Adversarial Nets, arXiv 1406.2661,
  section 3; smoothing from Salimans et al. (2016), Improved Techniques for
  Training GANs, arXiv 1606.03498, section 3.4.

  Attributes:
    real_label: The target for real images, in (0, 1]; 1 for no smoothing.
  """

  real_label: float = 0.9

  def __post_init__(self):
    if not 0 < self.real_label <= 1:
      raise ValueError(f"real_label must be in (0, 1], got {self.real_label}")

  def discriminator(self, critic, real, fake, mask, seed):
    del seed  # Nothing is drawn.
    real_loss = _cross_entropy(critic(real, mask), self.real_label)
    fake_loss = _cross_entropy(critic(fake, mask), 0.0)
    return masked_mean(real_loss + fake_loss, mask)

  def generator(self, logits):
    return tf.reduce_mean(_cross_entropy(logits, 1.0))


def _cross_entropy(logits: tf.Tensor, label: float) -> tf.Tensor:
  return tf.nn.sigmoid_cross_entropy_with_logits(
    labels=tf.fill(tf.shape(logits), tf.cast(label, logits.dtype)),
    logits=logits,
  )


@dataclasses.dataclass(frozen=True)
class WassersteinLoss(GanLoss):
  """The Wasserstein loss with gradient penalty (WGAN-GP).

  Gulrajani et al. (2017), Improved Training of Wasserstein GANs, arXiv
  1704.00028, algorithm 1; used with weight 10 by Augenstein et al. (2020),
  arXiv 1911.06679.

  Attributes:
    gradient_penalty: The weight of the penalty (lambda), at least 0.
  """

  gradient_penalty: float = 10.0

  def __post_init__(self):
    if not self.gradient_penalty >= 0:
      raise ValueError(
        f"gradient_penalty must be at least 0, got {self.gradient_penalty}"
      )

  def discriminator(self, critic, real, fake, mask, seed):
    loss = masked_mean(critic(fake, mask) - critic(real, mask), mask)
    return loss + self.gradient_penalty * masked_mean(
      _squared_slope_excess(critic, real, fake, mask, seed), mask
    )

  def generator(self, logits):
    return -tf.reduce_mean(logits)


def _squared_slope_excess(critic, real, fake, mask, seed) -> tf.Tensor:
  """(norm of the critic's gradient - 1)^2 between `real` and `fake`."""
  batch = tf.shape(real)[0]
  ones = [1] * (real.shape.rank - 1)
  position = tf.random.stateless_uniform([batch] + ones, seed)
  between = real + position * (fake - real)
  with tf.GradientTape() as tape:
    tape.watch(between)
    logits = critic(between, mask)
  gradient = tape.gradient(logits, between)
  squares = tf.reduce_sum(
    tf.square(gradient), axis=list(range(1, real.shape.rank))
  )
  # Without the constant, the square root of a zero gradient, which rows that
  # fill a batch up can have, has a derivative of infinity, and 0 * inf is NaN.
  return tf.square(tf.sqrt(squares + 1e-12) - 1.0)
