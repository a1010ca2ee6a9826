"""Tests of image statistics on drawn strokes, noise and broken images."""

import numpy as np
import pytest

from tff_gen_debug.evaluation import image_statistics


def _strokes(num_images=50, seed=0):
  """Soft random line strokes, ink +1 on background -1, in a 20x20 box."""
  rng = np.random.default_rng(seed)
  rows, columns = np.mgrid[0:28, 0:28]
  images = []
  for _ in range(num_images):
    ink = np.zeros((28, 28))
    for _ in range(rng.integers(1, 4)):
      start, end = rng.uniform(5, 22, size=(2, 2))
      end = start + (end - start) * max(1, 8 / np.linalg.norm(end - start))
      end = np.clip(end, 4, 23)
      for t in np.linspace(0, 1, 60):
        y, x = start + t * (end - start)
        spot = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 2)
        ink = np.maximum(ink, spot)
    images.append(2 * ink - 1)
  return np.stack(images)[..., np.newaxis].astype(np.float32)


def test_border_intensity_is_the_mean_of_a_frame_two_pixels_wide():
  images = np.full((2, 28, 28, 1), -1.0, np.float32)
  images[0, 2:-2, 2:-2] = 1.0  # The interior does not count.
  images[1, 0, :] = 1.0  # One of the four full rows and columns of the frame.
  # The frame has 28^2 - 24^2 = 208 pixels, of which 28 are +1.
  expected = [-1.0, (28 - 180) / 208]
  np.testing.assert_allclose(
    image_statistics.border_intensity(images), expected, rtol=1e-6
  )


def test_polarity_of_strokes_and_of_their_inversion():
  images = _strokes()
  assert not image_statistics.ink_polarity(images).any()
  assert image_statistics.ink_polarity(-images).all()


@pytest.mark.parametrize("gain", [0.6, 1.0])
@pytest.mark.parametrize("noise", [0.0, 0.4])
def test_polarity_of_soft_and_noisy_samples(gain, noise):
  images = _strokes(200)
  rng = np.random.default_rng(1)
  soft = gain * images + rng.normal(0, noise, images.shape)
  soft = np.clip(soft, -1, 1).astype(np.float32)
  assert image_statistics.ink_polarity(soft).mean() <= 0.01
  assert image_statistics.ink_polarity(-soft).mean() >= 0.99


@pytest.mark.parametrize(
  "corrupt",
  [
    lambda x: np.rot90(x, axes=(1, 2)),
    lambda x: np.roll(x, 7, axis=2),
    lambda x: np.where(np.arange(28)[:, None] < 14, -1.0, x[..., 0])[..., None],
    lambda x: np.where(np.arange(28)[:, None] < 14, 1.0, x[..., 0])[..., None],
    lambda x: np.full_like(x, -1.0),
    lambda x: np.full_like(x, 0.0),
    lambda x: np.full_like(x, 1.0),
  ],
  ids=[
    "rotated",
    "shifted",
    "half background",
    "half ink",
    "blank",
    "grey",
    "all ink",
  ],
)
def test_other_corruptions_are_not_inverted(corrupt):
  assert not image_statistics.ink_polarity(corrupt(_strokes())).any()


def test_rotated_inverted_images_are_inverted():
  images = np.rot90(-_strokes(), axes=(1, 2))
  assert image_statistics.ink_polarity(images).all()


def test_noise_is_not_inverted():
  rng = np.random.default_rng(2)
  uniform = rng.uniform(-1, 1, (2000, 28, 28, 1))
  untrained = np.tanh(rng.normal(0, 0.2, (2000, 28, 28, 1)))
  assert not image_statistics.ink_polarity(uniform).any()
  assert not image_statistics.ink_polarity(untrained).any()


def test_no_images_give_empty_statistics():
  empty = np.zeros((0, 28, 28, 1), np.float32)
  assert image_statistics.ink_polarity(empty).shape == (0,)
  assert image_statistics.border_intensity(empty).shape == (0,)


@pytest.mark.parametrize(
  "images, error, message",
  [
    (np.zeros((1, 28, 28), np.float32), ValueError, "shape"),
    (np.zeros((1, 28, 28, 3), np.float32), ValueError, "shape"),
    (np.zeros((1, 4, 28, 1), np.float32), ValueError, "at least 5"),
    (np.full((1, 28, 28, 1), np.nan), ValueError, "finite"),
    (np.full((1, 28, 28, 1), 255.0), ValueError, r"\[-1, 1\]"),
    (np.zeros((1, 28, 28, 1), np.uint8), TypeError, "uint8"),
  ],
)
def test_bad_images_are_named(images, error, message):
  for function in (
    image_statistics.border_intensity,
    image_statistics.ink_polarity,
  ):
    with pytest.raises(error, match=message):
      function(images)
