"""Sampled images as one picture."""

import io

import numpy as np


def sample_grid(
  images: np.ndarray, rows: int = 8, columns: int = 8, scale: int = 3
) -> bytes:
  """Draws the first `rows * columns` images as one PNG.

  -1 is black and +1 white, as the paper shows its samples: ordinary ink is
  light on dark. Cells without an image stay the grey of the gaps.

  Args:
    images: Floats `[n, height, width, channels]` in [-1, 1]; grey with 1
      channel, red, green and blue with 3.
    rows: Number of rows, >= 1.
    columns: Number of columns, >= 1.
    scale: Pixels of the picture a pixel of an image, >= 1.

  Returns:
    The bytes of a PNG file.

  Raises:
    ValueError: If `images` has another shape or a number is below 1.
  """
  images = np.asarray(images)
  if images.ndim != 4 or images.shape[3] not in (1, 3):
    raise ValueError(
      "images must have shape [n, height, width, 1] or [n, height, width, 3],"
      f" got {list(images.shape)}"
    )
  if min(rows, columns, scale) < 1:
    raise ValueError(
      "rows, columns and scale must be at least 1, got "
      f"{rows}, {columns} and {scale}"
    )
  gap = 2
  height, width, channels = images.shape[1:]
  size = (rows * (height + gap) + gap, columns * (width + gap) + gap)
  canvas = np.full((*size, channels), 128, np.uint8)
  levels = np.clip(np.nan_to_num(images) * 127.5 + 127.5, 0, 255)
  for index, image in enumerate(levels[: rows * columns]):
    top = gap + index // columns * (height + gap)
    left = gap + index % columns * (width + gap)
    canvas[top : top + height, left : left + width] = np.rint(image)
  canvas = canvas.repeat(scale, axis=0).repeat(scale, axis=1)
  buffer = io.BytesIO()
  # As in `charts`.
  import matplotlib.image

  matplotlib.image.imsave(
    buffer,
    canvas[..., 0] if channels == 1 else canvas,
    cmap="gray",
    vmin=0,
    vmax=255,
    format="png",
  )
  return buffer.getvalue()
