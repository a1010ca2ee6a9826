"""Statistics of generated greyscale images that need no trained model.

Images are float32 `[n, height, width, 1]` in [-1, 1] with background -1 and
ink +1, the range in which the networks of Augenstein et al. (2020, arXiv
1911.06679, section 5) read and draw handwriting.
"""

import numpy as np

# Digits of 28x28 pixels sit in a 20x20 box centred by mass, so a frame two
# pixels wide is free of ink in nearly all of them.
_BORDER_WIDTH = 2

# A background covers nearly the whole border; strokes that a shifted crop
# pushes to the edge, or half an image, cover less than a quarter of it.
_LIGHT_BORDER_SHARE = 0.75

# The darkest 3 % of the interior are some 17 of 576 pixels, fewer than the
# thinnest "1" covers, and their mean must lie this far below the background.
STROKE_SHARE = 0.03
_STROKE_CONTRAST = 0.5


def border_intensity(images: np.ndarray) -> np.ndarray:
  """Mean intensity of the two outermost pixels on every side.

  Args:
    images: Floats `[n, height, width, 1]` in [-1, 1], at least 5x5 pixels.

  Returns:
    float64 `[n]` in [-1, 1]: about -1 for ink on the normal background, about
    +1 for an inverted image.

  Raises:
    TypeError: If `images` does not hold floats.
    ValueError: If `images` has another shape or values that are not finite or
      outside [-1, 1].
  """
  images = _check_images(images)
  return _border_pixels(images).mean(axis=1)


def ink_polarity(images: np.ndarray) -> np.ndarray:
  """Whether each image is inverted: darker strokes on a light background.

  An image counts as inverted if at least three quarters of its border pixels
  are light (above 0) *and* its interior holds strokes at least 0.5 darker than
  the border. An image without strokes, whatever its shade, is not inverted;
  neither is noise, a half-covered image, nor the grey of a generator that has
  not learned yet.

  Args:
    images: Floats `[n, height, width, 1]` in [-1, 1], at least 5x5 pixels.

  Returns:
    bool `[n]`, True where the image is inverted.

  Raises:
    TypeError: If `images` does not hold floats.
    ValueError: If `images` has another shape or values that are not finite or
      outside [-1, 1].
  """
  images = _check_images(images)
  edge = _border_pixels(images)
  inner = slice(_BORDER_WIDTH, -_BORDER_WIDTH)
  interior = images[:, inner, inner]
  num_pixels = interior.shape[1] * interior.shape[2]
  interior = np.sort(interior.reshape(len(images), num_pixels), axis=1)
  num_darkest = max(1, int(STROKE_SHARE * num_pixels))
  strokes = interior[:, :num_darkest].mean(axis=1)
  light_border = (edge > 0).mean(axis=1) >= _LIGHT_BORDER_SHARE
  return light_border & (edge.mean(axis=1) - strokes >= _STROKE_CONTRAST)


def _check_images(images: np.ndarray) -> np.ndarray:
  """Returns `images` as float64 `[n, height, width]`, or says what is wrong."""
  images = np.asarray(images)
  if not np.issubdtype(images.dtype, np.floating):
    raise TypeError(f"images must hold floats, got dtype {images.dtype}")
  smallest = 2 * _BORDER_WIDTH + 1
  if (
    images.ndim != 4
    or images.shape[3] != 1
    or min(images.shape[1:3]) < smallest
  ):
    raise ValueError(
      "images must have shape [n, height, width, 1] with height and width of "
      f"at least {smallest}, got {list(images.shape)}"
    )
  # The comparison is also False for NaN.
  if not np.all(np.abs(images) <= 1 + 1e-6):
    raise ValueError("images must be finite and in [-1, 1]")
  return images[..., 0].astype(np.float64)


def border(images: np.ndarray) -> np.ndarray:
  """Where images `[n, height, width]` have their border; bool `[h, w]`."""
  frame = np.ones(images.shape[1:], dtype=bool)
  frame[_BORDER_WIDTH:-_BORDER_WIDTH, _BORDER_WIDTH:-_BORDER_WIDTH] = False
  return frame


def _border_pixels(images: np.ndarray) -> np.ndarray:
  return images[:, border(images)]
