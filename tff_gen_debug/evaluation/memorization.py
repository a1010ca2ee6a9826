"""How close samples come to given images: a sanity check against copies.

Not a proof of privacy. A generator can give away that a person took part
without ever drawing one of their images; what limits that is the noise in its
training and the accounting of it. Small distances can show that something has
gone wrong, large ones show nothing. The distances to training images are not
private themselves: compute them where those images may be looked at.
"""

import numpy as np


def nearest_distances(
  samples: np.ndarray, references: np.ndarray, *, block_rows: int = 1024
) -> np.ndarray:
  """The L2 distance of each sample to the nearest of the references.

  To read it, compare two calls with the same samples: one with the training
  images and one with *as many* images of the same source that were held out
  (more references are nearer by chance). A generator that copies draws nearer
  to the former.

  An exact copy has distance 0. Beside its arguments it needs memory for
  `block_rows`^2 plus three times `block_rows` images' pixels, in float64.

  Args:
    samples: Floats `[n, ...]`, for images `[n, height, width, channels]`; n = 0
      is legal.
    references: Floats `[m, ...]`, m >= 1, of the same shape each.
    block_rows: Samples and references that are compared at a time, >= 1.

  Returns:
    float32 `[n]`, in units of the pixels: for images in [-1, 1] between 0 and
    twice the square root of the number of values in an image.

  Raises:
    TypeError: If an array does not hold floats or `block_rows` is no integer.
    ValueError: If the shapes do not fit, there are no references, a value is
      not finite or `block_rows` is not positive.
  """
  if isinstance(block_rows, bool) or not isinstance(
    block_rows, (int, np.integer)
  ):
    raise TypeError(f"block_rows must be an integer, got {block_rows!r}")
  if block_rows < 1:
    raise ValueError(f"block_rows must be at least 1, got {block_rows}")
  samples = _check("samples", samples)
  references = _check("references", references)
  if samples.shape[1:] != references.shape[1:]:
    raise ValueError(
      "samples and references must agree in all but the first dimension, got "
      f"shapes {list(samples.shape)} and {list(references.shape)}"
    )
  if len(references) == 0:
    raise ValueError("references must hold at least one image")
  distances = np.zeros(len(samples), np.float32)
  for start in range(0, len(samples), block_rows):
    block = _flatten(samples[start : start + block_rows])
    nearest = _flatten(references[_nearest(block, references, block_rows)])
    # From the difference itself: what `_nearest` compares is rounded by about
    # 1e-8 times an image's norm, which would hide that a copy is exact.
    nearest -= block
    distances[start : start + block_rows] = np.linalg.norm(nearest, axis=1)
  return distances


def _nearest(
  block: np.ndarray, references: np.ndarray, block_rows: int
) -> np.ndarray:
  """For each row of `block`, the position of its nearest reference."""
  smallest = np.full(len(block), np.inf)
  nearest = np.zeros(len(block), np.int64)
  for start in range(0, len(references), block_rows):
    others = _flatten(references[start : start + block_rows])
    # |a - b|^2 less |a|^2, which is the same for all references.
    scores = block @ others.T
    scores *= -2
    scores += np.einsum("ij,ij->i", others, others)
    position = scores.argmin(axis=1)
    score = scores[np.arange(len(block)), position]
    nearer = score < smallest
    smallest[nearer] = score[nearer]
    nearest[nearer] = start + position[nearer]
  return nearest


def _flatten(images: np.ndarray) -> np.ndarray:
  """A float64 matrix, one image a row, which the caller may overwrite."""
  size = int(np.prod(images.shape[1:]))
  return images.reshape(len(images), size).astype(np.float64)


def _check(name: str, images: np.ndarray) -> np.ndarray:
  images = np.asarray(images)
  if not np.issubdtype(images.dtype, np.floating):
    raise TypeError(f"{name} must hold floats, got dtype {images.dtype}")
  if images.ndim < 2 or 0 in images.shape[1:]:
    raise ValueError(
      f"{name} must have shape [n, ...] with at least one value an image, got "
      f"{list(images.shape)}"
    )
  if not np.all(np.isfinite(images)):
    raise ValueError(f"{name} must be finite")
  return images
