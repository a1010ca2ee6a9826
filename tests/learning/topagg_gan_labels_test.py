"""Tests of what the DataLens process asks about, and what it refuses.

An image is one number, the generator's weight plus noise, and a teacher says
that and the image's label, so that the student's step tells both.
"""

import collections

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.learning import toy_gan
from tff_gen_debug.aggregators import gradient_codes
from tff_gen_debug.aggregators import image_votes
from tff_gen_debug.learning import client_store
from tff_gen_debug.learning import students
from tff_gen_debug.learning import teachers
from tff_gen_debug.learning import topagg_gan
from tff_gen_debug.models import gan
from tff_gen_debug.models.gan import labelled

pytestmark = pytest.mark.usefixtures("tff_runtime")

_IMAGES, _CLASSES = 50, 3


def _generator(num_classes):
  """Its moving statistics are the inputs that it saw last."""

  def init(seed):
    del seed
    return (tf.zeros([_IMAGES, 1]),), (tf.zeros([_IMAGES, 1 + num_classes]),)

  def apply(weights, statistics, inputs, training):
    del statistics
    assert training is True
    return weights[0] + inputs[:, :1], (inputs,)

  return labelled.LabelledGenerator(
    gan.Generator(latent_dim=1 + num_classes, init=init, apply=apply),
    num_classes,
  )


class _Echo(teachers.Teacher):
  """Says the image and ten times its label, and learns nothing."""

  def initial_state(self, seed):
    return teachers.TeacherState((), ())

  def judge(self, state, shard, fakes, is_first):
    labels = tf.cast(fakes.labels, tf.float32)
    return fakes.images + 10 * labels[:, tf.newaxis], state


def _build(num_classes=_CLASSES, **overrides):
  generator = _generator(num_classes)
  arguments = dict(
    aggregator=tff.aggregators.MeanFactory(),
    image_shape=(1,),
    images_per_round=_IMAGES,
    images_per_teacher=1,
  )
  arguments.update(overrides)
  return topagg_gan.build_topagg_gan(
    generator,
    _Echo(),
    students.GradientStudent(generator, toy_gan.sgd(1.0)),
    **arguments,
  )


def _votes(**settings):
  return image_votes.ImageVoteFactory(
    gradient_codes.ClippedCode(1.0),
    teachers=4,
    noise_multiplier=0.0,
    **settings,
  )


def _client():
  return tf.data.Dataset.from_tensors(
    collections.OrderedDict(
      client=np.int32(0),
      images=np.zeros([1, 1, 1], np.float32),
      labels=np.zeros([1, 1], np.int32),
      mask=np.zeros([1, 1], np.float32),
    )
  )


def _echoes(process, rounds):
  """Inputs and labels of the student, and what the teachers got, by round."""
  state, before = process.initialize(), 0.0
  for _ in range(rounds):
    output = process.next(state, [_client()])
    state = output.state
    after = state.weights.generator[0][:, 0]
    inputs = state.weights.statistics[0]
    yield inputs[:, 0], inputs[:, 1:], before, after - before
    before = after


@pytest.mark.parametrize(
  "label_weights, shares",
  [(None, [1 / 3] * 3), ([1.5, 0, 4.5], [1 / 4, 0, 3 / 4])],
)
def test_teachers_and_student_see_the_same_images_and_labels(
  label_weights, shares
):
  process = _build(label_weights=label_weights)
  noises, counts = [], []
  for noise, one_hot, before, told in _echoes(process, 12):
    np.testing.assert_array_equal(np.sum(one_hot, axis=1), 1)
    labels = np.argmax(one_hot, axis=1)
    # float32 numbers of up to 1e5, which double each round.
    expected = before + noise + 10 * labels
    np.testing.assert_allclose(told, expected, rtol=1e-4, atol=1e-4)
    noises.append(noise)
    counts.append(np.bincount(labels, minlength=_CLASSES))
  off = np.array(counts) - np.array(shares) * _IMAGES
  assert np.max(np.abs(off)) < 1
  # Of twelve rounds some round up, and some down; none prefers a class.
  assert len(np.unique(counts, axis=0)) > 1
  # Standard normal, new each round: 600 draws have errors of 4 % and 3 %.
  noises = np.array(noises)
  assert len(np.unique(noises)) == noises.size
  assert abs(np.mean(noises)) < 0.2 and abs(np.std(noises) - 1) < 0.15


@pytest.mark.parametrize(
  "overrides, error, message",
  [
    (dict(images_per_round=0), ValueError, "images_per_round"),
    (dict(images_per_teacher=0), ValueError, "images_per_teacher"),
    (dict(teachers_per_client=0), ValueError, "teachers_per_client"),
    (dict(teachers_per_client=2), TypeError, "aggregator.*grouped=True"),
    (
      dict(teachers_per_client=2, aggregator=_votes()),
      TypeError,
      "aggregator.*grouped=True",
    ),
    (dict(aggregator=7), TypeError, "aggregator.*int"),
    (dict(teacher_aggregator=7), TypeError, "aggregator.*int"),
    (dict(num_classes=0, label_weights=[1.0]), ValueError, "must be 0"),
    (dict(image_shape=(2,)), ValueError, "images must have shape"),
  ],
)
def test_bad_arguments_are_named(overrides, error, message):
  with pytest.raises(error, match=message):
    _build(**overrides)


@pytest.mark.parametrize(
  "label_weights, message",
  [
    ([1, 2], r"must be 3 numbers.*\[2\]"),
    ([1, 2, -1], "at least 0"),
    ([0, 0, 0], "not all 0"),
    ([1, np.nan, 1], "label_weights"),
    ([1, np.inf, 1], "label_weights"),
  ],
)
def test_label_weights_are_shares(label_weights, message):
  with pytest.raises(ValueError, match=message):
    _build(label_weights=label_weights)


def test_teachers_with_weights_of_their_own_share_none(tmp_path):
  shared = tff.aggregators.MeanFactory()
  for overrides in (
    dict(store=client_store.ClientStore(tmp_path)),
    dict(teachers_per_client=2, aggregator=_votes(grouped=True)),
  ):
    with pytest.raises(ValueError, match="teacher_aggregator must be None"):
      _build(teacher_aggregator=shared, **overrides)


def test_teachers_without_a_state_need_no_store(tmp_path):
  with pytest.raises(ValueError, match="store must be None"):
    _build(store=client_store.ClientStore(tmp_path))
