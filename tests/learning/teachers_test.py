"""Tests of a teacher's work, on a discriminator that can be done by hand.

An image is one number, and the logit `slope * image + bias`, or, with classes,
`slope * image + bias of its class`.
"""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.learning import toy_gan
from tff_gen_debug.learning import teachers
from tff_gen_debug.models.gan import labelled

_RATE, _MOMENTUM = 0.5, 0.75
_REAL = np.array([1.5, -0.25, 2.0])
_FAKE = np.array([-1.0, 0.5, -2.0, 0.75])
_REAL_LABELS = np.array([1, 0, 1])
_FAKE_LABELS = np.array([0, 1, 1, 0])
# The references are float64; these are float32, through up to ten steps.
_TOLERANCE = dict(rtol=1e-5, atol=1e-6)


def _sigmoid(x):
  return 1 / (1 + np.exp(-x))


def _without_classes() -> labelled.LabelledDiscriminator:
  toy = toy_gan.discriminator()

  def apply(weights, images, labels):
    assert labels.shape[1] == 0
    return toy.apply(weights, images, None)

  return labelled.LabelledDiscriminator(init=toy.init, apply=apply)


def _with_classes() -> labelled.LabelledDiscriminator:
  def init(seed):
    # Of two classes, and a weight that the logit does not depend on.
    return tf.random.stateless_normal([3], seed), tf.constant(5.0)

  def apply(weights, images, labels):
    slope_and_biases, _ = weights
    biases = tf.linalg.matvec(labels, slope_and_biases[1:])
    return images[:, 0] * slope_and_biases[0] + biases

  return labelled.LabelledDiscriminator(init=init, apply=apply)


def _teacher(optimizer=None, discriminator=None, **settings):
  arguments = dict(num_classes=0, steps=2, first_steps=2)
  arguments.update(settings)
  return teachers.DiscriminatorTeacher(
    discriminator or _without_classes(),
    optimizer or toy_gan.sgd(_RATE),
    **arguments,
  )


def _shard(images=_REAL, labels=None, mask=None) -> teachers.Shard:
  if labels is None:
    labels = np.zeros(len(images))
  if mask is None:
    mask = np.ones(len(images))
  return teachers.Shard(
    tf.constant(np.reshape(images, [-1, 1]), tf.float32),
    tf.constant(labels, tf.int32),
    tf.constant(mask, tf.float32),
  )


def _fakes(images=_FAKE, labels=None) -> teachers.LabelledImages:
  if labels is None:
    labels = np.zeros(len(images))
  return teachers.LabelledImages(
    tf.constant(np.reshape(images, [-1, 1]), tf.float32),
    tf.constant(labels, tf.int32),
  )


def _judge(teacher, state, shard, fakes, is_first=False):
  return teacher.judge(state, shard, fakes, tf.constant(is_first))


def _initial(teacher) -> teachers.TeacherState:
  return teacher.initial_state(tf.constant([1, 2]))


def _gradient(weights, real, fake, real_biases, fake_biases):
  """Of mean softplus(-logit) of real and of mean softplus(logit) of fake.

  Args:
    weights: The slope, and biases of classes.
    real: Images without padding; may be none.
    fake: Images.
    real_biases: Which bias a real image has.
    fake_biases: Which bias a fake one has.

  Returns:
    The derivative by the weights.
  """
  gradient = np.zeros(len(weights))
  for image, label in zip(real, real_biases):
    error = _sigmoid(weights[0] * image + weights[1 + label]) - 1
    gradient[0] += error * image / len(real)
    gradient[1 + label] += error / len(real)
  for image, label in zip(fake, fake_biases):
    error = _sigmoid(weights[0] * image + weights[1 + label])
    gradient[0] += error * image / len(fake)
    gradient[1 + label] += error / len(fake)
  return gradient


def _by_hand(weights, steps, real, fake, labels=None, momentum=0.0):
  """Weights and their velocity after steps from rest, and the directions."""
  real_labels, fake_labels = labels or ([0] * len(real), [0] * len(fake))
  weights = np.array(weights, np.float64)
  velocity = np.zeros(len(weights))
  for _ in range(steps):
    velocity = momentum * velocity + _gradient(
      weights, real, fake, real_labels, fake_labels
    )
    weights = weights - _RATE * velocity
  logits = weights[0] * fake + weights[1:][np.asarray(fake_labels)]
  # -d softplus(-logit) / d image.
  return weights, velocity, (1 - _sigmoid(logits)) * weights[0]


def _flat(weights) -> np.ndarray:
  return np.concatenate([np.ravel(w) for w in weights])


_START = [toy_gan.SLOPE, toy_gan.BIAS]


@pytest.mark.parametrize(
  "steps, first_steps, is_first, taken",
  [
    (2, 2, False, 2),
    (2, 2, True, 2),
    (1, 4, False, 1),
    (1, 4, True, 4),
    (2, 10, True, 10),
  ],
)
def test_steps_of_sgd_and_then_directions(steps, first_steps, is_first, taken):
  teacher = _teacher(steps=steps, first_steps=first_steps)
  directions, state = _judge(
    teacher, _initial(teacher), _shard(), _fakes(), is_first
  )
  weights, _, expected = _by_hand(_START, taken, _REAL, _FAKE)
  np.testing.assert_allclose(_flat(state.weights), weights, **_TOLERANCE)
  assert directions.shape == [4, 1]
  np.testing.assert_allclose(directions[:, 0], expected, **_TOLERANCE)


def test_directions_point_to_what_passes_for_real():
  # Real images are above the fake ones, so all should become larger.
  teacher = _teacher(first_steps=20)
  directions, _ = _judge(
    teacher, _initial(teacher), _shard(_FAKE + 10), _fakes(), True
  )
  assert np.all(directions > 0)
  directions, _ = _judge(
    teacher, _initial(teacher), _shard(_FAKE - 10), _fakes(), True
  )
  assert np.all(directions < 0)


def test_the_optimizer_goes_on_where_it_was():
  teacher = _teacher(
    tff.learning.optimizers.build_sgdm(_RATE, _MOMENTUM), steps=2, first_steps=3
  )
  state = _initial(teacher)
  for is_first in (True, False, False):
    directions, state = _judge(teacher, state, _shard(), _fakes(), is_first)
  weights, velocity, expected = _by_hand(
    _START, 3 + 2 + 2, _REAL, _FAKE, momentum=_MOMENTUM
  )
  np.testing.assert_allclose(_flat(state.weights), weights, **_TOLERANCE)
  np.testing.assert_allclose(directions[:, 0], expected, **_TOLERANCE)
  slots = _flat(tf.nest.flatten(state.memory["accumulator"]))
  np.testing.assert_allclose(slots, velocity, **_TOLERANCE)


def test_labels_reach_the_discriminator():
  teacher = _teacher(discriminator=_with_classes(), num_classes=2)
  state = _initial(teacher)
  start = state.weights[0].numpy()
  # Another seed starts elsewhere.
  other = teacher.initial_state(tf.constant([1, 3])).weights[0].numpy()
  assert np.all(start != other)
  directions, state = _judge(
    teacher, state, _shard(labels=_REAL_LABELS), _fakes(labels=_FAKE_LABELS)
  )
  weights, _, expected = _by_hand(
    start, 2, _REAL, _FAKE, (_REAL_LABELS, _FAKE_LABELS)
  )
  np.testing.assert_allclose(state.weights[0], weights, **_TOLERANCE)
  np.testing.assert_allclose(directions[:, 0], expected, **_TOLERANCE)
  # What the logit does not depend on stays.
  assert state.weights[1].numpy() == 5.0


@pytest.mark.parametrize("filler", [0.0, -1.0, 1e6])
def test_rows_without_an_image_count_for_nothing(filler):
  images = np.insert(_REAL, [0, 2, 3, 3], filler)
  mask = np.array([0, 1, 1, 0, 1, 0, 0])
  teacher = _teacher()
  padded, padded_state = _judge(
    teacher, _initial(teacher), _shard(images, mask=mask), _fakes()
  )
  weights, _, expected = _by_hand(_START, 2, _REAL, _FAKE)
  np.testing.assert_allclose(_flat(padded_state.weights), weights, **_TOLERANCE)
  np.testing.assert_allclose(padded[:, 0], expected, **_TOLERANCE)


def test_a_teacher_without_images_has_no_direction():
  teacher = _teacher()
  directions, state = _judge(
    teacher, _initial(teacher), _shard(mask=np.zeros(3)), _fakes()
  )
  np.testing.assert_array_equal(directions, np.zeros([4, 1]))
  # It may learn from what is public.
  weights, _, _ = _by_hand(_START, 2, _REAL[:0], _FAKE)
  np.testing.assert_allclose(_flat(state.weights), weights, **_TOLERANCE)


def _stacked(structures):
  return tf.nest.map_structure(lambda *x: tf.stack(x), *structures)


@pytest.mark.parametrize("is_first", [True, False])
def test_teachers_side_by_side_are_as_if_alone(is_first):
  """As `topagg_gan` runs them, in a graph."""
  shards = [
    (_REAL, _REAL_LABELS, np.ones(3)),
    (-_REAL, _REAL_LABELS, np.array([1, 0, 1])),
    (_REAL * 2, 1 - _REAL_LABELS, np.array([0, 1, 0])),
    (_REAL, _REAL_LABELS, np.zeros(3)),
  ]
  teacher = _teacher(
    tff.learning.optimizers.build_sgdm(_RATE, _MOMENTUM),
    _with_classes(),
    num_classes=2,
    steps=2,
    first_steps=5,
  )
  states = [
    teacher.initial_state(tf.constant([9, i])) for i in range(len(shards))
  ]

  @tf.function
  def judge_all(states, shards, is_first):
    return tf.vectorized_map(
      lambda own: teacher.judge(
        own[0], own[1], _fakes(labels=_FAKE_LABELS), is_first
      ),
      (states, shards),
    )

  directions, new_states = judge_all(
    _stacked(states),
    _stacked([_shard(*shard) for shard in shards]),
    tf.constant(is_first),
  )
  for i, (images, labels, mask) in enumerate(shards):
    here = mask > 0
    weights, velocity, expected = _by_hand(
      states[i].weights[0].numpy(),
      5 if is_first else 2,
      images[here],
      _FAKE,
      (labels[here], _FAKE_LABELS),
      momentum=_MOMENTUM,
    )
    np.testing.assert_allclose(new_states.weights[0][i], weights, **_TOLERANCE)
    slots = tf.nest.flatten(new_states.memory["accumulator"])
    np.testing.assert_allclose(slots[0][i], velocity, **_TOLERANCE)
    expected = expected if np.any(here) else np.zeros(4)
    np.testing.assert_allclose(directions[i, :, 0], expected, **_TOLERANCE)


def test_large_logits_stay_finite():
  teacher = _teacher()
  huge = np.array([1e4, -1e4, 1e4])
  directions, state = _judge(
    teacher, _initial(teacher), _shard(huge), _fakes(huge * 10)
  )
  assert np.all(np.isfinite(directions))
  assert np.all(np.isfinite(_flat(state.weights)))


@pytest.mark.parametrize(
  "settings, message",
  [
    (dict(steps=0), "steps must be at least 1"),
    (dict(steps=3, first_steps=2), r"first_steps.*\(3\), got 2"),
  ],
)
def test_bad_arguments_are_named(settings, message):
  with pytest.raises(ValueError, match=message):
    _teacher(**settings)
