"""Tests of TopAgg as a TFF aggregation process."""

import collections
import math

import dp_accounting
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.privacy import examples
from tff_gen_debug import aggregators

pytestmark = pytest.mark.usefixtures("tff_runtime")


def _factory(top_k=2, **settings):
  arguments = dict(
    expected_clients_per_round=4, noise_multiplier=0.0, stochastic=False
  )
  arguments.update(settings)
  return aggregators.TopAggFactory(top_k, **arguments)


def _aggregate(factory, values, value_type=None):
  if value_type is None:
    value_type = (values[0].dtype, values[0].shape)
  process = factory.create(tff.to_type(value_type))
  return process.next(process.initialize(), values)


def _vectors(*rows):
  return [np.array(row, np.float32) for row in rows]


def test_signs_of_sums_above_the_threshold_of_the_expected_cohort():
  # Sums of votes: 3, -1, 0, 2 of an expected cohort of 4.
  values = _vectors([3, -2, 0, 1], [3, 0, 1, 2], [3, 0.5, 0, 2])
  for threshold, expected in (
    (0.0, [0.5, -0.5, 0, 0.5]),
    (0.25, [0.5, 0, 0, 0.5]),
    (0.49, [0.5, 0, 0, 0.5]),
    (0.5, [0.5, 0, 0, 0]),
    (0.75, [0, 0, 0, 0]),
  ):
    factory = _factory(threshold=threshold, step_size=0.5)
    np.testing.assert_array_equal(_aggregate(factory, values).result, expected)


def test_everything_and_no_noise_is_sign_sgd_with_majority_vote():
  rng = np.random.default_rng(0)
  values = [rng.normal(size=500).astype(np.float32) for _ in range(7)]
  result = _aggregate(_factory(500), values).result
  np.testing.assert_array_equal(result, np.sign(np.sum(np.sign(values), 0)))


def test_the_result_has_the_structure_shapes_and_dtypes_of_an_update():
  value_type = collections.OrderedDict(
    a=tff.TensorType(np.float32, [2, 2]),
    c=tff.TensorType(np.float16),
    d=tff.TensorType(np.float64, [1]),
  )
  process = _factory(3, noise_multiplier=1.0).create(tff.to_type(value_type))
  update = collections.OrderedDict(
    a=np.ones([2, 2], np.float32),
    c=np.float16(1),
    d=np.ones([1], np.float64),
  )
  result = process.next(process.initialize(), [update]).result
  assert list(result) == list(update)
  for name, tensor in result.items():
    assert tensor.dtype == update[name].dtype
    assert np.shape(tensor) == np.shape(update[name])
    assert set(np.abs(np.ravel(tensor)).astype(float)) == {1.0}


def test_votes_of_a_cohort_too_large_for_a_byte_are_counted():
  # 200 votes wrapped to a byte would be -56.
  values = _vectors([1, 0]) * 200
  result = _aggregate(_factory(1, threshold=45.0), values).result
  np.testing.assert_array_equal(result, [1, 0])


def test_bad_clients_vote_nowhere_and_an_empty_cohort_is_no_vote():
  values = _vectors([np.nan, 5], [0, 0], [np.inf, 5], [0, -1])
  np.testing.assert_array_equal(_aggregate(_factory(), values).result, [0, -1])
  empty = _aggregate(_factory(), [], (np.float32, [2])).result
  np.testing.assert_array_equal(empty, [0, 0])


def test_noise_alone_passes_a_threshold_as_often_as_a_normal_draw():
  size, threshold, deviation = 100_000, 1.5, 2.0 * math.sqrt(16)
  factory = _factory(
    16,
    noise_multiplier=2.0,
    threshold=threshold,
    expected_clients_per_round=4,
  )
  result = _aggregate(factory, [], (np.float32, [size])).result

  def share(deviation):
    return math.erfc(threshold * 4 / deviation / math.sqrt(2)) / 2

  error = math.sqrt(share(deviation) / size)
  for sign in (-1, 1):
    assert abs(np.mean(result == sign) - share(deviation)) < 5 * error
  # Noise of 0.8 or 1.25 of that would not pass.
  for wrong in (0.8, 1.25):
    assert abs(share(wrong * deviation) - share(deviation)) > 10 * error


def test_the_state_holds_what_the_ledger_needs():
  plan = examples.plan(population=100, expected_clients_per_round=10)
  factory = aggregators.topagg_factory(plan, 2)
  state = _aggregate(factory, _vectors([1, 2])).state
  event = tff.aggregators.differential_privacy.extract_dp_event_from_state(
    state
  )
  assert dp_accounting.PoissonSampledDpEvent(0.1, event) == plan.round_event


def test_another_sum_gets_votes_that_it_can_add():
  # An int8 sum of 150 votes would wrap around.
  values = _vectors([3, -2, 0], [3, 0, 1], [3, -0.5, 0]) * 50
  given = _factory(sum_factory=tff.aggregators.SumFactory(), threshold=37.0)
  np.testing.assert_array_equal(_aggregate(given, values).result, [1, 0, 0])


def test_a_plan_rescales_the_noise_of_a_simulated_run():
  plan = examples.plan(noise_multiplier=10.0).simulated_by(
    population=50, clients_per_round=5
  )
  size = 100_000
  # 10 * sqrt(4) of 1000 clients is 0.1 of 5 as it is 20 of 1000.
  factory = aggregators.topagg_factory(plan, 4, threshold=0.02)
  result = _aggregate(factory, [], (np.float32, [size])).result
  share = math.erfc(1 / math.sqrt(2))
  error = math.sqrt(share * (1 - share) / size)
  assert abs(np.mean(result != 0) - share) < 5 * error


@pytest.mark.parametrize(
  "value_type, error, message",
  [
    ((np.int32, [5]), TypeError, "floating point.*int32"),
    ([(np.float32, [5]), (np.int64, [1])], TypeError, "floating point.*int64"),
    ((np.float32, [None]), TypeError, "fully defined"),
    ((np.float32, [1]), ValueError, "top_k must be at most 1"),
  ],
)
def test_updates_that_cannot_be_voted_on_are_refused(
  value_type, error, message
):
  with pytest.raises(error, match=message):
    _factory().create(tff.to_type(value_type))


@pytest.mark.parametrize(
  "settings, error, message",
  [
    (dict(expected_clients_per_round=0), ValueError, "clients"),
    (dict(expected_clients_per_round=2**24), ValueError, "exact"),
    (dict(threshold=-0.1), ValueError, "threshold"),
    (dict(step_size=0), ValueError, "step_size"),
    (dict(step_size="1"), TypeError, "step_size"),
    (dict(sum_factory=tff.aggregators.MeanFactory()), TypeError, "sum_factory"),
    (dict(top_k=0), ValueError, "top_k"),
    (dict(noise_multiplier=-1), ValueError, "noise_multiplier"),
  ],
)
def test_bad_arguments_are_named(settings, error, message):
  with pytest.raises(error, match=message):
    _factory(**settings)


def test_trains_a_linear_model_in_fed_avg():
  features = np.array([[1.0, 0], [0, 1], [1, 1], [2, 1]], np.float32)
  labels = features @ np.array([[1.0], [-2.0]], np.float32)
  client = tf.data.Dataset.from_tensor_slices((features, labels)).batch(4)

  def model_fn():
    return tff.learning.models.functional_model_from_keras(
      tf.keras.Sequential(
        [
          tf.keras.layers.Dense(
            1, use_bias=False, kernel_initializer="zeros", input_shape=(2,)
          )
        ]
      ),
      loss_fn=tf.keras.losses.MeanSquaredError(),
      input_spec=client.element_spec,
    )

  process = tff.learning.algorithms.build_unweighted_fed_avg(
    model_fn(),
    tff.learning.optimizers.build_sgdm(0.05),
    tff.learning.optimizers.build_sgdm(1.0),
    model_aggregator=_factory(2, step_size=0.25, threshold=0.5),
  )
  state = process.initialize()
  weights = [np.zeros(2)]
  for _ in range(16):
    state = process.next(state, [client] * 3).state
    weights.append(process.get_model_weights(state).trainable[0].ravel())
  steps = np.diff(weights, axis=0)
  # Every round moves every weight, up to a tie, by a quarter; the targets are
  # four and eight quarters away.
  assert set(np.unique(np.abs(steps))) <= {0, 0.25}
  np.testing.assert_allclose(weights[-1], [1, -2], atol=0.25)
