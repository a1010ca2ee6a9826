"""Tests of the aggregation of random coordinates."""

import collections

import numpy as np
import pytest
from scipy import stats
import tensorflow_federated as tff

from tests.privacy import examples
from tff_gen_debug import aggregators

pytestmark = pytest.mark.usefixtures("tff_runtime")


def _process(k, value_type, inner=None):
  factory = aggregators.RandomKFactory(k, inner or tff.aggregators.SumFactory())
  return factory.create(tff.to_type(value_type))


def test_the_same_coordinates_of_all_clients_are_summed_and_scaled():
  process = _process(6, (np.float32, [24]))
  values = [np.arange(1, 25, dtype=np.float32), np.ones(24, np.float32)]
  result = process.next(process.initialize(), values).result
  drawn = result != 0
  assert np.sum(drawn) == 6
  np.testing.assert_allclose(
    result, np.where(drawn, 4 * np.arange(2, 26), 0), rtol=1e-6
  )


def test_every_round_draws_anew_and_every_coordinate_alike():
  process = _process(2, (np.float32, [8]))
  state = process.initialize()
  counts = np.zeros(8)
  supports = []
  for _ in range(200):
    output = process.next(state, [np.ones(8, np.float32)])
    state = output.state
    supports.append(tuple(output.result != 0))
    counts += output.result != 0
  # 28 pairs; the rarest is missed with probability 28 (27/28)^200 = 2 %.
  assert len(set(supports)) >= 26
  # Without replacement the statistic is stochastically smaller than this.
  assert stats.chisquare(counts).pvalue > 1e-4


def test_all_coordinates_is_the_inner_aggregation():
  value_type = collections.OrderedDict(
    a=tff.TensorType(np.float32, [2, 2]), b=tff.TensorType(np.float64)
  )
  process = _process(5, value_type)
  update = collections.OrderedDict(
    a=np.array([[1, 2], [3, 4]], np.float32), b=np.float64(0.1)
  )
  result = process.next(process.initialize(), [update, update]).result
  np.testing.assert_array_equal(result["a"], [[2, 4], [6, 8]])
  assert result["b"] == 0.2


def test_only_the_drawn_coordinates_get_noise():
  plan = examples.plan(noise_multiplier=1.0)
  process = _process(
    20_000,
    (np.float32, [40_000]),
    aggregators.gaussian_mean_factory(plan, 1.0),
  )
  result = process.next(
    process.initialize(), [np.zeros(40_000, np.float32)]
  ).result
  noise = result[result != 0]
  assert len(noise) == pytest.approx(20_000, abs=2)
  expected = 2 * plan.noise_stddev(1.0) / plan.run_clients_per_round
  # The standard error of the deviation of 20,000 draws is 0.5 %.
  assert np.std(noise) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(
  "k, error", [(0, ValueError), (1.5, TypeError), (4, ValueError)]
)
def test_refuses_a_number_that_an_update_does_not_have(k, error):
  with pytest.raises(error):
    _process(k, (np.float32, [3]))


def test_refuses_an_inner_aggregation_with_weights():
  with pytest.raises(TypeError, match="inner"):
    aggregators.RandomKFactory(1, tff.aggregators.MeanFactory())
