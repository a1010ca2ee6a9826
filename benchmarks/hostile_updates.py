"""Hostile clients: updates that are corrupted before they are aggregated.

All of this is for measuring defences, so it is no part of the library.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.learning import seeds

# What a hostile client multiplies its update by.
ATTACKS: Mapping[str, float] = {
  "sign-flipped": -1.0,
  "times 1e6": 1e6,
  "times -1e6": -1e6,
  "NaN": float("nan"),
}


class HostileState(NamedTuple):
  """The state of a `HostileFactory`'s process.

  Attributes:
    factor: float32 scalar, what hostile clients multiply their updates by.
    share: float32 scalar in [0, 1], the chance of a client to be hostile.
    seed: int64 scalar, makes the draws.
    round_num: int32 scalar, the number of rounds done.
    num_hostile: int32 scalar, how many updates were hostile so far.
    inner: The state of the inner process.
  """

  factor: Any
  share: Any
  seed: Any
  round_num: Any
  num_hostile: Any
  inner: Any


class HostileFactory(tff.aggregators.UnweightedAggregationFactory):
  """Corrupts the updates of some clients, then aggregates as `inner` does.

  A hostile client does its training honestly and multiplies all of its update
  by a factor: see `ATTACKS`. What `inner` does on clients, such as clipping, it
  does to the corrupted update: a hostile client is thus one that cannot get
  around it.

  An aggregation sees no ids, so nobody is hostile for good: each client of each
  round is hostile with the probability `share`, independently. The draws are
  made by TensorFlow's stateless random operations from the seed, the round's
  number and a hash of the update, so that a repeated round repeats exactly. Two
  clients with equal updates are both hostile or both honest.

  Attack and share are in the state, so that one process serves many settings:

    process = HostileFactory(tff.aggregators.UnweightedMeanFactory()).create(
      value_type
    )
    state = with_attack(process.initialize(), "NaN", 0.1, seed=1)

  Edge cases: with a share of 0, as at first, the aggregation is that of `inner`
  to the last bit; an empty cohort has no hostile client; an entry of 0 times a
  finite factor stays 0.
  """

  def __init__(self, inner: tff.aggregators.UnweightedAggregationFactory):
    """Initializes the factory.

    Args:
      inner: Aggregates what arrives.

    Raises:
      TypeError: If `inner` is not an unweighted aggregation factory.
    """
    if not isinstance(inner, tff.aggregators.UnweightedAggregationFactory):
      raise TypeError(
        "inner must be a tff.aggregators.UnweightedAggregationFactory, got "
        f"{type(inner)}"
      )
    self._inner = inner

  def create(self, value_type) -> tff.templates.AggregationProcess:
    """Creates the process; see `tff.aggregators.UnweightedAggregationFactory`.

    Args:
      value_type: The `tff.Type` of one client's update: floating tensors.

    Returns:
      A `tff.templates.AggregationProcess` whose state is a `HostileState`, with
      the measurements of the inner one.
    """
    process = self._inner.create(value_type)

    @tff.federated_computation
    def initialize():
      return tff.federated_zip(
        HostileState(
          factor=tff.federated_value(np.float32(1), tff.SERVER),
          share=tff.federated_value(np.float32(0), tff.SERVER),
          seed=tff.federated_value(np.int64(0), tff.SERVER),
          round_num=tff.federated_value(np.int32(0), tff.SERVER),
          num_hostile=tff.federated_value(np.int32(0), tff.SERVER),
          inner=process.initialize(),
        )
      )

    @tff.tensorflow.computation(
      value_type, np.float32, np.float32, np.int64, np.int32
    )
    def send(value, factor, share, seed, round_num):
      own_seed = seeds.fold_in(
        tf.bitcast(seed, tf.int32), round_num, seeds.fingerprint(value)
      )
      is_hostile = tf.random.stateless_uniform([], own_seed) < share
      sent = tf.nest.map_structure(
        lambda x: tf.where(is_hostile, x * tf.cast(factor, x.dtype), x), value
      )
      return sent, tf.cast(is_hostile, tf.int32)

    @tff.tensorflow.computation(np.int32, np.int32)
    def add(x, y):
      return x + y

    @tff.federated_computation(
      initialize.type_signature.result,
      tff.FederatedType(value_type, tff.CLIENTS),
    )
    def next_fn(state, value):
      setting = [
        tff.federated_broadcast(one)
        for one in (state.factor, state.share, state.seed, state.round_num)
      ]
      sent, is_hostile = tff.federated_map(send, (value, *setting))
      output = process.next(state.inner, sent)
      return tff.templates.MeasuredProcessOutput(
        tff.federated_zip(
          HostileState(
            factor=state.factor,
            share=state.share,
            seed=state.seed,
            round_num=tff.federated_map(
              add,
              (state.round_num, tff.federated_value(np.int32(1), tff.SERVER)),
            ),
            num_hostile=tff.federated_map(
              add, (state.num_hostile, tff.federated_sum(is_hostile))
            ),
            inner=output.state,
          )
        ),
        output.result,
        output.measurements,
      )

    return tff.templates.AggregationProcess(initialize, next_fn)


def with_attack(
  state: HostileState, attack: str, share: float, seed: int
) -> HostileState:
  """The state of an aggregation under attack.

  Args:
    state: The state so far.
    attack: A key of `ATTACKS`.
    share: The probability, in [0, 1], of a client to be hostile in a round.
    seed: Makes the draws.

  Returns:
    The same state but for the attack.

  Raises:
    ValueError: If the attack is unknown or the share out of range.
  """
  if attack not in ATTACKS:
    raise ValueError(
      f"attack must be one of {', '.join(ATTACKS)}, got {attack!r}"
    )
  if not 0 <= share <= 1:
    raise ValueError(f"share must be in [0, 1], got {share}")
  return state._replace(
    factor=np.float32(ATTACKS[attack]),
    share=np.float32(share),
    seed=np.int64(seed),
  )
