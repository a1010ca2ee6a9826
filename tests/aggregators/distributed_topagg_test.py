"""Tests of TopAgg with the clients' noise, on simulated secure sums."""

import collections
import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug import aggregators
from tff_gen_debug.aggregators import distributed_topagg
from tff_gen_debug.privacy import distributed

pytestmark = pytest.mark.usefixtures("tff_runtime")

_SIZE = 100_000


def _plan(**changes):
  values = dict(
    population=1000,
    clients_per_round=4,
    min_clients_per_round=1,
    rounds=10,
    top_k=2,
    update_size=4,
    noise_multiplier=0.0,
  )
  values.update(changes)
  return distributed.DistributedPlan(**values)


def _noisy(**changes):
  values = dict(update_size=_SIZE, top_k=16, noise_multiplier=2.0)
  values.update(changes)
  return _plan(**values)


def _process(plan, value_type=None, **settings):
  if value_type is None:
    value_type = (np.float32, [plan.update_size])
  factory = distributed_topagg.DistributedTopAggFactory(plan, **settings)
  return factory.create(tff.to_type(value_type))


def _aggregate(plan, values, value_type=None, **settings):
  process = _process(plan, value_type, **settings)
  return process.next(process.initialize(), values)


def _silent(clients):
  """Updates of zeros, which vote nowhere."""
  return [np.zeros([_SIZE], np.float32)] * clients


def _share_above(threshold, deviation):
  """How often a normal draw is above a threshold between two integers."""
  return math.erfc(threshold / deviation / math.sqrt(2)) / 2


def _check_deviation(result, threshold, deviation):
  """Noise of this deviation was above the threshold as often as it should.

  Fails for 0.8 and for 1.25 of the noise.
  """
  share = _share_above(threshold, deviation)
  error = math.sqrt(share / _SIZE)
  for sign in (-1, 1):
    assert abs(np.mean(result == sign) - share) < 5 * error
  for wrong in (0.8, 1.25):
    assert abs(_share_above(threshold, wrong * deviation) - share) > 10 * error


@pytest.mark.parametrize(
  ("top_k", "planned", "threshold", "cohorts"),
  [
    (1, 4, 0.0, (1, 4)),
    (9, 4, 0.3, (2, 4)),
    # 29 (one client can't vote) is not above 0.29 of 100, which as a double is
    # a little less.
    (50, 100, 0.29, (30, 31)),
  ],
)
def test_without_noise_it_is_topagg(top_k, planned, threshold, cohorts):
  rng = np.random.default_rng(top_k)
  signal = rng.normal(size=50)
  values = [
    # Rounded, for ties and zeros.
    np.round(signal + 0.2 * rng.normal(size=50), 1).astype(np.float32)
    for _ in range(planned)
  ]
  values[1][3] = np.nan
  settings = dict(threshold=threshold, step_size=0.25, stochastic=False)
  process = _process(
    _plan(clients_per_round=planned, top_k=top_k, update_size=50), **settings
  )
  central = aggregators.TopAggFactory(
    top_k,
    expected_clients_per_round=planned,
    noise_multiplier=0.0,
    **settings,
  ).create(tff.to_type((np.float32, [50])))
  for clients in cohorts:
    cohort = values[:clients]
    result = process.next(process.initialize(), cohort).result
    expected = central.next(central.initialize(), cohort).result
    np.testing.assert_array_equal(result, expected)
  assert set(np.abs(expected)) == {0, 0.25}


def test_stochastic_votes_are_drawn_as_asked():
  # An entry of half the clip votes 1 with probability 3/4.
  plan = _plan(clients_per_round=1, top_k=_SIZE, update_size=_SIZE)
  value = np.full([_SIZE], 0.5, np.float32)
  value[0] = 3.0
  result = _aggregate(plan, [value], coordinate_clip=1.0).result
  positive = np.mean(result == 1)
  assert positive == pytest.approx(0.75, abs=5 * math.sqrt(0.1875 / _SIZE))
  assert np.mean(result == -1) == pytest.approx(1 - positive)


def test_the_result_has_the_structure_shapes_and_dtypes_of_an_update():
  value_type = collections.OrderedDict(
    a=tff.TensorType(np.float32, [2, 2]),
    c=tff.TensorType(np.float16),
    d=tff.TensorType(np.float64, [1]),
  )
  update = collections.OrderedDict(
    a=np.ones([2, 2], np.float32),
    c=np.float16(1),
    d=np.ones([1], np.float64),
  )
  plan = _plan(top_k=6, update_size=6)
  result = _aggregate(plan, [update], value_type, step_size=0.5).result
  assert list(result) == list(update)
  for name, tensor in result.items():
    assert np.asarray(tensor).dtype == update[name].dtype
    np.testing.assert_array_equal(tensor, 0.5 * update[name])


@pytest.mark.parametrize("relation", ["replace_special", "replace_one"])
@pytest.mark.parametrize("clients", [1, 6])
def test_the_clients_noise_makes_the_plans(clients, relation):
  plan = _noisy(
    clients_per_round=clients,
    min_clients_per_round=clients,
    neighboring_relation=relation,
  )
  # 2 * sqrt(16), twice that for replace-one; rounded up by 1 % at most.
  deviation = 8.0 if relation == "replace_special" else 16.0
  # Sums are whole votes over the weight, so the threshold lies between two.
  threshold = math.floor(deviation) + 0.5 / plan.vote_weight
  result = _aggregate(
    plan, _silent(clients), threshold=threshold / clients
  ).result
  _check_deviation(result, threshold, plan.noise_stddev(clients))
  assert 1 <= plan.noise_stddev(clients) / deviation <= 1.01


@pytest.mark.parametrize(
  ("clients", "deviation"), [(4, 8.0), (6, 8 * 1.5**0.5), (8, 8 * 2**0.5)]
)
def test_dropped_clients_take_their_noise_with_them(clients, deviation):
  # 4 honest clients of the 4 to 8 who report have the noise that is accounted.
  plan = _noisy(clients_per_round=8, min_clients_per_round=4)
  assert (plan.vote_weight, plan.share_stddev) == (1, 4)
  result = _aggregate(plan, _silent(clients), threshold=8.5 / 8).result
  _check_deviation(result, 8.5, deviation)


def test_a_coalition_is_made_up_for():
  # 3 of 4 may tell their noise: one client's has to be enough.
  plan = _noisy(min_clients_per_round=4, colluding_clients=3)
  result = _aggregate(plan, _silent(4), threshold=16.5 / 4).result
  _check_deviation(result, 16.5, 16.0)


@pytest.mark.parametrize(
  ("clients", "accepted"), [(0, False), (1, False), (2, True), (4, True)]
)
def test_the_sum_of_too_few_clients_is_dropped(clients, accepted):
  plan = _plan(min_clients_per_round=2, top_k=1)
  output = _aggregate(plan, [np.array([0, 0, -1, 0], np.float32)] * clients)
  np.testing.assert_array_equal(output.result, [0, 0, -1 if accepted else 0, 0])
  assert output.measurements == collections.OrderedDict(
    clients=clients, accepted=accepted
  )


def test_more_clients_than_planned_are_not_trusted_to_fit():
  output = _aggregate(_plan(top_k=1), [np.ones([4], np.float32)] * 5)
  np.testing.assert_array_equal(output.result, [0, 0, 0, 0])
  assert output.measurements["clients"] == 5
  assert not output.measurements["accepted"]


def test_a_cohort_of_one_mind_does_not_wrap_around():
  plan = _noisy(
    clients_per_round=50,
    min_clients_per_round=50,
    top_k=_SIZE,
    noise_multiplier=0.01,
  )
  # Sums are 20 * 50 with a deviation of 9 * sqrt(50) = 64; every third would
  # come out with the wrong sign if residues ended at 1024.
  assert (plan.vote_weight, plan.share_stddev) == (20, 9)
  process = _process(plan, threshold=0.6)
  for direction in (1, -1):
    votes = [np.full([_SIZE], direction, np.float32)] * 50
    result = process.next(process.initialize(), votes).result
    # Six deviations above the threshold of 30 votes of 50.
    np.testing.assert_array_equal(result, votes[0])


def test_every_round_has_noise_of_its_own():
  process = _process(_noisy())
  state = process.initialize()
  first, second = (process.next(state, _silent(1)).result for _ in range(2))
  assert set(np.unique(first)) == {-1, 0, 1}
  assert abs(np.corrcoef(first, second)[0, 1]) < 5 / math.sqrt(_SIZE)
  assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 5 / math.sqrt(_SIZE)


def test_the_state_holds_what_the_ledger_needs():
  plan = _noisy()
  state = _aggregate(plan, _silent(1)).state
  event = tff.aggregators.differential_privacy.extract_dp_event_from_state(
    state
  )
  assert event == plan.round_event(0)


def test_nothing_leaves_the_clients_but_secure_sums():
  """Of the aggregations that TFF knows, only those on masked integers."""
  process = _process(_noisy())
  compiled = tff.framework.serialize_computation(process.next)
  text = compiled.SerializeToString()
  for secure in (b"federated_secure_modular_sum", b"federated_secure_sum_bit"):
    assert secure in text
  for plain in (
    b"federated_sum",
    b"federated_mean",
    b"federated_aggregate",
    b"federated_weighted_mean",
    b"federated_collect",
  ):
    assert plain not in text


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    # A vote would have to weigh 3 * sqrt(10^7) / 0.1 = 95,000.
    (
      dict(
        population=10**7,
        clients_per_round=10**7,
        min_clients_per_round=10**7,
        top_k=1,
        noise_multiplier=0.1,
      ),
      "votes weigh .*; raise noise_multiplier or top_k, or lower clients",
    ),
    (
      dict(min_clients_per_round=4, noise_multiplier=1e8),
      "lower noise_multiplier, top_k or clients_per_round",
    ),
  ],
)
def test_sums_that_fit_no_secure_sum_are_refused(changes, message):
  with pytest.raises(ValueError, match="largest modulus.*" + message):
    distributed_topagg.DistributedTopAggFactory(_plan(**changes))


@pytest.mark.parametrize(
  "value_type, error, message",
  [
    ((np.int32, [4]), TypeError, "floating point.*int32"),
    ((np.float32, [None]), TypeError, "fully defined"),
    (
      (np.float32, [5]),
      ValueError,
      "update_size of the plan must be 5,.*got 4",
    ),
  ],
)
def test_updates_that_cannot_be_voted_on_are_refused(
  value_type, error, message
):
  with pytest.raises(error, match=message):
    _process(_plan(), value_type)


@pytest.mark.parametrize(
  "settings, error, message",
  [
    (dict(threshold=-0.1), ValueError, "threshold"),
    (dict(step_size=0), ValueError, "step_size"),
    (dict(step_size="1"), TypeError, "step_size"),
    (dict(coordinate_clip=0), ValueError, "coordinate_clip"),
    (dict(plan="plan"), TypeError, "plan must be a DistributedPlan"),
  ],
)
def test_bad_arguments_are_named(settings, error, message):
  arguments = dict(dict(plan=_plan()), **settings)
  with pytest.raises(error, match=message):
    distributed_topagg.DistributedTopAggFactory(**arguments)


def test_trains_a_linear_model_in_fed_avg():
  features = np.array([[1.0, 0], [0, 1], [1, 1], [2, 1]], np.float32)
  labels = features @ np.array([[1.0], [-2.0]], np.float32)
  client = tf.data.Dataset.from_tensor_slices((features, labels)).batch(4)
  model = tff.learning.models.functional_model_from_keras(
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
  # Noise of sqrt(2) / 10 on sums of 4: never seen at a threshold of 1.
  plan = _plan(update_size=2, min_clients_per_round=4, noise_multiplier=0.1)
  process = tff.learning.algorithms.build_unweighted_fed_avg(
    model,
    tff.learning.optimizers.build_sgdm(0.05),
    tff.learning.optimizers.build_sgdm(1.0),
    model_aggregator=distributed_topagg.DistributedTopAggFactory(
      plan, step_size=0.25, threshold=0.25, stochastic=False
    ),
  )
  state = process.initialize()
  for _ in range(12):
    state = process.next(state, [client] * 4).state
  weights = process.get_model_weights(state).trainable[0].ravel()
  np.testing.assert_allclose(weights, [1, -2], atol=0.25)
