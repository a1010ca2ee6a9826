"""Tests of what downstream classifiers refuse, and of the confusion matrix."""

import numpy as np
import pytest

from tff_gen_debug.evaluation import downstream

_GOOD = np.zeros((4, 12, 12, 1), np.float32)
_BAD_IMAGES = [
  (np.zeros((4, 12, 12), np.float32), ValueError, "shape"),
  (np.zeros((4, 7, 12, 1), np.float32), ValueError, "at least 8"),
  (np.zeros((4, 12, 7, 1), np.float32), ValueError, "at least 8"),
  (np.zeros((4, 12, 12, 2), np.float32), ValueError, "1 or 3 channels"),
  (np.full((4, 12, 12, 1), np.nan), ValueError, "finite"),
  (np.full((4, 12, 12, 1), -np.inf), ValueError, "finite"),
  (np.full((4, 12, 12, 1), 1.1), ValueError, r"\[-1, 1\]"),
  (np.zeros((4, 12, 12, 1), np.uint8), TypeError, "uint8"),
  (np.zeros((4, 12, 12, 1), np.complex64), TypeError, "complex64"),
]
_BAD_LABELS = [
  (np.zeros(4), TypeError, "labels must hold integers"),
  (np.zeros(4, bool), TypeError, "labels must hold integers"),
  (np.zeros(3, int), ValueError, r"labels must have shape \[4\]"),
  (np.zeros((4, 1), int), ValueError, r"labels must have shape \[4\]"),
  (np.array([0, 1, 2, 3]), ValueError, r"labels must be in \[0, 3\)"),
  (np.array([0, 1, 2, -1]), ValueError, r"labels must be in \[0, 3\)"),
]


def _train(images, labels):
  return downstream.train("random_forest", images, labels, num_classes=3)


@pytest.fixture(scope="module", name="classifier")
def _fixture_classifier():
  return _train(_GOOD, np.array([0, 1, 2, 0]))


@pytest.mark.parametrize("images, error, message", _BAD_IMAGES)
def test_bad_images_are_named(classifier, images, error, message):
  with pytest.raises(error, match=message):
    _train(images, np.zeros(4, int))
  with pytest.raises(error):
    classifier.predict(images)
  with pytest.raises(error):
    classifier.accuracy(images, np.zeros(4, int))


@pytest.mark.parametrize("labels, error, message", _BAD_LABELS)
def test_bad_labels_are_named(classifier, labels, error, message):
  with pytest.raises(error, match=message):
    _train(_GOOD, labels)
  with pytest.raises(error, match=message):
    classifier.accuracy(_GOOD, labels)


def test_images_of_another_size_than_in_training_are_refused(classifier):
  with pytest.raises(ValueError, match=r"\[n, 12, 12, 1\], got \[1, 12, 13, 1"):
    classifier.predict(np.zeros((1, 12, 13, 1), np.float32))


def test_training_on_nothing_is_refused():
  with pytest.raises(ValueError, match="at least one image"):
    _train(_GOOD[:0], np.zeros(0, int))


@pytest.mark.parametrize(
  "kind, arguments, error, message",
  [
    ("svm", {}, ValueError, "kind must be one of"),
    ("random_forest", {"trees": 0}, ValueError, "trees must be at least 1"),
    ("random_forest", {"trees": 2.0}, TypeError, "trees must be an integer"),
    ("random_forest", {"trees": True}, TypeError, "trees must be an integer"),
    ("random_forest", {"epochs": 2}, TypeError, "settings.*trees.*'epochs'"),
    ("random_forest", {"seed": -1}, ValueError, "seed must be at least 0"),
    ("random_forest", {"seed": 0.5}, TypeError, "seed must be an integer"),
    ("random_forest", {"num_classes": 0}, ValueError, "num_classes"),
    ("random_forest", {"num_classes": 3.0}, TypeError, "num_classes"),
    ("logistic_regression", {"penalty": 0}, ValueError, "penalty must be pos"),
    ("logistic_regression", {"penalty": "1"}, TypeError, "penalty must be a"),
    ("cnn", {"learning_rate": np.nan}, ValueError, "learning_rate must be"),
    ("cnn", {"epochs": 0}, ValueError, "epochs must be at least 1"),
  ],
)
def test_bad_settings_are_named(kind, arguments, error, message):
  arguments = {"num_classes": 3, **arguments}
  with pytest.raises(error, match=message):
    downstream.train(kind, _GOOD, np.zeros(4, int), **arguments)


def test_confusion_counts_labels_by_row():
  predicted = np.array([0, 2, 2, 1, 2], np.int32)
  labels = np.array([0, 2, 1, 1, 1], np.uint8)
  counts = downstream.confusion(predicted, labels, 4)
  assert counts.dtype == np.int64
  expected = [[1, 0, 0, 0], [0, 1, 2, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
  assert counts.tolist() == expected
  none = np.zeros(0, int)
  assert downstream.confusion(none, none, 2).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("labels, error, message", _BAD_LABELS)
def test_bad_arguments_of_confusion_are_named(labels, error, message):
  good = np.zeros(4, int)
  if np.shape(labels) == good.shape:
    with pytest.raises(error, match=message):
      downstream.confusion(good, labels, 3)
  with pytest.raises(error):
    downstream.confusion(labels, good, 3)
