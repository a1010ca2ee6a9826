"""Users to train on, and other images to choose and to test with."""

import collections
from collections.abc import Mapping
import dataclasses
import functools

import numpy as np
import tensorflow_federated as tff

from tasks.topagg_fedavg import config as config_lib
from tff_gen_debug.datasets import dirichlet
from tff_gen_debug.datasets import emnist
from tff_gen_debug.datasets import fashion_mnist
from tff_gen_debug.datasets import handwriting
from tff_gen_debug.datasets import preprocessing

_VALIDATION_SHARE = 0.15
_NO_IMAGES = (0, preprocessing.IMAGE_SIZE, preprocessing.IMAGE_SIZE, 1)


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
  """Labelled images.

  Attributes:
    images: float32 `[n, 28, 28, 1]` in [-1, 1].
    labels: int32 `[n]` in [0, 10).
  """

  images: np.ndarray
  labels: np.ndarray

  def __getitem__(self, chosen) -> "Examples":
    return Examples(self.images[chosen], self.labels[chosen])

  def __len__(self) -> int:
    return len(self.labels)


@dataclasses.dataclass(frozen=True, eq=False)
class Population:
  """Who takes part.

  Attributes:
    users: By id, what each one trains on.
    validation: Of the training half of the data set, but not of `users`;
      settings are chosen by it.
    test: Of the test half. Only trainings with chosen settings see it.
  """

  users: Mapping[str, Examples]
  validation: Examples
  test: Examples

  @functools.cached_property
  def pooled(self) -> Examples:
    """The images of all users, in one place."""
    return _join(list(self.users.values()))


def load(config: config_lib.Config) -> Population:
  """Loads the images of a config's data set, and deals them to users."""
  cache_dir = config.cache_dir or None
  if config.dataset == "fashion_mnist":
    return _fashion_mnist(config)
  if config.dataset == "emnist":
    train, test = emnist.load_data(only_digits=True, cache_dir=cache_dir)
  else:
    train, test = handwriting.load_data(
      all_blocks=config.all_blocks, cache_dir=cache_dir
    )
  ids = sorted(train.client_ids)
  # Neighbouring blocks of handwriting can share a writer, so the validation
  # ones are all from one end.
  cut = len(ids) - round(_VALIDATION_SHARE * len(ids))
  users = {}
  for client_id in ids[:cut]:
    examples = _read(train, client_id)
    if config.dataset == "emnist":
      users[client_id] = examples[: config.images_per_user]
      continue
    for start in range(0, len(examples), config.images_per_user):
      name = f"{client_id}+{start}"
      users[name] = examples[start : start + config.images_per_user]
  return Population(
    users,
    _join([_read(train, client_id) for client_id in ids[cut:]]),
    _join([_read(test, client_id) for client_id in sorted(test.client_ids)]),
  )


def _fashion_mnist(config: config_lib.Config) -> Population:
  train, test = fashion_mnist.load_arrays(config.cache_dir or None)
  examples = _from_bytes(train.images, train.labels)
  cut = len(examples) - round(_VALIDATION_SHARE * len(examples))
  parts = dirichlet.partition(
    train.labels[:cut],
    num_clients=cut // config.images_per_user,
    alpha=config.alpha,
    seed=config.tuning_seed,
  )
  users = {f"user_{i:05d}": examples[part] for i, part in enumerate(parts)}
  return Population(
    users, examples[cut:], _from_bytes(test.images, test.labels)
  )


def _from_bytes(images: np.ndarray, labels: np.ndarray) -> Examples:
  """From ink 255 on 0 to ink 1.0 on -1.0."""
  pixels = 1 - images.astype(np.float32) / 255
  return Examples(
    preprocessing.to_gan_range(pixels).numpy(), labels.astype(np.int32)
  )


def _read(
  client_data: tff.simulation.datasets.ClientData, client_id: str
) -> Examples:
  columns = collections.defaultdict(list)
  dataset = client_data.create_tf_dataset_for_client(client_id)
  for batch in dataset.batch(1024):
    for name, values in preprocessing.paper_example(batch).items():
      columns[name].append(values.numpy())
  return Examples(
    np.concatenate(columns["image"] or [np.zeros(_NO_IMAGES, np.float32)]),
    np.concatenate(columns["label"] or [np.zeros(0, np.int32)]),
  )


def _join(parts: list[Examples]) -> Examples:
  return Examples(
    np.concatenate([part.images for part in parts]),
    np.concatenate([part.labels for part in parts]),
  )
