"""Scores of generated samples on a classifier's outputs.

Augenstein et al. (2020, arXiv 1911.06679) use both: the Inception score of
Salimans et al. (2016, arXiv 1606.03498) and the Frechet distance of Heusel et
al. (2017, arXiv 1706.08500), with a classifier of the domain in place of the
Inception network.
"""

import numpy as np

_PROBABILITY_SUM_TOLERANCE = 1e-3


def classifier_score(probabilities: np.ndarray) -> float:
  """exp(E KL(p(y|x) || p(y))): are samples recognisable, and of all classes?

  Args:
    probabilities: Floats `[n, classes]`, one row of class probabilities a
      sample, n >= 1.

  Returns:
    A number in [1, classes]: `classes` if every sample is assigned to one class
    with certainty and all classes are equally frequent, 1 if all rows are
    equal. It is biased downwards for few samples (never above n).

  Raises:
    ValueError: If `probabilities` is not a non-empty matrix of non-negative
      numbers with rows that sum to 1.
  """
  p = np.asarray(probabilities, dtype=np.float64)
  if p.ndim != 2 or 0 in p.shape:
    raise ValueError(
      "probabilities must have shape [n, classes] with n and classes of at "
      f"least 1, got {list(p.shape)}"
    )
  sums = p.sum(axis=1)
  if not (
    np.all(p >= 0) and np.all(np.abs(sums - 1) <= _PROBABILITY_SUM_TOLERANCE)
  ):
    raise ValueError(
      "probabilities must be non-negative with rows that sum to 1, got values "
      f"from {p.min():.4g} and row sums in [{sums.min():.4g}, {sums.max():.4g}]"
    )
  p = p / sums[:, np.newaxis]
  # KL averaged over samples = H(mean p) - mean H(p).
  score = np.exp(_entropy(p.mean(axis=0)) - np.mean(_entropy(p)))
  return float(np.clip(score, 1.0, p.shape[1]))


def frechet_distance(features_a: np.ndarray, features_b: np.ndarray) -> float:
  """Squared Frechet distance of Gaussians fitted to two sets of features.

  |mean_a - mean_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)) with unbiased sample
  covariances. The trace of the root is computed as the sum of the singular
  values of R_a R_b^T, where R are the triangular factors of the centred
  features: no matrix is squared or inverted, so that fewer samples than
  dimensions, or constant features, do no harm.

  Args:
    features_a: Floats `[n_a, d]`, n_a >= 2.
    features_b: Floats `[n_b, d]`, n_b >= 2.

  Returns:
    A number >= 0, in squared units of the features.

  Raises:
    ValueError: If a shape is wrong, the dimensions differ or a value is not
      finite.
  """
  a = _check_features(features_a, "features_a")
  b = _check_features(features_b, "features_b")
  if a.shape[1] != b.shape[1]:
    raise ValueError(
      "features_a and features_b must have the same number of columns, got "
      f"{a.shape[1]} and {b.shape[1]}"
    )
  mean_a, root_a = _mean_and_root(a)
  mean_b, root_b = _mean_and_root(b)
  cross = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
  distance = (
    np.sum((mean_a - mean_b) ** 2)
    + np.sum(root_a**2)
    + np.sum(root_b**2)
    - 2 * cross
  )
  return float(max(distance, 0.0))


def _entropy(p: np.ndarray) -> np.ndarray:
  """Entropy along the last axis, in nats, with 0 ln 0 = 0."""
  return -np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=-1)


def _mean_and_root(x: np.ndarray):
  """The mean `[d]` and an R with R^T R = sample covariance `[d, d]`."""
  mean = x.mean(axis=0)
  return mean, np.linalg.qr(x - mean, mode="r") / np.sqrt(len(x) - 1)


def _check_features(features: np.ndarray, name: str) -> np.ndarray:
  features = np.asarray(features, dtype=np.float64)
  if features.ndim != 2 or features.shape[0] < 2 or features.shape[1] < 1:
    raise ValueError(
      f"{name} must have shape [n, d] with n >= 2 and d >= 1, got "
      f"{list(features.shape)}"
    )
  if not np.all(np.isfinite(features)):
    raise ValueError(f"{name} must be finite")
  return features
