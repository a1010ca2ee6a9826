"""Tests of image findings: closed forms, and real digits with and without bugs.

Real images stand for samples here, as a generator that learned its data drew
them; blurred and noisy ones stand for one that nearly did.
"""

import functools
import json

import numpy as np
import pytest
import tensorflow as tf

from tff_gen_debug.datasets import handwriting
from tff_gen_debug.datasets import handwriting_file
from tff_gen_debug.debugging import bugs
from tff_gen_debug.debugging import image_differences

_SHAPES = [
  "inverted",
  "blank",
  "faint",
  "off_centre",
  "half_empty",
  "rotated",
  "near_copies",
]
_CLASSES = ["one_class", "missing_class"]


class _LabelScorer:
  """Knows the true label of every image that it was made with."""

  def __init__(self, images, labels):
    self._labels = {
      image.tobytes(): label for image, label in zip(images, labels)
    }

  def features(self, images):
    return np.asarray(images).reshape(len(images), -1)

  def probabilities(self, images):
    labels = [self._labels[image.tobytes()] for image in images]
    return np.eye(10)[labels]


@functools.lru_cache(maxsize=1)
def _blocks():
  return handwriting_file.read(
    handwriting.EMBEDDED_PATH, handwriting.EMBEDDED_DIGEST, repair="reinstall"
  )


def _halves(seed, num_images=500):
  """Images in [0, 1], paper 1, and labels of two random halves of the users."""
  random = np.random.RandomState(seed)
  blocks = _blocks()
  order = random.permutation(len(blocks.numbers))
  halves = []
  for users in (order[: len(order) // 2], order[len(order) // 2 :]):
    pixels = blocks.pixels[users].reshape(-1, 28, 28, 1)
    labels = blocks.labels[users].reshape(-1)
    chosen = random.permutation(len(pixels))[:num_images]
    halves.append((1 - pixels[chosen] / np.float32(255), labels[chosen]))
  return halves


def _samples(pixels, bug=None, weak=False):
  """What a generator makes of images, float32 in [-1, 1]."""
  if bug is not None:
    dataset = tf.data.Dataset.from_tensor_slices(pixels).map(bug)
    pixels = next(iter(dataset.batch(len(pixels)))).numpy()
  images = 1 - 2 * pixels
  if weak:
    kernel = np.exp(-(np.arange(-4, 5) ** 2) / 2)
    for axis in (1, 2):
      images = sum(
        weight / kernel.sum() * np.roll(images, step, axis)
        for step, weight in zip(range(-4, 5), kernel)
      )
    images = images + np.random.RandomState(0).normal(0, 0.1, images.shape)
  return np.clip(images, -1, 1).astype(np.float32)


def _compare(suspect, reference, bug=None, weak=False, **names):
  """Findings about two halves, with the true labels for classes."""
  images = [
    _samples(suspect[0], bug, weak),
    _samples(reference[0], None, weak),
  ]
  scorer = _LabelScorer(
    np.concatenate(images), np.concatenate([suspect[1], reference[1]])
  )
  return image_differences.compare_images(*images, scorer, **names)


def _held(found):
  return [finding.name for finding in found if finding.holds]


@pytest.mark.parametrize("weak", [False, True], ids=["sharp", "weak"])
@pytest.mark.parametrize("seed", range(10))
def test_two_halves_of_the_clean_users_do_not_differ(seed, weak):
  found = _compare(*_halves(seed), weak=weak)
  assert sorted(f.name for f in found) == sorted(
    f"suspect_{name}" for name in _SHAPES + _CLASSES
  )
  assert {f.verdict for f in found} == {"not found"}
  json.dumps([f.to_dict() for f in found], allow_nan=False)


@pytest.mark.parametrize("weak", [False, True], ids=["sharp", "weak"])
@pytest.mark.parametrize(
  "bug, expected",
  [
    (bugs.invert_pixels, ["inverted"]),
    (bugs.blank, ["blank"]),
    (bugs.low_contrast, ["faint"]),
    (bugs.shifted_crop, ["off_centre"]),
    (bugs.blank_half, ["half_empty", "off_centre"]),
    (bugs.rotate_90, ["rotated"]),
  ],
)
def test_each_bug_is_found(bug, expected, weak):
  found = _compare(*_halves(0), bug, weak)
  assert sorted(_held(found)) == sorted(f"suspect_{name}" for name in expected)
  assert _held(found) == [f.name for f in found[: len(expected)]]
  # The other way round, it is the suspect that is in order.
  suspect, reference = _halves(0)
  other = image_differences.compare_images(
    _samples(reference[0], weak=weak), _samples(suspect[0], bug, weak)
  )
  assert _held(other) == []


@pytest.mark.parametrize("seed", range(10))
def test_a_weak_generator_is_not_accused_beside_real_images(seed):
  suspect, reference = _halves(seed)
  found = image_differences.compare_images(
    _samples(suspect[0], weak=True), _samples(reference[0])
  )
  assert {f.verdict for f in found} == {"not found"}


def test_half_of_the_users_with_a_bug_are_found_and_a_tenth_is_not():
  suspect, reference = _halves(1)
  pixels, labels = suspect
  for share, verdict in ((0.5, "found"), (0.1, "not found")):
    broken = pixels.copy()
    num_broken = int(share * len(pixels))
    broken[:num_broken] = 1.0
    found = _compare((broken, labels), reference)
    (blank,) = [f for f in found if f.name == "suspect_blank"]
    assert blank.verdict == verdict
    assert blank.numbers["suspect"]["count"] == num_broken
    assert blank.numbers["reference"]["count"] == 0
  # That a tenth is no accident is said, and that it is not called a finding.
  assert blank.claim.startswith(
    "10 % of suspect samples are blank against 0 % of reference samples "
  )
  assert blank.claim.endswith(", not 25 percentage points more")
  assert blank.numbers["p_value"] < 1e-12


@pytest.mark.parametrize("weak", [False, True], ids=["sharp", "weak"])
def test_collapse_to_a_few_images_is_found(weak):
  suspect, reference = _halves(2)
  few = [np.tile(part[:20], (25,) + (1,) * (part.ndim - 1)) for part in suspect]
  images = [_samples(few[0], weak=weak), _samples(reference[0], weak=weak)]
  assert _held(image_differences.compare_images(*images)) == [
    "suspect_near_copies"
  ]


def test_a_larger_set_is_not_nearer_to_itself():
  suspect, _ = _halves(3, num_images=3000)
  reference, _ = _halves(4, num_images=100)
  found = image_differences.compare_images(
    _samples(suspect[0]), _samples(reference[0])
  )
  assert _held(found) == []


def test_a_class_that_takes_over_and_one_that_is_missing():
  suspect, reference = _halves(5)
  pixels, labels = suspect
  threes = np.flatnonzero(labels == 3)
  taken = np.concatenate([np.resize(threes, 350), np.arange(150)])
  found = _compare((pixels[taken], labels[taken]), reference)
  (one_class,) = [f for f in found if f.name == "suspect_one_class"]
  num_threes = 350 + int((labels[:150] == 3).sum())
  assert one_class.holds
  assert one_class.numbers["class"] == 3
  assert one_class.numbers["suspect"]["count"] == num_threes
  assert one_class.claim.startswith(
    f"{num_threes / 5:.0f} % of suspect samples are taken for class 3 against "
  )

  kept = np.flatnonzero(labels != 7)
  found = _compare((pixels[kept], labels[kept]), reference)
  assert _held(found) == ["suspect_missing_class"]
  assert found[0].numbers["class"] == 7
  assert found[0].claim.startswith(
    "0 % of suspect samples are taken for class 7 against "
  )
  # In a reference that lacks it, too, it is not missed.
  others = reference[1] != 7
  found = _compare(
    (pixels[kept], labels[kept]), (reference[0][others], reference[1][others])
  )
  assert _held(found) == []


def test_a_class_that_most_of_both_have_is_no_finding():
  suspect, reference = _halves(6)
  pairs = []
  for (pixels, labels), num_ones in ((suspect, 480), (reference, 280)):
    ones = np.resize(np.flatnonzero(labels == 1), num_ones)
    others = np.flatnonzero(labels != 1)[: 500 - num_ones]
    chosen = np.concatenate([ones, others])
    pairs.append((pixels[chosen], labels[chosen]))
  (found,) = [f for f in _compare(*pairs) if f.name == "suspect_one_class"]
  assert found.verdict == "not found"
  assert found.numbers["difference"] == pytest.approx(0.4)
  assert found.claim.endswith(", yet it does not stand out")


def test_without_a_scorer_nothing_is_said_about_classes():
  suspect, reference = _halves(0)
  found = image_differences.compare_images(
    _samples(suspect[0]),
    _samples(reference[0]),
    suspect_name="low_slice",
    reference_name="high_slice",
  )
  assert sorted(f.name for f in found) == sorted(
    f"low_slice_{name}" for name in _SHAPES
  )
  for finding in found:
    assert " of low slice samples " in finding.claim
    assert " of high slice samples " in finding.claim
    assert "not independent evidence about users" in finding.evidence
    assert "not about training" in finding.evidence


@pytest.mark.parametrize("noise", [0.05, 0.5])
def test_samples_that_show_nothing_decide_only_what_needs_no_strokes(noise):
  _, reference = _halves(0)
  random = np.random.RandomState(0)
  fog = np.tanh(random.normal(0, noise, (200, 28, 28, 1))).astype(np.float32)
  for images in ((fog, _samples(reference[0])), (_samples(reference[0]), fog)):
    found = {f.name: f for f in image_differences.compare_images(*images)}
    for name in _SHAPES:
      finding = found[f"suspect_{name}"]
      if name in ("blank", "faint"):
        assert finding.verdict == "not found"
      else:
        assert finding.verdict == "undecided"
        assert finding.claim.startswith("too early to say whether suspect ")
        assert "0 %" in finding.claim


@pytest.mark.parametrize(
  "images, message",
  [
    (np.zeros((49, 28, 28, 1), np.float32), "n at least 50, got"),
    (np.zeros((50, 28, 28), np.float32), r"must have shape \[n, height"),
    (np.full((50, 28, 28, 1), 2.0), "finite and in"),
  ],
)
def test_bad_images_are_named(images, message):
  good = np.zeros((50, 28, 28, 1), np.float32)
  for pair in ((images, good), (good, images)):
    with pytest.raises(ValueError, match=message):
      image_differences.compare_images(*pair)
  with pytest.raises(TypeError, match="must hold floats"):
    image_differences.compare_images(good, good.astype(np.uint8))
