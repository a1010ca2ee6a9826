"""The low frequencies of images: a public, orthonormal basis of smooth ones.

The discrete cosine transform (DCT-II, Ahmed, Natarajan and Rao, 1974) of a
28 x 28 image has 784 coefficients, of which some hundred hold nearly all that
tells handwriting apart. Noise on those alone is less noise.
"""

import numpy as np


def basis(image_shape: tuple[int, ...], frequencies: int) -> np.ndarray:
  """The cosines below a frequency.

  Args:
    image_shape: Height, width and channels.
    frequencies: At least 1. Cosines whose frequencies (u, v) in half periods an
      image have u^2 + v^2 below its square are in.

  Returns:
    float32 `[h * w * c, m]` with orthonormal columns: images, flattened, times
    this are the coefficients, and those times its transpose the smooth images.

  Raises:
    ValueError: If `frequencies` is less than 1, or the shape is another.
  """
  if len(image_shape) != 3:
    raise ValueError(
      f"image_shape must be height, width and channels, got {image_shape}"
    )
  if frequencies < 1:
    raise ValueError(f"frequencies must be at least 1, got {frequencies}")
  height, width, channels = image_shape
  rows, columns = _cosines(height), _cosines(width)
  chosen = [
    np.einsum("h,w,cd->hwcd", rows[u], columns[v], np.eye(channels))
    for u in range(height)
    for v in range(width)
    if u * u + v * v < frequencies * frequencies
  ]
  vectors = np.stack(chosen, axis=-2)
  return vectors.reshape(height * width * channels, -1).astype(np.float32)


def _cosines(size: int) -> np.ndarray:
  """All cosines of one dimension as rows, orthonormal."""
  places = (np.arange(size) + 0.5) / size
  waves = np.cos(np.pi * np.arange(size)[:, np.newaxis] * places)
  return waves * np.sqrt(np.where(np.arange(size) == 0, 1, 2) / size)[:, None]
