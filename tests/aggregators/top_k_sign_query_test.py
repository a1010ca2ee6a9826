"""Tests of the vote's sensitivity, noise and event."""

import math

import dp_accounting
import numpy as np
import pytest
import tensorflow as tf

from tff_gen_debug.aggregators import top_k_sign_query

_SIZE = 100_000

# The standard deviation of 100,000 draws has a relative error of 0.22 %; a
# tolerance of 1.5 % passes right noise and fails 0.8 and 1.25 of it by far.
_TOLERANCE = 0.015


def _query(top_k=4, noise_multiplier=1.0, **settings):
  return top_k_sign_query.TopKSignSumQuery(
    top_k, noise_multiplier=noise_multiplier, **settings
  )


def _sum(query, records):
  state = query.initial_sample_state(tf.TensorSpec(records[0].shape))
  for record in records:
    votes = query.preprocess_record((), tf.constant(record))
    state = query.accumulate_preprocessed_record(state, votes)
  return state.numpy().astype(np.float64)


def _hostile_records(rng, size):
  normal = rng.normal(size=size).astype(np.float32)
  return [
    normal,
    np.full(size, 1e30, np.float32),
    np.full(size, 1e-42, np.float32),
    np.ones(size, np.float32),
    np.zeros(size, np.float32),
    np.where(np.arange(size) == 3, np.nan, normal),
    np.where(np.arange(size) == 3, -np.inf, normal),
    np.round(normal),
    -normal,
  ]


@pytest.mark.parametrize("stochastic", [True, False])
@pytest.mark.parametrize("top_k", [1, 7, 40])
def test_no_neighbour_moves_the_sum_by_more_than_the_sensitivity(
  top_k, stochastic
):
  rng = np.random.default_rng(top_k)
  removed = _query(top_k, stochastic=stochastic).l2_sensitivity
  replaced = _query(
    top_k, stochastic=stochastic, neighboring_relation="replace_one"
  ).l2_sensitivity
  query = _query(top_k, stochastic=stochastic)
  for _ in range(5):
    votes = [_sum(query, [r]) for r in _hostile_records(rng, 40)]
    for one in votes:
      assert np.linalg.norm(one) <= removed + 1e-9
      for other in votes:
        assert np.linalg.norm(one - other) <= replaced + 1e-9


def test_the_sensitivities_are_tight():
  record = np.arange(1, 41, dtype=np.float32)
  query = _query(9, stochastic=False)
  one, opposite = _sum(query, [record]), _sum(query, [-record])
  assert np.linalg.norm(one) == pytest.approx(query.l2_sensitivity) == 3.0
  replace = _query(9, neighboring_relation="replace_one")
  assert np.linalg.norm(one - opposite) == pytest.approx(6.0)
  assert replace.l2_sensitivity == pytest.approx(6.0)


@pytest.mark.parametrize(
  "neighboring_relation, factor", [("add_or_remove_one", 1), ("replace_one", 2)]
)
def test_noise_is_gaussian_of_the_stated_deviation(
  neighboring_relation, factor
):
  query = _query(
    16, noise_multiplier=1.5, neighboring_relation=neighboring_relation
  )
  zeros = query.initial_sample_state(tf.TensorSpec([_SIZE]))
  noise, _, event = query.get_noised_result(zeros, query.initial_global_state())
  again, _, _ = query.get_noised_result(zeros, query.initial_global_state())
  stddev = 1.5 * factor * math.sqrt(16)
  noise, again = noise.numpy(), again.numpy()
  assert np.std(noise) == pytest.approx(stddev, rel=_TOLERANCE)
  assert abs(np.mean(noise)) < 5 * stddev / math.sqrt(_SIZE)
  # A normal distribution's share within one deviation: five standard errors.
  within = np.mean(np.abs(noise) < stddev)
  assert abs(within - 0.682689) < 5 * math.sqrt(0.6827 * 0.3173 / _SIZE)
  limit = 5 / math.sqrt(_SIZE)
  assert abs(np.corrcoef(noise, again)[0, 1]) < limit
  assert abs(np.corrcoef(noise[1:], noise[:-1])[0, 1]) < limit
  assert event == dp_accounting.GaussianDpEvent(1.5)


def test_without_noise_the_sum_is_exact_beyond_a_byte():
  query = _query(2, noise_multiplier=0.0, stochastic=False)
  record = np.array([1.0, -2.0, 0.1], np.float32)
  state = query.initial_sample_state(tf.TensorSpec([3]))
  votes = query.preprocess_record((), tf.constant(record))
  for _ in range(300):
    state = query.accumulate_preprocessed_record(state, votes)
  merged = query.merge_sample_states(state, state)
  result, _, event = query.get_noised_result(merged, ())
  np.testing.assert_array_equal(result, [600, -600, 0])
  assert event == dp_accounting.GaussianDpEvent(0.0)


def test_narrow_records_are_added_wide():
  query = _query(2, noise_multiplier=0.0, vote_dtype=tf.int8)
  record = np.array([1.0, 1.0], np.float32)
  assert query.preprocess_record((), tf.constant(record)).dtype == tf.int8
  np.testing.assert_array_equal(_sum(query, [record] * 200), [200, 200])


@pytest.mark.parametrize(
  "settings, error, message",
  [
    (dict(top_k=0), ValueError, "top_k"),
    (dict(top_k=1.5), TypeError, "top_k"),
    (dict(noise_multiplier=-1.0), ValueError, "noise_multiplier"),
    (dict(noise_multiplier=math.nan), ValueError, "noise_multiplier"),
    (dict(coordinate_clip=0.0), ValueError, "coordinate_clip"),
    (dict(neighboring_relation="both"), ValueError, "neighboring_relation"),
    (dict(vote_dtype=tf.float32), TypeError, "vote_dtype"),
  ],
)
def test_bad_arguments_are_named(settings, error, message):
  with pytest.raises(error, match=message):
    _query(**settings)
