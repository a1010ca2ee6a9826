"""DP-FedAvg of `linear_model`, in rounds that can be done by hand."""

import numpy as np
import tensorflow_federated as tff

from tests.learning import exact_mean
from tests.learning import linear_model
from tff_gen_debug.learning import dp_fed_avg

RATE = 0.125  # Of the clients' SGD.


def sgd(rate, momentum=None):
  return tff.learning.optimizers.build_sgdm(rate, momentum)


def build(model=None, **overrides):
  """A process with an exact mean over two clients."""
  arguments = dict(
    aggregator=exact_mean.factory(),
    client_optimizer=sgd(RATE),
    batch_size=2,
    client_steps=3,
  )
  arguments.update(overrides)
  return dp_fed_avg.build_dp_fed_avg(model or linear_model.model(), **arguments)


def weights(process, state):
  """All weights in one array, the bias last."""
  kernel, bias = process.get_model_weights(state).trainable
  return np.append(kernel, bias)


def change(process, clients, rounds=1):
  """How the weights change in some rounds."""
  state = process.initialize()
  before = weights(process, state)
  for _ in range(rounds):
    state = process.next(state, clients).state
  return weights(process, state) - before
