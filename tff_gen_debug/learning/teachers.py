"""Teachers: what a client of a PATE-like GAN knows, and how it judges images.

In DataLens (Wang et al., 2021, arXiv 2103.11109) each teacher is a
discriminator that sees a shard of the private data, and says of each generated
image how it should change to look more like that. A teacher here is a pure
function of its own shard, of public images and of a state that nobody else
reads; the process runs many of them side by side.
"""

import abc
from typing import Any, NamedTuple

import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.learning import optimizer_steps
from tff_gen_debug.models.gan import labelled


class Shard(NamedTuple):
  """The private data of one teacher.

  Attributes:
    images: float32 of shape [n, *image_shape] in [-1, 1].
    labels: int32 of shape [n].
    mask: float32 of shape [n]; 0 for rows that only fill the shard up.
  """

  images: Any
  labels: Any
  mask: Any


class LabelledImages(NamedTuple):
  """Generated images, which are public.

  Attributes:
    images: float32 of shape [batch, *image_shape] in [-1, 1].
    labels: int32 of shape [batch]; zeros if there are no classes.
  """

  images: Any
  labels: Any


class TeacherState(NamedTuple):
  """What a teacher has at the start of a round. Tensors of known shapes.

  Attributes:
    weights: A structure of tensors, which teachers could have in common.
    memory: A structure of tensors of its own, such as an optimizer's slots.
  """

  weights: Any
  memory: Any


class Teacher(abc.ABC):
  """What one client does in a round. All methods are traced by TensorFlow."""

  @abc.abstractmethod
  def initial_state(self, seed: tf.Tensor) -> TeacherState:
    """A teacher's state before its first round.

    Args:
      seed: int32 of shape [2].

    Returns:
      The state; empty structures for a teacher that learns nothing.
    """

  @abc.abstractmethod
  def judge(
    self,
    state: TeacherState,
    shard: Shard,
    fakes: LabelledImages,
    is_first: tf.Tensor,
  ) -> tuple[tf.Tensor, TeacherState]:
    """Learns from the shard, and says how the images should change.

    Args:
      state: What the round before left.
      shard: The teacher's own data.
      fakes: Images that all teachers of the round get.
      is_first: bool scalar, whether `state` is the initial one.

    Returns:
      The directions, float32 of the shape of `fakes.images`, and the new state.
    """


class DiscriminatorTeacher(Teacher):
  """A discriminator of its own, with an optimizer of its own, as in DataLens.

  It minimizes the cross-entropy of telling its shard from the images of the
  round; the direction of an image is along the gradient that makes the
  discriminator take it for real. A teacher without data has no direction.
  """

  def __init__(
    self,
    discriminator: labelled.LabelledDiscriminator,
    optimizer: tff.learning.optimizers.Optimizer,
    *,
    num_classes: int,
    steps: int = 2,
    first_steps: int = 10,
  ):
    """Initializes the teacher.

    Args:
      discriminator: The network.
      optimizer: Trains it; its state is the teacher's own.
      num_classes: At least 0.
      steps: Steps a round, at least 1. In each the discriminator sees the whole
        shard and all images.
      first_steps: Steps of a teacher's first round, at least `steps`.

    Raises:
      ValueError: If a number is out of its range.
    """
    if steps < 1:
      raise ValueError(f"steps must be at least 1, got {steps}")
    if first_steps < steps:
      raise ValueError(
        f"first_steps must be at least steps ({steps}), got {first_steps}"
      )
    self._discriminator = discriminator
    self._optimizer = optimizer
    self._num_classes = num_classes
    self._steps = steps
    self._first_steps = first_steps

  def initial_state(self, seed):
    weights = self._discriminator.init(seed)
    return TeacherState(
      weights,
      self._optimizer.initialize(optimizer_steps.weight_specs(weights)),
    )

  def judge(self, state, shard, fakes, is_first):
    real_labels = tf.one_hot(shard.labels, self._num_classes)
    fake_labels = tf.one_hot(fakes.labels, self._num_classes)

    def take_steps(state, count):
      weights, memory = state
      for _ in range(count):
        gradients = self._gradients(
          weights, shard, real_labels, fakes.images, fake_labels
        )
        memory, weights = self._optimizer.next(memory, weights, gradients)
      return TeacherState(weights, memory)

    extra = self._first_steps - self._steps
    if extra:
      # A loop over teachers keeps the condition, which is the same for all.
      state = tf.cond(is_first, lambda: take_steps(state, extra), lambda: state)
    state = take_steps(state, self._steps)
    with tf.GradientTape() as tape:
      tape.watch(fakes.images)
      logits = self._discriminator.apply(
        state.weights, fakes.images, fake_labels
      )
      loss = tf.reduce_sum(tf.nn.softplus(-logits))
    directions = -tape.gradient(loss, fakes.images)
    return directions * tf.reduce_max(shard.mask), state

  def _gradients(self, weights, shard, real_labels, fakes, fake_labels):
    with tf.GradientTape() as tape:
      tape.watch(weights)
      real = self._discriminator.apply(weights, shard.images, real_labels)
      fake = self._discriminator.apply(weights, fakes, fake_labels)
      count = tf.maximum(tf.reduce_sum(shard.mask), 1.0)
      loss = tf.reduce_sum(tf.nn.softplus(-real) * shard.mask) / count
      loss += tf.reduce_mean(tf.nn.softplus(fake))
    return tape.gradient(
      loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
