import collections
import math
import random

import numpy as np
import pytest
from scipy import stats

from tff_gen_debug.privacy import sampling

_IDS = [f"user_{number:04d}" for number in range(200)]


def _sampler(ids=None, mode="poisson", cohort=20, seed=7):
  return sampling.ClientSampler(
    _IDS if ids is None else ids,
    sampling=mode,
    expected_clients_per_round=cohort,
    seed=seed,
  )


def _draws(sampler, rounds):
  """One row a round, one column a client: 1 if the client was drawn."""
  index = {client_id: i for i, client_id in enumerate(sampler.client_ids)}
  result = np.zeros((rounds, len(index)))
  for round_num in range(rounds):
    result[round_num, [index[c] for c in sampler.sample(round_num)]] = 1
  return result


@pytest.mark.parametrize("cohort", [20, 3.5, 150])
def test_poisson_draws_each_client_independently(cohort):
  rounds, population = 4000, len(_IDS)
  q = cohort / population
  draws = _draws(_sampler(cohort=cohort), rounds)
  # The size of a cohort is binomial: right mean, and right variance, which a
  # fixed size (variance 0) and clients drawn together (larger) both miss.
  sizes = draws.sum(axis=1)
  variance = population * q * (1 - q)
  assert abs(sizes.mean() - cohort) < 4 * math.sqrt(variance / rounds)
  assert abs(sizes.var() / variance - 1) < 4 * math.sqrt(2 / rounds)
  # No client is favoured.
  z = (draws.sum(axis=0) - rounds * q) / math.sqrt(rounds * q * (1 - q))
  assert 1e-4 < stats.chi2.sf((z**2).sum(), population) < 1 - 1e-4
  # Neither pairs of clients nor pairs of rounds know of each other.
  for matrix in (draws, draws.T[:, :1000]):
    centred = (matrix - q) / math.sqrt(q * (1 - q))
    correlation = centred.T @ centred / len(matrix)
    pairs = correlation[np.triu_indices(len(correlation), 1)]
    assert abs(pairs.mean()) < 4 / math.sqrt(len(matrix) * len(pairs))
    assert pairs.std() * math.sqrt(len(matrix)) == pytest.approx(1, abs=0.05)


def test_fixed_size_draws_uniform_subsets():
  rounds, population, cohort = 4000, len(_IDS), 20
  draws = _draws(_sampler(mode="fixed_size", cohort=cohort), rounds)
  assert np.all(draws.sum(axis=1) == cohort)
  q = cohort / population
  z = (draws.sum(axis=0) - rounds * q) / math.sqrt(rounds * q * (1 - q))
  # The counts add up, so one degree of freedom is lost.
  statistic = (z**2).sum() * (population - 1) / population
  assert 1e-4 < stats.chi2.sf(statistic, population - 1) < 1 - 1e-4
  # A uniform subset holds each pair with probability m (m - 1) / (N (N - 1)).
  together = (draws.T @ draws)[np.triu_indices(population, 1)]
  expected = rounds * cohort * (cohort - 1) / (population * (population - 1))
  assert together.mean() == pytest.approx(expected)
  assert together.var() == pytest.approx(expected, rel=0.1)


def test_fixed_size_draws_every_subset():
  sampler = _sampler(["a", "b", "c", "d"], mode="fixed_size", cohort=2)
  seen = collections.Counter(tuple(sampler.sample(r)) for r in range(6000))
  assert len(seen) == 6
  assert stats.chisquare(list(seen.values())).pvalue > 1e-4


@pytest.mark.parametrize("mode", sampling.SAMPLING)
def test_cohort_is_a_function_of_seed_round_and_set(mode):
  shuffled = list(_IDS)
  random.Random(1).shuffle(shuffled)
  first, second = _sampler(mode=mode), _sampler(shuffled, mode=mode)
  later = first.sample(9)
  assert [first.sample(r) for r in range(10)] == [
    second.sample(r) for r in range(10)
  ]
  assert first.sample(9) == later
  assert first.sample(np.int64(9)) == later
  for cohort in (later, second.sample(3)):
    assert cohort == sorted(set(cohort))
    assert set(cohort) <= set(_IDS)


@pytest.mark.parametrize("mode", sampling.SAMPLING)
def test_seeds_and_rounds_differ(mode):
  cohorts = {
    tuple(_sampler(mode=mode, seed=seed).sample(round_num))
    for seed in (0, 1, 2**32, 2**32 + 1, 2**64, 2**96, 2**128 - 1)
    for round_num in (0, 1, 2, 2**32 - 1)
  }
  assert len(cohorts) == 28


def test_returned_cohort_belongs_to_the_caller():
  sampler = _sampler(cohort=200)
  sampler.sample(0).clear()
  assert sampler.sample(0) == _IDS


def test_poisson_cohort_may_be_empty():
  sampler = _sampler(["a", "b"], cohort=0.2)
  sizes = collections.Counter(len(sampler.sample(r)) for r in range(500))
  assert sizes[0] > 300
  assert sizes[1] > 20


def test_tiny_probability_draws_nobody():
  assert _sampler(["a"], cohort=1e-300).sample(0) == []


@pytest.mark.parametrize("mode", sampling.SAMPLING)
def test_everybody(mode):
  assert _sampler(mode=mode, cohort=len(_IDS)).sample(3) == _IDS
  assert _sampler(["only"], mode=mode, cohort=1).sample(0) == ["only"]


def test_large_population_is_quick_to_draw_from():
  sampler = _sampler([f"c{i}" for i in range(100_000)], cohort=1000)
  sizes = [len(sampler.sample(r)) for r in range(20)]
  assert abs(np.mean(sizes) - 1000) < 4 * math.sqrt(990 / 20)


@pytest.mark.parametrize(
  ("changes", "error", "message"),
  [
    (dict(ids=[]), ValueError, "client_ids must not be empty"),
    (dict(ids=["a", "b", "a"]), ValueError, "distinct, got 'a' twice"),
    (dict(ids="abc"), TypeError, "sequence of strings, not a string"),
    (dict(ids=["a", 3]), TypeError, "client_ids must be strings, got 3"),
    (dict(mode="bernoulli"), ValueError, "sampling must be one of 'poisson'"),
    (dict(mode=None), TypeError, "sampling must be a string"),
    (dict(cohort=0), ValueError, "expected_clients_per_round must be positive"),
    (dict(cohort=-1.0), ValueError, "must be positive, got -1.0"),
    (dict(cohort=math.nan), ValueError, "must be finite, got nan"),
    (dict(cohort=math.inf), ValueError, "must be finite, got inf"),
    (dict(cohort="20"), TypeError, "must be a real number"),
    (dict(cohort=True), TypeError, "must be a real number"),
    (
      dict(cohort=200.5),
      ValueError,
      r"at most the number of client_ids \(200\), got 200.5",
    ),
    (
      dict(cohort=20.5, mode="fixed_size"),
      ValueError,
      "must be a whole number with sampling 'fixed_size', got 20.5",
    ),
    (dict(seed=-1), ValueError, "seed must be at least 0"),
    (dict(seed=2**128), ValueError, r"seed must be below 2\*\*128"),
    (dict(seed=1.0), TypeError, "seed must be an integer"),
  ],
)
def test_rejects(changes, error, message):
  with pytest.raises(error, match=message):
    _sampler(**changes)


@pytest.mark.parametrize(
  ("round_num", "error"),
  [(-1, ValueError), (2**32, ValueError), (1.0, TypeError), (True, TypeError)],
)
def test_rejects_round(round_num, error):
  with pytest.raises(error, match="round_num must be"):
    _sampler().sample(round_num)
