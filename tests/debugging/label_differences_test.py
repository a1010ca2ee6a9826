"""Tests of whether samples of a slice by label show another class."""

import numpy as np
import pytest

from tests.debugging import coded_images
from tff_gen_debug.debugging import label_differences


def _compare(suspect, reference, labels=(1,), **names):
  return label_differences.compare_labels(
    suspect, reference, coded_images.Scorer(), labels, **names
  )


def test_images_with_the_label_of_another_class_are_found():
  # Of class 1 a third are sevens, and a few what the primary model took so.
  suspect = coded_images.make(0, 120, 6, 0, 0, 0, 0, 60, 0, 14)
  reference = coded_images.make(40, 8, 40, 40, 40, 32, 0, 0, 0, 0)
  found = _compare(
    suspect, reference, suspect_name="class 1", reference_name="other classes"
  )
  assert found.holds
  assert found.name == "class_1_another_class"
  assert found.numbers["class"] == 7
  assert found.claim == (
    "30 % of class 1 samples are taken for one class of the other slice (here"
    " 7) against 4 % of other classes samples (p = 1e-12)"
  )


@pytest.mark.parametrize(
  "suspect, reference",
  [
    # What a generator draws badly is scattered,
    ((20, 110, 20, 10, 10, 10, 10, 5, 3, 2), (20, 2, 20, 20, 20, 20, 20, 20)),
    # or it is in both slices,
    ((0, 120, 80), (80, 60, 80)),
    # or less than what is asked for.
    ((0, 170, 30), (100, 0, 100)),
  ],
)
def test_what_generators_draw_badly_is_no_finding(suspect, reference):
  assert not _compare(
    coded_images.make(*suspect), coded_images.make(*reference)
  ).holds


def test_classes_of_the_same_slice_are_not_held_against_each_other():
  suspect = coded_images.make(0, 20, 100, 80)
  reference = coded_images.make(100, 0, 0, 0, 100)
  found = _compare(suspect, reference, labels=[1, 2, 3])
  assert found.verdict == "not found"
  assert found.numbers["suspect"]["count"] == 0
  assert _compare(suspect, reference, labels=[1, 2]).numbers["class"] == 3


def test_labels_that_the_model_has_not_are_no_class():
  suspect = coded_images.make(0, 20, 100, 80)
  found = _compare(suspect, coded_images.make(60), labels=[1, 10])
  assert found.numbers["class"] == 2


def test_samples_without_strokes_decide_nothing():
  fog = np.full([60, 28, 28, 1], -0.1, np.float32)
  found = _compare(fog, coded_images.make(100))
  assert found.verdict == "undecided"
  assert "show strokes on a background" in found.claim


@pytest.mark.parametrize("labels", [[], [10], range(10)])
def test_labels_that_leave_no_other_slice(labels):
  with pytest.raises(ValueError, match="labels must be some of the 10 classes"):
    _compare(coded_images.make(60), coded_images.make(60), labels)
