"""Tests of the criteria that ask for whom the primary model is bad."""

import dp_accounting
import numpy as np
import pytest

from tests.debugging import image_users
from tff_gen_debug.debugging import accuracy_criteria
from tff_gen_debug.debugging import class_accuracy
from tff_gen_debug.debugging import criteria
from tff_gen_debug.debugging import selection
from tff_gen_debug.debugging import splits

pytestmark = pytest.mark.usefixtures("tff_runtime")

# The classifier says 3: accuracies 1, 3/4, 1/2, 0, and none.
_LABELS = {
  "all": [3, 3, 3, 3],
  "most": [3, 1, 3, 3],
  "half": [0, 3],
  "none": [0],
  "empty": [],
}


@pytest.fixture(scope="module")
def client_data():
  return image_users.client_data(_LABELS)


def _context(folder, relation="add_or_remove_one"):
  return splits.Context(str(folder), relation, image_users.always(3))


def _users(slice_of_users):
  labels = image_users.labels(slice_of_users)
  return [user for user, values in labels.items() if values]


def test_users_by_fixed_accuracies(client_data, tmp_path):
  split = accuracy_criteria.LowAccuracyUsers(0.6, 0.7).split(
    client_data, _context(tmp_path)
  )
  assert _users(split.suspect) == ["half", "none"]
  assert _users(split.reference) == ["all", "most"]
  assert split.exclusive and split.releases == ()


def test_exact_percentiles_are_a_release_that_is_not_private(
  client_data, tmp_path
):
  split = accuracy_criteria.LowAccuracyUsers(
    selection.Percentile(25), selection.Percentile(75), noise_multiplier=0
  ).split(client_data, _context(tmp_path))
  assert _users(split.suspect) == ["none"]
  assert _users(split.reference) == ["all"]
  (release,) = split.releases
  assert not release.private and release.name == "user accuracies"


def test_noised_percentiles_are_drawn_once(tmp_path):
  # Half of the users are at 0, half at 1: no noise of 1 hides that.
  users = {f"u{i}": [3 if i % 2 else 0] for i in range(200)}
  client_data = image_users.client_data(users)
  criterion = accuracy_criteria.LowAccuracyUsers(
    selection.Percentile(40), selection.Percentile(60), noise_multiplier=1.0
  )
  first = criterion.split(client_data, _context(tmp_path))
  again = criterion.split(client_data, _context(tmp_path))
  assert _users(first.suspect) == [f"u{i}" for i in range(0, 200, 2)]
  assert _users(first.reference) == [f"u{i}" for i in range(1, 200, 2)]
  # The thresholds are in the descriptions, with all their digits of noise.
  assert first.suspect.description == again.suspect.description
  (release,) = first.releases
  assert release.event == dp_accounting.GaussianDpEvent(1.0)


def test_a_percentile_needs_a_word_on_noise():
  with pytest.raises(ValueError, match="noise_multiplier must be given"):
    accuracy_criteria.LowAccuracyUsers()


def test_slices_do_not_overlap():
  with pytest.raises(ValueError, match="below must not be more than above"):
    accuracy_criteria.LowAccuracyUsers(0.8, 0.7)


def test_class_accuracies_are_means_over_users(client_data):
  measured = class_accuracy.private_class_accuracy(
    image_users.always(3),
    client_data,
    noise_multiplier=1e-6,
    example_fn=criteria.as_it_is,
  )
  # all: 1 right; most: 3/4 right, 1/4 of class 1 wrong; half: 1/2 right, 1/2 of
  # class 0 wrong; none: all of class 0 wrong.
  expected_correct, expected_wrong = np.zeros(10), np.zeros(10)
  expected_correct[3] = 1 + 3 / 4 + 1 / 2
  expected_wrong[[0, 1]] = [1 / 2 + 1, 1 / 4]
  np.testing.assert_allclose(measured.correct, expected_correct, atol=1e-4)
  np.testing.assert_allclose(measured.wrong, expected_wrong, atol=1e-4)
  assert measured.lowest(1) in ([0], [1])
  assert sorted(measured.lowest(5)) == [0, 1, 3]
  assert measured.lowest(5)[-1] == 3


@pytest.mark.parametrize(
  "relation, factor", [("add_or_remove_one", 1.0), ("replace_one", 2**0.5)]
)
def test_class_accuracies_are_noised(client_data, relation, factor):
  noise = np.concatenate(
    [
      np.concatenate([measured.correct[4:], measured.wrong[4:]])
      for measured in (
        class_accuracy.private_class_accuracy(
          image_users.always(3),
          client_data,
          noise_multiplier=2.0,
          neighboring_relation=relation,
          example_fn=criteria.as_it_is,
        )
        for _ in range(25)
      )
    ]
  )
  # Of 300 draws the mean square has a relative standard deviation of 8 %.
  mean_square = np.mean(noise**2) / (2.0 * factor) ** 2
  assert 0.68 < mean_square < 1.4


def test_no_user_moves_class_accuracies_by_more_than_the_sensitivity():
  def sums(labels):
    measured = class_accuracy.private_class_accuracy(
      image_users.always(3),
      image_users.client_data(labels),
      noise_multiplier=1e-6,
      example_fn=criteria.as_it_is,
    )
    return np.concatenate([measured.correct, measured.wrong])

  rng = np.random.default_rng(0)
  base = {"a": [3, 1], "b": [0, 5, 5]}
  moved, replaced = [], []
  for labels in ([3], [4], rng.integers(0, 10, 50).tolist(), [11, 3]):
    moved.append(np.linalg.norm(sums({**base, "c": labels}) - sums(base)))
    replaced.append(
      np.linalg.norm(sums({**base, "a": labels}) - sums({**base, "a": [7]}))
    )
  assert max(moved) == pytest.approx(1.0, abs=1e-3)  # A tight bound.
  assert max(replaced) == pytest.approx(2**0.5, abs=1e-3)


def test_the_class_of_lowest_accuracy(tmp_path):
  users = {f"u{i}": [3, 3, 6, i % 3] for i in range(100)}
  client_data = image_users.client_data(users)
  criterion = accuracy_criteria.LowAccuracyClasses(
    noise_multiplier=0.1, num_classes=4
  )
  split = criterion.split(client_data, _context(tmp_path))
  # Classes 0, 1, 2 and 6 are always wrong, 3 is right.
  assert set(sum(image_users.labels(split.suspect).values(), [])) == {
    0,
    1,
    2,
    6,
  }
  assert set(sum(image_users.labels(split.reference).values(), [])) == {3}
  assert set(split.suspect.labels) == {0, 1, 2, 6}
  again = criterion.split(client_data, _context(tmp_path))
  assert again.suspect.name == split.suspect.name
  (release,) = split.releases
  assert release.event == dp_accounting.GaussianDpEvent(0.1)


def test_classes_must_be_left_to_hold_the_others_against(tmp_path):
  users = {f"u{i}": list(range(10)) for i in range(100)}
  client_data = image_users.client_data(users)
  criterion = accuracy_criteria.LowAccuracyClasses(0.01, num_classes=10)
  with pytest.raises(ValueError, match="must be below the .* 10 classes"):
    criterion.split(client_data, _context(tmp_path))


def test_noise_that_hides_all_classes(client_data, tmp_path):
  criterion = accuracy_criteria.LowAccuracyClasses(noise_multiplier=50.0)
  with pytest.raises(ValueError, match="noise_multiplier must be small enough"):
    criterion.split(client_data, _context(tmp_path))
