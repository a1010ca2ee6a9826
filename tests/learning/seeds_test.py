"""Tests of the seeds of a process."""

import numpy as np
import tensorflow as tf

from tff_gen_debug.learning import seeds


def test_a_seed_holds_all_64_bits():
  np.testing.assert_array_equal(seeds.make_seed(2**40 + 3), [2**8, 3])
  np.testing.assert_array_equal(seeds.make_seed(-1), [-1, -1])


def test_folding_is_a_path():
  path = seeds.make_seed(5, 1, 2)
  np.testing.assert_array_equal(
    path, seeds.fold_in(seeds.fold_in(seeds.make_seed(5), 1), 2)
  )
  assert not np.array_equal(path, seeds.make_seed(5, 2, 1))


def test_fingerprint_depends_on_every_component_of_every_example():
  values = np.zeros([50, 4], np.float32)
  labels = np.zeros([50], np.int32)
  prints = {int(seeds.fingerprint((tf.constant(values), tf.constant(labels))))}
  for row in range(50):
    changed = values.copy()
    changed[row, 3] = 1e-30
    prints.add(int(seeds.fingerprint((tf.constant(changed), labels))))
    relabeled = labels.copy()
    relabeled[row] = 1
    prints.add(int(seeds.fingerprint((tf.constant(values), relabeled))))
  assert len(prints) == 101
  assert all(0 <= value < 2**31 - 1 for value in prints)


def test_clients_and_rounds_have_seeds_of_their_own():
  def seed(round_num, example):
    start = seeds.make_seed(7, round_num)
    return tuple(seeds.client_seed(start, tf.constant([example])).numpy())

  assert seed(0, 1.0) == seed(0, 1.0)
  assert len({seed(0, 1.0), seed(0, 2.0), seed(1, 1.0), seed(1, 2.0)}) == 4
