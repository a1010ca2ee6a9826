"""Tests of tree aggregation, which read the noise round by round."""

import numpy as np
import pytest
import tensorflow_federated as tff

from tff_gen_debug.aggregators import tree
from tff_gen_debug.privacy import tree_plan

pytestmark = pytest.mark.usefixtures("tff_runtime")

_SIZE = 50_000
# The deviation of 50,000 draws has a relative error of 0.32 %.
_TOLERANCE = 0.015
# Two trees, and two rounds of a third.
_EPOCH, _ROUNDS = 8, 18
_STDDEV = 1.5 * 0.25 / 10


def _plan(**overrides) -> tree_plan.TreePlan:
  arguments = dict(
    population=10 * _EPOCH,
    clients_per_round=10,
    rounds=_ROUNDS,
    noise_multiplier=1.5,
  )
  arguments.update(overrides)
  return tree_plan.TreePlan(**arguments)


def _process(plan, value_type, clip_norm=0.25):
  return tree.tree_mean_factory(plan, clip_norm).create(tff.to_type(value_type))


@pytest.fixture(scope="module")
def noise():
  """The results of empty rounds: nothing but noise, [_ROUNDS, _SIZE]."""
  process = _process(_plan(), (np.float32, [_SIZE]))
  state, results = process.initialize(), []
  for _ in range(_ROUNDS):
    output = process.next(state, [])
    state = output.state
    results.append(output.result)
  return np.stack(results).astype(np.float64)


def _tree_variance(rounds):
  """Variance of the noise of a running sum, in that of one node.

  The sum is that of a node for every 1 in the binary number of rounds. One of
  2^d rounds has its own noise and two halves': weighted by the inverse of
  their variances the best estimate has a variance of 1 / (2 - 2^-d), since
  v_d = 1 / (1 + 1 / (2 v_(d-1))) with v_0 = 1 (Honaker, 2015).
  """
  total, depth_variance = 0.0, 1.0
  while rounds:
    total += (rounds % 2) * depth_variance
    depth_variance = 1 / (1 + 1 / (2 * depth_variance))
    rounds //= 2
  return total


def test_the_reference_of_the_variance():
  # 1: a leaf. 2: a node and its two leaves. 3: both. 4: by hand 1 / (2 - 1/4).
  assert [_tree_variance(n) for n in (1, 2, 3, 4)] == pytest.approx(
    [1, 2 / 3, 5 / 3, 4 / 7]
  )


def test_noise_of_the_running_sum_follows_the_tree_in_every_epoch(noise):
  for first in range(0, _ROUNDS, _EPOCH):
    running = np.cumsum(noise[first : first + _EPOCH], axis=0)
    expected = [
      _STDDEV * np.sqrt(_tree_variance(index + 1))
      for index in range(len(running))
    ]
    np.testing.assert_allclose(running.std(axis=1), expected, rtol=_TOLERANCE)
    assert np.all(
      np.abs(running.mean(axis=1)) < 5 * running.std(axis=1) / np.sqrt(_SIZE)
    )


def test_a_new_tree_starts_where_the_plan_charges_for_one(noise):
  plan = _plan()
  charged = [
    r for r in range(_ROUNDS) if plan.round_event(r) == plan.tree_event
  ]
  assert charged == [0, 8, 16]
  limit = 5 / np.sqrt(_SIZE)
  for start in charged[1:]:
    # All noise from here on is independent of all before.
    before, after = noise[:start], noise[start:]
    across = np.corrcoef(np.vstack([before, after]))[:start, start:]
    assert np.max(np.abs(across)) < limit
  for start in set(range(1, _ROUNDS)) - set(charged):
    # Inside a tree a round takes back noise of one before it, at the latest
    # when a node over both replaces that of the earlier one.
    across = np.corrcoef(noise)[:start, start:]
    assert np.max(np.abs(across)) > 2 * limit


def test_the_mean_is_clipped_over_all_tensors_together():
  plan = _plan(noise_multiplier=0.0)
  process = _process(plan, ((np.float32, [1]), np.float32), clip_norm=1.0)
  # The first update has norm 5 and is scaled to (0.6, 0.8), the second stays.
  values = [
    (np.array([3.0], np.float32), np.float32(4.0)),
    (np.array([0.2], np.float32), np.float32(0.0)),
  ]
  state = process.initialize()
  for _ in range(_EPOCH + 1):
    output = process.next(state, values)
    state = output.state
    np.testing.assert_allclose(output.result[0], [0.8 / 10], rtol=1e-6)
    np.testing.assert_allclose(output.result[1], 0.8 / 10, rtol=1e-6)


def test_tensors_and_neighbouring_coordinates_have_noise_of_their_own():
  value_type = ((np.float32, [_SIZE]), (np.float32, [_SIZE]))
  process = _process(_plan(), value_type)
  state, rows = process.initialize(), []
  for _ in range(3):
    output = process.next(state, [])
    state = output.state
    rows += list(output.result)
  # Of one round; of the next, where counters could overlap; and shifted by one.
  limit = 5 / np.sqrt(_SIZE)
  one_round = np.corrcoef(rows)
  assert abs(one_round[0, 1]) < limit and abs(one_round[1, 2]) < limit
  assert abs(np.corrcoef(rows[0][1:], rows[0][:-1])[0, 1]) < limit


def test_every_run_has_noise_of_its_own():
  process = _process(_plan(), (np.float32, [_SIZE]))
  first, second = (
    process.next(process.initialize(), []).result for _ in range(2)
  )
  assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(_SIZE)


def test_a_round_repeated_from_its_state_repeats_its_noise():
  """A resumed run goes on with the tree that the checkpoint holds."""
  process = _process(_plan(), (np.float32, [3]))
  state = process.next(process.initialize(), []).state
  np.testing.assert_array_equal(
    process.next(state, []).result, process.next(state, []).result
  )


@pytest.mark.parametrize("clip_norm", [0, -1.0, np.inf, np.nan])
def test_bad_clip_norms_are_refused(clip_norm):
  with pytest.raises(ValueError, match="clip_norm must be"):
    tree.tree_mean_factory(_plan(), clip_norm)
