"""Tests of the pure steps of federated GAN training."""

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tests.learning import toy_gan
from tff_gen_debug.learning import gan_steps
from tff_gen_debug.models import gan

_SEED = tf.constant([5, 6])


def _numbers(count):
  return tf.range(1, count + 1, dtype=tf.float32)[:, tf.newaxis]


def _used(batches):
  return sorted(batches.images.numpy()[batches.mask.numpy() == 1].ravel())


def test_batches_hold_each_image_once_and_then_padding():
  batches = gan_steps.make_batches(_numbers(5), 3, 2, 1, _SEED)
  assert batches.images.shape == (3, 2, 1)
  np.testing.assert_array_equal(batches.mask, [[1, 1], [1, 1], [1, 0]])
  assert _used(batches) == [1, 2, 3, 4, 5]
  assert batches.images[2, 1] == 0


def test_batches_of_many_images_are_a_random_part():
  first = gan_steps.make_batches(_numbers(100), 2, 3, 1, _SEED)
  again = gan_steps.make_batches(_numbers(100), 2, 3, 1, _SEED)
  other = gan_steps.make_batches(
    _numbers(100), 2, 3, 1, gan_steps.fold_in(_SEED, 1)
  )
  assert len(set(_used(first))) == 6
  np.testing.assert_array_equal(first.images, again.images)
  assert _used(first) != _used(other)


def test_an_epoch_repeats_an_image_only_when_all_were_used():
  batches = gan_steps.make_batches(_numbers(4), 3, 2, 2, _SEED)
  images = batches.images.numpy().ravel()
  assert sorted(images[:4]) == [1, 2, 3, 4]
  assert len(set(images[4:])) == 2
  assert np.all(batches.mask == 1)


def test_no_images_make_empty_batches():
  batches = gan_steps.make_batches(_numbers(0), 2, 3, 2, _SEED)
  assert batches.images.shape == (2, 3, 1)
  assert np.all(batches.mask == 0) and np.all(batches.images == 0)


def test_read_images_takes_at_most_what_it_may():
  data = toy_gan.dataset([1.0, 2.0, 3.0])
  np.testing.assert_array_equal(
    gan_steps.read_images(data, (1,), 2), [[1.0], [2.0]]
  )
  np.testing.assert_array_equal(
    gan_steps.read_images(data, (1,), 9), [[1.0], [2.0], [3.0]]
  )
  assert gan_steps.read_images(data.take(0), (1,), 9).shape == (0, 1)


def test_fingerprint_depends_on_every_image():
  images = np.zeros([50, 4], np.float32)
  prints = {int(gan_steps.fingerprint(tf.constant(images)))}
  for row in range(50):
    changed = images.copy()
    changed[row, 3] = 1e-30
    prints.add(int(gan_steps.fingerprint(tf.constant(changed))))
  assert len(prints) == 51
  assert all(0 <= value < 2**31 - 1 for value in prints)


def test_empty_batches_move_neither_weights_nor_momentum():
  optimizer = tff.learning.optimizers.build_sgdm(0.5, momentum=0.9)
  model = toy_gan.model(gan.NonSaturatingLoss())
  generator, statistics = model.generator.init(None)
  discriminator = model.discriminator.init(None)

  def delta(steps):
    batches = gan_steps.make_batches(_numbers(2), steps, 2, 1, _SEED)
    return gan_steps.train_discriminator(
      model, optimizer, discriminator, generator, statistics, batches, _SEED
    )

  # With momentum, a second step of zero gradient would still move.
  one, three = delta(1), delta(3)
  assert np.any(one.delta[0] != 0)
  tf.nest.map_structure(np.testing.assert_array_equal, one.delta, three.delta)
  assert three.num_examples == 2
  np.testing.assert_allclose(one.loss_sum, three.loss_sum)


def test_no_generator_steps_change_nothing():
  model = toy_gan.model(gan.NonSaturatingLoss())
  generator, statistics = model.generator.init(None)
  update = gan_steps.train_generator(
    model,
    toy_gan.sgd(1.0),
    (),
    generator,
    statistics,
    model.discriminator.init(None),
    0,
    4,
    _SEED,
  )
  np.testing.assert_array_equal(update.weights[0], generator[0])
  assert update.loss == 0
