"""Tests of the GAN networks, with Keras' layers as the reference."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tff_gen_debug.models import gan
from tff_gen_debug.models.gan import layers
from tff_gen_debug.models.gan import network

_SEED = tf.constant([3, 4])

_GENERATORS = {
  "paper": lambda: gan.paper_generator(width=1 / 16),
  "small": lambda: gan.small_generator(filters=4),
}
_DISCRIMINATORS = {
  "paper": lambda: gan.paper_discriminator(width=1 / 16),
  "small": lambda: gan.small_discriminator(filters=4),
}


def _size(weights):
  return sum(int(np.prod(w.shape)) for w in weights)


def test_paper_networks_have_the_published_sizes():
  # Conv 4*4*1*64 + 64, conv 4*4*64*128 + 128, dense 6272*1024 + 1024, batch
  # normalization 2 * 1024, dense 1024 + 1.
  discriminator = gan.paper_discriminator().init(_SEED)
  assert _size(discriminator) == 1088 + 131200 + 6423552 + 2048 + 1025
  # Dense 128*1024 + 1024, dense 1024*12544 + 12544, transposed convolutions
  # 4*4*64*256 + 64 and 4*4*32*64 + 32, conv 4*4*32 + 1, and the scales and
  # offsets of 1024 + 12544 + 64 + 32 normalized channels.
  generator, statistics = gan.paper_generator().init(_SEED)
  affine = 132096 + 12857600 + 262208 + 32800 + 513
  assert _size(generator) == affine + 2 * 13664
  assert _size(statistics) == 2 * 13664


@pytest.mark.parametrize("name", _GENERATORS)
def test_generators_make_images(name):
  generator = _GENERATORS[name]()
  weights, statistics = generator.init(_SEED)
  latent = generator.sample_latent(16, _SEED)
  images, new_statistics = generator.apply(weights, statistics, latent, True)
  assert images.shape == (16, 28, 28, 1)
  assert np.all(np.abs(images) <= 1) and np.std(images) > 0
  changed = [np.any(new != old) for new, old in zip(new_statistics, statistics)]
  assert all(changed)


@pytest.mark.parametrize("name", _GENERATORS)
def test_generators_at_inference_make_each_image_for_itself(name):
  generator = _GENERATORS[name]()
  weights, statistics = generator.init(_SEED)
  latent = generator.sample_latent(8, _SEED)
  images, same = generator.apply(weights, statistics, latent, False)
  alone, _ = generator.apply(weights, statistics, latent[2:3], False)
  np.testing.assert_allclose(images[2:3], alone, atol=1e-6)
  for new, old in zip(same, statistics):
    np.testing.assert_array_equal(new, old)


@pytest.mark.parametrize("name", _DISCRIMINATORS)
def test_discriminators_do_not_see_padding(name):
  discriminator = _DISCRIMINATORS[name]()
  weights = discriminator.init(_SEED)
  rng = np.random.default_rng(0)
  images = rng.uniform(-1, 1, [6, 28, 28, 1]).astype(np.float32)
  alone = discriminator.apply(weights, images[:4], tf.ones([4]))
  images[4:] = 50.0
  padded = discriminator.apply(
    weights, images, tf.constant([1.0, 1.0, 1.0, 1.0, 0.0, 0.0])
  )
  assert alone.shape == (4,)
  np.testing.assert_allclose(padded[:4], alone, rtol=1e-4, atol=1e-5)


def test_initial_weights_depend_on_the_seed_and_the_layer():
  weights = gan.small_discriminator(filters=4).init(_SEED)
  again = gan.small_discriminator(filters=4).init(_SEED)
  other = gan.small_discriminator(filters=4).init(tf.constant([3, 5]))
  np.testing.assert_array_equal(weights[0], again[0])
  assert np.all(weights[0] != other[0])
  kernel = np.ravel(weights[0])
  assert not np.array_equal(kernel[:16], np.ravel(weights[2])[:16])
  # Glorot's limit for 4x4 patches from 1 to 4 channels.
  limit = np.sqrt(6 / (16 * 1 + 16 * 4))
  assert 0.9 * limit < np.max(np.abs(kernel)) <= limit


@pytest.mark.parametrize("stride", [1, 2])
def test_convolutions_equal_keras(stride):
  rng = np.random.default_rng(1)
  x = rng.normal(size=(2, 7, 7, 3)).astype(np.float32)
  bias = rng.normal(size=5).astype(np.float32)
  for layer_class, ours, shape in (
    (tf.keras.layers.Conv2D, layers.conv2d, (4, 4, 3, 5)),
    (tf.keras.layers.Conv2DTranspose, layers.conv2d_transpose, (4, 4, 5, 3)),
  ):
    kernel = rng.normal(size=shape).astype(np.float32)
    layer = layer_class(5, 4, stride, padding="same")
    layer.build(x.shape)
    layer.set_weights([kernel, bias])
    np.testing.assert_allclose(
      ours(tf.constant(x), tf.constant(kernel), tf.constant(bias), stride),
      layer(x),
      rtol=1e-4,
      atol=1e-4,
    )


@pytest.mark.parametrize("training", [True, False])
def test_batch_normalization_equals_keras(training):
  rng = np.random.default_rng(2)
  x = rng.normal(1.0, 2.0, size=(6, 3, 3, 4)).astype(np.float32)
  scale, offset, mean = rng.normal(size=(3, 4)).astype(np.float32)
  variance = rng.uniform(0.5, 2, size=4).astype(np.float32)
  layer = tf.keras.layers.BatchNormalization(momentum=0.9, fused=False)
  layer.build(x.shape)
  layer.set_weights([scale, offset, mean, variance])
  expected = layer(x, training=training)
  actual, new_mean, new_variance = layers.batch_norm_with_statistics(
    tf.constant(x), scale, offset, mean, variance, training
  )
  np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)
  _, _, keras_mean, keras_variance = layer.get_weights()
  np.testing.assert_allclose(new_mean, keras_mean, rtol=1e-5)
  np.testing.assert_allclose(new_variance, keras_variance, rtol=1e-5)


def test_masked_moments_are_those_of_the_rows_that_count():
  x = np.array([[1.0, 5.0], [3.0, 5.0], [100.0, -100.0]], np.float32)
  mean, variance = layers.batch_moments(
    tf.constant(x), tf.constant([1.0, 1.0, 0.0])
  )
  np.testing.assert_allclose(mean, [2.0, 5.0])
  np.testing.assert_allclose(variance, [1.0, 0.0])


def _small_model():
  return gan.GanModel(
    gan.small_generator(filters=2),
    gan.small_discriminator(filters=2),
    gan.NonSaturatingLoss(),
  )


def test_check_model_accepts_networks_that_fit():
  network.check_model(_small_model())


def test_check_model_names_what_does_not_fit():
  model = _small_model()
  with pytest.raises(ValueError, match=r"generator.apply images .*\(2, 5\)"):
    network.check_model(dataclasses.replace(model, image_shape=(5,)))
  lists = gan.Discriminator(
    init=lambda seed: [tf.zeros([1])], apply=model.discriminator.apply
  )
  with pytest.raises(TypeError, match="must be a tuple of tensors"):
    network.check_model(dataclasses.replace(model, discriminator=lists))
  matrix = gan.Discriminator(
    init=lambda seed: (tf.zeros([1]),),
    apply=lambda weights, images, mask: tf.zeros([2, 1]),
  )
  with pytest.raises(ValueError, match="discriminator.apply logits"):
    network.check_model(dataclasses.replace(model, discriminator=matrix))


@pytest.mark.parametrize(
  ("build", "message"),
  [
    (lambda: gan.paper_discriminator(width=0), "width must be positive"),
    (lambda: gan.small_discriminator(filters=0), "filters must be at least 1"),
    (lambda: gan.small_generator(filters=0), "filters must be at least 1"),
    (lambda: gan.small_generator(latent_dim=0), "latent_dim must be at least"),
    (
      lambda: dataclasses.replace(_small_model(), image_shape=()),
      "image_shape must be a non-empty tuple",
    ),
  ],
)
def test_bad_sizes_are_refused(build, message):
  with pytest.raises(ValueError, match=message):
    build()
