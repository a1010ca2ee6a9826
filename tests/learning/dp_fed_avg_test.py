"""Tests of DP-FedAvg, on a linear model that can be trained by hand."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.learning import linear_model
from tests.learning import linear_process
from tff_gen_debug.learning import dp_fed_avg
from tff_gen_debug.privacy import plan as plan_lib

pytestmark = pytest.mark.usefixtures("tff_runtime")


@pytest.fixture(scope="module")
def process():
  return linear_process.build(client_metrics=dp_fed_avg.FED_AVG_CLIENT_METRICS)


@pytest.fixture(scope="module")
def whole_batches():
  """One step on all that a client has, so that its order is irrelevant."""
  return linear_process.build(batch_size=8, client_steps=1)


def _by_hand(batches):
  """What a client's steps on `batches`, of (x, y), do to the weights."""
  weights, bias = linear_model.WEIGHTS, linear_model.BIAS
  for x, y in batches:
    weights, bias = linear_model.sgd_step(
      weights, bias, x, y, linear_process.RATE
    )
  return np.append(weights - linear_model.WEIGHTS, bias - linear_model.BIAS)


def _is_one_of(actual, candidates):
  return any(np.allclose(actual, c, rtol=1e-4, atol=1e-6) for c in candidates)


def _all_orders(x, y, epochs, batch_size, steps):
  """A client's change for each order in which it may see its examples."""
  epoch_orders = list(itertools.permutations(range(len(y))))
  for epoch in itertools.product(epoch_orders, repeat=epochs):
    rows = np.concatenate([np.array(one, int) for one in epoch])
    cut = [
      rows[start : start + batch_size]
      for start in range(0, len(rows), batch_size)
    ]
    yield _by_hand([(x[part], y[part]) for part in cut[:steps]])


def test_a_round_is_the_fixed_denominator_mean_of_clients_steps(whole_batches):
  clients = [linear_model.examples(n, seed=n) for n in (3, 8, 1)]
  expected = sum(_by_hand([client]) for client in clients) / 2
  actual = linear_process.change(
    whole_batches, [linear_model.dataset(*c) for c in clients]
  )
  np.testing.assert_allclose(actual, expected, rtol=1e-4)


@pytest.mark.parametrize(
  ("examples", "epochs", "steps", "taken"),
  [
    pytest.param(5, 1, 3, 3, id="a partial batch at the end"),
    pytest.param(3, 1, 3, 2, id="an empty batch at the end"),
    pytest.param(3, 2, 3, 3, id="batches across epochs"),
    pytest.param(3, 2, 1, 1, id="cut by the number of steps"),
  ],
)
def test_a_client_takes_the_steps_of_its_caps(examples, epochs, steps, taken):
  process = linear_process.build(client_epochs=epochs, client_steps=steps)
  x, y = linear_model.examples(examples, seed=1)
  # Divided by the fixed denominator.
  actual = 2 * linear_process.change(process, [linear_model.dataset(x, y)])
  assert _is_one_of(actual, _all_orders(x, y, epochs, 2, taken))
  # The candidates differ: a step or an example more would be noticed.
  assert not _is_one_of(actual, _all_orders(x, y, epochs, 2, taken - 1))
  assert not _is_one_of(actual, [_by_hand([(x, y)] * taken)])


def test_reads_no_more_examples_than_allowed():
  process = linear_process.build(
    max_client_examples=3, batch_size=8, client_steps=1
  )
  x, y = linear_model.examples(7, seed=2)
  actual = 2 * linear_process.change(process, [linear_model.dataset(x, y)])
  np.testing.assert_allclose(actual, _by_hand([(x[:3], y[:3])]), rtol=1e-4)


def test_the_order_is_new_in_each_round_and_follows_from_the_seed():
  data = [linear_model.dataset(*linear_model.examples(40, seed=3))]
  # The server's, so that rounds differ in their order only.
  still = linear_process.sgd(0.0)
  process = linear_process.build(
    client_steps=1,
    server_optimizer=still,
    client_metrics=["loss"],
  )

  def losses(process):
    state, values = process.initialize(), []
    for _ in range(3):
      output = process.next(state, data)
      state = output.state
      values.append(float(output.metrics["client_work"]["loss"]))
    return values

  first = losses(process)
  assert len(set(first)) == 3
  assert losses(process) == first
  other = linear_process.build(
    client_steps=1, server_optimizer=still, client_metrics=["loss"], seed=1
  )
  assert set(losses(other)).isdisjoint(first)


def test_momentum_of_the_server():
  process = linear_process.build(
    batch_size=8,
    client_steps=1,
    server_optimizer=linear_process.sgd(0.5, momentum=0.9),
  )
  x, y = linear_model.examples(4, seed=4)
  weights, bias = linear_model.WEIGHTS, linear_model.BIAS
  velocity = np.zeros(3)
  for _ in range(3):
    new = linear_model.sgd_step(weights, bias, x, y, linear_process.RATE)
    # One client of the two that the denominator expects.
    velocity = 0.9 * velocity + np.append(new[0] - weights, new[1] - bias) / 2
    weights = weights + 0.5 * velocity[:2]
    bias = bias + 0.5 * velocity[2]
  actual = linear_process.change(
    process, [linear_model.dataset(x, y)], rounds=3
  )
  expected = np.append(weights - linear_model.WEIGHTS, bias - linear_model.BIAS)
  np.testing.assert_allclose(actual, expected, rtol=1e-4)


def test_equals_tff_on_the_same_batches(whole_batches):
  clients = [linear_model.examples(n, seed=10 + n) for n in (8, 8)]
  theirs = tff.learning.algorithms.build_unweighted_fed_avg(
    linear_model.model(),
    client_optimizer_fn=linear_process.sgd(linear_process.RATE),
    server_optimizer_fn=linear_process.sgd(1.0),
  )
  state = theirs.initialize()
  for _ in range(2):
    state = theirs.next(
      state, [linear_model.dataset(*c).batch(8) for c in clients]
    ).state
  expected = linear_process.weights(theirs, state) - np.append(
    linear_model.WEIGHTS, linear_model.BIAS
  )
  actual = linear_process.change(
    whole_batches, [linear_model.dataset(*c) for c in clients], rounds=2
  )
  np.testing.assert_allclose(actual, expected, rtol=1e-4)


def test_a_weighted_factory_counts_every_client_alike(whole_batches):
  weighted = linear_process.build(
    batch_size=8, client_steps=1, aggregator=tff.aggregators.MeanFactory()
  )
  # Two clients, as the fixed denominator of the other process.
  data = [
    linear_model.dataset(*linear_model.examples(n, seed=n)) for n in (1, 7)
  ]
  np.testing.assert_allclose(
    linear_process.change(weighted, data),
    linear_process.change(whole_batches, data),
    rtol=1e-5,
  )


def test_metrics_asked_for_by_name_are_exact(process):
  x, y = linear_model.examples(2, seed=6)
  clients = [
    linear_model.dataset(x, y),
    linear_model.dataset([], []),
    linear_model.dataset(*linear_model.examples(9, seed=7)),
    linear_model.dataset([[np.nan, 0.0]], [0.0]),
  ]
  metrics = process.next(process.initialize(), clients).metrics
  assert metrics["client_work"]["num_clients"] == 4
  # The second client has none, the third is cut to three batches of two.
  assert metrics["client_work"]["num_examples"] == 2 + 0 + 6 + 1
  assert metrics["aggregator"]["non_finite_clients"] == 1
  # The first two examples are one batch: the loss at the initial weights.
  alone = process.next(process.initialize(), [clients[0], clients[3]]).metrics
  expected = 2 * linear_model.loss(
    linear_model.WEIGHTS, linear_model.BIAS, x, y
  )
  np.testing.assert_allclose(alone["client_work"]["loss"], expected, rtol=1e-5)


def test_nothing_but_the_aggregate_leaves_clients_by_default(whole_batches):
  output_type = whole_batches.next.type_signature.result
  assert str(output_type.metrics) == (
    "<distributor=<>,client_work=<>,"
    "aggregator=<dp_query_metrics=<>,dp=<>>,"
    "finalizer=<update_non_finite=int32>>@SERVER"
  )


@pytest.mark.parametrize(
  "bad",
  [
    pytest.param(([[np.nan, 0.0]], [0.0]), id="NaN"),
    pytest.param(([[1.0, 0.0]], [np.inf]), id="infinity"),
    pytest.param(([], []), id="no examples"),
  ],
)
def test_bad_and_empty_clients_cost_only_their_own_update(process, bad):
  good = linear_model.dataset(*linear_model.examples(5, seed=8))
  alone = linear_process.change(process, [good])
  assert np.all(alone != 0)
  beside = linear_process.change(process, [good, linear_model.dataset(*bad)])
  np.testing.assert_array_equal(beside, alone)


def test_an_empty_cohort_is_a_round_of_noise():
  process = linear_process.build(
    aggregator=tff.aggregators.DifferentiallyPrivateFactory.gaussian_fixed(
      noise_multiplier=1.0, clients_per_round=2.0, clip=1.0
    )
  )
  state = process.initialize()
  before = linear_process.weights(process, state)
  after = linear_process.weights(process, process.next(state, []).state)
  assert np.all(np.isfinite(after)) and np.all(after != before)


def test_cohorts_of_changing_size_as_a_poisson_sampler_makes_them(process):
  plan = plan_lib.PrivacyPlan(
    population=4, expected_clients_per_round=2, rounds=6, noise_multiplier=1.0
  )
  clients = {
    str(i): linear_model.dataset(*linear_model.examples(i + 1, seed=i))
    for i in range(4)
  }
  sampler = plan.sampler(clients, seed=1)
  state, sizes = process.initialize(), []
  for round_num in range(6):
    cohort = sampler.sample(round_num)
    output = process.next(state, [clients[key] for key in cohort])
    state = output.state
    assert output.metrics["client_work"]["num_clients"] == len(cohort)
    sizes.append(len(cohort))
  assert len(set(sizes)) > 2
  assert np.all(np.isfinite(linear_process.weights(process, state)))


def test_a_resumed_run_equals_an_unbroken_one(process):
  data = [linear_model.dataset(*linear_model.examples(9, seed=9))]
  unbroken = [process.initialize()]
  for _ in range(3):
    unbroken.append(process.next(unbroken[-1], data).state)
  copied = tf.nest.map_structure(np.array, unbroken[1])
  for _ in range(2):
    copied = process.next(copied, data).state
  np.testing.assert_array_equal(
    linear_process.weights(process, copied),
    linear_process.weights(process, unbroken[3]),
  )
  assert copied.client_work == 3
