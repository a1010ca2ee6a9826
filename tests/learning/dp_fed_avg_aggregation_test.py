"""Tests of DP-FedAvg's types, arguments and aggregations."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.learning import linear_model
from tests.learning import linear_process
from tff_gen_debug import aggregators
from tff_gen_debug.aggregators import adaptive
from tff_gen_debug.aggregators import tree
from tff_gen_debug.privacy import plan as plan_lib
from tff_gen_debug.privacy import tree_plan

pytestmark = pytest.mark.usefixtures("tff_runtime")


@pytest.fixture(scope="module")
def process():
  return linear_process.build()


def _gaussian_plan():
  return plan_lib.PrivacyPlan(
    population=10,
    expected_clients_per_round=2,
    rounds=3,
    noise_multiplier=0.1,
  )


@pytest.mark.parametrize(
  "factory",
  [
    pytest.param(
      lambda: aggregators.gaussian_mean_factory(_gaussian_plan(), 1.0),
      id="Gaussian",
    ),
    pytest.param(
      lambda: adaptive.adaptive_gaussian_mean_factory(
        _gaussian_plan(), clipped_count_stddev=1.0
      ),
      id="adaptive clipping",
    ),
    pytest.param(
      lambda: tree.tree_mean_factory(
        tree_plan.TreePlan(
          population=2, clients_per_round=2, rounds=2, noise_multiplier=0.1
        ),
        clip_norm=1.0,
      ),
      id="DP-FTRL",
    ),
    pytest.param(
      lambda: tff.learning.robust_aggregator(zeroing=True, clipping=True),
      id="robust",
    ),
    pytest.param(
      lambda: tff.learning.compression_aggregator(), id="compression"
    ),
  ],
)
def test_any_aggregation_factory_fits(factory):
  process = linear_process.build(aggregator=factory())
  data = [
    linear_model.dataset(*linear_model.examples(n, seed=n)) for n in (5, 1)
  ]
  moved = linear_process.change(process, data, rounds=2)
  assert np.all(np.isfinite(moved)) and np.all(moved != 0)


def test_learns_under_noise():
  plan = plan_lib.PrivacyPlan(
    population=100,
    expected_clients_per_round=4,
    rounds=60,
    noise_multiplier=0.1,
  )
  process = linear_process.build(
    aggregator=aggregators.gaussian_mean_factory(plan, clip_norm=0.5),
    batch_size=8,
    client_steps=1,
  )
  truth = np.array([2.0, -1.0])
  clients = []
  for seed in range(4):
    x, _ = linear_model.examples(8, seed)
    clients.append(linear_model.dataset(x, x @ truth + 0.5))
  learned = linear_process.change(process, clients, rounds=60) + np.append(
    linear_model.WEIGHTS, linear_model.BIAS
  )
  np.testing.assert_allclose(learned, [2.0, -1.0, 0.5], atol=0.2)


def test_has_the_documented_types(process):
  assert isinstance(process, tff.learning.templates.LearningProcess)
  state_type, data_type = process.next.type_signature.parameter
  assert str(data_type) == "{<float32[2],float32>*}@CLIENTS"
  assert state_type.placement is tff.SERVER
  state_class = tff.learning.templates.LearningAlgorithmState
  assert state_type.member.python_container is state_class
  weights_type = process.get_model_weights.type_signature.result
  assert weights_type.python_container is tff.learning.models.ModelWeights
  assert str(weights_type) == (
    "<trainable=<float32[2],float32>,non_trainable=<>>"
  )
  assert str(state_type.member.client_work) == "int32"


def test_weights_can_be_set(process):
  changed = tff.learning.models.ModelWeights(
    (np.array([7.0, 8.0], np.float32), np.float32(9.0)), ()
  )
  state = process.set_model_weights(process.initialize(), changed)
  np.testing.assert_array_equal(
    linear_process.weights(process, state), [7, 8, 9]
  )


@pytest.mark.parametrize(
  ("overrides", "message"),
  [
    ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
    ({"client_steps": 0}, "client_steps must be at least 1, got 0"),
    ({"client_epochs": 0}, "client_epochs must be at least 1"),
    ({"max_client_examples": 0}, "max_client_examples must be at least 1"),
    ({"client_metrics": ["accuracy"]}, "client_metrics must be .* accuracy"),
  ],
)
def test_bad_arguments_are_named(overrides, message):
  with pytest.raises(ValueError, match=message):
    linear_process.build(**overrides)


def test_wrong_types_are_refused():
  with pytest.raises(TypeError, match="aggregator must be"):
    linear_process.build(aggregator=tff.aggregators.SumFactory)
  with pytest.raises(TypeError, match="model must be a tff.learning.models"):
    linear_process.build(lambda: linear_model.model())


def test_examples_of_unknown_shape_are_refused():
  plain = linear_model.model()
  model = tff.learning.models.FunctionalModel(
    initial_weights=plain.initial_weights,
    predict_on_batch_fn=plain.predict_on_batch,
    loss_fn=plain.loss,
    input_spec=(
      tf.TensorSpec([None, None], tf.float32),
      tf.TensorSpec([None], tf.float32),
    ),
  )
  with pytest.raises(ValueError, match="model.input_spec must have known"):
    linear_process.build(model)
