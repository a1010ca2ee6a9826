"""Tests of the primary model: trained, asked and stored."""

import collections

import numpy as np
import pytest
import tensorflow_federated as tff

from tff_gen_debug.models import classifier
from tff_gen_debug.models import cnn

_SMALL = cnn.Architecture(num_classes=4, conv_widths=(4, 8, 8), dense_width=16)


def _corner_images(num_images, seed):
  """Noise with a bright square in the corner that is the label, 0 to 3."""
  rng = np.random.default_rng(seed)
  images = rng.normal(-0.8, 0.1, (num_images, 28, 28, 1)).astype(np.float32)
  labels = rng.integers(0, 4, num_images).astype(np.int32)
  for image, label in zip(images, labels):
    top, left = 2 + 16 * (label // 2), 2 + 16 * (label % 2)
    image[top : top + 8, left : left + 8] = 0.9
  return np.clip(images, -1, 1), labels


def _constant_classifier(biases):
  """Whose logits are `biases` for every image."""
  architecture = cnn.Architecture(
    num_classes=len(biases), conv_widths=(1, 1, 1), dense_width=1
  )
  weights = [np.zeros(s, np.float32) for s in architecture.weight_shapes]
  weights[-1] = np.asarray(biases, np.float32)
  return classifier.Classifier(tuple(weights))


def test_central_training_learns_and_repeats():
  images, labels = _corner_images(600, seed=0)
  trained = [
    classifier.train_classifier(
      images,
      labels,
      num_classes=4,
      epochs=3,
      seed=seed,
      learning_rate=3e-3,
      architecture=_SMALL,
    )
    for seed in (7, 7, 8)
  ]
  test_images, test_labels = _corner_images(200, seed=1)
  assert trained[0].accuracy(test_images, test_labels) > 0.95
  logits = [model.features(test_images) for model in trained]
  np.testing.assert_allclose(logits[0], logits[1], rtol=1e-3, atol=1e-3)
  assert np.abs(logits[0] - logits[2]).max() > 0.1


def test_federated_training_learns(tff_runtime):
  images, labels = _corner_images(320, seed=0)
  clients = {
    f"client_{i}": collections.OrderedDict(
      image=images[i::4], label=labels[i::4]
    )
    for i in range(4)
  }
  model = classifier.train_classifier_federated(
    tff.simulation.datasets.TestClientData(clients),
    rounds=6,
    clients_per_round=3,
    client_epochs=2,
    client_learning_rate=0.1,
    seed=3,
    architecture=_SMALL,
  )
  assert model.architecture == _SMALL
  assert model.accuracy(*_corner_images(200, seed=1)) > 0.9


def test_probabilities_and_accuracy_of_known_logits():
  model = _constant_classifier([0.0, np.log(3.0)])
  images = np.zeros((4, 28, 28, 1), np.float32)
  np.testing.assert_allclose(
    model.probabilities(images), [[0.25, 0.75]] * 4, rtol=1e-6
  )
  np.testing.assert_allclose(
    model.features(images), [[0.0, np.log(3.0)]] * 4, rtol=1e-6
  )
  assert model.accuracy(images, [1, 1, 1, 0]) == 0.75
  # Logits far beyond what exp can take.
  extreme = _constant_classifier([-1000.0, 1000.0]).probabilities(images[:1])
  np.testing.assert_array_equal(extreme, [[0.0, 1.0]])


def test_features_come_in_order_over_several_batches():
  images = np.random.default_rng(0).uniform(-1, 1, (1100, 28, 28, 1))
  images = images.astype(np.float32)
  model = classifier.Classifier(cnn.initial_weights(_SMALL, seed=0))
  features = model.features(images)
  assert features.shape == (1100, 4)
  for index in (0, 511, 512, 1099):
    np.testing.assert_allclose(
      features[index],
      model.features(images[index : index + 1])[0],
      rtol=1e-4,
      atol=1e-5,
    )
  assert model.features(images[:0]).shape == (0, 4)
  assert model.probabilities(images[:0]).shape == (0, 4)


def test_saved_weights_come_back(tmp_path):
  model = classifier.Classifier(cnn.initial_weights(_SMALL, seed=0))
  path = tmp_path / "primary.weights"
  model.save(path)
  loaded = classifier.Classifier.load(path)
  assert loaded.architecture == _SMALL
  for saved, read in zip(model.weights, loaded.weights):
    np.testing.assert_array_equal(saved, read)


@pytest.mark.parametrize("keep", [0, 50, 0.5, 0.99])
def test_damaged_weights_are_refused(tmp_path, keep):
  path = tmp_path / "primary.npz"
  classifier.Classifier(cnn.initial_weights(_SMALL, seed=0)).save(path)
  content = path.read_bytes()
  size = keep if isinstance(keep, int) else int(keep * len(content))
  path.write_bytes(content[:size])
  with pytest.raises(ValueError, match="primary.npz"):
    classifier.Classifier.load(path)


def test_a_missing_file_is_not_found(tmp_path):
  with pytest.raises(FileNotFoundError):
    classifier.Classifier.load(tmp_path / "none.npz")


def test_weights_of_another_network_are_refused():
  weights = cnn.initial_weights(_SMALL, seed=0)
  with pytest.raises(ValueError, match="weights"):
    classifier.Classifier(weights[:-1])
  with pytest.raises(ValueError, match="weights"):
    classifier.Classifier(weights[:4] + (weights[4][:2],) + weights[5:])
  with pytest.raises(ValueError, match="finite"):
    classifier.Classifier((weights[0] * np.nan,) + weights[1:])


@pytest.mark.parametrize(
  "changes, error, message",
  [
    (dict(images=np.zeros((4, 28, 28), np.float32)), ValueError, "images"),
    (dict(labels=np.array([0, 1, 2])), ValueError, "labels"),
    (dict(labels=np.array([0, 1, 2, 4])), ValueError, r"\[0, 4\)"),
    (dict(labels=np.array([0, 1, 2, -1])), ValueError, r"\[0, 4\)"),
    (dict(labels=np.zeros(4)), TypeError, "integers"),
    (dict(epochs=0), ValueError, "epochs"),
    (dict(batch_size=0), ValueError, "batch_size"),
    (dict(learning_rate=float("nan")), ValueError, "learning_rate"),
    (
      dict(architecture=cnn.Architecture(10)),
      ValueError,
      "architecture",
    ),
  ],
)
def test_bad_training_arguments_are_named(changes, error, message):
  images = np.zeros((4, 28, 28, 1), np.float32)
  arguments = dict(images=images, labels=np.arange(4), num_classes=4)
  arguments.update(changes)
  with pytest.raises(error, match=message):
    classifier.train_classifier(**arguments)


@pytest.mark.parametrize(
  "changes, message",
  [
    (dict(rounds=0), "rounds"),
    (dict(clients_per_round=2), "clients_per_round"),
  ],
)
def test_bad_federated_arguments_are_named(changes, message):
  data = collections.OrderedDict(
    image=np.zeros((2, 28, 28, 1), np.float32), label=np.zeros(2, np.int32)
  )
  client_data = tff.simulation.datasets.TestClientData({"a": data})
  arguments = dict(rounds=1, clients_per_round=1)
  with pytest.raises(ValueError, match=message):
    classifier.train_classifier_federated(
      client_data, **{**arguments, **changes}
    )
  raw = client_data.preprocess(
    lambda ds: ds.map(lambda x: collections.OrderedDict(pixels=x["image"]))
  )
  with pytest.raises(ValueError, match="image and label"):
    classifier.train_classifier_federated(raw, **arguments)
