"""Tests of the federated GAN process, on a GAN that can be done by hand."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.learning import toy_gan
from tff_gen_debug import learning
from tff_gen_debug.learning import client_batches
from tff_gen_debug.learning import gan_steps
from tff_gen_debug.learning import seeds
from tff_gen_debug.models import gan

pytestmark = pytest.mark.usefixtures("tff_runtime")


@pytest.fixture(scope="module")
def plain_process():
  return toy_gan.build(client_metrics=learning.CLIENT_METRICS)


@pytest.fixture(scope="module")
def random_process():
  """With random generator inputs and two epochs, so that all seeds matter."""
  return toy_gan.build(spread=1.0, client_epochs=2, seed=2**40 + 3)


def _by_hand(client_steps, reals, rounds, discriminator_step, generator_step):
  """The process in NumPy; client i takes `client_steps[i]` steps a round."""
  offset, slope, bias = toy_gan.OFFSET, toy_gan.SLOPE, toy_gan.BIAS
  for _ in range(rounds):
    slope_deltas, bias_deltas = [], []
    for steps, real in zip(client_steps, reals):
      client_slope, client_bias = slope, bias
      for _ in range(steps):
        client_slope, client_bias = discriminator_step(
          client_slope, client_bias, real, offset, toy_gan.CLIENT_RATE
        )
      slope_deltas.append(client_slope - slope)
      bias_deltas.append(client_bias - bias)
    slope += toy_gan.SERVER_RATE * sum(slope_deltas) / 2
    bias += toy_gan.SERVER_RATE * sum(bias_deltas) / 2
    for _ in range(2):
      offset = generator_step(offset, slope, bias, toy_gan.GENERATOR_RATE)
  return offset, slope, bias


def _non_saturating(slope, bias, real, fake, rate):
  return toy_gan.non_saturating_step(slope, bias, real, fake, rate, 0.9)


def test_non_saturating_rounds_equal_numpy(plain_process):
  # 5 images in batches of 2 are 3 steps, 8 are cut to 3 steps, 1 is one step.
  data = [toy_gan.dataset(v) for v in ([1.5] * 5, [-2.0] * 8, [0.5])]
  state = plain_process.initialize()
  for _ in range(3):
    state = plain_process.next(state, data).state
  expected = _by_hand(
    (3, 3, 1),
    (1.5, -2.0, 0.5),
    3,
    _non_saturating,
    toy_gan.non_saturating_generator_step,
  )
  np.testing.assert_allclose(
    toy_gan.all_weights(plain_process, state), expected, rtol=1e-5
  )
  assert state.round_num == 3


def test_wasserstein_rounds_equal_numpy():
  process = toy_gan.build(gan.WassersteinLoss(gradient_penalty=0.3))
  data = [toy_gan.dataset([1.5] * 5), toy_gan.dataset([-2.0] * 3)]
  state = process.initialize()
  for _ in range(2):
    state = process.next(state, data).state
  expected = _by_hand(
    (3, 2),
    (1.5, -2.0),
    2,
    lambda *step: toy_gan.wasserstein_step(*step, penalty=0.3),
    toy_gan.wasserstein_generator_step,
  )
  np.testing.assert_allclose(
    toy_gan.all_weights(process, state), expected, rtol=1e-5
  )


def test_equals_a_plain_tensorflow_loop(random_process):
  model = toy_gan.model(gan.NonSaturatingLoss(0.9), spread=1.0)
  clients = [np.linspace(i, i + 2, 3 + i, dtype=np.float32) for i in range(3)]
  state = random_process.initialize()
  discriminator = model.discriminator.init(None)
  generator, statistics = model.generator.init(None)
  # The high and the low 32 bits of the seed 2^40 + 3.
  seed = tf.constant([2**8, 3])
  for round_num in range(2):
    state = random_process.next(
      state, [toy_gan.dataset(c) for c in clients]
    ).state
    deltas = []
    for values in clients:
      images = tf.constant(values[:, np.newaxis])
      own_seed = seeds.client_seed(seeds.fold_in(seed, 2, round_num), images)
      batches = client_batches.make_batches(
        images, 3, 2, 2, gan_steps.batches_seed(own_seed)
      )
      update = gan_steps.train_discriminator(
        model,
        toy_gan.sgd(toy_gan.CLIENT_RATE),
        discriminator,
        generator,
        statistics,
        batches,
        own_seed,
      )
      deltas.append(update.delta)
    discriminator = tuple(
      w + toy_gan.SERVER_RATE * sum(changes) / 2
      for w, changes in zip(discriminator, zip(*deltas))
    )
    update = gan_steps.train_generator(
      model,
      toy_gan.sgd(toy_gan.GENERATOR_RATE),
      toy_gan.sgd(toy_gan.GENERATOR_RATE).initialize(
        tf.TensorSpec([1], tf.float32)
      ),
      generator,
      statistics,
      discriminator,
      2,
      2,
      seeds.fold_in(seed, 3, round_num),
    )
    generator = update.weights
  expected = (generator[0][0], discriminator[0][0], discriminator[1])
  np.testing.assert_allclose(
    toy_gan.all_weights(random_process, state),
    [w.numpy() for w in expected],
    rtol=1e-5,
  )


def test_a_resumed_run_equals_an_unbroken_one(random_process):
  data = [toy_gan.dataset([1.0, 2.0, 3.0]), toy_gan.dataset([-1.0, 4.0])]
  unbroken = [random_process.initialize()]
  for _ in range(3):
    unbroken.append(random_process.next(unbroken[-1], data).state)
  copied = tf.nest.map_structure(np.array, unbroken[1])
  for _ in range(2):
    copied = random_process.next(copied, data).state
  tf.nest.map_structure(np.testing.assert_array_equal, copied, unbroken[3])
  assert not np.array_equal(
    toy_gan.all_weights(random_process, unbroken[2]),
    toy_gan.all_weights(random_process, copied),
  )


def test_clients_with_other_data_draw_other_noise(random_process):
  state = random_process.initialize()

  def slope_after(data):
    return toy_gan.all_weights(
      random_process, random_process.next(state, data).state
    )[1]

  one = slope_after([toy_gan.dataset([1.0, 1.0])])
  same = slope_after([toy_gan.dataset([1.0, 1.0])])
  other = slope_after([toy_gan.dataset([1.0, 1.0 + 1e-6])])
  assert one == same
  assert abs(one - other) > 1e-4


def test_metrics_asked_for_by_name_are_exact(plain_process):
  data = [toy_gan.dataset(v) for v in ([1.5] * 5, [], [-2.0] * 8, [np.nan])]
  metrics = plain_process.next(plain_process.initialize(), data).metrics
  assert metrics["clients"]["num_clients"] == 4
  # The second client has none, the third is cut to three batches of two.
  assert metrics["clients"]["num_examples"] == 5 + 0 + 6 + 1
  assert metrics["aggregator"]["non_finite_clients"] == 1
  without_nan = plain_process.next(plain_process.initialize(), data[:3]).metrics
  loss = metrics["clients"]["discriminator_loss"]
  # Each of the 11 examples costs at least the entropy of the smoothed label.
  assert loss > 11 * 0.325
  assert loss == without_nan["clients"]["discriminator_loss"]


def test_nothing_but_the_aggregate_leaves_clients_by_default(random_process):
  output_type = random_process.next.type_signature.result
  assert str(output_type.metrics) == (
    "<aggregator=<dp_query_metrics=<>,dp=<>>,"
    "server=<generator_loss=float32,discriminator_update_norm=float32,"
    "update_non_finite=int32>>@SERVER"
  )


def test_bad_and_empty_clients_cost_only_their_own_update(plain_process):
  state = plain_process.initialize()
  good = toy_gan.dataset([1.5] * 5)
  alone = plain_process.next(state, [good]).state
  for bad in ([np.nan], [1.0, np.inf], []):
    beside = plain_process.next(state, [good, toy_gan.dataset(bad)]).state
    np.testing.assert_array_equal(
      toy_gan.all_weights(plain_process, beside),
      toy_gan.all_weights(plain_process, alone),
    )


def test_an_empty_cohort_leaves_the_discriminator_and_trains_the_generator(
  plain_process,
):
  output = plain_process.next(plain_process.initialize(), [])
  offset, slope, bias = toy_gan.all_weights(plain_process, output.state)
  assert (slope, bias) == (toy_gan.SLOPE, toy_gan.BIAS)
  expected = toy_gan.OFFSET
  for _ in range(2):
    expected = toy_gan.non_saturating_generator_step(
      expected, slope, bias, toy_gan.GENERATOR_RATE
    )
  np.testing.assert_allclose(offset, expected, rtol=1e-6)
  assert output.metrics["clients"]["num_clients"] == 0


def test_cohorts_of_any_size_follow_each_other(plain_process):
  state = plain_process.initialize()
  sizes = (1, 4, 0, 2)
  counts = []
  for size in sizes:
    output = plain_process.next(state, [toy_gan.dataset([1.0])] * size)
    state = output.state
    counts.append(output.metrics["clients"]["num_clients"])
  assert tuple(counts) == sizes
  assert state.round_num == len(sizes)


def test_averaged_generator_is_the_moving_average():
  process = toy_gan.build(averaging_decay=0.75)
  state = process.initialize()
  average = toy_gan.OFFSET
  for _ in range(3):
    state = process.next(state, [toy_gan.dataset([1.0])]).state
    weights = process.get_model_weights(state)
    average = 0.75 * average + 0.25 * weights.generator[0][0]
  np.testing.assert_allclose(
    weights.averaged_generator[0][0], average, rtol=1e-6
  )
  assert weights.sampling_generator is weights.averaged_generator


def test_is_a_learning_process_with_the_documented_types(plain_process):
  assert isinstance(plain_process, tff.learning.templates.LearningProcess)
  state_type, data_type = plain_process.next.type_signature.parameter
  assert str(data_type) == "{float32[1]*}@CLIENTS"
  assert state_type.placement is tff.SERVER
  assert state_type.member.python_container is learning.DPFedGanState
  weights_type = plain_process.get_model_weights.type_signature.result
  assert weights_type.python_container is learning.GanWeights
  state = plain_process.initialize()
  weights = plain_process.get_model_weights(state)
  changed = weights._replace(generator=(np.array([7.0], np.float32),))
  state = plain_process.set_model_weights(state, changed)
  assert plain_process.get_model_weights(state).generator[0] == [7.0]


@pytest.mark.parametrize(
  ("overrides", "message"),
  [
    ({"discriminator_steps": 0}, "discriminator_steps must be at least 1"),
    ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
    ({"client_epochs": 0}, "client_epochs must be at least 1"),
    ({"max_client_images": 0}, "max_client_images must be at least 1"),
    ({"generator_steps": -1}, "generator_steps must be at least 0, got -1"),
    ({"generator_batch_size": 0}, "generator_batch_size must be"),
    ({"averaging_decay": 1.0}, "averaging_decay must be in"),
    ({"client_metrics": ["loss"]}, "client_metrics must be among .* got loss"),
  ],
)
def test_bad_arguments_are_named(overrides, message):
  with pytest.raises(ValueError, match=message):
    toy_gan.build(**overrides)


def test_generate_images_is_a_function_of_weights_and_seed():
  model = toy_gan.model(gan.NonSaturatingLoss(), spread=2.0)
  weights = learning.GanWeights((), (np.array([5.0], np.float32),), (), ())
  images = learning.generate_images(model, weights, 1000, seed=1)
  assert images.shape == (1000, 1) and images.dtype == np.float32
  # Five standard errors: 5 * 2 / sqrt(1000), and 5 * 2 / sqrt(2000).
  assert abs(images.mean() - 5.0) < 0.32
  assert abs(images.std() - 2.0) < 0.23
  np.testing.assert_array_equal(
    images, learning.generate_images(model, weights, 1000, seed=1)
  )
  with pytest.raises(ValueError, match="count must be at least 1"):
    learning.generate_images(model, weights, 0)
