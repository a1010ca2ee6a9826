"""Tests of the downstream classifiers on bright quadrants in noise."""

import random
import subprocess
import sys
import warnings

import numpy as np
import pytest
import tensorflow as tf

from tff_gen_debug.evaluation import downstream
from tff_gen_debug.evaluation import downstream_cnn

_SIDE = 12
# For the network, small enough that a training takes about a second.
_QUICK = {"cnn": {"epochs": 2, "batch_size": 32}}


def _images(labels, seed, shape=(_SIDE, _SIDE, 1), noise=0.3):
  """Noise on grey, with the quadrant of the label's number bright."""
  rng = np.random.default_rng(seed)
  images = rng.normal(-0.5, noise, (len(labels), *shape))
  half_height, half_width = shape[0] // 2, shape[1] // 2
  for image, label in zip(images, labels):
    top, left = half_height * (label // 2), half_width * (label % 2)
    image[top : top + half_height, left : left + half_width] += 1
  return np.clip(images, -1, 1).astype(np.float32)


def _labels(num_images, num_classes, seed):
  rng = np.random.default_rng(seed)
  return rng.integers(num_classes, size=num_images)


def _sigma(probability, num_images):
  """Of the share of successes among `num_images`."""
  return np.sqrt(probability * (1 - probability) / num_images)


def _train(kind, images, labels, num_classes, **arguments):
  arguments = {**_QUICK.get(kind, {}), **arguments}
  return downstream.train(
    kind, images, labels, num_classes=num_classes, **arguments
  )


@pytest.mark.parametrize(
  "num_classes, shape",
  [(4, (12, 12, 1)), (2, (8, 9, 3))],
  ids=["four classes, grey", "two classes, colour, smallest"],
)
@pytest.mark.parametrize("kind", downstream.KINDS)
def test_separable_classes_are_told_apart(kind, num_classes, shape):
  labels = _labels(300, num_classes, seed=0)
  real_labels = _labels(400, num_classes, seed=1)
  classifier = _train(kind, _images(labels, 2, shape), labels, num_classes)
  assert classifier.kind == kind
  assert classifier.image_shape == shape
  real = _images(real_labels, 3, shape)
  # Four sigma above 95 %.
  least = 0.95 + 4 * _sigma(0.95, 400)
  assert classifier.accuracy(real, real_labels) > least
  predicted = classifier.predict(real)
  assert predicted.dtype == np.int32 and predicted.shape == (400,)
  assert classifier.accuracy(real, predicted) == 1


@pytest.mark.parametrize("kind", downstream.KINDS)
def test_shuffled_labels_give_chance(kind):
  """Labels independent of the images, so that the hits are binomial."""
  labels, real_labels = _labels(300, 4, seed=4), _labels(2000, 4, seed=5)
  images = _images(_labels(300, 4, seed=6), 7)
  real = _images(_labels(2000, 4, seed=8), 9)
  classifier = _train(kind, images, labels, 4)
  accuracy = classifier.accuracy(real, real_labels)
  assert abs(accuracy - 0.25) < 4 * _sigma(0.25, 2000)
  if kind == "random_forest":
    # It has learned by heart what it can't have understood.
    assert classifier.accuracy(images, labels) > 0.95


@pytest.fixture(autouse=True)
def no_seed_is_left():
  """Other tests of the process want noise that nobody seeded."""
  yield
  tf.random.set_seed(None)


@pytest.mark.parametrize("kind", downstream.KINDS)
def test_equal_seeds_give_equal_classifiers(kind):
  labels = _labels(100, 4, seed=10)
  images = _images(labels, 11, noise=4)  # So hard that any change shows.
  real = _images(_labels(1000, 4, seed=12), 13, noise=4)
  tf.random.set_seed(1)
  first = _train(kind, images, labels, 4, seed=5).predict(real)
  tf.random.set_seed(2)
  again = _train(kind, images, labels, 4, seed=5).predict(real)
  np.testing.assert_array_equal(first, again)
  other = _train(kind, images, labels, 4, seed=6).predict(real)
  # Logistic regression has nothing random.
  assert np.array_equal(first, other) == (kind == "logistic_regression")


@pytest.mark.parametrize("kind", downstream.KINDS)
def test_the_callers_random_state_and_layer_names_stay(kind):
  def draw(between):
    random.seed(3)
    np.random.seed(3)
    tf.random.set_seed(3)
    tf.keras.backend.reset_uids()
    first = tf.random.uniform(())
    between()
    return (
      first.numpy(),
      random.random(),
      np.random.random(),
      tf.random.uniform(()).numpy(),
      tf.keras.layers.Dense(1).name,
      tf.keras.Sequential().name,
    )

  labels = _labels(20, 2, seed=14)
  images = _images(labels, 15)
  assert draw(lambda: _train(kind, images, labels, 2)) == draw(lambda: None)


def test_the_network_stops_by_a_tenth_of_the_synthetic_images(monkeypatch):
  """What it trains on and what it stops by are the given images, split."""
  labels = _labels(205, 4, seed=16)
  images = _images(labels, 17)
  numbers = np.arange(205)
  images[:, 0, 0, 0] = numbers / 205  # By which to know them again.
  trained_on, held_out, steps_before = [], [], []

  def number(batch):
    return np.rint(batch[:, 0, 0, 0] * 205).astype(int).tolist()

  build_step, logits = downstream_cnn._build_step, downstream_cnn._logits

  def spy_build_step(*args):
    step = build_step(*args)

    def spy_step(batch, batch_labels, seed):
      trained_on.append(number(batch))
      np.testing.assert_array_equal(labels[trained_on[-1]], batch_labels)
      step(batch, batch_labels, seed)

    return spy_step

  def spy_logits(model, batch):
    held_out.append(number(batch))
    steps_before.append(len(trained_on))
    return logits(model, batch)

  monkeypatch.setattr(downstream_cnn, "_build_step", spy_build_step)
  monkeypatch.setattr(downstream_cnn, "_logits", spy_logits)
  _train("cnn", images, labels, 4, epochs=9, patience=2)
  # 185 images are 6 batches of 32, 17 times over to be 100 steps.
  assert steps_before == [102 * (i + 1) for i in range(len(held_out))]
  assert len(held_out[0]) == 20
  assert all(sorted(tenth) == sorted(held_out[0]) for tenth in held_out)
  for i in range(0, len(trained_on), 6):
    seen = [n for batch in trained_on[i : i + 6] for n in batch]
    assert sorted(seen + held_out[0]) == numbers.tolist()
  assert trained_on[:6] != trained_on[6:12]
  # Told apart within an epoch, so that two more without gain are the last.
  assert len(held_out) < 9


@pytest.mark.parametrize(
  "patience, scores, epochs, kept",
  [
    (1, [0.5, 0.6, 0.6, 0.7], 3, 3),  # Of equal ones the later.
    (2, [0.5, 0.4, 0.3, 0.9], 3, 1),
    (2, [0.5, 0.4, 0.6, 0.5], 4, 3),
  ],
)
def test_the_network_keeps_its_best_epoch(
  monkeypatch, patience, scores, epochs, kept
):
  labels = np.arange(100) % 2
  images = _images(labels, 18)
  weights = []

  def scripted(model, held_out):
    weights.append(model.get_weights())
    score = scores[len(weights) - 1]
    tenth = labels[[_find(images, image) for image in held_out]]
    wrong = np.arange(len(tenth)) >= round(score * len(tenth))
    return np.eye(2)[np.where(wrong, 1 - tenth, tenth)]

  with monkeypatch.context() as patch:
    patch.setattr(downstream_cnn, "_logits", scripted)
    classifier = _train("cnn", images, labels, 2, epochs=4, patience=patience)
  assert len(weights) == epochs
  found = []
  with monkeypatch.context() as patch:
    patch.setattr(
      downstream_cnn,
      "_logits",
      lambda model, images: found.append(model.get_weights()) or np.eye(2)[:1],
    )
    classifier.predict(images[:1])
  for value, expected in zip(found[0], weights[kept - 1]):
    np.testing.assert_array_equal(value, expected)
  assert not np.array_equal(weights[0][0], weights[1][0])


def _find(images, image):
  return int(np.argmax(np.all(images == image, axis=(1, 2, 3))))


@pytest.mark.parametrize("kind", downstream.KINDS)
def test_classes_without_images_are_never_predicted(kind):
  labels = np.repeat([1, 3], 60)
  classifier = _train(kind, _images(labels, 19), labels, 5)
  assert classifier.classes.tolist() == [1, 3]
  real_labels = np.repeat([0, 1, 2, 3], 50)
  real = _images(real_labels, 20)
  assert set(classifier.predict(real)) == {1, 3}
  assert classifier.accuracy(real[real_labels == 0], np.zeros(50, int)) == 0
  known = np.isin(real_labels, [1, 3])
  least = 0.9 + 4 * _sigma(0.9, 100)
  accuracy = classifier.accuracy(real[known], real_labels[known])
  assert accuracy == 1 or accuracy > least


@pytest.mark.parametrize("kind", downstream.KINDS)
@pytest.mark.parametrize("num_images", [1, 30])
def test_a_single_class_is_always_predicted(kind, num_images):
  labels = np.full(num_images, 2, np.uint8)
  classifier = _train(kind, _images(labels, 21), labels, 4)
  real_labels = np.arange(40) % 4
  real = _images(real_labels, 22)
  np.testing.assert_array_equal(classifier.predict(real), np.full(40, 2))
  assert classifier.accuracy(real, real_labels) == 0.25


@pytest.mark.parametrize("kind", downstream.KINDS)
def test_a_few_images_are_enough(kind):
  """Too few to hold any out."""
  labels = np.array([0, 1, 0, 1])
  classifier = _train(kind, _images(labels, 23), labels, 2)
  assert classifier.accuracy(_images(labels, 23), labels) == 1


@pytest.mark.parametrize("kind", downstream.KINDS)
def test_predictions_have_the_highest_scores(kind):
  labels = _labels(60, 3, seed=40) + 1  # No image of class 0.
  images = _images(labels, 41)
  classifier = _train(kind, images, labels, 4)
  scores = classifier.scores(images)
  assert scores.shape == (60, 3)
  assert scores.dtype == np.float64
  np.testing.assert_array_equal(
    classifier.predict(images), 1 + scores.argmax(axis=1)
  )
  with pytest.raises(ValueError, match="at least one image"):
    classifier.scores(images[:0])


@pytest.mark.parametrize("kind", downstream.KINDS)
def test_no_images_have_no_predictions(kind):
  labels = np.array([0, 1])
  classifier = _train(kind, _images(labels, 24), labels, 2)
  empty = np.zeros((0, _SIDE, _SIDE, 1), np.float32)
  predicted = classifier.predict(empty)
  assert predicted.shape == (0,) and predicted.dtype == np.int32
  with pytest.raises(ValueError, match="at least one image"):
    classifier.accuracy(empty, np.zeros(0, int))


def test_an_unfinished_logistic_regression_is_silent():
  labels = _labels(100, 4, seed=25)
  with warnings.catch_warnings():
    warnings.simplefilter("error")
    downstream.train(
      "logistic_regression",
      _images(labels, 26),
      labels,
      num_classes=4,
      iterations=2,
      tolerance=1e-9,
    )


def test_stronger_penalties_shrink_what_logistic_regression_learns():
  """So much that the most frequent class wins everywhere."""
  labels = np.repeat([0, 1], [70, 30])
  images = _images(labels, 27)
  for penalty, expected in ((1e6, 0.7), (1.0, 1.0)):
    classifier = _train(
      "logistic_regression", images, labels, 2, penalty=penalty
    )
    assert classifier.accuracy(images, labels) == pytest.approx(expected)


def test_importing_the_package_is_light():
  code = (
    "import sys, tff_gen_debug.evaluation; "
    "print(sorted({'sklearn', 'tensorflow', 'scipy'} & set(sys.modules)))"
  )
  printed = subprocess.run(
    [sys.executable, "-c", code], check=True, capture_output=True, text=True
  ).stdout
  assert printed.strip() == "[]"
