"""Tests of top-k sparsification."""

import collections

import numpy as np
import pytest
import tensorflow_federated as tff

from tests.privacy import examples
from tff_gen_debug import aggregators

pytestmark = pytest.mark.usefixtures("tff_runtime")


def _sum_of_top(top_k, values, value_type):
  factory = aggregators.TopKFactory(top_k, tff.aggregators.SumFactory())
  process = factory.create(tff.to_type(value_type))
  return process.next(process.initialize(), values).result


def test_keeps_the_largest_entries_of_each_client_as_they_are():
  rng = np.random.default_rng(1)
  values = [rng.normal(size=40).astype(np.float32) for _ in range(3)]
  expected = np.zeros(40, np.float32)
  for value in values:
    kept = np.argsort(-np.abs(value), kind="stable")[:7]
    expected[kept] += value[kept]
  result = _sum_of_top(7, values, (np.float32, [40]))
  np.testing.assert_allclose(result, expected, rtol=1e-6)


def test_the_entries_are_chosen_from_all_tensors_together():
  value_type = collections.OrderedDict(
    a=tff.TensorType(np.float32, [2, 2]), b=tff.TensorType(np.float64, [2])
  )
  update = collections.OrderedDict(
    a=np.array([[1, -5], [0, 2]], np.float32), b=np.array([-3, 0.1])
  )
  result = _sum_of_top(3, [update], value_type)
  np.testing.assert_array_equal(result["a"], [[0, -5], [0, 2]])
  np.testing.assert_array_equal(result["b"], [-3, 0])
  assert result["b"].dtype == np.float64


def test_an_update_that_is_not_finite_becomes_zero():
  values = [
    np.array([1, np.nan, 2], np.float32),
    np.array([4, 3, np.inf], np.float32),
    np.array([0, 3, 2], np.float32),
  ]
  result = _sum_of_top(1, values, (np.float32, [3]))
  np.testing.assert_array_equal(result, [0, 3, 0])


def test_the_noise_goes_to_all_coordinates():
  plan = examples.plan(noise_multiplier=1.0)
  factory = aggregators.TopKFactory(
    10, aggregators.gaussian_mean_factory(plan, 1.0)
  )
  process = factory.create(tff.TensorType(np.float32, [20_000]))
  update = np.zeros(20_000, np.float32)
  result = process.next(process.initialize(), [update]).result
  expected = plan.noise_stddev(1.0) / plan.run_clients_per_round
  # The standard error of the deviation of 20,000 draws is 0.5 %.
  assert np.std(result) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(
  "top_k, error", [(0, ValueError), (1.5, TypeError), (4, ValueError)]
)
def test_refuses_a_number_that_an_update_does_not_have(top_k, error):
  with pytest.raises(error, match="top_k"):
    aggregators.TopKFactory(top_k, tff.aggregators.SumFactory()).create(
      tff.TensorType(np.float32, [3])
    )


def test_refuses_an_inner_aggregation_with_weights():
  with pytest.raises(TypeError, match="inner"):
    aggregators.TopKFactory(1, tff.aggregators.MeanFactory())
