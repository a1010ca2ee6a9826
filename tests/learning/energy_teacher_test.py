"""Tests of teachers that pull images towards their own."""

import numpy as np
import pytest
import tensorflow as tf

from tff_gen_debug import low_frequencies
from tff_gen_debug.learning import energy_teacher
from tff_gen_debug.learning import teachers

_SHAPE = (6, 6, 1)


def _teacher(**overrides):
  settings = dict(num_classes=3, frequencies=3, softening=0.5, locality=0.7)
  settings.update(overrides)
  return energy_teacher.EnergyTeacher(_SHAPE, **settings)


def _images(count, seed):
  return np.random.RandomState(seed).uniform(-1, 1, (count, *_SHAPE))


def _judge(teacher, shard_images, shard_labels, mask, fakes, labels):
  directions, state = teacher.judge(
    teacher.initial_state(tf.constant([1, 2])),
    teachers.Shard(
      tf.constant(shard_images, tf.float32),
      tf.constant(shard_labels, tf.int32),
      tf.constant(mask, tf.float32),
    ),
    teachers.LabelledImages(
      tf.constant(fakes, tf.float32), tf.constant(labels, tf.int32)
    ),
    tf.constant(True),
  )
  assert state == teachers.TeacherState((), ())
  return directions.numpy()


def _by_hand(own, own_labels, mask, fakes, labels, softening, locality, basis):
  """One image after the other, in float64."""
  result = np.zeros(fakes.shape)
  for i, (fake, label) in enumerate(zip(fakes, labels)):
    asked = fake.reshape(-1) @ basis
    near = [
      image.reshape(-1) @ basis
      for image, own_label, there in zip(own, own_labels, mask)
      if there and own_label == label
    ]
    if not near:
      continue
    distances = [np.sqrt(np.sum((a - asked) ** 2) + softening**2) for a in near]
    shares = np.exp(-locality * np.array(distances))
    shares /= shares.sum()
    pull = sum(s * (a - asked) / d for s, a, d in zip(shares, near, distances))
    result[i] = (basis @ pull).reshape(_SHAPE)
  return result


@pytest.mark.parametrize("locality", [0.0, 0.7, 5.0])
def test_directions_are_those_by_hand(locality):
  own, fakes = _images(8, 1), _images(5, 2)
  own_labels, labels = [0, 1, 1, 0, 1, 1, 0, 2], [0, 1, 2, 1, 0]
  mask = [1, 1, 1, 1, 0, 1, 0, 0]  # So class 2 has no image.
  basis = low_frequencies.basis(_SHAPE, 3).astype(np.float64)
  expected = _by_hand(
    own, own_labels, mask, fakes, labels, 0.5, locality, basis
  )
  assert not np.any(expected[2])
  np.testing.assert_allclose(
    _judge(_teacher(locality=locality), own, own_labels, mask, fakes, labels),
    expected,
    atol=2e-6,  # float32 of numbers below 1.
  )


def test_without_classes_every_image_pulls():
  own, fakes = _images(4, 3), _images(2, 4)
  basis = low_frequencies.basis(_SHAPE, 3).astype(np.float64)
  expected = _by_hand(own, [0] * 4, [1] * 4, fakes, [0] * 2, 0.5, 0.7, basis)
  np.testing.assert_allclose(
    _judge(_teacher(num_classes=0), own, [0, 1, 2, 0], [1] * 4, fakes, [0, 0]),
    expected,
    atol=2e-6,
  )


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1.0, 1e3, 1e15])
def test_directions_are_shorter_than_one(scale):
  own, fakes = scale * _images(6, 5), _images(7, 6)
  directions = _judge(
    _teacher(), own, [0, 1, 2, 0, 1, 2], [1] * 6, fakes, [0, 1, 2, 0, 1, 2, 0]
  )
  lengths = np.linalg.norm(directions.reshape(7, -1), axis=1)
  assert np.all(lengths <= 1 + 1e-6)  # Rounding.
  if scale == 1e3:
    # Far away, nothing softens the pull.
    assert np.all(lengths > 0.9)


def test_a_far_image_pulls_no_less_than_a_near_one_without_locality():
  fakes = np.zeros((1, *_SHAPE))
  basis = low_frequencies.basis(_SHAPE, 3)
  axis = basis[:, 1].reshape(_SHAPE)
  own = np.stack([-1000 * axis, 10 * axis])
  directions = _judge(
    _teacher(locality=0.0, softening=1e-3), own, [0, 0], [1, 1], fakes, [0]
  )
  np.testing.assert_allclose(directions, 0, atol=1e-3)


def test_locality_prefers_the_nearest():
  basis = low_frequencies.basis(_SHAPE, 3)
  axis = basis[:, 1].reshape(_SHAPE)
  own = np.stack([-4 * axis, 2 * axis])
  directions = _judge(
    _teacher(locality=20.0, softening=1e-3),
    own,
    [0, 0],
    [1, 1],
    np.zeros((1, *_SHAPE)),
    [0],
  )
  np.testing.assert_allclose(directions[0], axis, atol=1e-3)


def test_gradients_pass_through_the_nearest():
  """As a simulated teacher's images are trained through its pull."""
  teacher = _teacher()
  rng = np.random.RandomState(7)
  asked = tf.constant(rng.normal(size=(2, teacher.num_features)), tf.float64)
  own = tf.constant(rng.normal(size=(4, teacher.num_features)), tf.float64)
  weights = tf.ones([2, 4], tf.float64)

  def total(own):
    return tf.reduce_sum(teacher.pull(asked, own, weights) ** 2)

  with tf.GradientTape() as tape:
    tape.watch(own)
    value = total(own)
  gradient = tape.gradient(value, own).numpy()
  step = 1e-6
  for index in np.ndindex(*own.shape):
    shift = np.zeros(own.shape)
    shift[index] = step
    slope = (total(own + shift) - total(own - shift)) / (2 * step)
    np.testing.assert_allclose(gradient[index], slope, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
  "overrides, message",
  [
    (dict(softening=0.0), "softening must be positive, got 0.0"),
    (dict(softening=float("nan")), "softening must be positive, got nan"),
    (dict(locality=-1.0), "locality must be at least 0, got -1.0"),
    (dict(num_classes=-1), "num_classes must be at least 0, got -1"),
    (dict(frequencies=0), "frequencies must be at least 1, got 0"),
  ],
)
def test_bad_arguments(overrides, message):
  with pytest.raises(ValueError, match=message):
    _teacher(**overrides)
