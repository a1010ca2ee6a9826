"""Tests of the federated GAN with the aggregations that it may be given."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff
import tree

from tests.aggregators import changed_sum
from tests.learning import toy_gan

pytestmark = pytest.mark.usefixtures("tff_runtime")


@pytest.mark.parametrize(
  "factory",
  [
    pytest.param(
      lambda: tff.aggregators.DifferentiallyPrivateFactory.gaussian_adaptive(
        noise_multiplier=0.1, clients_per_round=2.0
      ),
      id="adaptive clipping",
    ),
    pytest.param(
      lambda: tff.aggregators.DifferentiallyPrivateFactory.tree_aggregation(
        noise_multiplier=0.1,
        clients_per_round=2.0,
        l2_norm_clip=1.0,
        record_specs=(
          tf.TensorSpec([1], tf.float32),
          tf.TensorSpec([], tf.float32),
        ),
      ),
      id="DP-FTRL",
    ),
    pytest.param(
      lambda: tff.learning.robust_aggregator(zeroing=True, clipping=True),
      id="robust",
    ),
    pytest.param(lambda: tff.aggregators.MeanFactory(), id="weighted mean"),
  ],
)
def test_any_aggregation_factory_of_tff_fits(factory):
  process = toy_gan.build(aggregator=factory())
  state = process.initialize()
  data = [toy_gan.dataset([1.5] * 5), toy_gan.dataset([-2.0])]
  for _ in range(2):
    state = process.next(state, data).state
  moved = np.subtract(
    toy_gan.all_weights(process, state),
    (toy_gan.OFFSET, toy_gan.SLOPE, toy_gan.BIAS),
  )
  assert np.all(np.isfinite(moved)) and np.all(moved != 0)


def test_a_weighted_factory_counts_every_client_alike():
  weighted = toy_gan.build(aggregator=tff.aggregators.MeanFactory())
  uniform = toy_gan.build()  # Divides by 2, the number of clients below.
  data = [toy_gan.dataset([1.5] * 5), toy_gan.dataset([-2.0])]
  np.testing.assert_allclose(
    toy_gan.all_weights(
      weighted, weighted.next(weighted.initialize(), data).state
    ),
    toy_gan.all_weights(
      uniform, uniform.next(uniform.initialize(), data).state
    ),
    rtol=1e-6,
  )


def test_learns_the_mean_of_the_clients():
  process = toy_gan.build(
    spread=1.0,
    aggregator=tff.aggregators.DifferentiallyPrivateFactory.gaussian_fixed(
      noise_multiplier=0.01, clients_per_round=4.0, clip=0.5
    ),
    client_optimizer=toy_gan.sgd(0.1),
    server_optimizer=toy_gan.sgd(1.0),
    generator_optimizer=toy_gan.sgd(0.1),
    batch_size=32,
    generator_batch_size=32,
    averaging_decay=0.95,
  )
  rng = np.random.default_rng(0)
  clients = [toy_gan.dataset(rng.normal(2.0, 1.0, 32)) for _ in range(4)]
  state = process.initialize()
  for _ in range(80):
    state = process.next(state, clients).state
  averaged = process.get_model_weights(state).averaged_generator[0][0]
  # It starts at -0.5; the data's mean is 2.
  assert 1.5 < averaged < 2.5


def test_what_is_no_aggregation_factory_is_refused():
  with pytest.raises(TypeError, match="aggregator must be"):
    toy_gan.build(aggregator=tff.aggregators.SumFactory)


def test_an_aggregate_that_is_not_finite_changes_no_discriminator():
  def poison(values):
    return tf.nest.map_structure(lambda value: value * np.nan, values)

  process = toy_gan.build(
    aggregator=changed_sum.ChangedSumFactory(poison),
    server_optimizer=tff.learning.optimizers.build_adam(0.5),
  )
  start = process.initialize()
  output = process.next(start, [toy_gan.dataset([1.0, 2.0])])
  assert output.metrics["server"]["update_non_finite"] == 1
  before, after = start.weights, output.state.weights
  unchanged = zip(
    tree.flatten((before.discriminator, start.discriminator_optimizer)),
    tree.flatten((after.discriminator, output.state.discriminator_optimizer)),
  )
  for one, other in unchanged:
    np.testing.assert_array_equal(one, other)
  # The generator goes on against the discriminator that there is.
  assert np.isfinite(after.generator[0]) and after.generator != before.generator
