"""Clients with data that is wrong, in rounds of training.

Elements of another shape or type are refused before the round starts. Wrong
numbers of a client cost only that client's update, and are counted.
"""

import math

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.learning import linear_model
from tests.learning import toy_gan
from tff_gen_debug import learning
from tff_gen_debug.models import gan

_FEW = hypothesis.settings(
  deadline=None,
  derandomize=True,
  max_examples=15,
  database=None,
  # The processes are the same for all examples.
  suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
_NO_NUMBERS = [None, "3", 1.5, math.nan, math.inf, True, [1], b"1", 10**5000]


def _mean(clip):
  return tff.aggregators.DifferentiallyPrivateFactory.gaussian_fixed(
    noise_multiplier=0.0, clients_per_round=2.0, clip=clip
  )


def _avg(**changes):
  arguments = dict(
    aggregator=_mean(0.5), client_optimizer=toy_gan.sgd(0.125), batch_size=4
  )
  return learning.build_dp_fed_avg(
    linear_model.model(), **{**arguments, **changes}
  )


def _gan(**changes):
  arguments = dict(
    aggregator=_mean(0.5),
    client_optimizer=toy_gan.sgd(0.5),
    generator_optimizer=toy_gan.sgd(0.25),
    discriminator_steps=2,
    batch_size=4,
  )
  return learning.build_dp_fed_gan(
    toy_gan.model(gan.NonSaturatingLoss(0.9)), **{**arguments, **changes}
  )


@pytest.fixture(name="runs", scope="module")
def _runs(tff_runtime):
  """By process: its function from clients to weights and zeroed clients."""
  del tff_runtime
  avg = _avg(client_metrics=["non_finite_clients"])
  gans = _gan(client_metrics=["non_finite_clients"])
  starts = {avg: avg.initialize(), gans: gans.initialize()}

  def run(process, clients):
    output = process.next(starts[process], clients)
    weights = tf.nest.flatten(process.get_model_weights(output.state))
    return weights, output.metrics["aggregator"]["non_finite_clients"]

  return {
    "avg": lambda clients: run(avg, clients),
    "gan": lambda clients: run(gans, clients),
  }


_VALUES = st.one_of(
  st.floats(width=32),
  st.sampled_from([math.nan, math.inf, 1e38, -3e38, 1e20, 3e18, 1e-45]),
)
_GOOD = {
  "avg": linear_model.dataset(*linear_model.examples(5, seed=8)),
  "gan": toy_gan.dataset([1.5] * 5),
}


@pytest.mark.parametrize("name", ["avg", "gan"])
@_FEW
@hypothesis.given(values=st.lists(_VALUES, max_size=6))
# Finite, but the square of their update's norm is not.
@hypothesis.example(values=[1e38])
@hypothesis.example(values=[3e38, 1.0])
def test_wrong_numbers_cost_only_their_client(runs, name, values):
  if name == "avg":
    bad = linear_model.dataset([[v, 1.0] for v in values], [0.5] * len(values))
  else:
    bad = toy_gan.dataset(values)
  alone, none = runs[name]([_GOOD[name]])
  beside, zeroed = runs[name]([bad, _GOOD[name]])
  assert none == 0
  assert all(np.all(np.isfinite(w)) for w in beside)
  if not np.all(np.isfinite(values)):
    assert zeroed == 1
  if zeroed or not values:
    for one, other in zip(alone, beside):
      np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["avg", "gan"])
@pytest.mark.parametrize(
  "content",
  [
    ["a", "😀"],
    np.ones([1, 1], np.float64),
    np.ones([1, 3], np.float32),
    np.ones([1], np.float32),
    np.ones([1, 2], np.uint8),
    {"pixels": np.ones([1, 1], np.float32)},
    (np.ones([1, 1], np.float32),) * 3,
  ],
  ids=["text", "float64", "shape", "scalar", "uint8", "field", "fields"],
)
def test_other_elements_are_refused_before_the_round(runs, name, content):
  wrong = tf.data.Dataset.from_tensor_slices(content)
  with pytest.raises(TypeError, match="elements of type .* as TFF type"):
    runs[name]([_GOOD[name], wrong])


@pytest.mark.parametrize("client", [None, 3, "abc"])
def test_clients_that_are_no_data_set_are_refused(runs, client):
  with pytest.raises(TypeError, match=f"{type(client).__name__} as TFF type"):
    runs["gan"]([_GOOD["gan"], client])


@pytest.mark.parametrize("build", [_avg, _gan])
@pytest.mark.parametrize(
  "name", ["batch_size", "client_epochs", "client_optimizer", "client_metrics"]
)
def test_arguments_of_processes_are_named(build, name):
  for value in [*_NO_NUMBERS, 0, -1, 2**31]:
    with pytest.raises((TypeError, ValueError), match=f"{name} must be"):
      build(**{name: value})


@pytest.mark.parametrize("seed", [None, "3", 1.5, math.nan, True, [1]])
def test_seeds_of_processes_are_named(seed):
  for build in (_avg, _gan):
    with pytest.raises(TypeError, match="seed must be"):
      build(seed=seed)
