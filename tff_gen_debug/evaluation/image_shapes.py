"""What is drawn in greyscale images, told without a trained model.

Images are floats `[n, height, width, 1]` in [-1, 1], background -1 and ink +1,
as in `image_statistics`. Each function flags images that differ from ordinary
handwriting in one respect, made for the samples of a weak generator: a median
over 3x3 pixels removes specks and most noise, the background is what the border
mostly shows, and ink is whatever lies beyond it, lighter or darker, by a share
of the strongest strokes. So none of them but `is_blank` and `is_faint` depends
on contrast, and none on polarity, which `image_statistics.ink_polarity` tells.

Where the border is as uneven as the strokes are strong, there are none: an
image of fog or noise has no flag at all, which is not a verdict that it is
fine. Thresholds were set on the embedded MNIST digits, clean, with the bugs of
`debugging.bugs`, and blurred (Gaussian, sigma 1 pixel) with noise (sd 0.1) for
what generators make of them.
"""

from typing import NamedTuple, Optional

import numpy as np

from tff_gen_debug.evaluation import image_statistics

# Contrast is the mean of the strongest pixels less the background; white to
# black is 2.
_LEAST_CONTRAST = 0.15
_FULL_CONTRAST = 0.55
# In standard deviations of the border. The strongest 3 % of Gaussian noise lie
# 2.3 above its mean, and smoothing correlates neighbours, which adds to it.
_LEAST_CONTRAST_TO_NOISE = 5.0
# Of the contrast: what is fainter is no ink.
_LEAST_INK = 0.35
# A blank sheet of either shade; a generator that has learned nothing is grey.
_LEAST_SHADE = 0.5

# Of height and width. MNIST centres its digits by mass, EMNIST its characters
# by bounding box.
_OFF_CENTRE = 0.12
# Of all ink: what may be in an empty half, and what on the border.
_EMPTY_HALF = 0.04
_INK_ON_BORDER = 0.01
# Cosine of the ink of two images. Of 1000 digits, blurred and noisy, 1 % have
# another one as near, and 99 % of copies with noise of their own.
_COPY_SIMILARITY = 0.97
_BLOCK_ROWS = 1024


def has_strokes(images: np.ndarray) -> np.ndarray:
  """Whether anything is drawn: on paper or inverted, in full or low contrast.

  Args:
    images: Floats `[n, height, width, 1]` in [-1, 1], at least 5x5 pixels.

  Returns:
    bool `[n]`.

  Raises:
    TypeError: If `images` does not hold floats.
    ValueError: If `images` has another shape or values that are not finite or
      outside [-1, 1].
  """
  return _draw(images).has_strokes


def is_blank(images: np.ndarray) -> np.ndarray:
  """Whether an image is nothing but background, light or dark but not grey.

  Args:
    images: As for `has_strokes`.

  Returns:
    bool `[n]`.

  Raises:
    TypeError: As `has_strokes`.
    ValueError: As `has_strokes`.
  """
  drawing = _draw(images)
  is_flat = drawing.contrast < _LEAST_CONTRAST
  return is_flat & (np.abs(drawing.background) >= _LEAST_SHADE)


def is_faint(images: np.ndarray) -> np.ndarray:
  """Whether there are strokes, but of low contrast.

  The strongest lie less than 0.55 beyond the background. Of 1000 digits, 99 %
  have at least 1.5, and 1.0 if they are blurred and noisy.

  Args:
    images: As for `has_strokes`.

  Returns:
    bool `[n]`.

  Raises:
    TypeError: As `has_strokes`.
    ValueError: As `has_strokes`.
  """
  drawing = _draw(images)
  return drawing.has_strokes & (drawing.contrast < _FULL_CONTRAST)


def is_off_centre(images: np.ndarray) -> np.ndarray:
  """Whether the ink's centre of mass is far from the middle of the image.

  Far is 12 % of the image's height and width, 3.4 of 28 pixels.

  Args:
    images: As for `has_strokes`.

  Returns:
    bool `[n]`, False where there are no strokes.

  Raises:
    TypeError: As `has_strokes`.
    ValueError: As `has_strokes`.
  """
  drawing = _draw(images)
  (rows, columns), _ = _moments(drawing.ink)
  distance = np.hypot(rows - 0.5, columns - 0.5)
  return drawing.has_strokes & (distance >= _OFF_CENTRE)


def is_half_empty(images: np.ndarray) -> np.ndarray:
  """Whether one half, left, right, upper or lower, is missing.

  It has less than 4 % of the image's ink, and the rest is where it belongs:
  less than 1 % lies on the border, two pixels wide. Characters that were moved
  out of the middle also leave a half empty, but reach the border.

  Args:
    images: As for `has_strokes`.

  Returns:
    bool `[n]`, False where there are no strokes.

  Raises:
    TypeError: As `has_strokes`.
    ValueError: As `has_strokes`.
  """
  drawing = _draw(images)
  ink = drawing.ink
  height, width = ink.shape[1:]
  halves = [
    ink[:, : height // 2],
    ink[:, -(height // 2) :],
    ink[:, :, : width // 2],
    ink[:, :, -(width // 2) :],
  ]
  least = np.min([half.sum(axis=(1, 2)) for half in halves], axis=0)
  total = ink.sum(axis=(1, 2))
  on_border = ink[:, image_statistics.border(ink)].sum(axis=1)
  return (
    drawing.has_strokes
    & (least < _EMPTY_HALF * total)
    & (on_border < _INK_ON_BORDER * total)
  )


def is_wider_than_tall(images: np.ndarray) -> np.ndarray:
  """Whether the ink spreads further to the sides than up and down.

  By the variances of its columns and rows. Most upright digits and letters are
  taller than wide, and the same ones turned by 90 degrees wider than tall.

  Args:
    images: As for `has_strokes`.

  Returns:
    bool `[n]`, False where there are no strokes.

  Raises:
    TypeError: As `has_strokes`.
    ValueError: As `has_strokes`.
  """
  drawing = _draw(images)
  _, (rows, columns) = _moments(drawing.ink)
  return drawing.has_strokes & (columns > rows)


def is_near_copy(
  images: np.ndarray, *, num_others: Optional[int] = None
) -> np.ndarray:
  """Whether another image has nearly the same ink in the same places.

  Nearly the same is a cosine of 0.97 between the two, whatever their contrast
  and polarity. The more images there are, the more have a near copy by chance:
  compare shares of such images only for the same number of others.

  Args:
    images: As for `has_strokes`.
    num_others: With how many others to compare each image, in [1, n - 1]:
      those that follow it, and the first after the last. All of them if None.

  Returns:
    bool `[n]`, False where there are no strokes.

  Raises:
    TypeError: As `has_strokes`, or if `num_others` is no integer.
    ValueError: As `has_strokes`, or if `num_others` is out of range.
  """
  drawing = _draw(images)
  num_images = len(drawing.ink)
  if num_others is None:
    num_others = max(num_images - 1, 0)
  elif isinstance(num_others, bool) or not isinstance(
    num_others, (int, np.integer)
  ):
    raise TypeError(f"num_others must be an integer, got {num_others!r}")
  elif not 1 <= num_others < num_images:
    raise ValueError(
      f"num_others must be in [1, {num_images - 1}] for {num_images} images, "
      f"got {num_others}"
    )
  num_pixels = drawing.ink.shape[1] * drawing.ink.shape[2]
  ink = drawing.ink.reshape(num_images, num_pixels)
  norms = np.linalg.norm(ink, axis=1, keepdims=True)
  # Without strokes, a row of zeros: similar to nothing.
  drawn = drawing.has_strokes[:, np.newaxis]
  directions = np.where(drawn, ink / np.where(norms > 0, norms, 1), 0)
  positions = np.arange(num_images)
  flags = np.zeros(num_images, dtype=bool)
  for start in range(0, num_images, _BLOCK_ROWS):
    rows = positions[start : start + _BLOCK_ROWS, np.newaxis]
    steps = (positions - rows) % num_images
    is_asked = (steps >= 1) & (steps <= num_others)
    similar = directions[start : start + _BLOCK_ROWS] @ directions.T
    is_copy = is_asked & (similar >= _COPY_SIMILARITY)
    flags[start : start + _BLOCK_ROWS] = is_copy.any(axis=1)
  return flags


class _Drawing(NamedTuple):
  """What was drawn in n images.

  Attributes:
    background: float64 `[n]`, the shade of the paper in [-1, 1].
    contrast: float64 `[n]` in [0, 2], how far the strongest strokes lie from
      it.
    has_strokes: bool `[n]`.
    ink: float64 `[n, height, width]`, 0 for paper and about 1 for the strongest
      strokes; 0 everywhere where there are none.
  """

  background: np.ndarray
  contrast: np.ndarray
  has_strokes: np.ndarray
  ink: np.ndarray


def _draw(images: np.ndarray) -> _Drawing:
  """Tells the strokes of each image from its background."""
  # Which also checks the images.
  shade = image_statistics.border_intensity(images)
  smooth = _median_filter(np.asarray(images)[..., 0].astype(np.float64))
  border = smooth[:, image_statistics.border(smooth)]
  # The median, because strokes may reach the border.
  background = np.median(border, axis=1)
  noise = 1.4826 * np.median(np.abs(border - background[:, None]), axis=1)
  deviation = smooth - background[:, None, None]

  num_pixels = deviation.shape[1] * deviation.shape[2]
  num_strongest = max(1, int(image_statistics.STROKE_SHARE * num_pixels))
  ordered = np.sort(deviation.reshape(len(deviation), num_pixels), axis=1)
  lighter = ordered[:, -num_strongest:].mean(axis=1)
  darker = -ordered[:, :num_strongest].mean(axis=1)
  contrast = np.maximum(np.maximum(lighter, darker), 0)
  drawn = (contrast >= _LEAST_CONTRAST) & (
    contrast >= _LEAST_CONTRAST_TO_NOISE * noise
  )

  sign = np.where(lighter >= darker, 1.0, -1.0)
  # Any number but 0 where nothing is drawn.
  scale = np.where(drawn, sign * contrast, 1.0)
  ink = deviation / scale[:, None, None]
  ink = np.where((ink >= _LEAST_INK) & drawn[:, None, None], ink, 0.0)
  return _Drawing(shade, contrast, drawn, ink)


def _median_filter(images: np.ndarray) -> np.ndarray:
  """The median over 3x3 pixels, `[n, h, w]`; edges repeat their pixels.

  It is the median of three numbers: the highest of the three columns' minima,
  the median of their medians and the lowest of their maxima.
  """
  padded = np.pad(images, [[0, 0], [1, 1], [1, 1]], mode="edge")
  columns = [padded[:, :-2], padded[:, 1:-1], padded[:, 2:]]
  low = np.minimum(np.minimum(*columns[:2]), columns[2])
  high = np.maximum(np.maximum(*columns[:2]), columns[2])
  low = np.maximum(np.maximum(low[..., :-2], low[..., 1:-1]), low[..., 2:])
  high = np.minimum(np.minimum(high[..., :-2], high[..., 1:-1]), high[..., 2:])
  middle = _median(*columns)
  middle = _median(middle[..., :-2], middle[..., 1:-1], middle[..., 2:])
  return _median(low, middle, high)


def _median(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
  """The median of three numbers, elementwise."""
  return np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))


def _moments(ink: np.ndarray):
  """Centre and variance of the ink, along the rows and the columns.

  Args:
    ink: floats `[n, height, width]`, none negative.

  Returns:
    Two pairs of float64 `[n]`: centres, in shares of the height and the width
    (the middle is 0.5), and variances, in pixels squared. Of no ink, 0.
  """
  total = ink.sum(axis=(1, 2))
  total = np.where(total > 0, total, 1.0)
  centres, variances = [], []
  for axis in (1, 2):
    size = ink.shape[axis]
    profile = ink.sum(axis=3 - axis) / total[:, np.newaxis]
    place = np.arange(size) + 0.5
    centre = profile @ place
    centres.append(centre / size)
    variances.append(profile @ place**2 - centre**2)
  return tuple(centres), tuple(variances)
