"""Tests of pictures of samples, pixel by pixel."""

import io

import matplotlib.image
import numpy as np
import pytest

from tff_gen_debug.debugging import pictures


def test_sample_grid_places_and_shades_its_images():
  images = np.stack(
    [np.full((2, 3, 1), v) for v in (-1.0, 1.0, 0.0, np.nan, 9.0)]
  )
  png = pictures.sample_grid(images, rows=2, columns=3, scale=2)
  picture = matplotlib.image.imread(io.BytesIO(png))
  # 2 rows of 2 pixels and 3 gaps of 2, 3 columns of 3 and 4 gaps, twice as big.
  assert picture.shape[:2] == (2 * 10, 2 * 17)
  shades = np.rint(255 * picture[::2, ::2, 0]).astype(int)
  assert (shades[2:4, 2:5] == 0).all()
  assert (shades[2:4, 7:10] == 255).all()
  assert np.isin(shades[2:4, 12:15], (127, 128)).all()
  assert (shades[6:8, 7:10] == 255).all()  # Clipped.
  assert (shades[6:8, 12:15] == 128).all()  # No sixth image.
  assert (shades[:2] == 128).all()
  assert (shades[:, 5:7] == 128).all()


def test_colours_are_kept():
  colours = np.array([[-1.0, 1.0, 0.0], [1.0, -1.0, 1.0]])
  images = np.broadcast_to(colours[:, None, None], (2, 2, 2, 3))
  png = pictures.sample_grid(images, rows=1, columns=2, scale=1)
  picture = np.rint(255 * matplotlib.image.imread(io.BytesIO(png))).astype(int)
  assert picture.shape[:2] == (6, 10)
  assert (picture[2:4, 2:4, 0] == 0).all()
  assert (picture[2:4, 2:4, 1] == 255).all()
  assert np.isin(picture[2:4, 2:4, 2], (127, 128)).all()
  assert (picture[2:4, 6:8, :3] == [255, 0, 255]).all()


@pytest.mark.parametrize(
  "images, kwargs, message",
  [
    (np.zeros((1, 2, 2)), {}, "shape"),
    (np.zeros((1, 2, 2, 2)), {}, "shape"),
    (np.zeros((1, 2, 2, 1)), dict(rows=0), "rows"),
    (np.zeros((1, 2, 2, 1)), dict(scale=0), "scale"),
  ],
)
def test_bad_grids_are_named(images, kwargs, message):
  with pytest.raises(ValueError, match=message):
    pictures.sample_grid(images, **kwargs)
