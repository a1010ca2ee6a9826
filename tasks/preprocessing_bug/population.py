"""The users of the task, its primary model, and how it splits the users."""

from collections.abc import Mapping, Sequence
import dataclasses
import logging
import os

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tasks.preprocessing_bug import config as config_lib
from tff_gen_debug import datasets
from tff_gen_debug import privacy
from tff_gen_debug.datasets import emnist
from tff_gen_debug.datasets import handwriting
from tff_gen_debug.datasets import preprocessing
from tff_gen_debug.debugging import kept_measurements
from tff_gen_debug.debugging import selection
from tff_gen_debug.debugging import user_accuracy
from tff_gen_debug.models import classifier as classifier_lib
from tff_gen_debug.models import cnn

_logger = logging.getLogger(__name__)

# Images that are read at a time.
_READ_BATCH = 1024

# Of the held-out users; the others train the primary model.
_REFERENCE_SHARE = 0.25


@dataclasses.dataclass(frozen=True, eq=False)
class HeldOut:
  """Images of clean users whom no GAN is trained on.

  Attributes:
    classifier: The primary model, trained on three quarters of the users.
    reference: Images of the other users, float32 of shape [n, 28, 28, 1] in
      [-1, 1].
    accuracy: The model's accuracy on `reference`.
  """

  classifier: classifier_lib.Classifier
  reference: np.ndarray
  accuracy: float


@dataclasses.dataclass(frozen=True, eq=False)
class Slice:
  """The users that one GAN is trained on.

  Attributes:
    criterion: Says who they are.
    images: By user, float32 of shape [n, 28, 28, 1] in [-1, 1].
    releases: What had to be released to choose them.
  """

  criterion: str
  images: Mapping[str, np.ndarray]
  releases: Sequence[privacy.Release]

  def datasets(self) -> dict[str, tf.data.Dataset]:
    """The client data sets of the GAN, made once."""
    return {
      client_id: tf.data.Dataset.from_tensor_slices(images)
      for client_id, images in self.images.items()
    }

  def some_images(self, count: int, seed: int) -> np.ndarray:
    """Real images of random users; only a simulation may look at them."""
    rng = np.random.default_rng(seed)
    images = np.concatenate(list(self.images.values()))
    return images[rng.permutation(len(images))[:count]]


def load_users(
  config: config_lib.Config,
) -> tuple[
  tff.simulation.datasets.ClientData, tff.simulation.datasets.ClientData
]:
  """The clean users: those to debug, and held-out ones."""
  if config.dataset == "emnist":
    return emnist.load_data(
      only_digits=False, cache_dir=config.cache_dir or None
    )
  train, test = handwriting.load_data()
  if config.num_clients:
    train = handwriting.pseudo_clients(
      config.num_clients, train, seed=config.seed
    )
  return train, test


def train_primary_model(
  config: config_lib.Config,
  held_out: tff.simulation.datasets.ClientData,
  folder: str,
) -> HeldOut:
  """Trains the primary model, or loads the one that the run trained before."""
  rng = np.random.default_rng(config.seed)
  ids = rng.permutation(held_out.client_ids).tolist()
  split = max(1, int(len(ids) * _REFERENCE_SHARE))
  reference, labels = _read_clients(held_out, ids[:split])
  path = os.path.join(folder, "primary_model.npz")
  if not os.path.exists(path):
    _train_classifier(config, held_out, ids[split:]).save(path)
  classifier = classifier_lib.Classifier.load(path)
  accuracy = classifier.accuracy(reference, labels)
  _logger.info("Primary model: accuracy %.4f on held-out users", accuracy)
  return HeldOut(classifier, reference, accuracy)


def _train_classifier(
  config: config_lib.Config,
  held_out: tff.simulation.datasets.ClientData,
  client_ids: Sequence[str],
) -> classifier_lib.Classifier:
  """The paper's classifier, trained centrally or by federated averaging."""
  num_classes = 36 if config.dataset == "emnist" else 10
  if config.classifier_rounds:
    users = datasets.TracedClientData(
      client_ids,
      lambda client_id: held_out.serializable_dataset_fn(client_id).map(
        preprocessing.paper_example
      ),
    )
    return classifier_lib.train_classifier_federated(
      users,
      rounds=config.classifier_rounds,
      clients_per_round=min(10, len(client_ids)),
      client_epochs=config.classifier_epochs,
      seed=config.seed,
      architecture=cnn.Architecture(num_classes=num_classes),
    )
  images, labels = _read_clients(held_out, client_ids)
  return classifier_lib.train_classifier(
    images,
    labels,
    num_classes=num_classes,
    epochs=config.classifier_epochs,
    seed=config.seed,
  )


def choose_slices(
  config: config_lib.Config,
  users: tff.simulation.datasets.ClientData,
  classifier: classifier_lib.Classifier,
  histogram_path: str,
) -> dict[str, Slice]:
  """Splits the users, or their images, by what the primary model makes of them.

  Args:
    config: The config.
    users: The users, the bug included.
    classifier: The primary model.
    histogram_path: Where the private histogram of accuracies is kept, if
      thresholds are read from one: its noise must not be drawn twice.

  Returns:
    The slices, by the names of `config.slice_names`.

  Raises:
    ValueError: If a slice has fewer users than a round is expected to have.
  """
  evaluation = user_accuracy.evaluate_users(classifier, users)
  if config.selection == "by_example":
    low, high = (
      selection.by_example(outcome, config.min_examples)
      for outcome in ("misclassified", "correct")
    )
  else:
    low, high = _resolve(
      config,
      selection.by_user(
        below=config.low_accuracy or selection.Percentile(config.low_percentile)
      ),
      selection.by_user(
        above=config.high_accuracy
        or selection.Percentile(config.high_percentile)
      ),
      evaluation,
      lambda: _private_histogram(config, users, classifier, histogram_path),
    )
  slices = {}
  for name, criterion in zip(config.slice_names, (low, high)):
    client_ids = criterion.eligible_clients(evaluation)
    if len(client_ids) < max(config.clients_per_round, 1):
      raise ValueError(
        f"The {name} slice ({criterion}) has {len(client_ids)} users, fewer "
        f"than clients_per_round, {config.clients_per_round:g}. Use more "
        "clients, smaller rounds or another selection."
      )
    chosen = criterion.select(users, classifier)
    images = {
      client_id: read_client(chosen.create_tf_dataset_for_client(client_id))[0]
      for client_id in client_ids
    }
    _logger.info("%s: %d users, %s", name, len(images), criterion)
    slices[name] = Slice(str(criterion), images, criterion.releases)
  return slices


def _resolve(config, low, high, evaluation, private_histogram):
  """Turns percentiles into accuracies, privately if the config says so."""
  if low.is_resolved and high.is_resolved:
    return low, high
  if config.histogram_noise_multiplier > 0:
    histogram = private_histogram()
    return low.resolve_privately(histogram), high.resolve_privately(histogram)
  accuracies = evaluation.accuracies
  return low.resolve(accuracies), high.resolve(accuracies)


def _private_histogram(
  config, users, classifier, path
) -> user_accuracy.AccuracyHistogram:
  """The histogram that this run released before, or a new one."""
  return kept_measurements.keep(
    path,
    user_accuracy.AccuracyHistogram,
    lambda: user_accuracy.private_accuracy_histogram(
      classifier, users, noise_multiplier=config.histogram_noise_multiplier
    ),
  )


def _read_clients(
  client_data: tff.simulation.datasets.ClientData, client_ids: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
  """Images and labels of several clients, one after the other."""
  parts = [
    read_client(client_data.create_tf_dataset_for_client(client_id))
    for client_id in client_ids
  ]
  images, labels = zip(*parts)
  return np.concatenate(images), np.concatenate(labels)


def read_client(dataset: tf.data.Dataset) -> tuple[np.ndarray, np.ndarray]:
  """Images [n, 28, 28, 1] in [-1, 1] and labels [n] of one client."""
  images = [np.zeros([0, 28, 28, 1], np.float32)]
  labels = [np.zeros([0], np.int32)]
  # Not mapped: that would trace the preprocessing anew for each client.
  for batch in dataset.batch(_READ_BATCH):
    example = preprocessing.paper_example(batch)
    images.append(example["image"].numpy())
    labels.append(example["label"].numpy())
  return np.concatenate(images), np.concatenate(labels)
