"""Tests of density ratios, on samples whose densities are known."""

import numpy as np
import pytest

from tff_gen_debug.debugging import density


def _images(rng, mean, count):
  """Shades of one number, which 4 x 4 blocks of 8 x 8 pixels share."""
  shades = rng.normal(mean, 0.1, count)
  return np.tile(shades[:, None, None, None], [1, 8, 8, 1])


@pytest.fixture
def rng():
  return np.random.default_rng(7)


def test_what_one_has_more_of_comes_first(rng):
  # Densities N(0.2, 0.1) and N(-0.1, 0.1): the log ratio grows with the shade.
  suspect, reference = _images(rng, 0.2, 400), _images(rng, -0.1, 400)
  typical = density.most_typical(suspect, reference, 20)
  shades = np.sort(suspect[:, 0, 0, 0])
  assert typical.suspect[:, 0, 0, 0].min() > np.quantile(shades, 0.75)
  shades = np.sort(reference[:, 0, 0, 0])
  assert typical.reference[:, 0, 0, 0].max() < np.quantile(shades, 0.25)
  # P(X > Y) for a difference of 3 standard deviations: Phi(3 / sqrt(2)).
  assert typical.auc == pytest.approx(0.983, abs=0.015)


def test_two_halves_of_the_same_are_alike(rng):
  images = rng.normal(0, 0.3, [2000, 8, 8, 1])
  typical = density.most_typical(images[::2], images[1::2])
  assert 0.45 < typical.auc < 0.55
  assert typical.suspect.shape == typical.reference.shape == (64, 8, 8, 1)


def test_a_mixture_is_told_by_its_second_mode(rng):
  """Means agree; only the squares differ."""
  signs = rng.choice([-1, 1], 600)
  suspect = _images(rng, 0, 600) + 0.6 * signs[:, None, None, None]
  typical = density.most_typical(suspect, _images(rng, 0, 600), 30)
  assert typical.auc > 0.95
  assert np.abs(typical.reference).max() < 0.25


@pytest.mark.parametrize(
  "suspect, reference, count, error",
  [
    ((5, 8, 8, 1), (5, 8, 4, 1), 1, "shapes"),
    ((1, 8, 8, 1), (5, 8, 8, 1), 1, "at least 2"),
    ((5, 8, 8, 1), (5, 8, 8, 1), 0, "at least 1"),
  ],
)
def test_arguments(suspect, reference, count, error):
  with pytest.raises(ValueError, match=error):
    density.most_typical(np.zeros(suspect), np.zeros(reference), count)
