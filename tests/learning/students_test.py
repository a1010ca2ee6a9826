"""Tests of the student's step, on a generator that can be done by hand.

Images are `tanh(inputs @ kernel + bias)`; the generator remembers a moving
mean of them, and has a weight that no image depends on.
"""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.learning import toy_gan
from tff_gen_debug.learning import students
from tff_gen_debug.models import gan
from tff_gen_debug.models.gan import labelled

_RATE = 0.25
_BATCH, _INPUTS, _PIXELS = 5, 4, 3
_UNUSED = 7.0
_FORGETTING = 0.1
# The references are float64; these are float32, through a few steps.
_TOLERANCE = dict(rtol=1e-5, atol=1e-6)


def _generator() -> labelled.LabelledGenerator:
  def init(seed):
    del seed
    raise AssertionError("the student gets weights")

  def apply(weights, statistics, inputs, training):
    assert training is True
    kernel, bias, _ = weights
    images = tf.tanh(inputs @ kernel + bias)
    mean = (1 - _FORGETTING) * statistics[0]
    mean += _FORGETTING * tf.reduce_mean(images, axis=0)
    return images, (mean,)

  return labelled.LabelledGenerator(
    gan.Generator(latent_dim=_INPUTS, init=init, apply=apply), num_classes=2
  )


def _numbers(seed):
  rng = np.random.default_rng(seed)
  return dict(
    kernel=rng.normal(size=[_INPUTS, _PIXELS]),
    bias=rng.normal(size=[_PIXELS]),
    mean=rng.normal(size=[_PIXELS]),
    inputs=rng.normal(size=[_BATCH, _INPUTS]),
    directions=rng.normal(size=[_BATCH, _PIXELS]),
  )


def _float32(*arrays):
  return tuple(tf.constant(a, tf.float32) for a in arrays)


def _weights(numbers, averaged=None) -> students.GeneratorWeights:
  generator = _float32(numbers["kernel"], numbers["bias"], _UNUSED)
  return students.GeneratorWeights(
    generator,
    _float32(numbers["mean"]),
    generator if averaged is None else averaged,
  )


def _learn(student, state, weights, numbers):
  inputs, directions = _float32(numbers["inputs"], numbers["directions"])
  return student.learn(
    state,
    weights,
    inputs,
    tf.zeros([_BATCH], tf.int32),
    directions,
    tf.constant([0, 0]),
  )


def _images(kernel, bias, inputs):
  return np.tanh(inputs @ kernel + bias)


def _ascent(kernel, bias, inputs, directions):
  """The derivative of sum(directions * images) by the weights."""
  images = _images(kernel, bias, inputs)
  kernel_part, bias_part = np.zeros_like(kernel), np.zeros_like(bias)
  for one, image, direction in zip(inputs, images, directions):
    before_tanh = direction * (1 - image**2)
    kernel_part += np.outer(one, before_tanh)
    bias_part += before_tanh
  return kernel_part, bias_part


def test_a_step_goes_along_the_directions():
  numbers = _numbers(0)
  student = students.GradientStudent(_generator(), toy_gan.sgd(_RATE))
  weights = _weights(numbers)
  state = student.initial_state(weights.generator)
  new, _ = _learn(student, state, weights, numbers)
  kernel_part, bias_part = _ascent(
    numbers["kernel"],
    numbers["bias"],
    numbers["inputs"],
    numbers["directions"],
  )
  expected = (
    numbers["kernel"] + _RATE * kernel_part,
    numbers["bias"] + _RATE * bias_part,
    _UNUSED,
  )
  for one, other in zip(new.generator, expected):
    np.testing.assert_allclose(one, other, **_TOLERANCE)
  # Without a decay the average is the generator itself.
  for one, other in zip(new.averaged_generator, new.generator):
    np.testing.assert_array_equal(one, other)
  images = _images(numbers["kernel"], numbers["bias"], numbers["inputs"])
  mean = 0.9 * numbers["mean"] + 0.1 * images.mean(axis=0)
  np.testing.assert_allclose(new.statistics[0], mean, **_TOLERANCE)


def test_it_is_the_papers_step_of_squared_distance():
  numbers = _numbers(1)
  kernel, bias = numbers["kernel"], numbers["bias"]
  inputs, directions = numbers["inputs"], numbers["directions"]
  targets = _images(kernel, bias, inputs) + directions

  def loss(kernel, bias):
    return np.sum((_images(kernel, bias, inputs) - targets) ** 2) / 2

  student = students.GradientStudent(_generator(), toy_gan.sgd(_RATE))
  weights = _weights(numbers)
  new, _ = _learn(
    student, student.initial_state(weights.generator), weights, numbers
  )
  width = 1e-5
  for index in np.ndindex(kernel.shape):
    bump = np.zeros_like(kernel)
    bump[index] = width
    slope = (loss(kernel + bump, bias) - loss(kernel - bump, bias)) / 2 / width
    np.testing.assert_allclose(
      new.generator[0].numpy()[index],
      kernel[index] - _RATE * slope,
      **_TOLERANCE,
    )


def test_small_steps_move_the_images_along_the_directions():
  numbers = _numbers(2)
  student = students.GradientStudent(_generator(), toy_gan.sgd(1e-3))
  weights = _weights(numbers)
  new, _ = _learn(
    student, student.initial_state(weights.generator), weights, numbers
  )
  kernel, bias = (w.numpy().astype(np.float64) for w in new.generator[:2])
  moved = _images(kernel, bias, numbers["inputs"]) - _images(
    numbers["kernel"], numbers["bias"], numbers["inputs"]
  )
  assert np.sum(moved * numbers["directions"]) > 0


def test_no_directions_are_no_step():
  numbers = _numbers(3)
  numbers["directions"] *= 0
  student = students.GradientStudent(_generator(), toy_gan.sgd(_RATE))
  weights = _weights(numbers)
  new, _ = _learn(
    student, student.initial_state(weights.generator), weights, numbers
  )
  for one, other in zip(new.generator, weights.generator):
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9])
def test_the_average_of_steps_with_momentum(decay):
  momentum = 0.75
  student = students.GradientStudent(
    _generator(),
    tff.learning.optimizers.build_sgdm(_RATE, momentum),
    averaging_decay=decay,
  )
  start = _numbers(4)
  # It goes on from where it was, which is not the generator.
  averaged = [np.full([_INPUTS, _PIXELS], 2.0), np.full([_PIXELS], -3.0), 1.0]
  weights = _weights(start, averaged=_float32(*averaged))
  state = student.initial_state(weights.generator)
  learn = tf.function(lambda *a: student.learn(*a))
  expected = [start["kernel"], start["bias"], _UNUSED]
  velocity = [0.0, 0.0, 0.0]
  for round_num in range(3):
    numbers = _numbers(10 + round_num)
    inputs, directions = _float32(numbers["inputs"], numbers["directions"])
    weights, state = learn(
      state,
      weights,
      inputs,
      tf.zeros([_BATCH], tf.int32),
      directions,
      tf.constant([0, round_num]),
    )
    ascent = _ascent(*expected[:2], numbers["inputs"], numbers["directions"])
    for i, part in enumerate((*ascent, 0.0)):
      velocity[i] = momentum * velocity[i] + part
      expected[i] = expected[i] + _RATE * velocity[i]
      averaged[i] = decay * averaged[i] + (1 - decay) * expected[i]
  for i in range(3):
    np.testing.assert_allclose(weights.generator[i], expected[i], **_TOLERANCE)
    np.testing.assert_allclose(
      weights.averaged_generator[i], averaged[i], **_TOLERANCE
    )


@pytest.mark.parametrize("decay", [-0.1, 1.0, 1.5, np.nan])
def test_a_decay_out_of_range_is_refused(decay):
  with pytest.raises(ValueError, match="averaging_decay"):
    students.GradientStudent(
      _generator(), toy_gan.sgd(_RATE), averaging_decay=decay
    )
