"""Tests of TFF's and Keras's models as primary models."""

import collections

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.datasets import client_data as client_data_lib
from tff_gen_debug.debugging import user_accuracy
from tff_gen_debug.models import cnn
from tff_gen_debug.models import functional_classifier


def _keras_model():
  return tf.keras.Sequential(
    [
      tf.keras.layers.Input((4, 6, 2)),
      tf.keras.layers.Flatten(),
      tf.keras.layers.Dense(5, activation="relu"),
      tf.keras.layers.Dense(3),
    ]
  )


@pytest.fixture(scope="module")
def images():
  return np.random.default_rng(3).uniform(-1, 1, [7, 4, 6, 2]).astype("float32")


def _by_hand(keras_model, images):
  hidden, hidden_bias, kernel, bias = keras_model.get_weights()
  flat = images.reshape(len(images), -1)
  return np.maximum(flat @ hidden + hidden_bias, 0) @ kernel + bias


def test_a_keras_model_keeps_its_weights(images):
  keras_model = _keras_model()
  expected = _by_hand(keras_model, images)
  primary = functional_classifier.FunctionalClassifier.from_keras(keras_model)
  keras_model.set_weights([0 * w for w in keras_model.get_weights()])
  assert primary.image_shape == (4, 6, 2) and primary.num_classes == 3
  np.testing.assert_allclose(primary.features(images), expected, atol=1e-5)
  probabilities = np.exp(expected) / np.exp(expected).sum(1, keepdims=True)
  np.testing.assert_allclose(
    primary.probabilities(images), probabilities, atol=1e-5
  )
  labels = expected.argmax(axis=1)
  labels[:2] = (labels[:2] + 1) % 3
  assert primary.accuracy(images, labels) == pytest.approx(5 / 7)


def test_a_functional_model_with_other_weights():
  model = cnn.as_functional_model(cnn.Architecture(), seed=1)
  weights = cnn.initial_weights(cnn.Architecture(), seed=2)
  primary = functional_classifier.FunctionalClassifier(model, (weights, ()))
  images = np.random.default_rng(0).uniform(-1, 1, [3, 28, 28, 1])
  expected = cnn.apply(weights, images.astype(np.float32))
  np.testing.assert_allclose(primary.features(images), expected, atol=1e-5)


def test_clients_run_it(images, tff_runtime):
  """Inside a TFF computation, where a graph has no variables."""
  keras_model = _keras_model()
  predicted = _by_hand(keras_model, images).argmax(axis=1).astype(np.int32)
  labels = predicted.copy()
  labels[3] += 1
  users = client_data_lib.TracedClientData(
    ["a"],
    lambda _: tf.data.Dataset.from_tensor_slices(
      collections.OrderedDict(image=images, label=labels)
    ),
  )
  evaluation = user_accuracy.evaluate_users(
    functional_classifier.FunctionalClassifier.from_keras(keras_model),
    users,
    example_fn=lambda batch: batch,
  )
  assert evaluation.num_correct == {"a": 6}


def _functional(input_shape, output):
  return tff.learning.models.FunctionalModel(
    initial_weights=((np.zeros([2], np.float32),), ()),
    predict_on_batch_fn=tf.function(lambda weights, x, training: output(x)),
    loss_fn=tf.function(
      lambda output, label, sample_weight=None: tf.constant(0.0)
    ),
    input_spec=(
      tf.TensorSpec(input_shape, tf.float32),
      tf.TensorSpec([None], tf.int32),
    ),
  )


@pytest.mark.parametrize(
  "shape, output, weights, error",
  [
    ([None, 4], lambda x: x, ([0, 0],), "images"),
    ([None, 4, 4, 1], lambda x: x[:, 0, 0, 0], ([0, 0],), "logits"),
    ([None, 4, 4, 1], lambda x: x[:, 0, :, 0], ([0, 0, 0],), "shapes"),
    ([None, 4, 4, 1], lambda x: x[:, 0, :, 0], ([0, np.nan],), "finite"),
  ],
)
def test_models_that_do_not_fit(shape, output, weights, error):
  arrays = [np.array(w, np.float32) for w in weights]
  with pytest.raises(ValueError, match=error):
    functional_classifier.FunctionalClassifier(
      _functional(shape, output), (arrays, ())
    )


def test_another_kind_of_model():
  with pytest.raises(TypeError, match="model must be"):
    functional_classifier.FunctionalClassifier(_keras_model(), ((), ()))
