"""Tests of codes of fewer numbers than pixels."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tff_gen_debug import low_frequencies
from tff_gen_debug.aggregators import projected_codes

_SHAPE = (6, 6, 1)


def _rows(count, seed, scale=1.0):
  draws = np.random.RandomState(seed).normal(size=(count, 36))
  return (scale * draws).astype(np.float32)


_HOSTILE = np.stack(
  [
    np.full(36, 1e30),
    np.full(36, 1e-40),
    np.zeros(36),
    np.full(36, np.nan),
    np.where(np.arange(36), np.nan, np.inf),
    np.eye(36)[3] * -3e38,
    np.ones(36),
  ]
).astype(np.float32)


def test_low_frequencies_are_clipped_in_norm():
  code = projected_codes.LowFrequencyCode(_SHAPE, 3, clip_norm=2.0)
  rows = _rows(20, 1, scale=0.6)
  basis = low_frequencies.basis(_SHAPE, 3)
  coefficients = rows @ basis
  norms = np.linalg.norm(coefficients, axis=1, keepdims=True)
  assert np.any(norms > 2)
  assert np.any(norms < 2)
  np.testing.assert_allclose(
    code.encode(tf.constant(rows)),
    coefficients * np.minimum(1, 2 / norms),
    atol=1e-5,
  )


def test_low_frequencies_come_back():
  code = projected_codes.LowFrequencyCode(_SHAPE, 4, clip_norm=100.0)
  smooth = low_frequencies.basis(_SHAPE, 4)[:, 5] * 3
  sums = 7 * code.encode(tf.constant(smooth[np.newaxis]))
  np.testing.assert_allclose(code.decode(sums, 7.0, 36)[0], smooth, atol=1e-5)


def _bin_code():
  return projected_codes.BinVoteCode(5, bins=4, bound=0.6, seed=2)


def test_a_teacher_votes_for_one_bin_of_each_number():
  rows = _rows(50, 3)
  votes = _bin_code().encode(tf.constant(rows)).numpy().reshape(50, 5, 4)
  assert votes.dtype == np.float32
  # The projection's definition, written out.
  matrix = np.random.RandomState(2).normal(size=(36, 5)) / math.sqrt(5)
  unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
  numbers = np.clip(unit @ matrix, -0.6, 0.5999)
  expected = np.floor((numbers + 0.6) / 0.3)
  np.testing.assert_array_equal(votes.argmax(axis=2), expected)
  np.testing.assert_array_equal(votes.sum(axis=2), 1)


def test_the_bin_with_most_votes_wins():
  code = _bin_code()
  sums = np.zeros((1, 5, 4), np.float32)
  winners = [0, 3, 1, 2, 2]
  sums[0, range(5), winners] = 3.0
  sums[0, :, 0] += 2.0
  matrix = np.random.RandomState(2).normal(size=(36, 5)) / math.sqrt(5)
  middles = np.array([-0.45, -0.15, 0.15, 0.45])[winners]
  decoded = code.decode(tf.constant(sums.reshape(1, 20)), 9.0, 36)
  np.testing.assert_allclose(decoded[0], matrix @ middles, atol=1e-5)


@pytest.mark.parametrize(
  "code",
  [
    projected_codes.LowFrequencyCode(_SHAPE, 3, clip_norm=0.5),
    _bin_code(),
  ],
)
def test_no_row_exceeds_the_bound(code):
  encoded = code.encode(tf.constant(_HOSTILE)).numpy().astype(np.float64)
  assert np.all(np.isfinite(encoded))
  norms = np.linalg.norm(encoded, axis=1)
  assert np.all(norms <= code.norm_bound * (1 + 1e-6))
  assert not np.any(encoded[2:5])  # Zeros, NaN and an infinity.
  np.testing.assert_allclose(norms[0], code.norm_bound, rtol=1e-6)


def test_replacing_a_teacher_moves_bins_by_their_sensitivity_at_most():
  code = _bin_code()
  rows = np.concatenate([_rows(200, 4), -_rows(200, 4), _HOSTILE])
  encoded = code.encode(tf.constant(rows)).numpy().astype(np.float64)
  changes = np.linalg.norm(encoded[:, np.newaxis] - encoded, axis=2)
  assert changes.max() <= code.sensitivity("replace_one") + 1e-9
  # Reached where two disagree about every number.
  assert changes.max() == pytest.approx(math.sqrt(2 * 5))
  assert code.sensitivity("add_or_remove_one") == pytest.approx(math.sqrt(5))


def test_low_frequencies_of_opposite_directions_reach_their_sensitivity():
  code = projected_codes.LowFrequencyCode(_SHAPE, 3, clip_norm=0.5)
  row = 9 * low_frequencies.basis(_SHAPE, 3)[:, :1].T
  one, other = code.encode(tf.constant(np.concatenate([row, -row]))).numpy()
  assert np.linalg.norm(one - other) == pytest.approx(
    code.sensitivity("replace_one")
  )


@pytest.mark.parametrize(
  "make, message",
  [
    (lambda: projected_codes.BinVoteCode(0), "dimensions must be at least 1"),
    (lambda: projected_codes.BinVoteCode(3, bins=1), "bins must be at least 2"),
    (
      lambda: projected_codes.BinVoteCode(3, seed=2**32),
      r"seed must be below 2\*\*32",
    ),
    (
      lambda: projected_codes.BinVoteCode(3, bound=0.0),
      "bound must be (positive|above 0)",
    ),
    (
      lambda: projected_codes.LowFrequencyCode(_SHAPE, 3, clip_norm=-1.0),
      "clip_norm must be (positive|above 0)",
    ),
  ],
)
def test_bad_arguments(make, message):
  with pytest.raises(ValueError, match=message):
    make()
