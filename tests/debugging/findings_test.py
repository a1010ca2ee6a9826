"""Tests of shares, tests and claims; the expected values are closed forms."""

import json

import numpy as np
import pytest

from tff_gen_debug.debugging import findings


def _images(num_inverted, num_normal):
  """Bars of ink with soft edges, some of them inverted."""
  image = np.full((28, 28, 1), -1.0, np.float32)
  image[6:22, 12:16] = 0.9
  image[6:22, 11:17:5] = 0.0
  images = np.concatenate(
    [
      np.tile(-image, (num_inverted, 1, 1, 1)),
      np.tile(image, (num_normal, 1, 1, 1)),
    ]
  )
  rng = np.random.default_rng(0)
  noisy = images + rng.normal(0, 0.05, images.shape)
  return rng.permutation(np.clip(noisy, -1, 1).astype(np.float32))


def test_interval_at_the_ends_has_a_closed_form():
  # With no success among n the upper end p solves (1 - p)^n = 0.025.
  low, high = findings.Share(0, 20).interval
  assert low == 0.0
  assert high == pytest.approx(1 - 0.025 ** (1 / 20), rel=1e-9)
  low, high = findings.Share(20, 20).interval
  assert low == pytest.approx(0.025 ** (1 / 20), rel=1e-9)
  assert high == 1.0
  # One sample: [0.025, 1].
  assert findings.Share(1, 1).interval == pytest.approx((0.025, 1.0))


def test_interval_inside_fulfils_its_definition():
  # 2 of 4: the lower end p solves P(X >= 2) = 0.025 for Binomial(4, p).
  low, high = findings.Share(2, 4).interval
  tail = 6 * low**2 * (1 - low) ** 2 + 4 * low**3 * (1 - low) + low**4
  assert tail == pytest.approx(0.025, rel=1e-9)
  assert high == pytest.approx(1 - low, rel=1e-9)


def test_p_value_of_fishers_tea_tasting():
  # 3 of 4 against 1 of 4: (16 + 1 + 16 + 1) / 70 of the tables are as extreme.
  p_value = findings.Share(3, 4).p_value(findings.Share(1, 4))
  assert p_value == pytest.approx(34 / 70, rel=1e-9)
  # 3 of 3 against none of 3: 2 of the 20 tables.
  p_value = findings.Share(3, 3).p_value(findings.Share(0, 3))
  assert p_value == pytest.approx(0.1, rel=1e-9)


@pytest.mark.parametrize("count, total", [(0, 0), (-1, 4), (5, 4)])
def test_impossible_shares_are_refused(count, total):
  with pytest.raises(ValueError, match="count"):
    findings.Share(count, total)


def test_an_inverted_low_slice_is_found_with_its_numbers():
  found = findings.find_inversion(
    _images(97, 3), _images(1, 99), _images(0, 100), _images(2, 98)
  )
  assert [f.name for f in found] == ["low_slice_inverted"]
  assert found[0].holds
  assert found[0].claim == (
    "the low-accuracy slice is inverted: 97 % of samples against 1 % "
    "(p < 1e-12)"
  )
  assert found[0].numbers["low"]["count"] == 97
  assert found[0].numbers["control_high"]["share"] == 0.02
  assert "97 of 100" in found[0].evidence
  assert "not independent evidence about users" in found[0].evidence
  assert "no control" not in found[0].evidence
  json.dumps(found[0].to_dict(), allow_nan=False)


def test_without_a_control_the_evidence_says_so():
  found = findings.find_inversion(_images(60, 4), _images(2, 62))
  assert found[0].holds
  assert "no control run" in found[0].evidence


@pytest.mark.parametrize(
  "corrupt",
  [
    lambda x: x,
    lambda x: np.rot90(x, axes=(1, 2)),
    lambda x: np.where(np.arange(28)[:, None, None] < 14, -1.0, x),
    lambda x: np.roll(x, 9, axis=2),
  ],
  ids=["normal", "rotated", "half blank", "shifted"],
)
def test_other_bugs_in_the_low_slice_are_not_inversion(corrupt):
  low = corrupt(_images(0, 100)).astype(np.float32)
  found = findings.find_inversion(low, _images(0, 100), _images(0, 100))
  assert [(f.name, f.holds) for f in found] == [("low_slice_inverted", False)]
  assert found[0].claim.startswith(
    "the low-accuracy slice is not inverted: 0 %"
  )
  assert found[0].verdict == "not found"


@pytest.mark.parametrize(
  "corrupt",
  [
    lambda x: np.where(np.arange(28)[:, None, None] < 14, 1.0, x),
    lambda x: np.full_like(x, -1.0),
    lambda x: np.full_like(x, 1.0),
    lambda x: np.random.default_rng(1).uniform(-1, 1, x.shape),
  ],
  ids=["half ink", "blank", "all ink", "noise"],
)
def test_samples_without_strokes_decide_nothing(corrupt):
  nothing = corrupt(_images(0, 100)).astype(np.float32)
  for low, high in ((nothing, _images(0, 100)), (_images(0, 100), nothing)):
    found = findings.find_inversion(low, high, _images(0, 100))
    assert [(f.name, f.holds) for f in found] == [("low_slice_inverted", False)]
    assert found[0].verdict == "undecided"
    assert "too early to say" in found[0].claim
  numbers = found[0].numbers["drawn"]
  assert numbers["low"]["share"] == 1.0 and numbers["high"]["share"] == 0.0
  # Inverted samples are a finding even beside a generator that draws nothing.
  found = findings.find_inversion(_images(98, 2), nothing)
  assert found[0].verdict == "found"


def test_shares_that_are_counted_already():
  shares = dict(low=findings.Share(97, 100), high=findings.Share(1, 100))
  found = findings.compare_inversion(shares)
  assert found[0].verdict == "found"
  assert "drawn" not in found[0].numbers
  none = dict(low=findings.Share(0, 100), high=findings.Share(0, 100))
  assert findings.compare_inversion(none)[0].verdict == "not found"
  assert findings.compare_inversion(none, drawn=none)[0].verdict == "undecided"


def test_both_slices_inverted_is_another_claim():
  found = findings.find_inversion(_images(98, 2), _images(97, 3))
  assert [(f.name, f.holds) for f in found] == [
    ("low_slice_inverted", False),
    ("both_slices_inverted", True),
  ]
  assert "not a difference between slices" in found[1].claim
  # Even where one of the slices has significantly more of it.
  found = findings.find_inversion(_images(500, 0), _images(350, 150))
  assert not found[0].holds
  assert found[1].name == "both_slices_inverted"


def test_an_inverted_high_slice_is_its_own_claim():
  found = findings.find_inversion(_images(1, 99), _images(95, 5))
  assert [(f.name, f.holds) for f in found] == [
    ("low_slice_inverted", False),
    ("high_slice_inverted", True),
  ]


def test_a_control_that_shows_the_same_disproves_the_bug():
  found = findings.find_inversion(
    _images(97, 3), _images(1, 99), _images(95, 5), _images(0, 100)
  )
  assert [(f.name, f.holds) for f in found] == [("low_slice_inverted", False)]
  assert "so is a slice of the control: 95 % of samples" in found[0].claim


def test_a_minority_of_inverted_samples_is_not_enough():
  # 40 % against 0 % is a clear difference, yet most of the slice is normal.
  found = findings.find_inversion(_images(200, 300), _images(0, 500))
  assert not found[0].holds
  assert found[0].numbers["p_value"] < 1e-12


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_handful_of_samples_claims_nothing(n):
  found = findings.find_inversion(_images(n, 0), _images(0, n))
  assert [(f.name, f.holds) for f in found] == [("low_slice_inverted", False)]
  assert "too few samples" in found[0].claim


def test_rounding_never_claims_all_or_none():
  found = findings.find_inversion(_images(999, 1), _images(1, 999))
  assert "> 99 % of samples against < 1 %" in found[0].claim


def test_an_empty_slice_is_an_error():
  with pytest.raises(ValueError, match="total"):
    findings.find_inversion(_images(0, 0), _images(0, 10))


class _FourWayScorer:
  """Certain of one of four classes in turn; features are image means."""

  def features(self, images):
    return images.mean(axis=(1, 2, 3))[:, np.newaxis]

  def probabilities(self, images):
    return np.eye(4)[np.arange(len(images)) % 4]


def test_slice_numbers():
  images = np.full((8, 28, 28, 1), -0.5, np.float32)
  reference = np.full((4, 28, 28, 1), 0.5, np.float32)
  numbers = findings.slice_numbers(images, _FourWayScorer(), reference)
  assert numbers["num_samples"] == 8
  assert numbers["border_intensity"] == -0.5
  assert numbers["inverted"]["share"] == 0.0
  assert numbers["classifier_score"] == pytest.approx(4.0)
  # Constant features one apart.
  assert numbers["frechet_distance"] == pytest.approx(1.0)
  assert "frechet_distance" not in findings.slice_numbers(
    images, _FourWayScorer()
  )


def test_a_share_in_words():
  # None of 10: the upper end is 1 - 0.025 ** (1 / 10).
  share = findings.Share(0, 10)
  assert share.counted() == "0 of 10 (95 % interval 0.0 to 30.8 %)"
  assert share.counted("draws") == (
    "0 of 10 draws (95 % interval 0.0 to 30.8 %)"
  )
