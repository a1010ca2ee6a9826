"""Tests of the network: sizes, and one function in several forms."""

import numpy as np
import pytest
import tensorflow as tf

from tff_gen_debug.models import cnn

_SMALL = cnn.Architecture(num_classes=4, conv_widths=(4, 8, 8), dense_width=16)


def test_the_papers_architecture_has_its_number_of_weights():
  # Convolutions 320 + 18,496 + 36,928, dense 576 * 64 + 64 = 36,928 and 64 a
  # class and its bias.
  for num_classes, last in ((10, 650), (36, 2340)):
    shapes = cnn.Architecture(num_classes).weight_shapes
    total = sum(int(np.prod(shape)) for shape in shapes)
    assert total == 320 + 18496 + 36928 + 36928 + last


@pytest.mark.parametrize(
  "architecture", [cnn.Architecture(36), _SMALL], ids=["paper", "small"]
)
def test_pure_function_agrees_with_keras(architecture):
  weights = cnn.initial_weights(architecture, seed=1)
  rng = np.random.default_rng(0)
  weights = [w + 0.1 * rng.normal(size=w.shape) for w in weights]  # Biases too.
  weights = tuple(w.astype(np.float32) for w in weights)
  images = rng.uniform(-1, 1, (5, 28, 28, 1)).astype(np.float32)
  model = cnn.build_keras_model(architecture, weights)
  logits = cnn.apply(weights, images).numpy()
  assert logits.shape == (5, architecture.num_classes)
  np.testing.assert_allclose(
    logits, model(images).numpy(), rtol=1e-4, atol=1e-5
  )


def test_initial_weights_follow_the_seed_and_glorots_limit():
  first = cnn.initial_weights(_SMALL, seed=1)
  again = cnn.initial_weights(_SMALL, seed=1)
  other = cnn.initial_weights(_SMALL, seed=2)
  assert all(np.array_equal(a, b) for a, b in zip(first, again))
  assert not np.array_equal(first[0], other[0])
  # 3x3 from 4 to 8 channels: sqrt(6 / (36 + 72)).
  limit = np.sqrt(6 / 108)
  assert 0.9 * limit < np.abs(first[2]).max() <= limit
  assert all(not b.any() for b in first[1::2])


def test_functional_model_has_cross_entropy_and_no_metrics():
  model = cnn.as_functional_model(_SMALL, seed=5)
  trainable, non_trainable = model.initial_weights
  assert [w.shape for w in trainable] == _SMALL.weight_shapes
  assert non_trainable == ()
  zeros = tuple(np.zeros_like(w) for w in trainable)
  images = np.zeros((3, 28, 28, 1), np.float32)
  logits = model.predict_on_batch((zeros, ()), images, training=False)
  loss = model.loss(logits, tf.constant([0, 1, 3]))
  assert float(loss) == pytest.approx(np.log(4), rel=1e-6)
  assert not model.finalize_metrics(model.initialize_metrics_state())


@pytest.mark.parametrize(
  "changes, message",
  [
    (dict(num_classes=1), "num_classes"),
    (dict(conv_widths=(8, 8)), "conv_widths"),
    (dict(conv_widths=(8, 0, 8)), "conv_widths"),
    (dict(dense_width=0), "dense_width"),
  ],
)
def test_bad_architectures_are_named(changes, message):
  with pytest.raises(ValueError, match=message):
    cnn.Architecture(**changes)


def test_an_architecture_is_read_off_its_weights():
  weights = cnn.initial_weights(_SMALL, seed=0)
  assert cnn.Architecture.of_weights(weights) == _SMALL
  for wrong in (
    weights[:-1],
    weights[:-2],
    weights[::-1],
    weights[:4] + (weights[4][:2],) + weights[5:],
    weights[:-1] + (np.zeros(()),),
    (),
  ):
    with pytest.raises(ValueError, match="weights must be"):
      cnn.Architecture.of_weights(wrong)
