"""A cut round is the round; what can't be cut is computed whole."""

import asyncio
import logging

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug import aggregators
from tff_gen_debug.runtime import subrounds

pytestmark = pytest.mark.usefixtures("tff_runtime")

_NUMBERS = tff.FederatedType(np.float32, tff.CLIENTS)


class _Counting(tff.framework.SyncContext):
  """Hands computations on, and keeps for how many clients each one was."""

  def __init__(self, context):
    self._context = context
    self.cohorts = []

  def invoke(self, comp, arg):
    parameter = comp.type_signature.parameter
    if parameter is not None and tff.types.contains(parameter, _is_of_clients):
      values = [arg, *_elements(arg)]
      parts = [v for v in values if isinstance(v, (list, tuple))]
      self.cohorts.append(len(parts[0]))
    return self._context.invoke(comp, arg)


def _is_of_clients(type_spec):
  return (
    isinstance(type_spec, tff.FederatedType)
    and type_spec.placement is tff.CLIENTS
  )


def _elements(value):
  try:
    return [element for _, element in tff.structure.iter_elements(value)]
  except (AttributeError, TypeError):
    return []


@pytest.fixture
def cut(tff_runtime):
  """Computes in a number of parts; yields the function and the counts."""
  counting = _Counting(tff_runtime.context)

  def compute(comp, arg, num_subrounds=3):
    context = subrounds.SubroundContext(
      counting, parallel=1, num_subrounds=num_subrounds
    )
    packed = tff.structure.Struct.unnamed(*arg) if type(arg) is tuple else arg
    return context.invoke(comp, packed)

  compute.cohorts = counting.cohorts
  return compute


@tff.federated_computation(_NUMBERS)
def _total(values):
  return tff.federated_sum(values)


@pytest.mark.parametrize("clients", [0, 1, 2, 3, 7])
def test_a_sum_is_the_sum(cut, clients):
  values = [float(2**i) for i in range(clients)]
  assert cut(_total, values) == sum(values)


def test_parts_are_as_equal_as_can_be(cut):
  cut(_total, [1.0] * 8)
  assert sorted(cut.cohorts[:3]) == [2, 3, 3]
  # What comes after the sum takes one of the parts along, for its types alone.
  assert len(cut.cohorts) == 4


def test_a_value_for_each_client_keeps_their_order(cut):
  @tff.federated_computation(_NUMBERS)
  def doubled(values):
    double = tff.tensorflow.computation(lambda x: 2.0 * x, np.float32)
    return tff.federated_map(double, values), tff.federated_sum(values)

  each, total = cut(doubled, [3.0, 1.0, 2.0])
  assert (list(each), total) == ([6.0, 2.0, 4.0], 6.0)
  assert cut.cohorts == [3]


def test_an_aggregate_of_an_aggregate_is_computed_whole(cut, caplog):
  @tff.federated_computation(_NUMBERS)
  def deviations(values):
    gap = tff.tensorflow.computation(
      lambda x, mean: tf.abs(x - mean), (np.float32, np.float32)
    )
    mean = tff.federated_broadcast(tff.federated_mean(values))
    return tff.federated_sum(tff.federated_map(gap, (values, mean)))

  with caplog.at_level(logging.WARNING):
    assert cut(deviations, [1.0, 2.0, 6.0]) == 6.0
    assert cut(deviations, [1.0, 2.0, 6.0]) == 6.0
  assert cut.cohorts == [3, 3]
  assert caplog.text.count("can't be cut into parts") == 2


def test_secure_sums_are_simulated(cut):
  @tff.federated_computation(tff.FederatedType(np.int32, tff.CLIENTS))
  def total(values):
    return tff.federated_secure_sum(values, 100)

  assert cut(total, [1, 2, 3, 4, 5]) == 15


def test_without_clients_nothing_is_cut(cut):
  @tff.tensorflow.computation(np.float32)
  def double(x):
    return 2.0 * x

  assert cut(double, 2.0) == 4.0
  assert cut.cohorts == []


def _aggregated(factory, compute, vectors):
  process = factory.create(tff.TensorType(np.float32, [len(vectors[0])]))
  state = process.initialize()
  output = compute(process.next, (state, vectors))
  return np.asarray(output.result)


def test_votes_are_exactly_those_of_a_whole_round(cut, tff_runtime):
  factory = aggregators.TopAggFactory(
    3, expected_clients_per_round=5, noise_multiplier=0.0, stochastic=False
  )
  generator = np.random.default_rng(1)
  vectors = [generator.normal(size=20).astype(np.float32) for _ in range(5)]

  def whole(comp, arg):
    return tff_runtime.context.invoke(comp, tff.structure.Struct.unnamed(*arg))

  expected = _aggregated(factory, whole, vectors)
  found = _aggregated(factory, cut, vectors)
  assert np.any(expected)
  np.testing.assert_array_equal(found, expected)


def test_parts_have_the_same_random_coordinates(cut):
  factory = aggregators.RandomKFactory(4, tff.aggregators.SumFactory())
  found = _aggregated(factory, cut, [np.ones(40, np.float32)] * 6)
  assert sorted(found) == [0.0] * 36 + [60.0] * 4


def test_noise_is_drawn_once_not_once_a_part(cut):
  size = 100_000
  factory = tff.aggregators.DifferentiallyPrivateFactory.gaussian_fixed(
    noise_multiplier=3.0, clients_per_round=1.0, clip=1.0
  )
  vectors = [np.zeros(size, np.float32)] * 6
  found = _aggregated(factory, cut, vectors)
  # 1.4 % is 6 standard deviations of the estimate; sqrt(3) would be 73 %.
  assert np.std(found) == pytest.approx(3.0, rel=0.014)
  assert abs(np.mean(found)) < 6 * 3.0 / np.sqrt(size)


def test_errors_of_a_part_are_the_callers(cut):
  @tff.tensorflow.computation(np.float32)
  def positive(x):
    with tf.control_dependencies([tf.debugging.assert_positive(x)]):
      return tf.identity(x)

  @tff.federated_computation(_NUMBERS)
  def total(values):
    return tff.federated_sum(tff.federated_map(positive, values))

  with pytest.raises(Exception, match="assert"):
    cut(total, [1.0, 2.0, -3.0])
  assert cut(total, [1.0, 2.0, 3.0]) == 6.0


def test_inside_of_a_running_event_loop(cut):
  async def compute():
    return cut(_total, [1.0, 2.0, 3.0, 4.0])

  assert asyncio.run(compute()) == 10.0
