"""Tests of shuffled epochs."""

import collections
import itertools

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest
from scipy import stats

from tff_gen_debug.privacy import epoch_sampling


def _ids(count):
  return [f"user_{index:03}" for index in range(count)]


def _sampler(population, cohort, rounds, seed=1):
  return epoch_sampling.ShuffledEpochSampler(
    _ids(population), clients_per_round=cohort, epoch_rounds=rounds, seed=seed
  )


@given(
  cohort=st.integers(1, 5),
  rounds=st.integers(1, 6),
  spare=st.integers(0, 7),
  epoch=st.integers(0, 2**20),
  seed=st.integers(0, 2**128 - 1),
)
@settings(deadline=None, max_examples=100)
def test_nobody_comes_twice_in_an_epoch(cohort, rounds, spare, epoch, seed):
  sampler = _sampler(cohort * rounds + spare, cohort, rounds, seed)
  drawn = [
    sampler.sample(epoch * rounds + round_num) for round_num in range(rounds)
  ]
  assert all(len(one) == cohort and one == sorted(one) for one in drawn)
  everybody = list(itertools.chain.from_iterable(drawn))
  assert len(set(everybody)) == cohort * rounds
  assert set(everybody) <= set(sampler.client_ids)


def test_a_cohort_is_a_function_of_seed_round_and_the_set_of_ids():
  ids = _ids(30)
  one = epoch_sampling.ShuffledEpochSampler(
    ids, clients_per_round=3, epoch_rounds=10, seed=7
  )
  other = epoch_sampling.ShuffledEpochSampler(
    reversed(ids), clients_per_round=3, epoch_rounds=10, seed=7
  )
  # Resumed: the other draws later rounds first.
  cohorts = {r: other.sample(r) for r in reversed(range(25))}
  assert [one.sample(r) for r in range(25)] == [cohorts[r] for r in range(25)]
  assert _sampler(30, 3, 10, seed=8).sample(0) != one.sample(0)


def test_each_epoch_has_an_order_of_its_own():
  sampler = _sampler(100, 10, 10)
  cohorts = {tuple(sampler.sample(epoch * 10)) for epoch in range(50)}
  assert len(cohorts) == 50


def test_every_client_is_as_likely_in_every_round_of_an_epoch():
  # 7 clients for 3 rounds of 2: one sits each epoch out.
  sampler = _sampler(7, 2, 3)
  epochs = 3000
  for index in range(3):
    counts = collections.Counter(
      itertools.chain.from_iterable(
        sampler.sample(3 * epoch + index) for epoch in range(epochs)
      )
    )
    # Two of seven each epoch; the chance of a p-value this low is 1e-6.
    expected = [epochs * 2 / 7] * 7
    assert stats.chisquare(list(counts.values()), expected).pvalue > 1e-6


def test_everybody_in_every_round():
  sampler = _sampler(4, 4, 1)
  assert sampler.sample(0) == sampler.sample(1) == _ids(4)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"client_ids": _ids(19)}, "client_ids must be at least 20, 2 clients"),
    ({"client_ids": ["a", "a"]}, "client_ids must be distinct, got 'a' twice"),
    ({"client_ids": []}, "client_ids must not be empty"),
    ({"clients_per_round": 0}, "clients_per_round must be at least 1, got 0"),
    ({"epoch_rounds": 0}, "epoch_rounds must be at least 1, got 0"),
    ({"seed": 2**128}, r"seed must be below 2\*\*128"),
  ],
)
def test_bad_arguments_are_named(changes, message):
  arguments = dict(
    client_ids=_ids(20), clients_per_round=2, epoch_rounds=10, seed=0
  )
  arguments.update(changes)
  with pytest.raises(ValueError, match=message):
    epoch_sampling.ShuffledEpochSampler(**arguments)


def test_bad_round_numbers_are_refused():
  with pytest.raises(ValueError, match="round_num must be at least 0"):
    _sampler(20, 2, 10).sample(-1)
  with pytest.raises(ValueError, match=r"round_num must be below 2\*\*32"):
    _sampler(20, 2, 10).sample(2**32)
  with pytest.raises(TypeError, match="round_num must be an integer"):
    _sampler(20, 2, 10).sample(1.0)
