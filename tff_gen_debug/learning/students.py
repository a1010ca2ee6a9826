"""Students: how the server trains its generator on what teachers said.

A student sees public images and the noised aggregate of the teachers'
directions for them, and no data, so its generator is as private as the
aggregate, by post-processing.
"""

import abc
from typing import Any, NamedTuple

import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.learning import optimizer_steps
from tff_gen_debug.models.gan import labelled


class GeneratorWeights(NamedTuple):
  """The weights of a generator.

  Attributes:
    generator: Tuple of tensors.
    statistics: Tuple of tensors, its moving statistics.
    averaged_generator: Tuple of tensors, the exponential moving average of
      `generator`, which samples are drawn with.
  """

  generator: Any
  statistics: Any
  averaged_generator: Any


class Student(abc.ABC):
  """What the server does in a round. All methods are traced by TensorFlow."""

  @abc.abstractmethod
  def initial_state(self, generator: Any) -> Any:
    """The state before the first round.

    Args:
      generator: The generator's initial weights.

    Returns:
      A structure of tensors of known shapes.
    """

  @abc.abstractmethod
  def learn(
    self,
    state: Any,
    weights: GeneratorWeights,
    inputs: tf.Tensor,
    labels: tf.Tensor,
    directions: tf.Tensor,
    seed: tf.Tensor,
  ) -> tuple[GeneratorWeights, Any]:
    """Trains the generator.

    Args:
      state: What the round before left.
      weights: The generator.
      inputs: float32 [batch, latent_dim], what the generator made the images of
        the round from, in training mode.
      labels: int32 [batch], the images' labels.
      directions: float32 [batch, *image_shape], the aggregate.
      seed: int32 of shape [2], of this round.

    Returns:
      The new weights, and the new state.
    """


class GradientStudent(Student):
  """One step along the directions, as in DataLens.

  Wang et al. (2021, arXiv 2103.11109, algorithm 3) move the generator towards
  its own images plus a multiple of the aggregate, in squared distance; the
  gradient of that is the aggregate, as if it came down from a loss.
  """

  def __init__(
    self,
    generator: labelled.LabelledGenerator,
    optimizer: tff.learning.optimizers.Optimizer,
    *,
    averaging_decay: float = 0.0,
  ):
    """Initializes the student.

    Args:
      generator: The network.
      optimizer: Trains it.
      averaging_decay: The weight, in [0, 1), that the average keeps at each
        step; without one it is the generator itself, as in the paper.

    Raises:
      ValueError: If `averaging_decay` is out of its range.
    """
    self._generator = generator
    self._optimizer = optimizer
    self._averaging_decay = check_decay(averaging_decay)

  def initial_state(self, generator):
    return self._optimizer.initialize(optimizer_steps.weight_specs(generator))

  def learn(self, state, weights, inputs, labels, directions, seed):
    del labels, seed
    with tf.GradientTape() as tape:
      tape.watch(weights.generator)
      images, statistics = self._generator.network.apply(
        weights.generator, weights.statistics, inputs, True
      )
    gradients = tape.gradient(
      images,
      weights.generator,
      output_gradients=-directions,
      unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    state, generator = self._optimizer.next(state, weights.generator, gradients)
    averaged = average(
      self._averaging_decay, weights.averaged_generator, generator
    )
    return GeneratorWeights(generator, statistics, averaged), state


def check_decay(averaging_decay: float) -> float:
  """Returns the weight of an average, or raises a `ValueError`."""
  if not 0 <= averaging_decay < 1:
    raise ValueError(
      f"averaging_decay must be in [0, 1), got {averaging_decay}"
    )
  return averaging_decay


def average(decay: float, averaged: Any, weights: Any) -> Any:
  """Moves an exponential moving average on."""
  return tf.nest.map_structure(
    lambda a, w: decay * a + (1 - decay) * w, averaged, weights
  )
