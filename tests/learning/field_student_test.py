"""Tests of the student that fits its generator to all answers.

Its generator makes one image a class: a weight each, and noise.
"""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.learning import energy_teacher
from tff_gen_debug.learning import field_student
from tff_gen_debug.learning import students
from tff_gen_debug.models import gan

_SHAPE = (4, 4, 1)
_CLASSES = 2
_ROUNDS, _IMAGES = 3, 4
_SEED = tf.constant([5, 6])


def _generator(spread=0.3):
  def init(seed):
    del seed
    return (tf.zeros([_CLASSES, 16]),), (tf.constant(0.0),)

  def apply(weights, statistics, latent, training):
    noise, labels = latent[:, :16], latent[:, 16:]
    images = tf.matmul(labels, weights[0]) + spread * noise
    moved = statistics[0] + (1.0 if training else 0.0)
    return tf.reshape(images, [-1, *_SHAPE]), (moved,)

  return gan.LabelledGenerator(
    gan.Generator(latent_dim=16 + _CLASSES, init=init, apply=apply), _CLASSES
  )


def _teacher(locality=0.0):
  return energy_teacher.EnergyTeacher(
    _SHAPE, num_classes=_CLASSES, frequencies=5, locality=locality
  )


def _student(teacher=None, rate=0.1, generator=None, **overrides):
  settings = dict(
    rounds=_ROUNDS,
    images_per_round=_IMAGES,
    shard_images=1,
    answered_share=1.0,
    steps=4,
    last_steps=2,
    answers_per_step=32,
    images_per_class=8,
    averaging_decay=0.5,
  )
  settings.update(overrides)
  return field_student.FieldStudent(
    generator or _generator(),
    teacher or _teacher(),
    tff.learning.optimizers.build_sgdm(rate),
    **settings,
  )


def _weights(generator):
  weights, statistics = generator.network.init(_SEED)
  return students.GeneratorWeights(weights, statistics, weights)


def _ask(generator, weights, labels, seed):
  labels = tf.constant(labels, tf.int32)
  inputs = generator.sample_inputs(labels, tf.constant(seed))
  images, _ = generator.network.apply(
    weights.generator, weights.statistics, inputs, True
  )
  return inputs, labels, images


def _answers_of_data(teacher, data, images, labels):
  """What a teacher that holds all data of each class says."""
  directions = []
  for image, label in zip(images, labels):
    features = teacher.features(image[tf.newaxis])
    own = teacher.features(tf.constant(data[int(label)], tf.float32))
    pull = teacher.pull(features, own, tf.ones([1, len(data[int(label)])]))
    basis = teacher.features(tf.reshape(tf.eye(16), [16, *_SHAPE]))
    directions.append(tf.reshape(basis @ tf.transpose(pull), _SHAPE))
  return tf.stack(directions)


def _learn_from(data, student, teacher, generator, rounds):
  weights = _weights(generator)
  state = student.initial_state(weights.generator)
  learn = tf.function(student.learn)
  for round_num in range(rounds):
    inputs, labels, images = _ask(
      generator, weights, [0, 0, 1, 1], [round_num, 1]
    )
    directions = _answers_of_data(teacher, data, images, labels)
    weights, state = learn(
      state, weights, inputs, labels, directions, tf.constant([round_num, 2])
    )
  return weights, state


def test_it_learns_each_class():
  means = np.random.RandomState(1).uniform(-2, 2, (2, *_SHAPE))
  noise = np.random.RandomState(2).normal(0, 0.3, (2, 500, *_SHAPE))
  data = means[:, np.newaxis] + noise
  student = _student(rate=1.0, steps=60, images_per_class=40)
  weights, _ = _learn_from(data, student, _teacher(), _generator(), 3)
  learnt = weights.averaged_generator[0].numpy().reshape(2, *_SHAPE)
  # It starts some 1.2 away; a coordinate of the 500 images' mean is known to
  # 0.013, and what is left comes from the steps' noise.
  np.testing.assert_allclose(learnt, means, atol=0.15)


def test_without_an_answer_for_a_class_its_weights_stay():
  teacher, generator, student = _teacher(), _generator(), _student()
  weights = _weights(generator)
  inputs, labels, images = _ask(generator, weights, [1, 1, 1, 1], [1, 1])
  data = np.ones((2, 3, *_SHAPE))
  directions = _answers_of_data(teacher, data, images, labels)
  new, state = student.learn(
    student.initial_state(weights.generator),
    weights,
    inputs,
    labels,
    directions,
    _SEED,
  )
  assert not np.any(new.generator[0][0])
  assert np.all(new.generator[0][1] > 0)
  assert state.step == 4
  assert new.statistics[0] == 4.0  # One for each step.


def test_a_step_is_along_the_gradient_of_the_loss():
  """One step of SGD from known answers, with a generator without noise."""
  teacher = _teacher(locality=0.5)
  generator = _generator(spread=0.0)
  student = _student(
    teacher, generator=generator, steps=1, shard_images=2, answered_share=0.5
  )
  weights = _weights(generator)
  start = np.random.RandomState(3).normal(size=(2, 16)).astype(np.float32)
  weights = weights._replace(
    generator=(tf.constant(start),), averaged_generator=(tf.constant(start),)
  )
  inputs, labels, _ = _ask(generator, weights, [0, 0, 0, 0], [1, 1])
  said = np.random.RandomState(4).normal(size=(4, 16)).astype(np.float32)
  said = np.repeat(said[:1], 4, axis=0)  # So it matters not which is chosen.
  new, _ = student.learn(
    student.initial_state(weights.generator),
    weights,
    inputs,
    labels,
    tf.reshape(said, [4, *_SHAPE]),
    _SEED,
  )
  # All 16 frequencies are in, so distances are those of pixels, and lengths
  # too. An image that pulls another by which it is generated: the asked image
  # a0 is fixed, the simulated ones are a, all alike: |2 said - (a - a0) / d|^2,
  # whose gradient at a = a0, d = 1, is -2 (2 said - 0).
  np.testing.assert_allclose(
    new.generator[0][0], start[0] + 0.1 * 2 * 2 * said[0], rtol=1e-4, atol=1e-5
  )
  np.testing.assert_array_equal(new.generator[0][1], start[1])
  # Half of the way, for the average.
  np.testing.assert_allclose(
    new.averaged_generator[0],
    (start + new.generator[0].numpy()) / 2,
    rtol=1e-5,
  )


def test_answers_of_all_rounds_are_kept():
  data = np.ones((2, 3, *_SHAPE))
  teacher, generator = _teacher(), _generator()
  _, state = _learn_from(data, _student(), teacher, generator, 2)
  assert state.answers.count == 2
  assert np.all(np.any(state.answers.asked[:2] != 0, axis=2))
  assert not np.any(state.answers.asked[2])
  np.testing.assert_array_equal(
    state.answers.labels, [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0]]
  )


def test_the_last_round_has_further_steps():
  data = np.ones((2, 3, *_SHAPE))
  _, state = _learn_from(data, _student(), _teacher(), _generator(), 3)
  assert state.step == 3 * 4 + 2


def test_the_learning_rate_falls_and_comes_back():
  """To a fiftieth at the last step; the optimizer's state has the whole."""
  data = np.ones((2, 3, *_SHAPE))
  student = _student(rounds=1, steps=1, last_steps=0)
  generator = _generator()
  whole, state = _learn_from(
    data, _student(rounds=100, steps=1), _teacher(), generator, 1
  )
  last, _ = _learn_from(data, student, _teacher(), generator, 1)
  np.testing.assert_allclose(
    last.generator[0], 0.02 * whole.generator[0].numpy(), rtol=1e-4, atol=1e-7
  )
  assert float(state.optimizer["learning_rate"]) == pytest.approx(0.1)


def test_a_repeated_round_repeats():
  data = np.random.RandomState(5).normal(size=(2, 9, *_SHAPE))
  first, _ = _learn_from(data, _student(), _teacher(), _generator(), 2)
  again, _ = _learn_from(data, _student(), _teacher(), _generator(), 2)
  np.testing.assert_array_equal(first.generator[0], again.generator[0])


@pytest.mark.parametrize(
  "overrides, message",
  [
    (dict(rounds=0), "rounds must be at least 1, got 0"),
    (dict(images_per_round=0), "images_per_round must be at least 1"),
    (dict(shard_images=0), "shard_images must be at least 1"),
    (dict(steps=0), "steps must be at least 1"),
    (dict(last_steps=-1), "last_steps must be at least 0"),
    (dict(answers_per_step=0), "answers_per_step must be at least 1"),
    (
      dict(shard_images=5, images_per_class=9),
      "images_per_class must be at least 10, got 9",
    ),
    (dict(answered_share=0.0), r"answered_share must be in \(0, 1\], got 0.0"),
    (dict(averaging_decay=1.0), r"averaging_decay must be in \[0, 1\)"),
  ],
)
def test_bad_arguments(overrides, message):
  with pytest.raises(ValueError, match=message):
    _student(**overrides)
