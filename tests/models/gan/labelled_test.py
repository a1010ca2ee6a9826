"""Tests of networks that are told a label, and of generators of any size."""

import numpy as np
import pytest
import tensorflow as tf

from tff_gen_debug.models import gan

_SEED = tf.constant([3, 4])


def _size(weights):
  return sum(int(np.prod(w.shape)) for w in weights)


def test_inputs_are_noise_and_a_one_hot_label():
  generator = gan.LabelledGenerator(gan.small_generator(13, 4), 3)
  labels = tf.constant([0, 2, 1, 2])
  inputs = generator.sample_inputs(labels, _SEED).numpy()
  assert inputs.shape == (4, 13)
  np.testing.assert_array_equal(inputs[:, 10:], np.eye(3)[[0, 2, 1, 2]])
  noise = generator.sample_inputs(tf.zeros([20_000], tf.int32), _SEED)[:, :10]
  # 200,000 draws: mean 0 +- 0.0022, deviation 1 +- 0.0016; five of those.
  assert abs(np.mean(noise)) < 0.011
  assert abs(np.std(noise) - 1) < 0.008


def test_without_classes_inputs_are_noise():
  generator = gan.LabelledGenerator(gan.small_generator(13, 4), 0)
  inputs = generator.sample_inputs(tf.zeros([5], tf.int32), _SEED)
  assert inputs.shape == (5, 13)
  assert np.all(inputs != 0)


@pytest.mark.parametrize(
  "latent_dim, num_classes, message",
  [
    (10, 10, "latent_dim must be more than num_classes"),
    (10, -1, "num_classes must be at least 0, got -1"),
  ],
)
def test_generators_need_noise(latent_dim, num_classes, message):
  with pytest.raises(ValueError, match=message):
    gan.LabelledGenerator(gan.small_generator(latent_dim, 4), num_classes)


def test_a_dense_discriminator_has_a_logit_a_class():
  """Written out in NumPy."""
  critic = gan.dense_discriminator((2, 3, 1), 4, units=5)
  rng = np.random.RandomState(1)
  weights = [
    rng.normal(size=w.shape).astype(np.float32) for w in critic.init(_SEED)
  ]
  images = rng.uniform(-1, 1, (7, 2, 3, 1)).astype(np.float32)
  labels = rng.randint(4, size=7)
  kernel, bias, common, offset, own = weights
  hidden = images.reshape(7, 6) @ kernel + bias
  hidden = np.where(hidden > 0, hidden, 0.2 * hidden)
  expected = [
    h @ (common[:, 0] + own[:, label]) + offset[0]
    for h, label in zip(hidden, labels)
  ]
  logits = critic.apply(
    tuple(tf.constant(w) for w in weights),
    tf.constant(images),
    tf.one_hot(labels, 4),
  )
  np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)


def test_a_dense_discriminator_starts_small_and_without_classes_is_none():
  critic = gan.dense_discriminator((28, 28, 1), 0, units=32)
  weights = critic.init(_SEED)
  # Glorot's limit for 784 inputs and 32 outputs, times 0.02.
  limit = 0.02 * np.sqrt(6 / (784 + 32))
  assert 0.95 * limit < np.max(np.abs(weights[0])) <= limit
  assert _size(weights) == 784 * 32 + 32 + 32 + 1
  logits = critic.apply(weights, tf.ones([3, 28, 28, 1]), tf.zeros([3, 0]))
  assert logits.shape == (3,)


def test_a_conv_discriminator_is_the_small_one_with_a_logit_a_class():
  """TensorFlow's convolutions, and heads that are added up by hand."""
  critic = gan.conv_discriminator((28, 28, 1), 4, filters=3)
  rng = np.random.RandomState(2)
  weights = [
    tf.constant(rng.normal(size=w.shape), tf.float32)
    for w in critic.init(_SEED)
  ]
  images = rng.uniform(-1, 1, (5, 28, 28, 1)).astype(np.float32)
  labels = np.array([0, 3, 1, 1, 2])
  small = gan.small_discriminator(3)
  expected = []
  for image, label in zip(images, labels):
    head = weights[4] + weights[6][:, label : label + 1]
    logit = small.apply(
      (*weights[:4], head, weights[5]), image[np.newaxis], tf.ones([1])
    )
    expected.append(logit[0])
  logits = critic.apply(
    tuple(weights), tf.constant(images), tf.one_hot(labels, 4)
  )
  np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-3)


def test_a_conv_discriminator_of_colours_sees_all_channels():
  critic = gan.conv_discriminator((8, 12, 3), 0, filters=2)
  weights = critic.init(_SEED)
  images = tf.random.stateless_normal([2, 8, 12, 3], _SEED)
  with tf.GradientTape() as tape:
    tape.watch(images)
    logits = critic.apply(weights, images, tf.zeros([2, 0]))
  assert logits.shape == (2,)
  assert np.all(np.any(tape.gradient(logits, images) != 0, axis=(0, 1, 2)))


@pytest.mark.parametrize(
  "shape, start, doublings",
  [
    ((28, 28, 1), 7, 2),
    ((64, 64, 3), 8, 3),
    ((12, 12, 1), 3, 2),
    ((8, 8, 1), 2, 2),
  ],
)
def test_upsampling_generators_make_images_of_their_size(
  shape, start, doublings
):
  generator = gan.upsampling_generator(shape, latent_dim=9, filters=2)
  weights, statistics = generator.init(_SEED)
  first = 2 * 2 ** (doublings - 1)
  assert weights[0].shape == (9, start * start * first)
  latent = generator.sample_latent(6, _SEED)
  images, moved = generator.apply(weights, statistics, latent, True)
  assert images.shape == (6, *shape)
  assert np.all(np.abs(images) <= 1) and np.std(images) > 0
  assert all(np.any(new != old) for new, old in zip(moved, statistics))
  alone, same = generator.apply(weights, statistics, latent[:1], False)
  together, _ = generator.apply(weights, statistics, latent, False)
  np.testing.assert_allclose(alone[0], together[0], atol=1e-5)
  assert all(np.all(new == old) for new, old in zip(same, statistics))


@pytest.mark.parametrize(
  "make, message",
  [
    (lambda: gan.upsampling_generator((28, 32, 1)), "equal height and width"),
    (lambda: gan.upsampling_generator((30, 30, 1)), "a multiple of 4"),
    (
      lambda: gan.upsampling_generator((28, 28, 1), filters=0),
      "filters must be at least 1, got 0",
    ),
    (lambda: gan.conv_discriminator((30, 28, 1), 10), "multiples of 4"),
    (
      lambda: gan.conv_discriminator((28, 28, 1), 10, filters=0),
      "filters must be at least 1, got 0",
    ),
    (
      lambda: gan.dense_discriminator((28, 28, 1), 10, units=0),
      "units must be at least 1, got 0",
    ),
    (
      lambda: gan.dense_discriminator((28, 28, 1), 10, initial_scale=0.0),
      "initial_scale must be positive, got 0.0",
    ),
  ],
)
def test_bad_arguments(make, message):
  with pytest.raises(ValueError, match=message):
    make()
