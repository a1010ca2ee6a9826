"""Tests of the pure steps of federated GAN training."""

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tests.learning import toy_gan
from tff_gen_debug.learning import client_batches
from tff_gen_debug.learning import gan_steps
from tff_gen_debug.models import gan

_SEED = tf.constant([5, 6])


def _numbers(count):
  return tf.range(1, count + 1, dtype=tf.float32)[:, tf.newaxis]


def test_empty_batches_move_neither_weights_nor_momentum():
  optimizer = tff.learning.optimizers.build_sgdm(0.5, momentum=0.9)
  model = toy_gan.model(gan.NonSaturatingLoss())
  generator, statistics = model.generator.init(None)
  discriminator = model.discriminator.init(None)

  def delta(steps):
    batches = client_batches.make_batches(_numbers(2), steps, 2, 1, _SEED)
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
