"""Tests of the heavy hitters: noise, threshold, cost and what they find."""

import math

import dp_accounting
from dp_accounting import pld
import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy import stats

from tests.debugging import user_words
from tff_gen_debug.debugging import heavy_hitters


def _gaussian_delta(epsilon, sensitivity_over_noise):
  """Balle and Wang (2018), theorem 8."""
  mu = sensitivity_over_noise
  return stats.norm.cdf(mu / 2 - epsilon / mu) - math.exp(
    epsilon
  ) * stats.norm.cdf(-mu / 2 - epsilon / mu)


_BUDGETS = [(1.0, 1e-5, 8), (0.1, 1e-3, 1), (8.0, 1e-9, 100), (3.0, 0.2, 5)]


@pytest.mark.parametrize("epsilon, delta, words", _BUDGETS)
def test_both_parts_of_delta(epsilon, delta, words):
  mechanism = heavy_hitters.ThresholdedGaussian.calibrate(
    epsilon=epsilon, delta=delta, max_words_per_user=words
  )
  gaussian = _gaussian_delta(epsilon, words**0.5 / mechanism.noise_stddev)
  assert 0.99 * delta / 2 < gaussian <= delta / 2
  passes = stats.norm.sf((mechanism.threshold - 1) / mechanism.noise_stddev)
  some_pass = -math.expm1(words * math.log1p(-passes))
  expected = some_pass / (1 - some_pass)
  assert expected == pytest.approx(delta / 2, rel=1e-6)
  assert mechanism.threshold_delta == pytest.approx(expected, rel=1e-6)
  accountant = pld.PLDAccountant()
  accountant.compose(mechanism.event)
  assert accountant.get_epsilon(delta / 2) == pytest.approx(epsilon, rel=0.01)


@pytest.mark.parametrize("epsilon, delta, words", _BUDGETS)
def test_the_worst_case_stays_within_the_budget(epsilon, delta, words):
  # The user has j words that nobody else has and w - j that others have. What
  # is released of the former is a coin with bias t beside a Gaussian release.
  mechanism = heavy_hitters.ThresholdedGaussian.calibrate(
    epsilon=epsilon, delta=delta, max_words_per_user=words
  )
  passes = stats.norm.sf((mechanism.threshold - 1) / mechanism.noise_stddev)
  for alone in range(words + 1):
    shared = words - alone
    t = -math.expm1(alone * math.log1p(-passes))

    def gaussian(shift, shared=shared, t=t):
      if not shared:
        return max(0.0, 1 - math.exp(epsilon + shift))
      mu = shared**0.5 / mechanism.noise_stddev
      return _gaussian_delta(epsilon + shift, mu)

    adding = t + (1 - t) * gaussian(-math.log1p(-t))
    removing = gaussian(math.log1p(-t))
    assert max(adding, removing) <= delta


def test_the_noise_has_its_standard_deviation():
  # A threshold far below all counts releases every word.
  mechanism = heavy_hitters.ThresholdedGaussian(4, 25.0, -1e9)
  counts = {f"w{i}": 3 + i % 2 for i in range(100_000)}
  released = dict(mechanism.apply(counts, np.random.default_rng()))
  assert released.keys() == counts.keys()
  noise = np.array([released[w] - n for w, n in counts.items()])
  # 0.22 % of relative deviation; 0.8 and 1.25 times the noise are far outside.
  assert np.std(noise) == pytest.approx(25.0, rel=0.015)
  assert abs(np.mean(noise)) < 5 * 25.0 / math.sqrt(100_000)
  assert mechanism.event == dp_accounting.GaussianDpEvent(12.5)


@pytest.mark.parametrize("words", [1, 4])
def test_a_word_of_one_user_hardly_ever_passes(words):
  delta = 0.2
  mechanism = heavy_hitters.ThresholdedGaussian.calibrate(
    epsilon=1.0, delta=delta, max_words_per_user=words
  )
  rng = np.random.default_rng(0)
  trials = 20_000
  alone = {f"{i}/{j}": 1 for i in range(trials) for j in range(words)}
  released = mechanism.apply(alone, rng)
  # Of each user with only such words: does any of them pass?
  passed = len({word.split("/")[0] for word, _ in released})
  limit = (delta / 2) / (1 + delta / 2)
  assert passed / trials == pytest.approx(limit, rel=0.1)


def test_only_words_above_the_threshold_come_out_highest_first():
  mechanism = heavy_hitters.ThresholdedGaussian(1, 0.0, 2.0)
  counts = {"a": 2, "b": 3, "gone": 0, "d": 9, "c": 3}
  assert mechanism.apply(counts, np.random.default_rng()) == [
    ("d", 9.0),
    ("b", 3.0),
    ("c", 3.0),
  ]
  # A word that nobody has is not released whatever the threshold.
  noisy = heavy_hitters.ThresholdedGaussian(1, 1.0, -1e9)
  assert "gone" not in dict(noisy.apply(counts, np.random.default_rng()))


@hypothesis.given(
  st.lists(
    st.lists(st.sampled_from("abcdefgh"), max_size=3, unique=True), max_size=6
  ),
  st.lists(st.sampled_from("abcdefgh"), max_size=3, unique=True),
)
def test_sensitivity_over_random_neighbours(users, one_more):
  def counts(data):
    return np.array([sum(w in words for words in data) for w in "abcdefgh"])

  distance = np.linalg.norm(counts([*users, one_more]) - counts(users))
  # What the event assumes of users with at most three words each.
  mechanism = heavy_hitters.ThresholdedGaussian(3, 1.0, 0.0)
  assert distance <= 1.0 / mechanism.event.noise_multiplier * (1 + 1e-12)


def _users(num_users, seed=0):
  """Everybody's words are among ten, most have the first, one has a secret."""
  rng = np.random.default_rng(seed)
  popular = [f"popular{i}" for i in range(10)]
  users = {
    f"u{i}": [w for j, w in enumerate(popular) if rng.random() < 0.9 - 0.08 * j]
    + [f"rare{i}"]
    for i in range(num_users)
  }
  return user_words.make_client_data(users)


def test_known_heavy_hitters_are_found(tff_runtime):
  found = heavy_hitters.private_heavy_hitters(
    _users(300), max_words_per_user=12, epsilon=4.0, delta=1e-6
  )
  assert set(found.words[:5]) == {f"popular{i}" for i in range(5)}
  assert not any(word.startswith("rare") for word in found.words)
  assert list(found.counts) == sorted(found.counts, reverse=True)
  assert min(found.counts) > found.mechanism.threshold
  assert (found.epsilon, found.delta, found.num_users) == (4.0, 1e-6, 300)
  assert found.release.private
  assert found.release.event == found.mechanism.event
  assert "epsilon 4 at delta 1e-06" in found.release.what


def test_without_privacy_counts_are_exact_and_said_so(tff_runtime):
  words = {"a": ["x", "y"], "b": ["x"], "c": []}
  found = heavy_hitters.private_heavy_hitters(
    user_words.make_client_data(words), max_words_per_user=2, epsilon=None
  )
  assert found.words == ("x", "y") and found.counts == (2.0, 1.0)
  assert found.mechanism.event is None
  assert found.mechanism.threshold_delta == found.epsilon == math.inf
  assert found.delta == 0.0
  assert not found.release.private and "exactly" in found.release.what


@pytest.mark.parametrize(
  "kwargs, message",
  [
    (dict(epsilon=0), "epsilon"),
    (dict(epsilon=500.0), "epsilon"),
    (dict(epsilon=float("nan")), "epsilon"),
    (dict(delta=None), "delta"),
    (dict(delta=0), "delta"),
    (dict(delta=1e-13), "delta"),
    (dict(delta=1), "delta"),
    (dict(max_words_per_user=0), "max_words_per_user"),
  ],
)
def test_bad_budgets_are_named(kwargs, message):
  arguments = dict(max_words_per_user=2, epsilon=1.0, delta=1e-5)
  arguments.update(kwargs)
  with pytest.raises(ValueError, match=message):
    heavy_hitters.private_heavy_hitters(
      user_words.make_client_data({"a": ["x"]}), **arguments
    )
