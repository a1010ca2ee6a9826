"""Tests of the codes: what they make of a row, and that its norm is bounded."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tff_gen_debug.aggregators import gradient_codes
from tff_gen_debug.aggregators import top_k_votes

_SIZE = 40
_TINY = np.finfo(np.float32).tiny
# A norm of some 40 float32 numbers is off by a few of their rounding errors,
# of 6e-8 each.
_ROUNDING = 1e-6


def _signs_code(top_k, **settings):
  return gradient_codes.TopKSignCode(top_k, stochastic=False, **settings)


def _encode(code, rows) -> np.ndarray:
  return code.encode(tf.constant(np.asarray(rows, np.float32))).numpy()


def _reference_votes(row: np.ndarray, top_k: int) -> list:
  """One row's deterministic votes, an entry at a time."""
  votes = [0] * len(row)
  if any(not math.isfinite(x) for x in row):
    return votes
  left = [i for i in range(len(row)) if abs(row[i]) >= _TINY]
  for _ in range(min(top_k, len(left))):
    best = left[0]
    for i in left:
      if abs(row[i]) > abs(row[best]):
        best = i
    votes[best] = 1 if row[best] > 0 else -1
    left.remove(best)
  return votes


def _hostile_rows(rng, size=_SIZE) -> np.ndarray:
  """Rows of every kind that has gone wrong somewhere."""
  normal = rng.normal(size=size)
  first = np.arange(size) == 0
  with np.errstate(over="ignore"):
    return np.array(
      [
        normal,
        np.round(normal),  # Ties, many of them zeros.
        -normal,
        np.full(size, 1e30),
        np.full(size, -1e30),
        np.where(first, 1e30, normal),
        np.full(size, np.finfo(np.float32).max) * np.sign(normal),
        np.full(size, 1e-42),  # Subnormal.
        np.where(first, 1.0, 1e-42),
        np.full(size, _TINY),
        np.ones(size) * rng.choice([-1, 1], size),
        np.zeros(size),
        np.where(first, normal, 0),
        np.where(rng.uniform(size=size) < 0.9, 0, normal),
        normal * 10.0 ** rng.uniform(-44, 38, size),
        np.where(first, np.nan, normal),
        np.where(np.arange(size) == size - 1, np.inf, 1e30),
        np.full(size, -np.inf),
        # Differ in the last bits only.
        1 + rng.integers(0, 4, size) * 2.0**-23,
      ],
      np.float32,
    )


def _codes():
  for top_k in (1, 7, _SIZE - 1, _SIZE):
    yield _signs_code(top_k)
    yield gradient_codes.TopKSignCode(top_k)
    yield gradient_codes.TopKSignCode(top_k, coordinate_clip=1e-4)
  for clip_norm in (1e-3, 1.0, 50.0):
    yield gradient_codes.ClippedCode(clip_norm)
    yield gradient_codes.ProjectedCode(5, clip_norm=clip_norm, seed=3)


@pytest.mark.parametrize("top_k", [1, 2, 7, 20, _SIZE - 1, _SIZE])
def test_signs_of_the_largest_entries_of_each_row(top_k):
  rng = np.random.default_rng(top_k)
  for _ in range(5):
    rows = _hostile_rows(rng)
    votes = _encode(_signs_code(top_k), rows)
    assert votes.dtype == np.float32
    expected = [_reference_votes(row, top_k) for row in rows]
    np.testing.assert_array_equal(votes, expected)


@pytest.mark.parametrize("top_k", [1, 7, _SIZE])
def test_rows_vote_like_updates_of_one_tensor(top_k):
  rows = _hostile_rows(np.random.default_rng(0))
  votes = _encode(_signs_code(top_k), rows)
  for row, one in zip(rows, votes):
    alone = top_k_votes.cast_votes(tf.constant(row), top_k, stochastic=False)
    np.testing.assert_array_equal(one, alone)


def test_of_equal_entries_the_first_ones_vote():
  rows = [[2, -2, 2, 2], [1, 2, -1, 1], [0, 0, -3, 0], [-1, -1, -1, 5]]
  expected = [[1, -1, 0, 0], [1, 1, 0, 0], [0, 0, -1, 0], [-1, 0, 0, 1]]
  np.testing.assert_array_equal(_encode(_signs_code(2), rows), expected)
  # Those who vote are the same if the votes are drawn.
  drawn = _encode(gradient_codes.TopKSignCode(2), rows)
  np.testing.assert_array_equal(np.abs(drawn), np.abs(expected))


@pytest.mark.parametrize("stochastic", [True, False])
def test_rows_without_a_finite_direction_vote_nowhere(stochastic):
  rows = np.ones([6, 4], np.float32)
  rows[0] = 0
  rows[1, 2] = np.nan
  rows[2, 0] = np.inf
  rows[3, 3] = -np.inf
  rows[4] = 1e-42
  code = gradient_codes.TopKSignCode(4, stochastic=stochastic)
  votes = _encode(code, rows)
  assert not np.any(votes[:5])
  # Their neighbour votes as always; its entries are certain.
  np.testing.assert_array_equal(votes[5], np.ones(4))


@pytest.mark.parametrize("clip, bound", [(None, 4.0), (2.0, 2.0), (9.0, 4.0)])
def test_stochastic_votes_have_the_papers_probabilities(clip, bound):
  entries = np.array([4.0, -2.0, 1.0, -0.4, 0.3])
  draws = 100_000
  code = gradient_codes.TopKSignCode(4, coordinate_clip=clip)
  votes = _encode(code, np.tile(entries, [draws, 1])).astype(np.float64)
  # The last is not at the top.
  assert not np.any(votes[:, 4])
  assert set(np.unique(np.abs(votes[:, :4]))) == {1.0}
  positive = np.clip(0.5 + entries[:4] / (2 * bound), 0, 1)
  deviation = np.sqrt(positive * (1 - positive) / draws)
  # Five standard errors of a share; certain votes have none.
  error = np.abs(np.mean(votes[:, :4] > 0, axis=0) - positive)
  assert np.all(error <= 5 * deviation)
  drawn = deviation > 0
  columns = votes[:, :4][:, drawn]
  correlation = np.corrcoef(columns.T) - np.eye(drawn.sum())
  # A correlation of independent draws has a standard error of 1 / sqrt(draws).
  assert np.max(np.abs(correlation)) < 5 / math.sqrt(draws)
  for column in columns.T:
    assert abs(np.corrcoef(column[1:], column[:-1])[0, 1]) < 5 / math.sqrt(
      draws
    )


def test_each_row_is_drawn_relative_to_its_own_largest_entry():
  rows = np.tile(np.float32([[1, 0.5]]), [40_000, 1])
  rows[::2] *= 1e30
  votes = _encode(gradient_codes.TopKSignCode(2), rows)
  np.testing.assert_array_equal(votes[:, 0], np.ones(len(rows)))
  for part in (votes[::2, 1], votes[1::2, 1]):
    # Five standard errors of a share of 3/4.
    error = math.sqrt(0.75 * 0.25 / len(part))
    assert abs(np.mean(part > 0) - 0.75) < 5 * error


def test_no_row_exceeds_the_bound_and_no_neighbour_twice_the_bound():
  rng = np.random.default_rng(4)
  for code in _codes():
    rows = np.concatenate([_hostile_rows(rng) for _ in range(3)])
    encoded = _encode(code, rows).astype(np.float64)
    assert np.all(np.isfinite(encoded))
    norms = np.linalg.norm(encoded, axis=1)
    assert np.all(norms <= code.norm_bound * (1 + _ROUNDING))
    # Any row replaced by any other.
    moves = np.linalg.norm(encoded[:, np.newaxis] - encoded, axis=2)
    assert np.all(moves <= 2 * code.norm_bound * (1 + _ROUNDING))


def test_opposite_rows_reach_the_bounds():
  row = np.random.default_rng(5).normal(size=_SIZE) * 100
  for code in _codes():
    # A certain vote for every entry, or more than the clip.
    hostile = np.sign(row) * 1e6
    one, other = _encode(code, [hostile, -hostile]).astype(np.float64)
    assert np.linalg.norm(one) == pytest.approx(code.norm_bound, rel=_ROUNDING)
    assert np.linalg.norm(one - other) == pytest.approx(
      2 * code.norm_bound, rel=_ROUNDING
    )
    assert code.sensitivity("add_or_remove_one") == code.norm_bound
    assert code.sensitivity("replace_one") == 2 * code.norm_bound


def test_a_row_that_is_replaced_changes_no_other_row():
  rng = np.random.default_rng(6)
  rows = rng.normal(size=[5, _SIZE])
  for code in (
    _signs_code(7),
    gradient_codes.ClippedCode(1.0),
    gradient_codes.ProjectedCode(5, clip_norm=1.0),
  ):
    before = _encode(code, rows)
    for hostile in _hostile_rows(rng):
      changed = rows.copy()
      changed[2] = hostile
      after = _encode(code, changed)
      others = [0, 1, 3, 4]
      np.testing.assert_array_equal(after[others], before[others])


def test_clipping_scales_only_what_is_too_long():
  rows = [[3, 4], [0.3, 0.4], [0, 0], [1.5, -2], [-3e30, 4e30], [1e-42, 0]]
  encoded = _encode(gradient_codes.ClippedCode(2.5), rows)
  expected = [[1.5, 2], [0.3, 0.4], [0, 0], [1.5, -2], [-1.5, 2], [0, 0]]
  # Some float32 rounding errors of 6e-8; subnormal numbers may become 0.
  np.testing.assert_allclose(encoded, expected, rtol=5e-7, atol=1e-40)
  # What is short enough is not even rounded.
  np.testing.assert_array_equal(encoded[1], np.float32([0.3, 0.4]))


def _projection(size, dimensions, seed):
  draws = np.random.RandomState(seed).normal(size=[size, dimensions])
  return draws / math.sqrt(dimensions)


def test_projection_is_a_matrix_and_decoding_its_transpose():
  matrix = _projection(_SIZE, 6, seed=9)
  code = gradient_codes.ProjectedCode(6, clip_norm=2.0, seed=9)
  rows = np.random.default_rng(7).normal(size=[3, _SIZE])
  rows[0] /= 100
  projected = rows @ matrix
  lengths = np.linalg.norm(projected, axis=1, keepdims=True)
  assert lengths[0] < 2.0 < lengths[1]
  expected = projected * np.minimum(1, 2.0 / lengths)
  # float32 sums of 40 products, and numbers of about 1.
  np.testing.assert_allclose(_encode(code, rows), expected, atol=5e-6)
  sums = np.random.default_rng(8).normal(size=[3, 6])
  decoded = code.decode(tf.constant(sums, tf.float32), 5.0, _SIZE)
  assert decoded.shape == [3, _SIZE]
  np.testing.assert_allclose(decoded, sums / 5 @ matrix.T, atol=5e-6)


def test_projection_keeps_lengths_on_average():
  rows = np.eye(2000)[:4]
  code = gradient_codes.ProjectedCode(500, clip_norm=1e3, seed=1)
  encoded = _encode(code, np.concatenate([rows, [np.ones(2000)]]))
  squares = np.sum(encoded.astype(np.float64) ** 2, axis=1)
  # Chi square over 500 degrees: a standard error of sqrt(2 / 500).
  np.testing.assert_allclose(
    squares, [1] * 4 + [2000], rtol=5 * math.sqrt(2 / 500)
  )
  other = gradient_codes.ProjectedCode(500, clip_norm=1e3, seed=2)
  assert np.max(np.abs(_encode(other, rows) - encoded[:4])) > 0.05


def test_projection_of_a_row_that_overflows_is_nothing():
  # The sums of its products are infinite, or the difference of infinities.
  row = np.full([1, 2000], np.finfo(np.float32).max)
  code = gradient_codes.ProjectedCode(500, clip_norm=1.0)
  assert not np.any(_encode(code, row))


@pytest.mark.parametrize(
  "threshold, expected",
  [
    (0.0, [[1, -1, 0], [1, -1, 1]]),
    (0.25, [[0, -1, 0], [1, -1, 0]]),
    (0.5, [[0, 0, 0], [1, -1, 0]]),
    (1.0, [[0, 0, 0], [0, -1, 0]]),
  ],
)
def test_a_decision_needs_more_than_the_threshold(threshold, expected):
  sums = tf.constant([[1.0, -2, 0], [4, -4.5, 0.5]])
  decoded = _signs_code(2, threshold=threshold).decode(sums, 4, 3)
  np.testing.assert_array_equal(decoded, expected)


def test_without_a_decision_the_result_is_the_share_of_the_teachers():
  sums = np.array([[1.0, -2, 0.5]])
  for code in (_signs_code(2), gradient_codes.ClippedCode(7.0)):
    decoded = code.decode(tf.constant(sums, tf.float32), 4, 3)
    np.testing.assert_array_equal(decoded, sums / 4)


@pytest.mark.parametrize(
  "make, error, message",
  [
    (lambda: _signs_code(0), ValueError, "top_k"),
    (lambda: _signs_code(1.5), TypeError, "top_k"),
    (lambda: _signs_code(1, coordinate_clip=0), ValueError, "coordinate_clip"),
    (lambda: _signs_code(1, coordinate_clip="a"), TypeError, "coordinate_clip"),
    (lambda: _signs_code(1, threshold=-0.1), ValueError, "threshold"),
    (lambda: _signs_code(1, threshold=math.nan), ValueError, "threshold"),
    (lambda: gradient_codes.ClippedCode(0.0), ValueError, "clip_norm"),
    (lambda: gradient_codes.ClippedCode(math.inf), ValueError, "clip_norm"),
    (lambda: gradient_codes.ClippedCode(None), TypeError, "clip_norm"),
    (
      lambda: gradient_codes.ProjectedCode(0, clip_norm=1.0),
      ValueError,
      "dimensions",
    ),
    (
      lambda: gradient_codes.ProjectedCode(1, clip_norm=-1.0),
      ValueError,
      "clip_norm",
    ),
    (
      lambda: gradient_codes.ProjectedCode(1, clip_norm=1.0, seed=-1),
      ValueError,
      "seed",
    ),
    (
      lambda: gradient_codes.ProjectedCode(1, clip_norm=1.0, seed=2**32),
      ValueError,
      "seed",
    ),
  ],
)
def test_bad_arguments_are_named(make, error, message):
  with pytest.raises(error, match=message):
    make()


def test_more_votes_than_entries_are_refused():
  with pytest.raises(ValueError, match="top_k must be at most 3.*got 4"):
    _encode(_signs_code(4), np.ones([2, 3]))
