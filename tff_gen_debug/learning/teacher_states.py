"""The states that a client's teachers start a round with."""

from typing import Any, Optional

import tensorflow as tf

from tff_gen_debug.learning import client_store
from tff_gen_debug.learning import seeds
from tff_gen_debug.learning import teachers


def states_of(
  teacher: teachers.Teacher,
  store: Optional[client_store.ClientStore],
  shared_weights: Any,
  rounds_done: tf.Tensor,
  client: tf.Tensor,
  count: int,
  seed: tf.Tensor,
) -> tuple[teachers.TeacherState, tf.Tensor, Optional[tf.Tensor]]:
  """The states of a client's teachers, stacked, and how they are.

  Args:
    teacher: What a client does.
    store: Where teachers keep their states; None for teachers without.
    shared_weights: What teachers without a store start from.
    rounds_done: int32 scalar, the rounds of the process before this one.
    client: int32 scalar, the client's number.
    count: Teachers of a client.
    seed: int32 of shape [2], of the teachers' first states.

  Returns:
    The states; whether they are initial ones; and with a store the place where
    the next states go.

  Raises:
    ValueError: If there is a store, and nothing to put into it.
  """
  if store is None:
    state = teacher.initial_state(seed)._replace(weights=shared_weights)
    # Optimizers keep their rates as Python floats.
    stacked = tf.nest.map_structure(
      lambda x: tf.repeat(tf.convert_to_tensor(x)[tf.newaxis], count, axis=0),
      state,
    )
    return stacked, tf.constant(True), None

  def own_state(index):
    return teacher.initial_state(seeds.fold_in(seed, client, index))

  with tf.Graph().as_default():
    one = teacher.initial_state(tf.zeros([2], tf.int32))
    one_specs = tf.nest.map_structure(
      lambda x: tf.TensorSpec(x.shape, x.dtype),
      tf.nest.map_structure(tf.convert_to_tensor, one),
    )
  if not tf.nest.flatten(one_specs):
    raise ValueError("store must be None for a teacher without a state")
  specs = tf.nest.map_structure(
    lambda s: tf.TensorSpec([count, *s.shape], s.dtype), one_specs
  )
  stored = store.load(client, rounds_done, specs)
  states = tf.cond(
    stored.found,
    lambda: stored.state,
    lambda: tf.map_fn(
      own_state, tf.range(count), fn_output_signature=one_specs
    ),
  )
  return states, ~stored.found, stored.other_place
