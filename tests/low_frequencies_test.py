"""Tests of the basis of smooth images."""

import numpy as np
import pytest
from scipy import fft

from tff_gen_debug import low_frequencies


@pytest.mark.parametrize("shape", [(28, 28, 1), (8, 12, 3)])
def test_coefficients_are_those_of_scipy(shape):
  image = np.random.RandomState(1).uniform(-1, 1, shape)
  basis = low_frequencies.basis(shape, 5)
  spectrum = fft.dctn(image, axes=(0, 1), norm="ortho")
  low = [
    spectrum[u, v]
    for u in range(shape[0])
    for v in range(shape[1])
    if u * u + v * v < 25
  ]
  assert basis.dtype == np.float32
  np.testing.assert_allclose(
    image.reshape(-1) @ basis, np.concatenate(low), atol=1e-5
  )


def test_columns_are_orthonormal():
  basis = low_frequencies.basis((9, 7, 2), 4)
  np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-6)


def test_all_frequencies_are_the_whole_image():
  assert low_frequencies.basis((4, 5, 1), 10).shape == (20, 20)


@pytest.mark.parametrize(
  "shape, frequencies, message",
  [
    ((28, 28), 5, "image_shape must be height, width and channels"),
    ((28, 28, 1), 0, "frequencies must be at least 1, got 0"),
  ],
)
def test_bad_arguments(shape, frequencies, message):
  with pytest.raises(ValueError, match=message):
    low_frequencies.basis(shape, frequencies)
