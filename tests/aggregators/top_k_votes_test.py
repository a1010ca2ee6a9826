"""Tests of votes against a slow reference, at ties and at floats' edges."""

import collections

import numpy as np
import pytest
import tensorflow as tf

from tff_gen_debug.aggregators import top_k_votes


def _reference(flat: np.ndarray, top_k: int) -> np.ndarray:
  """Deterministic votes by a stable sort."""
  votes = np.zeros(flat.shape, np.int64)
  if not np.all(np.isfinite(flat)):
    return votes
  magnitude = np.abs(flat.astype(np.float64))
  # float16 and bfloat16 vote as float32, in which their subnormals are normal.
  wide = np.float64 if flat.dtype == np.float64 else np.float32
  magnitude[magnitude < np.finfo(wide).tiny] = 0
  order = np.argsort(-magnitude, kind="stable")[:top_k]
  order = order[magnitude[order] > 0]
  votes[order] = np.sign(flat[order].astype(np.float64))
  return votes


@tf.function
def _signs_of_vector(vector, top_k):
  return top_k_votes.cast_votes(vector, top_k, stochastic=False)


def _signs(flat: np.ndarray, top_k: int) -> np.ndarray:
  return _signs_of_vector(tf.constant(flat), tf.constant(top_k)).numpy()


def _updates(rng: np.random.Generator, size: int):
  """Vectors of every kind that has gone wrong somewhere."""
  normal = rng.normal(size=size)
  yield normal
  yield np.round(normal)  # Ties, many of them zeros.
  yield np.ones(size) * rng.choice([-1, 1], size)
  yield np.zeros(size)
  yield normal * 10.0 ** rng.uniform(-44, 38, size)
  yield np.where(rng.uniform(size=size) < 0.9, 0, normal)
  yield np.where(np.arange(size) == 0, 1e30, normal)
  # Differ in the last bits only.
  yield 1 + rng.integers(0, 4, size) * 2.0**-23


@pytest.mark.parametrize(
  "dtype", [np.float32, np.float64, np.float16, tf.bfloat16.as_numpy_dtype]
)
# Bits are counted 8 at a time, or 16 in a large update.
@pytest.mark.parametrize("size", [300, 70_000])
def test_votes_are_those_of_a_sort(size, dtype):
  rng = np.random.default_rng(1)
  for flat in _updates(rng, size):
    with np.errstate(over="ignore"):
      flat = flat.astype(dtype)
    for top_k in (1, 2, 17, size // 2, size - 1, size):
      expected = _reference(flat, top_k)
      np.testing.assert_array_equal(_signs(flat, top_k), expected)
      # A number that is known when it is traced may be voted on otherwise.
      known = top_k_votes.cast_votes(tf.constant(flat), top_k, stochastic=False)
      np.testing.assert_array_equal(known, expected)


def test_a_million_entries_with_ties_across_the_border():
  rng = np.random.default_rng(2)
  flat = np.round(rng.normal(size=1_000_000) * 1000).astype(np.float32)
  for top_k in (1, 1000, 100_000, 999_000):
    votes = _signs(flat, top_k)
    np.testing.assert_array_equal(votes, _reference(flat, top_k))
    assert np.count_nonzero(votes) == min(top_k, np.count_nonzero(flat))


# Large updates are gone through in pieces.
_PIECES = 1_000_000


@pytest.mark.parametrize("top_k", [300_001, 600_001])
def test_of_equal_entries_of_all_pieces_the_first_ones_vote(top_k):
  flat = np.where(np.arange(_PIECES) % 3, 2, -2).astype(np.float32)
  expected = np.where(np.arange(_PIECES) < top_k, np.sign(flat), 0)
  # Larger ones, in the last piece, come before them.
  flat[-4:] *= 2
  expected[top_k - 4 :] = 0
  expected[-4:] = np.sign(flat[-4:])
  votes = top_k_votes.cast_votes(tf.constant(flat), top_k, stochastic=False)
  np.testing.assert_array_equal(votes, expected)


@pytest.mark.parametrize("top_k", [300_000, 700_000])
def test_all_pieces_draw_their_votes_by_the_largest_entry_of_all(top_k):
  # Every third entry is 1, the others are 0.5, and the largest is 4.
  flat = np.where(np.arange(_PIECES) % 3, 0.5, 1).astype(np.float32)
  flat[-1] = -4
  votes = top_k_votes.cast_votes(tf.constant(flat), top_k).numpy()
  assert np.count_nonzero(votes) == top_k
  assert votes[-1] == -1
  for entry, positive in ((1, 0.5 + 1 / 8), (0.5, 0.5 + 1 / 16)):
    for piece in np.array_split(np.arange(_PIECES), 4):
      drawn = votes[piece][(flat[piece] == entry) & (votes[piece] != 0)]
      if len(drawn):
        error = np.sqrt(positive * (1 - positive) / len(drawn))
        assert abs(np.mean(drawn > 0) - positive) < 5 * error


@pytest.mark.parametrize("position", [0, 500_000, _PIECES - 1])
def test_one_entry_of_one_piece_that_is_not_finite_silences_all(position):
  flat = np.ones(_PIECES, np.float32)
  flat[position] = np.nan
  assert not np.any(top_k_votes.cast_votes(tf.constant(flat), 10))


def test_float64_entries_that_float32_would_tie():
  flat = 1 + np.arange(50) * 2.0**-50
  np.testing.assert_array_equal(np.flatnonzero(_signs(flat, 3)), [47, 48, 49])


@pytest.mark.parametrize("stochastic", [True, False])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_update_that_is_not_finite_votes_nowhere(bad, stochastic):
  update = [tf.constant([1.0, 2.0]), tf.constant([bad])]
  votes = top_k_votes.cast_votes(update, 2, stochastic=stochastic)
  assert not any(np.any(v) for v in votes)


def test_subnormal_numbers_are_zeros():
  flat = np.array([1e-40, -1e-44, 0, 0], np.float32)
  assert not np.any(_signs(flat, 4))
  assert not np.any(top_k_votes.cast_votes(tf.constant(flat), 4))


def test_the_top_is_that_of_all_tensors_together_in_their_structure():
  update = collections.OrderedDict(
    a=tf.constant([[1.0, -5.0], [0.5, 0.0]]),
    b=(tf.constant(-3.0, tf.bfloat16), tf.zeros([0]), tf.constant([2.0])),
  )
  votes = top_k_votes.cast_votes(update, 3, stochastic=False)
  np.testing.assert_array_equal(votes["a"], [[0, -1], [0, 0]])
  assert votes["b"][0].numpy() == -1
  assert votes["b"][1].shape == [0]
  np.testing.assert_array_equal(votes["b"][2], [1])
  assert {v.dtype for v in tf.nest.flatten(votes)} == {tf.int8}


@pytest.mark.parametrize("clip, bound", [(None, 4.0), (2.0, 2.0), (9.0, 4.0)])
def test_stochastic_votes_have_the_papers_probabilities(clip, bound):
  entries = np.array([4.0, -2.0, 1.0, -0.4, 0.3], np.float32)
  draws = 40_000
  # Many of each entry in one update: the last kind are not at the top.
  update = tf.constant(np.tile(entries, [draws, 1]))
  votes = top_k_votes.cast_votes(update, 4 * draws, coordinate_clip=clip)
  votes = votes.numpy().astype(np.float64)
  assert set(np.unique(np.abs(votes[:, :4]))) == {1.0}
  assert not np.any(votes[:, 4])
  positive = np.clip(0.5 + entries[:4] / (2 * bound), 0, 1)
  # Five standard errors; certain votes have none.
  tolerance = 5 * np.sqrt(positive * (1 - positive) / draws)
  assert np.all(np.abs((votes[:, :4] > 0).mean(0) - positive) <= tolerance)
  # Coordinates are drawn independently: those that are drawn at all.
  drawn = (positive > 0) & (positive < 1)
  correlation = np.corrcoef(votes[:, :4][:, drawn].T) - np.eye(drawn.sum())
  assert np.max(np.abs(correlation)) < 5 / np.sqrt(draws)


def test_extreme_magnitudes_keep_their_probabilities():
  largest = np.finfo(np.float32).max
  votes = top_k_votes.cast_votes(tf.fill([1000], largest), 1000)
  # All are as large as the largest: certain.
  np.testing.assert_array_equal(votes, np.ones(1000))


@pytest.mark.parametrize("dtype", [tf.int32, tf.bool, tf.string])
def test_other_dtypes_are_refused(dtype):
  specs = [tf.TensorSpec([2], tf.float32), tf.TensorSpec([2], dtype)]
  with pytest.raises(TypeError, match=f"floating point.*{dtype.name}"):
    top_k_votes.flat_size(specs)


def test_size_is_that_of_all_tensors():
  specs = {"a": tf.TensorSpec([2, 3], tf.float16), "b": tf.TensorSpec([])}
  assert top_k_votes.flat_size(specs) == 7
  with pytest.raises(TypeError, match="fully defined"):
    top_k_votes.flat_size(tf.TensorSpec([None]))
