"""Tests of dealing records to teachers."""

import numpy as np
import pytest

from tff_gen_debug.datasets import shards


@pytest.mark.parametrize("deal", [shards.deal, shards.deal_by_hash])
@pytest.mark.parametrize("num_shards", [1, 7, 100])
def test_every_record_is_in_one_shard(deal, num_shards):
  parts = deal(1000, num_shards, seed=3)
  assert len(parts) == num_shards
  assert all(part.dtype == np.int64 for part in parts)
  np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(1000))


def test_dealt_shards_are_equally_large():
  assert sorted(len(part) for part in shards.deal(1000, 7)) == [142] + [143] * 6


def test_a_record_keeps_its_shard_when_others_come():
  def shard_of(num_records):
    parts = shards.deal_by_hash(num_records, 13, seed=5)
    result = np.zeros(num_records, int)
    for number, part in enumerate(parts):
      result[part] = number
    return result

  np.testing.assert_array_equal(shard_of(2000)[:1500], shard_of(1500))


def test_hashed_shards_are_as_large_as_by_throwing_dice():
  sizes = [len(part) for part in shards.deal_by_hash(100_000, 100, seed=1)]
  # Chi-square with 99 degrees of freedom: 99 +- 14; four of those.
  assert 99 - 56 < np.sum((np.array(sizes) - 1000.0) ** 2) / 1000 < 99 + 56


@pytest.mark.parametrize("deal", [shards.deal, shards.deal_by_hash])
def test_seeds_deal_differently_and_repeat(deal):
  def flat(seed):
    return np.concatenate(deal(500, 5, seed))

  assert not np.array_equal(flat(1), flat(2))
  np.testing.assert_array_equal(flat(1), flat(1))


def test_neighbours_are_dealt_apart():
  """So a sorted data set doesn't give a teacher one class."""
  first = shards.deal(10_000, 2, seed=4)[0]
  # Of the first half of the records, half: 2500 +- 35; four of those.
  assert abs(np.sum(first < 5000) - 2500) < 140


@pytest.mark.parametrize("num_shards", [0, 11])
def test_there_must_be_a_record_for_each_shard(num_shards):
  with pytest.raises(ValueError, match=r"num_shards must be in \[1, 10\]"):
    shards.deal(10, num_shards)


def test_bad_numbers_to_hash():
  with pytest.raises(ValueError, match="num_shards at least 1, got 5 and 0"):
    shards.deal_by_hash(5, 0)
