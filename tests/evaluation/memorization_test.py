"""Tests of the distances to nearest references against a plain loop."""

import tracemalloc

import numpy as np
import pytest

from tff_gen_debug.evaluation import memorization


def _images(num_images, seed, shape=(5, 4, 3)):
  rng = np.random.default_rng(seed)
  return rng.uniform(-1, 1, (num_images, *shape)).astype(np.float32)


def _slowly(samples, references):
  return [
    min(
      np.sqrt(np.sum((sample.astype(float) - reference) ** 2))
      for reference in references
    )
    for sample in samples
  ]


@pytest.mark.parametrize("block_rows", [1, 2, 7, 20, 23, 1000])
def test_blocks_of_any_size_give_what_a_loop_gives(block_rows):
  samples, references = _images(20, seed=0), _images(23, seed=1)
  distances = memorization.nearest_distances(
    samples, references, block_rows=block_rows
  )
  assert distances.dtype == np.float32 and distances.shape == (20,)
  np.testing.assert_allclose(distances, _slowly(samples, references), rtol=1e-6)


@pytest.mark.parametrize("nearest", [0, 3, 4, 9])
def test_the_nearest_is_found_in_any_block(nearest):
  references = np.full((10, 8, 8, 1), -1.0, np.float32)
  references[nearest] = 0.5
  samples = np.full((1, 8, 8, 1), 0.25, np.float32)
  distances = memorization.nearest_distances(samples, references, block_rows=4)
  assert distances.tolist() == [2.0]  # The root of 64 times a sixteenth.


def test_a_copy_has_distance_zero_and_a_near_copy_its_own():
  references = _images(50, seed=2, shape=(28, 28, 1))
  samples = references[[7, 49]].copy()
  samples[1, 3, 3, 0] = references[49, 3, 3, 0] + np.float32(1e-4)
  expected = [0.0, samples[1, 3, 3, 0] - references[49, 3, 3, 0]]
  distances = memorization.nearest_distances(samples, references)
  assert distances.tolist() == pytest.approx(expected, rel=1e-6)
  assert distances[0] == 0


def test_copies_are_nearer_to_training_images_than_to_others():
  """The comparison for which the function is there."""
  train, held_out = _images(300, seed=3), _images(300, seed=4)
  rng = np.random.default_rng(5)
  chosen = train[rng.integers(300, size=100)]
  copies = chosen + rng.normal(0, 0.05, chosen.shape)
  assert np.median(memorization.nearest_distances(copies, train)) < 0.5
  assert np.median(memorization.nearest_distances(copies, held_out)) > 2
  fresh = _images(100, seed=6)
  to_train = memorization.nearest_distances(fresh, train)
  to_held_out = memorization.nearest_distances(fresh, held_out)
  # Neither is nearer, but for chance: a sign test at four sigma.
  assert abs(np.mean(to_train < to_held_out) - 0.5) < 4 * 0.5 / np.sqrt(100)


def test_memory_is_bounded_by_the_blocks():
  references = _images(4000, seed=7, shape=(16, 16, 1))
  samples = _images(2000, seed=8, shape=(16, 16, 1))
  tracemalloc.start()
  memorization.nearest_distances(samples, references, block_rows=50)
  peak = tracemalloc.get_traced_memory()[1]
  tracemalloc.stop()
  # The matrix of all distances has 64 MB; checking for NaN takes 1 MB, three
  # blocks 0.3 MB.
  assert peak < 4e6


def test_arguments_stay_as_they_were():
  samples, references = _images(5, seed=9), _images(6, seed=10)
  samples, references = samples.astype(float), references.astype(float)
  before = samples.copy(), references.copy()
  memorization.nearest_distances(samples, references)
  np.testing.assert_array_equal(samples, before[0])
  np.testing.assert_array_equal(references, before[1])


def test_no_samples_have_no_distances():
  distances = memorization.nearest_distances(_images(0, 0), _images(3, 0))
  assert distances.shape == (0,) and distances.dtype == np.float32


@pytest.mark.parametrize(
  "samples, references, arguments, error, message",
  [
    (np.zeros((2, 3), int), np.zeros((2, 3)), {}, TypeError, "samples"),
    (np.zeros((2, 3)), np.zeros((2, 3), int), {}, TypeError, "references"),
    (np.zeros(3), np.zeros((2, 3)), {}, ValueError, "samples must have shape"),
    (np.zeros((2, 0)), np.zeros((2, 0)), {}, ValueError, "at least one value"),
    (np.zeros((2, 3)), np.zeros((2, 4)), {}, ValueError, "must agree"),
    (np.zeros((2, 3)), np.zeros((0, 3)), {}, ValueError, "at least one image"),
    (np.full((2, 3), np.nan), np.zeros((2, 3)), {}, ValueError, "finite"),
    (np.zeros((2, 3)), np.full((2, 3), np.inf), {}, ValueError, "finite"),
    (np.zeros((2, 3)), np.zeros((2, 3)), {"block_rows": 0}, ValueError, "rows"),
    (np.zeros((2, 3)), np.zeros((2, 3)), {"block_rows": 2.0}, TypeError, "row"),
  ],
)
def test_bad_arguments_are_named(
  samples, references, arguments, error, message
):
  with pytest.raises(error, match=message):
    memorization.nearest_distances(samples, references, **arguments)
