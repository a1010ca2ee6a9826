"""Tests of the scores against closed forms."""

import numpy as np
import pytest

from tff_gen_debug.evaluation import scores


def _with_exact_moments(mean, root, num_samples, seed):
  """Samples whose *sample* mean and covariance are `mean` and `root root^T`."""
  rng = np.random.default_rng(seed)
  z = rng.normal(size=(num_samples, root.shape[1]))
  z -= z.mean(axis=0)
  # Whitened by the Cholesky factor of its own covariance.
  z = np.linalg.solve(np.linalg.cholesky(np.cov(z.T, ddof=1)), z.T).T
  return mean + z @ root.T


def test_certain_and_uniform_predictions_score_the_number_of_classes():
  assert scores.classifier_score(np.eye(7)) == pytest.approx(7)
  assert scores.classifier_score(np.tile(np.eye(7), (3, 1))) == pytest.approx(7)


def test_equal_predictions_score_one():
  assert scores.classifier_score(np.tile([[0.7, 0.3]], (9, 1))) == 1.0
  assert scores.classifier_score(np.tile([[1.0, 0.0, 0.0]], (9, 1))) == 1.0
  assert scores.classifier_score([[0.2, 0.8]]) == 1.0


def test_classifier_score_of_a_half_certain_pair():
  # p(y|x) is (1, 0) or (1/2, 1/2), so p(y) = (3/4, 1/4). The KL terms are
  # ln(4/3) and (1/2) ln(2/3) + (1/2) ln 2 = (1/2) ln(4/3).
  expected = (4 / 3) ** 0.75
  score = scores.classifier_score([[1.0, 0.0], [0.5, 0.5]])
  assert score == pytest.approx(expected, rel=1e-12)


def test_classifier_score_stays_in_its_range():
  rng = np.random.default_rng(0)
  for concentration in (0.01, 1, 100):
    p = rng.dirichlet(np.full(10, concentration), size=200).astype(np.float32)
    assert 1 <= scores.classifier_score(p) <= 10


@pytest.mark.parametrize(
  "probabilities",
  [
    np.zeros((0, 10)),
    np.ones(10) / 10,
    [[0.5, 0.6]],
    [[1.5, -0.5]],
    [[np.nan, 1.0]],
  ],
)
def test_bad_probabilities_are_named(probabilities):
  with pytest.raises(ValueError, match="probabilities"):
    scores.classifier_score(probabilities)


def test_frechet_distance_of_one_dimensional_samples():
  # Means 2 and 7; deviations from the mean +-1 and +-3, so the unbiased
  # variances are 2 and 18: (2 - 7)^2 + (sqrt(18) - sqrt(2))^2 = 25 + 8.
  a = np.array([[1.0], [3.0]])
  b = np.array([[4.0], [10.0]])
  assert scores.frechet_distance(a, b) == pytest.approx(33.0, rel=1e-12)


def test_frechet_distance_of_commuting_covariances():
  mean_a, mean_b = np.array([1.0, -2.0, 0.5]), np.array([0.0, 0.0, 0.0])
  std_a, std_b = np.array([1.0, 2.0, 3.0]), np.array([0.5, 2.5, 1.0])
  a = _with_exact_moments(mean_a, np.diag(std_a), 40, seed=0)
  b = _with_exact_moments(mean_b, np.diag(std_b), 60, seed=1)
  # sum of mean differences^2 = 5.25, of deviation differences^2 = 4.5.
  assert scores.frechet_distance(a, b) == pytest.approx(9.75, rel=1e-9)
  # A common rotation of the space changes nothing.
  rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
  rotated = scores.frechet_distance(a @ rotation, b @ rotation)
  assert rotated == pytest.approx(9.75, rel=1e-9)


def test_frechet_distance_of_covariances_that_do_not_commute():
  # C_a = diag(4, 1) and C_b = 1/2 [[5, 3], [3, 5]] (eigenvalues 4 and 1, axes
  # turned by 45 degrees). For 2x2 matrices tr sqrt(M) =
  # sqrt(tr M + 2 sqrt(det M)); tr(C_a C_b) = 12.5, det(C_a C_b) = 16.
  root_b = np.array([[2.0, -1.0], [2.0, 1.0]]) / np.sqrt(2)
  a = _with_exact_moments(np.zeros(2), np.diag([2.0, 1.0]), 30, seed=3)
  b = _with_exact_moments(np.zeros(2), root_b, 30, seed=4)
  expected = 5 + 5 - 2 * np.sqrt(12.5 + 2 * 4)
  assert scores.frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_singular_covariances():
  # 3 samples in 50 dimensions along one axis each: variances 1 and 4 along
  # orthogonal directions, so the cross term vanishes.
  a, b = np.zeros((3, 50)), np.zeros((3, 50))
  a[:, 0] = [-1, 0, 1]
  b[:, 1] = [-2, 0, 2]
  assert scores.frechet_distance(a, b) == pytest.approx(5.0, rel=1e-12)
  # Along the same direction: (2 - 1)^2.
  b[:, [0, 1]] = b[:, [1, 0]]
  assert scores.frechet_distance(a, b) == pytest.approx(1.0, rel=1e-12)
  constant = np.ones((2, 50))
  assert scores.frechet_distance(constant, constant) == 0.0


def test_frechet_distance_of_a_set_to_itself_is_zero_and_symmetric():
  rng = np.random.default_rng(5)
  a, b = rng.normal(size=(20, 64)), rng.normal(1, 2, size=(33, 64))
  assert scores.frechet_distance(a, a) == pytest.approx(0.0, abs=1e-10)
  forward, backward = (
    scores.frechet_distance(a, b),
    scores.frechet_distance(b, a),
  )
  assert forward == pytest.approx(backward, rel=1e-12)
  assert forward > 64  # The means alone are 64 apart.


@pytest.mark.parametrize(
  "a, b, message",
  [
    (np.zeros((1, 3)), np.zeros((5, 3)), "features_a"),
    (np.zeros((5, 3)), np.zeros(3), "features_b"),
    (np.zeros((5, 3)), np.zeros((5, 4)), "same number"),
    (np.zeros((5, 3)), np.full((5, 3), np.inf), "features_b must be finite"),
  ],
)
def test_bad_features_are_named(a, b, message):
  with pytest.raises(ValueError, match=message):
    scores.frechet_distance(a, b)
