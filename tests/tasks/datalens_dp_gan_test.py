"""Tests of DataLens' baseline: labels as planes, costs, the whole task."""

import collections
import dataclasses
import json
import math
import os

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tasks.datalens import config as config_lib
from tasks.datalens import dp_gan
from tasks.datalens import experiment
from tasks.datalens import measuring
from tasks.datalens import methods
from tasks.datalens import population as population_lib
from tasks.datalens import presentation
from tasks.datalens import training
from tff_gen_debug import privacy
from tff_gen_debug.debugging import pictures
from tff_gen_debug.models import gan
from tff_gen_debug.models.gan import network

_SMOKE = dataclasses.replace(
  config_lib.PRESETS["smoke"],
  method="dp_gan",
  accountant="rdp",
  measured_on="validation",
)
_SCENE = methods.Scene((28, 28, 1), 10, 25)


@pytest.mark.parametrize(
  "height, width, classes", [(28, 28, 10), (7, 5, 7), (8, 4, 1), (32, 32, 3)]
)
def test_planes_keep_labels(height, width, classes):
  planes = dp_gan.LabelPlanes(height, width, classes)
  labels = np.arange(classes)
  one_hot = tf.one_hot(labels, classes)
  painted = planes.paint(one_hot)
  assert painted.shape == (classes, height, width, 1)
  assert set(np.unique(painted)) <= {-1.0, 1.0}
  # Whatever is in the image's own channels.
  images = tf.random.stateless_normal([classes, height, width, 3], [1, 2])
  both = tf.concat([images, painted], axis=3)
  np.testing.assert_array_equal(planes.read(both), one_hot)


def test_clients_paint_what_the_generator_paints():
  planes = dp_gan.LabelPlanes(28, 28, 10)
  images = np.arange(3 * 28 * 28, dtype=np.uint32).astype(np.uint8)
  images = images.reshape(3, 28, 28, 1)
  labels = np.array([0, 9, 4], np.int32)
  both = planes.append(images, labels)
  assert both.dtype == np.uint8
  np.testing.assert_array_equal(both[..., :1], images)
  np.testing.assert_array_equal(
    both[..., 1:].astype(np.float32) / 127.5 - 1,
    planes.paint(tf.one_hot(labels, 10)),
  )


@pytest.mark.parametrize("classes", [0, 29])
def test_a_stripe_needs_a_row(classes):
  with pytest.raises(ValueError, match="between 1 and the 28 rows"):
    dp_gan.LabelPlanes(28, 28, classes)


def test_generated_labels_are_uniform():
  inputs = tf.random.stateless_normal([100_000], [3, 4])
  counts = np.bincount(dp_gan.pick_labels(inputs, 10), minlength=10)
  # Five standard deviations.
  assert np.abs(counts - 10_000).max() < 5 * math.sqrt(9000)
  # A class has an interval of the inputs; the ends of the line are in one.
  np.testing.assert_array_equal(
    dp_gan.pick_labels(tf.constant([-50.0, -0.01, 0.01, 50.0]), 2), [0, 0, 1, 1]
  )


def test_the_model_judges_images_by_their_own_label():
  model = dp_gan.make_model(_SMOKE, _SCENE)
  network.check_model(model)
  assert model.image_shape == (28, 28, 2)
  seed = tf.constant([5, 6])
  weights, statistics = model.generator.init(seed)
  images, _ = model.generator.apply(
    weights, statistics, model.generator.sample_latent(64, seed), False
  )
  labels = dp_gan.LabelPlanes(28, 28, 10).read(images)
  np.testing.assert_array_equal(np.sort(labels)[:, -2:], [[0, 1]] * 64)
  *shared, own = model.discriminator.init(seed)
  before = model.discriminator.apply((*shared, own), images, tf.ones([64]))
  # Weights of class 3 are of no interest to the others.
  own = own + tf.one_hot(3, 10)
  after = model.discriminator.apply((*shared, own), images, tf.ones([64]))
  np.testing.assert_array_equal(before != after, np.argmax(labels, axis=1) == 3)


def test_the_discriminator_is_the_librarys():
  model = dp_gan.make_model(_SMOKE, _SCENE)
  critic = gan.conv_discriminator((28, 28, 1), 10, _SMOKE.discriminator_width)
  *weights, own = critic.init(tf.constant([9, 9]))
  own = tf.random.stateless_normal(own.shape, [1, 1])
  images = tf.random.stateless_uniform([20, 28, 28, 1], [2, 2], -1, 1)
  one_hot = tf.one_hot(tf.range(20) % 10, 10)
  planes = dp_gan.LabelPlanes(28, 28, 10).paint(one_hot)
  np.testing.assert_allclose(
    model.discriminator.apply(
      (*weights, own), tf.concat([images, planes], axis=3), tf.ones([20])
    ),
    critic.apply((*weights, own), images, one_hot),
    rtol=1e-4,
    atol=1e-4,
  )


def test_chosen_labels_come_from_the_same_network():
  """`methods.make_generator` draws what the wrapped one trains."""
  model = dp_gan.make_model(_SMOKE, _SCENE)
  labelled = methods.make_generator(_SMOKE, _SCENE)
  seed = tf.constant([7, 8])
  weights, statistics = model.generator.init(seed)
  latent = model.generator.sample_latent(5, seed)
  images, _ = model.generator.apply(weights, statistics, latent, False)
  labels = dp_gan.pick_labels(latent[:, 0], 10)
  inputs = tf.concat([latent[:, 1:], labelled.one_hot(labels)], axis=1)
  direct, _ = labelled.network.apply(weights, statistics, inputs, False)
  np.testing.assert_array_equal(images[..., :1], direct)


@pytest.mark.parametrize(
  "sampling, relation",
  [("poisson", "add_or_remove_one"), ("fixed_size", "replace_one")],
)
def test_noise_is_what_the_rounds_leave(sampling, relation):
  config = config_lib.Config(
    method="dp_gan",
    num_teachers=4000,
    clients_per_round=100.0,
    rounds=200,
    accountant="rdp",
    epsilon=3.0,
    sampling=sampling,
  )
  by_hand = privacy.PrivacyPlan(
    population=4000,
    expected_clients_per_round=100,
    rounds=200,
    noise_multiplier=0.0,
    delta=1e-5,
    sampling=sampling,
    neighboring_relation=relation,
    accountant="rdp",
  ).calibrate(target_epsilon=3.0)
  plan = dp_gan.make_plan(config)
  assert plan == by_hand
  assert 2.97 <= plan.epsilon() <= 3
  assert plan.sampling_probability == 0.025


def test_no_budget_is_no_noise():
  plan = dp_gan.make_plan(dataclasses.replace(_SMOKE, epsilon=math.inf))
  assert plan.noise_multiplier == 0


def test_sampling_without_a_theorem():
  config = dataclasses.replace(_SMOKE, accountant="pld", sampling="fixed_size")
  with pytest.raises(ValueError, match="accountant"):
    dp_gan.make_plan(config)


def test_the_generator_rests_between_its_rounds():
  optimizer = dp_gan.RareSteps(
    tff.learning.optimizers.build_sgdm(1.0), every=3, steps=2
  )
  # As TFF traces it; there, `==` of tensors is their identity.
  with tf.Graph().as_default():
    weights = (tf.constant(0.0),)
    state = optimizer.initialize((tf.TensorSpec([]),))
    seen = []
    for _ in range(12):
      state, weights = optimizer.next(state, weights, (tf.constant(-1.0),))
      seen.append(weights[0])
    with tf.compat.v1.Session() as session:
      values = session.run(seen)
  # Two steps in the third and in the sixth round.
  assert values == [0, 0, 0, 0, 1, 2, 2, 2, 2, 2, 3, 4]


@pytest.mark.slow
def test_a_round_moves_both_networks(tff_runtime):
  plan = dp_gan.make_plan(_SMOKE)
  process = dp_gan.build_process(_SMOKE, _SCENE, plan)
  population = population_lib.load(_SMOKE)
  parts = population_lib.deal(_SMOKE, population)
  clients = list(dp_gan.client_datasets(population, parts).values())[:2]
  start = process.initialize()
  end = process.next(start, clients).state
  for network_of in ("generator", "discriminator"):
    before = getattr(start.weights, network_of)
    after = getattr(end.weights, network_of)
    assert any(np.any(a != b) for a, b in zip(after, before)), network_of


def test_data_sets_hold_the_shards():
  population = population_lib.load(_SMOKE)
  parts = population_lib.deal(_SMOKE, population)
  datasets = dp_gan.client_datasets(population, parts)
  assert len(datasets) == 20
  planes = dp_gan.LabelPlanes(28, 28, 10)
  part = parts[7]
  images = np.stack(list(datasets["client_00007"].as_numpy_iterator()))
  assert images.dtype == np.float32
  np.testing.assert_array_equal(images[..., :1], population.train[part].pixels)
  np.testing.assert_array_equal(
    np.argmax(planes.read(tf.constant(images)), axis=1),
    population.train.labels[part],
  )


@pytest.mark.parametrize(
  "overrides, message",
  [
    (dict(method="pate"), "method must be one of"),
    (dict(sampling="shuffled"), "sampling must be one of"),
    (dict(clients_per_round=0.0), "clients_per_round must be positive"),
    (dict(clients_per_round=21.0), r"num_teachers \(20\), got 21.0"),
    (dict(clients_per_round=math.nan), "clients_per_round must be positive"),
    (dict(discriminator_steps=0), "discriminator_steps must be at least 1"),
    (dict(client_batch_size=0), "client_batch_size must be at least 1"),
    (dict(discriminator_rounds=0), "discriminator_rounds must be at least 1"),
    (dict(gan_generator_steps=0), "gan_generator_steps must be at least 1"),
    (dict(gan_generator_batch_size=0), "gan_generator_batch_size must be at"),
    (dict(client_learning_rate=0.0), "client_learning_rate must be positive"),
    (dict(server_learning_rate=-1.0), "server_learning_rate must be positive"),
    (dict(gan_generator_learning_rate=math.nan), "must be positive and finite"),
    (dict(gan_clip_norm=math.inf), "gan_clip_norm must be positive and finite"),
    (dict(gan_averaging_decay=1.0), "gan_averaging_decay must be below 1"),
    (dict(published=True), "published is of teachers"),
    (dict(simulated_teachers=40), "simulated_teachers is of teachers"),
  ],
)
def test_bad_configs(overrides, message):
  with pytest.raises(ValueError, match=message):
    dataclasses.replace(_SMOKE, **overrides)


def test_teachers_may_be_fewer_than_the_clients_of_a_round():
  config = config_lib.Config(num_teachers=10)
  assert config.clients_per_round > config.num_teachers


@pytest.fixture(scope="module")
def smoke_run(tff_runtime, tmp_path_factory):
  folder = str(tmp_path_factory.mktemp("smoke"))
  config = dataclasses.replace(_SMOKE, references=False, discriminator_rounds=2)
  path = experiment.run(config, folder)
  with open(os.path.join(folder, "report.json"), encoding="utf-8") as file:
    report = json.load(file)
  with open(path, encoding="utf-8") as file:
    return collections.namedtuple("Run", "folder report page")(
      folder, report, file.read()
    )


def test_smoke_writes_a_report(smoke_run):
  cost = smoke_run.report["privacy"]
  assert 9.9 < cost["epsilon"] <= 10
  assert cost["delta"] == 1e-5
  assert cost["sampling"] == "poisson"
  assert cost["neighboring_relation"] == "add_or_remove_one"
  assert cost["accountant"] == "rdp"
  assert cost["sampling_probability"] == 0.25
  assert cost["population"] == 20
  assert cost["rounds"] == 2
  assert not cost["simulated"]
  metrics = smoke_run.report["metrics"]
  assert "images_asked_about" not in metrics
  assert metrics["rounds"] == 2
  assert set(metrics["accuracies"]) == {
    "cnn",
    "logistic_regression",
    "random_forest",
  }


def test_the_report_is_about_clients(smoke_run):
  page = " ".join(smoke_run.page.split())
  assert "a user is a client" in page
  assert "comes or goes as a whole" in page
  assert "the guarantee holds for each image" not in page
  assert "20 clients" in page
  assert "neither clients nor classifiers" in page
  assert "noised votes" not in page
  assert page.count("data:image/png") >= 5


def test_samples_are_kept_over_rounds(smoke_run):
  names = sorted(os.listdir(os.path.join(smoke_run.folder, "samples")))
  assert names == [f"round_00000{number}.png" for number in range(3)]


def test_an_exchanged_shard_is_another_statement():
  config = dataclasses.replace(_SMOKE, rounds=1, sampling="fixed_size")
  population = population_lib.load(config)
  plan = dp_gan.make_plan(config)
  png = pictures.sample_grid(population.train.pixels[:10], 1, 10)
  report = presentation.make_report(
    config,
    population,
    training.Trained(
      samples=population_lib.Synthetic(
        population.train.pixels, population.train.labels
      ),
      grid_labels=list(range(10)),
      grids={0: png, 1: png},
      plan=plan,
      ledger=plan.new_ledger(),
      rounds=1,
    ),
    measuring.Measured(
      split="validation",
      accuracies={"cnn": 0.5},
      real_accuracies={},
      class_accuracies=[0.5] * 10,
      scores=None,
      nearest_train=1.0,
      nearest_held_out=1.0,
    ),
    wall_seconds=1.0,
  )
  statement = " ".join(report.privacy_statement.split())
  assert "the guarantee holds for each image as well" in statement
  assert "replace one user" in statement
  # What Wang et al. report is of teachers.
  assert [finding.name for finding in report.findings] == ["samples_are_useful"]
