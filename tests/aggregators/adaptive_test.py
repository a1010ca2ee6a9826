"""Tests of adaptive clipping: what it costs in noise, and what it adapts to."""

import functools
import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.privacy import examples
from tff_gen_debug.aggregators import adaptive

pytestmark = pytest.mark.usefixtures("tff_runtime")

_SIZE = 100_000


_plan = functools.partial(
  examples.plan,
  population=1000,
  expected_clients_per_round=100,
  rounds=10,
  noise_multiplier=1.5,
)


_FIXED = dict(sampling="fixed_size", neighboring_relation="replace_one")
_PLANS = {
  "add or remove one": _plan(),
  "replace one": _plan(**_FIXED),
  "simulated": _plan(
    population=1_000_000, expected_clients_per_round=1000
  ).simulated_by(population=50, clients_per_round=5),
}


def _process(plan, value_type, **arguments):
  factory = adaptive.adaptive_gaussian_mean_factory(plan, **arguments)
  return factory.create(tff.to_type(value_type))


def _clip(output) -> float:
  return float(output.measurements["dp_query_metrics"]["clip"])


def _sum_stddev(plan, clip_norm, **arguments) -> float:
  """The standard deviation of the noise on the sum of the cohort that runs."""
  process = _process(
    plan, (np.float32, [_SIZE]), initial_clip_norm=clip_norm, **arguments
  )
  noise = process.next(process.initialize(), []).result
  assert abs(np.mean(noise)) <= 5 * np.std(noise) / np.sqrt(_SIZE)
  return float(np.std(noise)) * plan.run_clients_per_round


def _count_stddev(plan, rounds=10_000) -> float:
  """The standard deviation of the noise on the count, seen in the clip."""
  query = adaptive.adaptive_gaussian_mean_query(
    plan,
    initial_clip_norm=1.0,
    target_quantile=0.5,
    learning_rate=1.0,
    clipped_count_stddev=None,
  )

  @tf.function
  def clips():
    state = query.initial_global_state()
    empty = query.initial_sample_state(tf.zeros([]))
    steps = tf.TensorArray(tf.float32, rounds)
    for index in tf.range(rounds):
      _, after, _ = query.get_noised_result(empty, state)
      steps = steps.write(index, after.numerator_state.sum_state.l2_norm_clip)
    return steps.stack()

  # An empty cohort counts as half, the target: only noise moves the norm, by
  # exp(-noise / clients).
  moves = -np.log(clips().numpy()) * plan.run_clients_per_round
  assert abs(np.mean(moves)) <= 5 * np.std(moves) / math.sqrt(rounds)
  return float(np.std(moves))


# In clients of the run, by hand: a twentieth of 100 and of 5.
_COUNT_STDDEVS = {"add or remove one": 5, "replace one": 5, "simulated": 0.25}
# In clip norms, by hand. One user moves the count by 1/2, or by 1 if replaced:
# (1 / 1.5^2 - 1 / 10^2)^-0.5; twice (1 / 1.5^2 - 1 / 5^2)^-0.5; and of the
# deployment, whose count has a deviation of 50, (1 / 1.5^2 - 1 / 100^2)^-0.5
# for 1000 clients, scaled to 5.
_SUM_STDDEVS = {
  "add or remove one": 1.51717,
  "replace one": 2 * 1.57243,
  "simulated": 1.50017 * 5 / 1000,
}


@pytest.mark.parametrize("name", sorted(_PLANS))
def test_noise_on_the_sum(name):
  # 100,000 draws are within 1.5 % of their deviation; 0.8 and 1.25 are not.
  expected = 0.25 * _SUM_STDDEVS[name]
  assert _sum_stddev(_PLANS[name], 0.25) == pytest.approx(expected, rel=0.015)


@pytest.mark.parametrize("name", sorted(_PLANS))
def test_noise_on_the_count(name):
  # 10,000 draws have a relative error of 0.7 %.
  assert _count_stddev(_PLANS[name]) == pytest.approx(
    _COUNT_STDDEVS[name], rel=0.04
  )


@pytest.mark.parametrize("name", sorted(_PLANS))
def test_sum_and_count_cost_together_what_the_plan_says(name):
  plan = _PLANS[name]
  # A count of half the default noise costs a good share of the budget.
  count_stddev = {
    "add or remove one": 1.0,
    "replace one": 2.0,
    "simulated": 0.005,
  }[name]
  moved = 2.0 if name == "replace one" else 1.0
  on_sum = moved / _sum_stddev(plan, 1.0, clipped_count_stddev=count_stddev)
  on_count = moved / 2 / count_stddev
  assert on_count**2 > 0.2 * on_sum**2
  total = (on_sum**2 + on_count**2) ** -0.5
  run = {"simulated": 1.5 * 5 / 1000}.get(name, 1.5)
  assert total == pytest.approx(run, rel=0.015)


def test_the_norm_moves_to_the_quantile():
  plan = _plan(noise_multiplier=0.0, expected_clients_per_round=4)
  process = _process(plan, np.float32, initial_clip_norm=20.0)
  updates = [np.float32(x) for x in (1.0, -2.0, 3.0, 10.0)]
  output = process.next(process.initialize(), updates)
  # All four are within 20, half of them should be: a factor exp(-0.2 * 0.5).
  assert output.result == pytest.approx((1 - 2 + 3 + 10) / 4)
  assert _clip(output) == pytest.approx(20 * math.exp(-0.1))
  for _ in range(39):
    output = process.next(output.state, updates)
  # 7 such steps to just below 10, then a quarter too many: 24 steps of
  # exp(-0.2 * 0.25) to just below 3, where half are within and it stays.
  assert _clip(output) == pytest.approx(20 * math.exp(-0.1 * 7 - 0.05 * 24))
  assert 2 < _clip(output) < 3


def test_a_low_norm_rises_and_clips_over_all_tensors_together():
  plan = _plan(noise_multiplier=0.0, expected_clients_per_round=2)
  process = _process(
    plan, (np.float32, np.float32), initial_clip_norm=1.0, target_quantile=0.8
  )
  # A norm of 5, scaled to 1, and one of 0.5.
  updates = [
    (np.float32(3.0), np.float32(4.0)),
    (np.float32(0.5), np.float32(0.0)),
  ]
  output = process.next(process.initialize(), updates)
  np.testing.assert_allclose(output.result, [0.55, 0.4], rtol=1e-6)
  assert _clip(output) == pytest.approx(math.exp(0.2 * 0.3))


def test_the_norm_depends_on_updates_by_the_noised_count_only():
  """As many within the norm: the same clip, whatever the updates are."""
  plan = _plan(noise_multiplier=0.0, expected_clients_per_round=3)
  process = _process(plan, np.float32, initial_clip_norm=1.0)
  state = process.initialize()
  clips = {
    _clip(process.next(state, [np.float32(x) for x in updates]))
    for updates in ([0.5, 2.0, 3.0], [-0.9, 1e6, -7.0], [0.0, 1.1, 1.2])
  }
  assert len(clips) == 1


def test_noise_of_the_sum_follows_the_norm():
  plan = _plan(noise_multiplier=0.5)
  process = _process(
    plan, (np.float32, [_SIZE]), initial_clip_norm=1.0, learning_rate=2.0
  )
  # All 100 are within the norm, which so falls by exp(-1 + noise).
  updates = [np.zeros(_SIZE, np.float32)] * 100
  first = process.next(process.initialize(), updates)
  second = process.next(first.state, updates)
  ratio = np.std(second.result) / np.std(first.result)
  assert _clip(first) < 0.9
  assert ratio == pytest.approx(_clip(first), rel=0.015)


def test_without_noise_the_count_has_none_either():
  plan = _plan(noise_multiplier=0.0)
  assert _count_stddev(plan, rounds=10) == 0.0
  assert _sum_stddev(plan, 1.0) == 0.0


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    # By hand: 0.75 for 1.5 and half a clip norm.
    (
      {"clipped_count_stddev": 0.75},
      r"clipped_count_stddev must be above 0\.75.* got 0\.75",
    ),
    ({"clipped_count_stddev": 0}, "clipped_count_stddev must be above"),
    ({"clipped_count_stddev": -1.0}, "clipped_count_stddev must be at least 0"),
    ({"initial_clip_norm": 0}, "initial_clip_norm must be positive"),
    ({"target_quantile": 1.5}, r"target_quantile must be in \[0, 1\], got 1.5"),
    ({"target_quantile": -0.1}, "target_quantile must be at least 0"),
    ({"learning_rate": math.nan}, "learning_rate must be finite"),
  ],
)
def test_bad_numbers_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    adaptive.adaptive_gaussian_mean_factory(_plan(), **arguments)


def test_a_cohort_too_small_for_the_count_is_refused():
  # A twentieth of 20 is 1, and one user replaced moves the count by 1.
  plan = _plan(expected_clients_per_round=20, **_FIXED)
  with pytest.raises(ValueError, match="raise its clients per round"):
    adaptive.adaptive_gaussian_mean_factory(plan)
