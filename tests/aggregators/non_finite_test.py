"""Tests of the guard against updates that are not finite."""

import collections

import numpy as np
import pytest
import tensorflow_federated as tff

from tff_gen_debug import aggregators

pytestmark = pytest.mark.usefixtures("tff_runtime")

_VALUE_TYPE = tff.to_type(
  collections.OrderedDict(a=(np.float32, [2]), b=np.int32)
)


class _AddOneFactory(tff.aggregators.UnweightedAggregationFactory):
  """A sum whose state counts rounds and which adds one, to prove delegation."""

  def create(self, value_type):
    @tff.federated_computation
    def initialize():
      return tff.federated_value(np.int32(0), tff.SERVER)

    @tff.tensorflow.computation(np.int32)
    def increment(count):
      return count + 1

    @tff.tensorflow.computation(value_type)
    def add_one(value):
      return collections.OrderedDict(a=value["a"] + 1, b=value["b"] + 1)

    @tff.federated_computation(
      initialize.type_signature.result,
      tff.FederatedType(value_type, tff.CLIENTS),
    )
    def next_fn(state, value):
      return tff.templates.MeasuredProcessOutput(
        tff.federated_map(increment, state),
        tff.federated_map(add_one, tff.federated_sum(value)),
        tff.federated_value(np.int32(42), tff.SERVER),
      )

    return tff.templates.AggregationProcess(initialize, next_fn)


def _update(first, second, third):
  return collections.OrderedDict(
    a=np.array([first, second], np.float32), b=np.int32(third)
  )


def test_zeroes_counts_and_delegates():
  process = aggregators.NonFiniteGuardFactory(_AddOneFactory()).create(
    _VALUE_TYPE
  )
  updates = [
    _update(1.0, 2.0, 10),
    _update(np.nan, 5.0, 100),
    _update(7.0, -np.inf, 1000),
    _update(3.0, 4.0, 20),
  ]
  output = process.next(process.initialize(), updates)
  # A bad update is zeroed whole, its integers too.
  np.testing.assert_array_equal(output.result["a"], [1 + 3 + 1, 2 + 4 + 1])
  assert output.result["b"] == 10 + 20 + 1
  assert output.measurements["non_finite_clients"] == 2
  assert output.measurements["inner"] == 42
  assert process.next(output.state, updates).state == 2


def test_without_the_count_nothing_is_added_to_the_measurements():
  guarded = aggregators.NonFiniteGuardFactory(
    _AddOneFactory(), release_count=False
  ).create(_VALUE_TYPE)
  plain = _AddOneFactory().create(_VALUE_TYPE)
  assert guarded.next.type_signature == plain.next.type_signature
  output = guarded.next(guarded.initialize(), [_update(np.nan, 1.0, 5)])
  np.testing.assert_array_equal(output.result["a"], [1.0, 1.0])


def test_types_are_those_of_the_inner_aggregation():
  process = aggregators.NonFiniteGuardFactory(_AddOneFactory()).create(
    _VALUE_TYPE
  )
  assert process.next.type_signature.compact_representation() == (
    "(<state=int32@SERVER,value={<a=float32[2],b=int32>}@CLIENTS> -> "
    "<state=int32@SERVER,result=<a=float32[2],b=int32>@SERVER,"
    "measurements=<non_finite_clients=int32,inner=int32>@SERVER>)"
  )


def test_an_empty_cohort_has_no_bad_clients():
  process = aggregators.NonFiniteGuardFactory(_AddOneFactory()).create(
    _VALUE_TYPE
  )
  output = process.next(process.initialize(), [])
  assert output.measurements["non_finite_clients"] == 0
  np.testing.assert_array_equal(output.result["a"], [1.0, 1.0])


def test_in_front_of_a_dp_mean_one_nan_costs_only_itself():
  mean = tff.aggregators.DifferentiallyPrivateFactory.gaussian_fixed(
    noise_multiplier=0.0, clients_per_round=2.0, clip=10.0
  )
  value_type = tff.to_type((np.float32, [1]))
  updates = [np.array([4.0], np.float32), np.array([np.nan], np.float32)]
  bare = mean.create(value_type)
  assert np.isnan(bare.next(bare.initialize(), updates).result[0])
  guarded = aggregators.NonFiniteGuardFactory(mean).create(value_type)
  result = guarded.next(guarded.initialize(), updates).result
  np.testing.assert_allclose(result, [2.0])


def test_wrong_inner_factories_are_refused():
  with pytest.raises(TypeError, match="inner must be"):
    aggregators.NonFiniteGuardFactory(tff.aggregators.MeanFactory())
  with pytest.raises(TypeError, match="inner must be"):
    aggregators.UniformWeightFactory(tff.aggregators.SumFactory())


def test_uniform_weights_make_a_plain_mean():
  process = aggregators.UniformWeightFactory(
    tff.aggregators.MeanFactory()
  ).create(tff.to_type(np.float32))
  assert not process.is_weighted
  output = process.next(process.initialize(), [1.0, 2.0, 6.0])
  assert output.result == pytest.approx(3.0)
