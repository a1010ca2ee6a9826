"""Steps of `tff.learning.optimizers.Optimizer`s in unrolled client work."""

import tensorflow as tf
import tensorflow_federated as tff


def weight_specs(weights):
  """What an optimizer of `weights`, a structure of tensors, wants to begin."""
  return tf.nest.map_structure(
    lambda w: tf.TensorSpec(w.shape, w.dtype), weights
  )


def step_if(
  condition: tf.Tensor,
  optimizer: tff.learning.optimizers.Optimizer,
  state,
  weights,
  gradients,
):
  """Takes a step, or leaves weights and state (so momentum) as they are.

  Args:
    condition: bool scalar, whether there is anything to learn from.
    optimizer: The optimizer.
    state: Its state.
    weights: A structure of tensors.
    gradients: The same structure; may be anything, also NaN, without
      `condition`.

  Returns:
    The new state and the new weights.
  """
  new_state, new_weights = optimizer.next(state, weights, gradients)
  return tf.nest.map_structure(
    lambda new, old: tf.where(condition, new, old),
    (new_state, new_weights),
    (state, weights),
  )
