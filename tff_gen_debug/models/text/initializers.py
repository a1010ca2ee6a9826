"""Initial weights of language models, drawn with NumPy from a seed."""

from typing import Tuple

import numpy as np


def glorot_uniform(
  rng: np.random.Generator, shape: Tuple[int, int]
) -> np.ndarray:
  """A float32 `[inputs, outputs]` kernel (Glorot and Bengio, 2010)."""
  limit = np.sqrt(6 / sum(shape))
  return rng.uniform(-limit, limit, shape).astype(np.float32)


def orthogonal(rng: np.random.Generator, shape: Tuple[int, int]) -> np.ndarray:
  """A float32 `[inputs, outputs]` kernel with orthonormal rows or columns.

  Saxe et al. (2014, arXiv 1312.6120): rows if there are at most as many as
  columns, columns otherwise; uniform among such matrices.
  """
  rows, columns = shape
  normal = rng.normal(size=(max(shape), min(shape)))
  q, r = np.linalg.qr(normal)
  # Without the signs the draw would depend on LAPACK's own convention.
  q *= np.sign(np.diag(r))
  return (q if rows >= columns else q.T).astype(np.float32)
