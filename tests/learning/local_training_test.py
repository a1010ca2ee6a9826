"""Tests of one client's work, without TFF."""

import collections

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.learning import linear_model
from tff_gen_debug.learning import client_batches
from tff_gen_debug.learning import local_training

_RATE = 0.125


def _weights(model):
  return tff.learning.models.ModelWeights(
    *tf.nest.map_structure(tf.constant, model.initial_weights)
  )


def _train(model, examples, steps, batch_size=2, momentum=None):
  batches = client_batches.make_batches(
    examples, steps, batch_size, 1, tf.constant([1, 2])
  )
  optimizer = tff.learning.optimizers.build_sgdm(_RATE, momentum)
  return local_training.train(model, optimizer, _weights(model), batches)


def _examples(count, seed):
  return tf.nest.map_structure(tf.constant, linear_model.examples(count, seed))


def test_a_partial_batch_is_a_step_on_its_own_examples():
  x, y = linear_model.examples(3, seed=1)
  local = _train(
    linear_model.model(), (tf.constant(x), tf.constant(y)), 1, batch_size=8
  )
  weights, bias = linear_model.sgd_step(
    linear_model.WEIGHTS, linear_model.BIAS, x, y, _RATE
  )
  # The initial weights minus the trained ones.
  np.testing.assert_allclose(
    local.update[0], linear_model.WEIGHTS - weights, rtol=1e-5
  )
  np.testing.assert_allclose(
    local.update[1], linear_model.BIAS - bias, rtol=1e-5
  )
  assert local.num_examples == 3
  loss = linear_model.loss(linear_model.WEIGHTS, linear_model.BIAS, x, y)
  np.testing.assert_allclose(local.loss_sum, 3 * loss, rtol=1e-5)


def test_empty_batches_move_neither_weights_nor_momentum():
  # With momentum a second, empty step of gradient zero would still move.
  one, three = (
    _train(linear_model.model(), _examples(2, seed=5), steps, momentum=0.9)
    for steps in (1, 3)
  )
  assert np.any(one.update[0] != 0)
  tf.nest.map_structure(np.testing.assert_array_equal, one, three)


def test_no_examples_are_no_update_and_no_loss():
  local = _train(linear_model.model(), _examples(0, seed=0), 2, momentum=0.9)
  tf.nest.map_structure(
    lambda x: np.testing.assert_array_equal(x, np.zeros(x.shape)), local
  )


def test_a_loss_that_is_nan_without_examples_does_not_spread():
  @tf.function
  def predict(model_weights, x, training):
    del training
    return model_weights[0][0] / x

  model = tff.learning.models.FunctionalModel(
    initial_weights=((np.float32(1.0),), ()),
    predict_on_batch_fn=predict,
    loss_fn=lambda output, label, sample_weight=None: tf.reduce_mean(output),
    input_spec=(tf.TensorSpec([None], tf.float32),) * 2,
  )
  # The padding of the second batch is a zero to divide by.
  local = _train(model, (tf.constant([2.0, 2.0]),) * 2, 2)
  assert local.update[0] == _RATE / 2
  assert local.loss_sum == 2 * 0.5


def test_named_inputs_and_weights_that_are_not_trained():
  @tf.function
  def predict(model_weights, x, training):
    del training
    weights, (scale,) = model_weights
    return scale * x["first"] * weights["slope"]

  def loss(output, label, sample_weight=None):
    del sample_weight
    return tf.reduce_mean(output - label)

  model = tff.learning.models.FunctionalModel(
    initial_weights=(
      collections.OrderedDict(slope=np.float32(1.0), unused=np.float32(2.0)),
      (np.float32(3.0),),
    ),
    predict_on_batch_fn=predict,
    loss_fn=loss,
    input_spec=collections.OrderedDict(
      x=collections.OrderedDict(first=tf.TensorSpec([None], tf.float32)),
      y=tf.TensorSpec([None], tf.float32),
    ),
  )
  examples = collections.OrderedDict(
    x=collections.OrderedDict(first=tf.constant([1.0, 3.0])), y=tf.zeros([2])
  )
  # The gradient is 3 * mean(1, 3) = 6.
  update = _train(model, examples, 1).update
  assert float(update["slope"]) == pytest.approx(_RATE * 6)
  assert update["unused"] == 0
