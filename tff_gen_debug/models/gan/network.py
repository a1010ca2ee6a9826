"""The protocol that a generator and a discriminator follow.

A network is a frozen pair of pure functions, `init` and `apply`, over a flat
tuple of weight tensors, so that TFF can carry the weights as values between
server and clients. To bring your own network, write those two functions::

  def init(seed):  # int32 tensor of shape [2], for stateless random ops
    return (tf.random.stateless_normal([784, 1], seed), tf.zeros([1]))

  def apply(weights, images, mask):
    del mask  # no operation here mixes the examples of a batch
    kernel, bias = weights
    flat = tf.reshape(images, [-1, 784])
    return tf.reshape(tf.matmul(flat, kernel) + bias, [-1])

  discriminator = Discriminator(init=init, apply=apply)

Tuples, not lists: Autograph turns a list of tensors into one tensor inside a
loop, and TFF and `tf.nest` order the keys of a dict differently.
"""

from collections.abc import Callable, Sequence
import dataclasses
import math

import tensorflow as tf

from tff_gen_debug.models.gan import losses

Weights = tuple[tf.Tensor, ...]


@dataclasses.dataclass(frozen=True)
class Discriminator:
  """A critic of images.

  Attributes:
    init: `seed -> weights`. `seed` is an int32 tensor of shape [2]; `weights` a
      tuple of floating tensors, all of them trainable. There is no place for
      moving statistics: what clients send is clipped as a whole, and a moving
      variance would take its share of the clip.
    apply: `(weights, images, mask) -> logits`. `images` is float32 of shape
      [batch, ...], `mask` float32 of shape [batch], 1 for an image and 0 for a
      row that only fills the batch up, `logits` float32 of shape [batch]. Only
      operations that mix examples, such as batch normalization, need `mask`.
  """

  init: Callable[[tf.Tensor], Weights]
  apply: Callable[[Weights, tf.Tensor, tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Generator:
  """A maker of images.

  Attributes:
    latent_dim: The number of independent standard normal inputs, at least 1.
    init: `seed -> (weights, statistics)`, two tuples of tensors. `weights` are
      trained; `statistics` are what batch normalization remembers and may be
      empty. They live on the server: a client that makes images drops its own.
    apply: `(weights, statistics, latent, training) -> (images, statistics)`.
      `latent` is float32 of shape [batch, latent_dim], `training` a Python
      bool, `images` float32 of shape [batch, ...] in [-1, 1].
  """

  latent_dim: int
  init: Callable[[tf.Tensor], tuple[Weights, Weights]]
  apply: Callable[
    [Weights, Weights, tf.Tensor, bool], tuple[tf.Tensor, Weights]
  ]

  def __post_init__(self):
    if self.latent_dim < 1:
      raise ValueError(f"latent_dim must be at least 1, got {self.latent_dim}")

  def sample_latent(self, count: int, seed: tf.Tensor) -> tf.Tensor:
    """Draws `count` inputs, float32 of shape [count, latent_dim]."""
    return tf.random.stateless_normal([count, self.latent_dim], seed)


@dataclasses.dataclass(frozen=True)
class GanModel:
  """The two networks of a GAN and the game that they play.

  Attributes:
    generator: Makes images of `image_shape`.
    discriminator: Judges images of `image_shape`.
    loss: What each of them minimizes.
    image_shape: The shape of one example, such as `(28, 28, 1)`.
  """

  generator: Generator
  discriminator: Discriminator
  loss: losses.GanLoss
  image_shape: tuple[int, ...] = (28, 28, 1)

  def __post_init__(self):
    if not self.image_shape or any(size < 1 for size in self.image_shape):
      raise ValueError(
        "image_shape must be a non-empty tuple of positive sizes, got "
        f"{self.image_shape}"
      )


def check_generator(
  generator: Generator, image_shape: Sequence[int], batch_size: int = 2
) -> None:
  """Checks what a generator makes. Traces it without running it.

  Args:
    generator: The generator to check.
    image_shape: The shape that its images must have.
    batch_size: How many images it is asked for, at least 1.

  Raises:
    TypeError: If its weights are not a tuple of floating tensors.
    ValueError: If its images are not of `image_shape`.
  """
  with tf.Graph().as_default():
    seed = tf.zeros([2], tf.int32)
    weights, statistics = generator.init(seed)
    _check_weights("generator.init weights", weights)
    _check_weights("generator.init statistics", statistics)
    images, new_statistics = generator.apply(
      weights, statistics, generator.sample_latent(batch_size, seed), True
    )
    _check_shape("generator.apply images", images, (batch_size, *image_shape))
    tf.nest.assert_same_structure(statistics, new_statistics)


def check_model(model: GanModel) -> None:
  """Checks that the two networks of `model` fit each other.

  Traces both networks without running them.

  Args:
    model: The model to check.

  Raises:
    TypeError: If weights are not a tuple of floating tensors.
    ValueError: If the generator's images are not of `model.image_shape`, or the
      discriminator does not return one logit an image.
  """
  batch = 2
  check_generator(model.generator, model.image_shape, batch)
  with tf.Graph().as_default():
    weights = model.discriminator.init(tf.zeros([2], tf.int32))
    _check_weights("discriminator.init weights", weights)
    if not weights:
      raise ValueError("discriminator.init must return at least one weight")
    images = tf.zeros([batch, *model.image_shape])
    logits = model.discriminator.apply(weights, images, tf.ones([batch]))
    _check_shape("discriminator.apply logits", logits, (batch,))


def _check_weights(name: str, weights) -> None:
  if not isinstance(weights, tuple):
    raise TypeError(f"{name} must be a tuple of tensors, got {type(weights)}")
  for weight in weights:
    if not (tf.is_tensor(weight) and weight.dtype.is_floating):
      raise TypeError(f"{name} must hold floating tensors, got {weight!r}")


def _check_shape(name: str, value: tf.Tensor, shape: tuple[int, ...]) -> None:
  if not value.shape.is_compatible_with(shape) or math.prod(shape) == 0:
    raise ValueError(f"{name} must have shape {shape}, got {value.shape}")
