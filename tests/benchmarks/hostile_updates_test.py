"""Tests of the clients that send hostile updates."""

import collections

import numpy as np
import pytest
import tensorflow_federated as tff

from benchmarks import hostile_updates

pytestmark = pytest.mark.usefixtures("tff_runtime")

_VALUE_TYPE = tff.to_type(
  collections.OrderedDict(a=(np.float32, [2]), b=np.float32)
)


def _update(first, second, third):
  return collections.OrderedDict(
    a=np.array([first, second], np.float32), b=np.float32(third)
  )


@pytest.fixture(scope="module")
def sums():
  return hostile_updates.HostileFactory(tff.aggregators.SumFactory()).create(
    _VALUE_TYPE
  )


def _run(process, attack, share, updates, seed=1):
  state = hostile_updates.with_attack(process.initialize(), attack, share, seed)
  return process.next(state, updates)


@pytest.mark.parametrize(
  "attack, a, b",
  [
    ("sign-flipped", [-4.0, -1.0], -16.0),
    ("times 1e6", [4e6, 1e6], 16e6),
    ("times -1e6", [-4e6, -1e6], -16e6),
    ("NaN", [np.nan, np.nan], np.nan),
  ],
)
def test_if_all_are_hostile_the_sum_is_corrupted(sums, attack, a, b):
  # [3, -1] + [1, 2] = [4, 1], 7 + 9 = 16.
  updates = [_update(3.0, -1.0, 7.0), _update(1.0, 2.0, 9.0)]
  result = _run(sums, attack, 1.0, updates).result
  np.testing.assert_array_equal(result["a"], np.array(a, np.float32))
  np.testing.assert_array_equal(result["b"], np.float32(b))


@pytest.mark.parametrize("attack", hostile_updates.ATTACKS)
def test_a_share_of_zero_is_the_identity(sums, attack):
  updates = [_update(0.1, -1e-30, np.inf), _update(1e30, 0.2, 3.0)]
  plain = tff.aggregators.SumFactory().create(_VALUE_TYPE)
  wanted = plain.next(plain.initialize(), updates).result
  result = _run(sums, attack, 0.0, updates).result
  np.testing.assert_array_equal(result["a"], wanted["a"])
  np.testing.assert_array_equal(result["b"], wanted["b"])


def test_an_attack_is_off_until_it_is_set(sums):
  output = sums.next(sums.initialize(), [_update(1.0, 2.0, 3.0)])
  np.testing.assert_array_equal(output.result["a"], [1.0, 2.0])
  assert output.state.round_num == 1


def test_a_client_is_hostile_as_a_whole_and_as_often_as_the_share(sums):
  # Each client has a coordinate of its own, so that its fate can be read.
  count, rounds, share = 100, 10, 0.3
  value_type = tff.to_type(
    collections.OrderedDict(a=(np.float32, [count]), b=(np.float32, [count]))
  )
  process = hostile_updates.HostileFactory(tff.aggregators.SumFactory()).create(
    value_type
  )
  updates = [
    collections.OrderedDict(a=row, b=2 * row)
    for row in np.eye(count, dtype=np.float32)
  ]
  state = hostile_updates.with_attack(
    process.initialize(), "sign-flipped", share, seed=5
  )
  hostile = []
  for _ in range(rounds):
    output = process.next(state, updates)
    state = output.state
    hostile.append(output.result["a"] < 0)
    # All tensors of a client share its fate.
    np.testing.assert_array_equal(output.result["b"], 2 * output.result["a"])
  drawn = np.stack(hostile)
  assert state.num_hostile == drawn.sum()
  assert state.round_num == rounds
  # 1,000 draws at 0.3: five standard deviations are 5 * 0.0145.
  assert abs(drawn.mean() - share) < 0.073
  # Drawn anew in each round: the numbers of a client's hostile rounds spread
  # as a binomial of variance 10 * 0.3 * 0.7 = 2.1, not 21 as for fixed roles.
  assert 1.0 < drawn.sum(axis=0).var() < 4.0


def test_draws_follow_from_the_seed(sums):
  rng = np.random.default_rng(0)
  updates = [_update(*rng.normal(size=3)) for _ in range(20)]
  one, same, other = (
    _run(sums, "sign-flipped", 0.5, updates, seed).result["b"]
    for seed in (1, 1, 2)
  )
  assert one == same
  assert one != other


def test_state_and_measurements_of_the_inner_process_remain():
  inner = tff.aggregators.clipping_factory(
    1.0, tff.aggregators.UnweightedMeanFactory()
  )
  process = hostile_updates.HostileFactory(inner).create(_VALUE_TYPE)
  assert (
    process.next.type_signature.result.measurements
    == inner.create(_VALUE_TYPE).next.type_signature.result.measurements
  )
  # Clips see what is sent: 1e6 * (0.6, 0, 0.8) has norm 1e6, clipped to 1.
  output = _run(process, "times 1e6", 1.0, [_update(0.6, 0.0, 0.8)])
  np.testing.assert_allclose(output.result["a"], [0.6, 0.0], atol=1e-6)
  assert output.measurements["clipped_count"] == 1


def test_an_empty_cohort_is_legal(sums):
  output = _run(sums, "NaN", 1.0, [])
  np.testing.assert_array_equal(output.result["a"], [0.0, 0.0])


def test_wrong_arguments_are_refused(sums):
  with pytest.raises(TypeError, match="inner must be"):
    hostile_updates.HostileFactory(tff.aggregators.MeanFactory())
  with pytest.raises(ValueError, match="attack must be one of"):
    hostile_updates.with_attack(sums.initialize(), "bribery", 0.1, 1)
  with pytest.raises(ValueError, match=r"share must be in \[0, 1\], got 2"):
    hostile_updates.with_attack(sums.initialize(), "NaN", 2, 1)
