"""Do users vote on the same weights? What top-k gains or loses by it.

Let a vote be worth the noise-free sum of votes that it is part of, over the
standard deviation of that sum's noise, sqrt(top_k) times the noise multiplier.
If all users choose the same weights, a vote of the top_k is worth
sqrt(d / top_k) times one of the full sign vote of d weights; if they choose
uniformly and agree in sign, sqrt(top_k / d) times, so less.
"""

from collections.abc import Sequence
import dataclasses
import itertools
import math

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.aggregators import top_k_votes
from tff_gen_debug.learning import client_batches
from tff_gen_debug.learning import local_training
from tff_gen_debug.learning import seeds


@dataclasses.dataclass(frozen=True)
class Overlap:
  """How users' votes fall together.

  Attributes:
    top_share: top_k / d.
    shared: The share of a user's top_k weights that another user, drawn at
      random, has as well: from top_share, if they choose uniformly, to 1.
    gain: How much more a vote is worth than in the full sign vote.
    same_weights_gain: The gain if all users chose the same weights.
    uniform_gain: The gain if they chose uniformly.
  """

  top_share: float
  shared: float
  gain: float
  same_weights_gain: float
  uniform_gain: float


def client_updates(
  model: tff.learning.models.FunctionalModel,
  weights: Sequence[np.ndarray],
  users,
  *,
  learning_rate: float,
  batch_size: int,
  steps: int,
) -> np.ndarray:
  """What users of a simulation would send.

  Args:
    model: The model.
    weights: Its weights before the round.
    users: Their examples; see `population.Examples`.
    learning_rate: Of their SGD.
    batch_size: Examples a batch.
    steps: Batches a user.

  Returns:
    float32 `[users, d]`.
  """
  optimizer = tff.learning.optimizers.build_sgdm(learning_rate)
  start = tff.learning.models.ModelWeights(tuple(weights), ())

  @tf.function(reduce_retracing=True)
  def update(images, labels, number):
    batches = client_batches.make_batches(
      (images, labels), steps, batch_size, 1, seeds.make_seed(0, number)
    )
    local = local_training.train(
      model,
      optimizer,
      tf.nest.map_structure(tf.constant, start),
      batches,
    )
    return top_k_votes.flatten(local.update)[0]

  return np.stack(
    [
      update(
        tf.constant(user.images), tf.constant(user.labels), tf.constant(number)
      ).numpy()
      for number, user in enumerate(users)
    ]
  )


def measure(updates: np.ndarray, top_k: int) -> Overlap:
  """Measures users' deterministic votes on their `top_k` largest entries.

  Args:
    updates: float32 `[n, d]`, n >= 2.
    top_k: In [1, d].

  Returns:
    The overlap.
  """
  size = updates.shape[1]
  votes = _votes(updates, top_k)
  cast = votes != 0
  pairs = itertools.combinations(range(len(votes)), 2)
  shared = np.mean([np.sum(cast[i] & cast[j]) for i, j in pairs]) / top_k
  ratio = math.sqrt(size / top_k)
  return Overlap(
    top_share=top_k / size,
    shared=float(shared),
    gain=float(ratio * _worth(votes) / _worth(_votes(updates, size))),
    same_weights_gain=ratio,
    uniform_gain=1 / ratio,
  )


def _votes(updates: np.ndarray, top_k: int) -> np.ndarray:
  return np.stack(
    [
      top_k_votes.cast_votes(
        tf.constant(update), top_k, stochastic=False, dtype=tf.int32
      ).numpy()
      for update in updates
    ]
  )


def _worth(votes: np.ndarray) -> float:
  """The mean over all votes cast of the magnitude of the sum they are in."""
  totals = np.abs(votes.sum(axis=0))
  cast = np.abs(votes).sum(axis=0)
  return float(np.sum(cast * totals) / np.sum(cast))
