"""Private images for the teachers, and other images to judge with."""

from collections.abc import Callable
import dataclasses
from typing import Optional

import numpy as np

from tasks.datalens import config as config_lib
from tff_gen_debug.datasets import celeba
from tff_gen_debug.datasets import fashion_mnist
from tff_gen_debug.datasets import handwriting
from tff_gen_debug.datasets import mnist
from tff_gen_debug.datasets import places365
from tff_gen_debug.datasets import shards

_VALIDATION_SHARE = 1 / 6
_CLASSES = {"celeba_gender": 2, "celeba_hair": 3, "places365": 2}
# Validation images are the same ones in all runs.
_SPLIT_SEED = 20


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
  """Labelled images.

  Attributes:
    images: uint8 `[n, h, w, c]`, background 0.
    labels: int32 `[n]`.
  """

  images: np.ndarray
  labels: np.ndarray

  @property
  def pixels(self) -> np.ndarray:
    """The images as networks see them, float32 in [-1, 1]."""
    return self.images.astype(np.float32) / 127.5 - 1

  def __getitem__(self, chosen) -> "Examples":
    return Examples(self.images[chosen], self.labels[chosen])

  def __len__(self) -> int:
    return len(self.labels)


@dataclasses.dataclass(frozen=True, eq=False)
class Synthetic:
  """Generated images.

  Attributes:
    images: float32 `[n, h, w, c]` in [-1, 1].
    labels: Integers `[n]`.
  """

  images: np.ndarray
  labels: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Population:
  """The images of a run.

  Attributes:
    train: The teachers' images.
    validation: Others of the same half of the data set; settings are chosen by
      these.
    num_classes: How many labels there are.
    load_test: Loads the other half. Only runs that are measured on it do.
  """

  train: Examples
  validation: Examples
  num_classes: int
  load_test: Callable[[], Examples]

  @property
  def image_shape(self) -> tuple[int, int, int]:
    """Height, width and channels of an image."""
    height, width, channels = self.train.images.shape[1:]
    return height, width, channels


def load(config: config_lib.Config) -> Population:
  """Loads the training half of a config's data set, and splits it."""
  images = _Loader(config)
  everything = images.load(test=False)
  order = np.random.RandomState(_SPLIT_SEED).permutation(len(everything))
  cut = len(everything) - round(_VALIDATION_SHARE * len(everything))
  return Population(
    train=everything[order[:cut]],
    validation=everything[order[cut:]],
    num_classes=_CLASSES.get(config.dataset, 10),
    load_test=lambda: images.load(test=True),
  )


def deal(config: config_lib.Config, population: Population) -> list[np.ndarray]:
  """For each teacher the numbers of its images among `population.train`."""
  if config.num_teachers > len(population.train):
    raise ValueError(
      f"num_teachers must be at most {len(population.train)}, the training"
      f" images, got {config.num_teachers}"
    )
  parts = shards.deal(len(population.train), config.num_teachers, config.seed)
  return [part[: config.images_per_teacher or None] for part in parts]


class _Loader:
  """Either half of a data set."""

  def __init__(self, config: config_lib.Config):
    self._name = config.dataset
    self._directory: Optional[str] = config.cache_dir or None
    self._limit = config.limit or None

  def load(self, *, test: bool) -> Examples:
    examples = self._examples(test)
    return examples[: self._limit]

  def _examples(self, test: bool) -> Examples:
    if self._name == "handwriting":
      return _from_clients(handwriting.load_data()[int(test)])
    if self._name == "mnist":
      load_half = mnist.load_test if test else mnist.load_train
      return _from_arrays(load_half(self._directory))
    if self._name == "fashion_mnist":
      return _from_arrays(fashion_mnist.load_arrays(self._directory)[int(test)])
    if self._name == "places365":
      return _from_arrays(
        places365.load_arrays(
          split="validation" if test else "train",
          data_dir=self._directory,
          limit=self._limit,
        )
      )
    return _from_arrays(
      celeba.load_arrays(
        self._name.replace("celeba_", ""),
        split="test" if test else "train",
        data_dir=self._directory,
        limit=self._limit,
      )
    )


def _from_arrays(arrays) -> Examples:
  images = arrays.images
  if images.ndim == 3:
    images = images[..., np.newaxis]
  return Examples(images, arrays.labels.astype(np.int32))


def _from_clients(client_data) -> Examples:
  """The examples of all clients: ink 0.0 on 1.0 becomes 255 on 0."""
  images, labels = [], []
  for client_id in client_data.client_ids:
    dataset = client_data.create_tf_dataset_for_client(client_id)
    for batch in dataset.batch(1024):
      images.append(np.rint(255 * (1 - batch["pixels"].numpy())))
      labels.append(batch["label"].numpy())
  pixels = np.concatenate(images).astype(np.uint8)[..., np.newaxis]
  return Examples(pixels, np.concatenate(labels))
