"""Disjoint shards of records, each record's by its number alone.

PATE-like mechanisms rest on one record being in one shard, whatever the other
records are. A deal that goes by place within a class, as in DataLens' published
code, moves thousands of records when one changes.
"""

from typing import List

import numpy as np


def deal(num_records: int, num_shards: int, seed: int = 0) -> List[np.ndarray]:
  """Deals records to shards of equal size, nearly.

  A record's shard follows from its number, the numbers of records and shards
  and the seed, so replacing what a record holds changes one shard, and that in
  one place. The number of records is public, as for replace-one neighbours.

  Args:
    num_records: At least 1.
    num_shards: In [1, num_records].
    seed: In [0, 2**32).

  Returns:
    For each shard the numbers of its records, int64, disjoint and together all
    of them; sizes differ by one at most.

  Raises:
    ValueError: If `num_shards` is out of its range.
  """
  if not 1 <= num_shards <= num_records:
    raise ValueError(
      f"num_shards must be in [1, {num_records}], the records, got {num_shards}"
    )
  # RandomState's streams are frozen; Generator's may change with NumPy.
  order = np.random.RandomState(seed).permutation(num_records)
  return np.array_split(order.astype(np.int64), num_shards)


def deal_by_hash(
  num_records: int, num_shards: int, seed: int = 0
) -> List[np.ndarray]:
  """Deals records to shards, each independently of how many there are.

  For records that come or go: those that stay keep their shards, as long as
  they keep their numbers. Sizes vary as by throwing dice, and a shard may be
  empty.

  Args:
    num_records: At least 0; the records have the numbers below it.
    num_shards: At least 1.
    seed: In [0, 2**32).

  Returns:
    For each shard the numbers of its records, int64, in their order.

  Raises:
    ValueError: If a number is out of its range.
  """
  if num_records < 0 or num_shards < 1:
    raise ValueError(
      "num_records must be at least 0 and num_shards at least 1, got"
      f" {num_records} and {num_shards}"
    )
  # The n-th draw does not depend on how many there are.
  draws = np.random.RandomState(seed).random_sample(num_records)
  shard_of = np.minimum((draws * num_shards).astype(np.int64), num_shards - 1)
  order = np.argsort(shard_of, kind="stable")
  ends = np.searchsorted(shard_of[order], np.arange(1, num_shards))
  return np.split(order, ends)
