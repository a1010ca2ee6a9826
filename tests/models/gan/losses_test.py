"""Tests of the GAN losses against values worked out by hand or in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tff_gen_debug.models import gan

_SEED = tf.constant([1, 2])


def _linear_critic(slope):
  slope = tf.constant(slope, tf.float32)
  return lambda images, mask: tf.linalg.matvec(images, slope)


def _cross_entropy(logits, label):
  p = 1 / (1 + np.exp(-logits))
  return -label * np.log(p) - (1 - label) * np.log(1 - p)


def test_non_saturating_losses_are_cross_entropies():
  real = np.array([[1.0, 2.0], [0.5, -1.0]], np.float32)
  fake = np.array([[-1.0, 0.0], [0.25, 3.0]], np.float32)
  loss = gan.NonSaturatingLoss(real_label=0.9)
  actual = loss.discriminator(
    _linear_critic([1.0, -1.0]), real, fake, tf.ones([2]), _SEED
  )
  on_real, on_fake = np.array([-1.0, 1.5]), np.array([-1.0, -2.75])
  expected = np.mean(
    _cross_entropy(on_real, 0.9) + _cross_entropy(on_fake, 0.0)
  )
  np.testing.assert_allclose(actual, expected, rtol=1e-6)
  np.testing.assert_allclose(
    loss.generator(tf.constant(on_fake, tf.float32)),
    np.mean(_cross_entropy(on_fake, 1.0)),
    rtol=1e-6,
  )


def test_wasserstein_losses_of_a_3_4_5_critic():
  # The gradient of the critic is (3, 4) everywhere, its norm 5, so that the
  # penalty is 10 * (5 - 1)^2 = 160; the critic says 3 to the real image and 4
  # to the fake one.
  loss = gan.WassersteinLoss(gradient_penalty=10.0)
  real, fake = tf.constant([[1.0, 0.0]]), tf.constant([[0.0, 1.0]])
  actual = loss.discriminator(
    _linear_critic([3.0, 4.0]), real, fake, tf.ones([1]), _SEED
  )
  np.testing.assert_allclose(actual, 4.0 - 3.0 + 160.0, rtol=1e-6)
  np.testing.assert_allclose(loss.generator(tf.constant([4.0, 6.0])), -5.0)


def test_gradient_penalty_is_taken_between_real_and_fake():
  # For the critic x^2 / 2 on numbers the gradient is x itself: the penalty is
  # (|x| - 1)^2 at a uniformly drawn x in [1, 3], whose mean is 4/3.
  loss = gan.WassersteinLoss(gradient_penalty=1.0)
  count = 20_000
  real, fake = tf.ones([count, 1]), 3 * tf.ones([count, 1])
  actual = loss.discriminator(
    lambda x, mask: tf.square(x[:, 0]) / 2, real, fake, tf.ones([count]), _SEED
  )
  # The critic's own part is 9/2 - 1/2; five standard errors are 0.042.
  assert abs(actual - 4.0 - 4 / 3) < 0.042


@pytest.mark.parametrize(
  "loss", [gan.NonSaturatingLoss(), gan.WassersteinLoss()], ids=repr
)
def test_masked_rows_do_not_count_and_give_finite_gradients(loss):
  slope = tf.constant([0.0, 0.0])
  rng = np.random.default_rng(0)
  real = rng.normal(size=(3, 2)).astype(np.float32)
  fake = rng.normal(size=(3, 2)).astype(np.float32)
  mask = tf.constant([1.0, 0.0, 1.0])

  def value_and_gradient(real, fake):
    with tf.GradientTape() as tape:
      tape.watch(slope)
      value = loss.discriminator(
        lambda x, rows: tf.linalg.matvec(x, slope),
        tf.constant(real),
        tf.constant(fake),
        mask,
        _SEED,
      )
    return value.numpy(), tape.gradient(value, slope).numpy()

  value, gradient = value_and_gradient(real, fake)
  real[1], fake[1] = 100.0, -100.0
  other_value, other_gradient = value_and_gradient(real, fake)
  assert np.all(np.isfinite(gradient)) and np.any(gradient != 0)
  np.testing.assert_allclose(value, other_value, rtol=1e-6)
  np.testing.assert_allclose(gradient, other_gradient, rtol=1e-5)


@pytest.mark.parametrize(
  "loss", [gan.NonSaturatingLoss(), gan.WassersteinLoss()], ids=repr
)
def test_a_batch_of_nothing_but_padding_has_no_loss(loss):
  zeros = tf.zeros([2, 2])
  value = loss.discriminator(
    _linear_critic([3.0, 4.0]), zeros, zeros, tf.zeros([2]), _SEED
  )
  assert value == 0


def test_bad_constants_are_refused():
  with pytest.raises(ValueError, match=r"real_label must be in \(0, 1\]"):
    gan.NonSaturatingLoss(0.0)
  with pytest.raises(ValueError, match="gradient_penalty must be at least 0"):
    gan.WassersteinLoss(-1.0)
