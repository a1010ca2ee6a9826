"""The primary model: a trained CNN, and how to train one.

In Augenstein et al. (2020, arXiv 1911.06679, section 5) it is an EMNIST
classifier whose accuracy decides which users' data to look into.
"""

import dataclasses
import functools
import io
import os
from typing import Optional, Tuple, Union

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug import files
from tff_gen_debug.models import cnn
from tff_gen_debug.models import image_classifier

_apply = tf.function(cnn.apply, reduce_retracing=True)


@dataclasses.dataclass(frozen=True, eq=False)
class Classifier(image_classifier.ImageClassifier):
  """A trained CNN.

  Attributes:
    weights: Ten float32 arrays in the order of `Architecture.weight_shapes`;
      inside a client computation, pass them to `cnn.apply`.
  """

  weights: Tuple[np.ndarray, ...]

  def __post_init__(self):
    weights = tuple(np.asarray(w, np.float32) for w in self.weights)
    object.__setattr__(self, "weights", weights)
    cnn.Architecture.of_weights(weights)  # Or an error.
    if not all(np.all(np.isfinite(w)) for w in weights):
      raise ValueError("weights must be finite")

  @property
  def architecture(self) -> cnn.Architecture:
    """The sizes of the network."""
    return cnn.Architecture.of_weights(self.weights)

  @property
  def image_shape(self) -> Tuple[int, ...]:
    return cnn.IMAGE_SHAPE

  @property
  def num_classes(self) -> int:
    return len(self.weights[-1])

  def logits(self, images: tf.Tensor) -> tf.Tensor:
    return cnn.apply(self.weights, images)

  @property
  def _traced_logits(self):
    # One graph for all classifiers of a size: tracing one for each would cost
    # those who measure a new one every few rounds.
    return functools.partial(_apply, self.weights)

  def save(self, path: Union[str, os.PathLike]) -> None:
    """Writes the weights to an npz file at exactly `path`, atomically."""
    buffer = io.BytesIO()
    arrays = {f"weight_{i}": w for i, w in enumerate(self.weights)}
    np.savez_compressed(buffer, **arrays)
    files.write_atomically(path, buffer.getvalue())

  @classmethod
  def load(cls, path: Union[str, os.PathLike]) -> "Classifier":
    """Reads what `save` wrote.

    Args:
      path: The npz file.

    Returns:
      The classifier.

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: If the file is not an undamaged set of weights.
    """
    with open(path, "rb") as file:
      try:
        with np.load(file, allow_pickle=False) as arrays:
          return cls(
            tuple(arrays[f"weight_{i}"] for i in range(len(arrays.files)))
          )
      # Damage makes zipfile, zlib and NumPy each raise errors of their own.
      except Exception as error:
        raise ValueError(
          f"path {os.fspath(path)!r} does not hold a classifier: {error}"
        ) from error


def train_classifier(
  images: np.ndarray,
  labels: np.ndarray,
  *,
  num_classes: int,
  epochs: int = 3,
  seed: int = 0,
  batch_size: int = 32,
  learning_rate: float = 1e-3,
  architecture: Optional[cnn.Architecture] = None,
) -> Classifier:
  """Trains the CNN centrally with Adam, by default as the paper did.

  Not private: the images must be ones that may be looked at.

  Args:
    images: Floats `[n, 28, 28, 1]` in [-1, 1], n >= 1.
    labels: Integers `[n]` in [0, num_classes).
    num_classes: Number of classes.
    epochs: Passes over the images, >= 1.
    seed: Seed of the initial weights and of the order of the images.
    batch_size: Images a step, >= 1.
    learning_rate: Adam's, > 0.
    architecture: Sizes of the network; by default the paper's.

  Returns:
    The trained classifier.

  Raises:
    ValueError: If an argument breaks its rule.
  """
  images = image_classifier.check_images(images, cnn.IMAGE_SHAPE)
  labels = np.asarray(labels)
  if len(images) == 0 or labels.shape != (len(images),):
    raise ValueError(
      "labels must hold one integer an image, for at least one image, got "
      f"shape {list(labels.shape)} for {len(images)} images"
    )
  if not np.issubdtype(labels.dtype, np.integer):
    raise TypeError(f"labels must be integers, got dtype {labels.dtype}")
  if labels.min() < 0 or labels.max() >= num_classes:
    raise ValueError(
      f"labels must be in [0, {num_classes}), got values in "
      f"[{labels.min()}, {labels.max()}]"
    )
  architecture = architecture or cnn.Architecture(num_classes)
  if architecture.num_classes != num_classes:
    raise ValueError(
      "architecture must have num_classes classes, got "
      f"{architecture.num_classes} and {num_classes}"
    )
  _check_positive(
    epochs=epochs, batch_size=batch_size, learning_rate=learning_rate
  )
  model = cnn.build_keras_model(
    architecture, cnn.initial_weights(architecture, seed)
  )
  model.compile(
    tf.keras.optimizers.Adam(learning_rate),
    tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
  )
  dataset = tf.data.Dataset.from_tensor_slices((images, labels))
  dataset = dataset.shuffle(len(images), seed=seed).batch(batch_size)
  model.fit(dataset, epochs=epochs, verbose=0)
  return Classifier(tuple(model.get_weights()))


def train_classifier_federated(
  client_data: tff.simulation.datasets.ClientData,
  *,
  rounds: int,
  clients_per_round: int,
  client_epochs: int = 1,
  batch_size: int = 16,
  client_learning_rate: float = 0.1,
  seed: int = 0,
  architecture: Optional[cnn.Architecture] = None,
) -> Classifier:
  """Trains the CNN with `tff.learning`'s federated averaging.

  Not private: updates are averaged without clipping or noise, weighted by each
  client's number of examples. The primary model is usually one that exists
  already; this is for those who have none.

  Args:
    client_data: Clients whose examples are mappings with `image`, float32
      `[28, 28, 1]` in [-1, 1], and `label`, int32.
    rounds: Rounds of averaging, >= 1.
    clients_per_round: Cohort, drawn uniformly without replacement, from 1 to
      the number of clients.
    client_epochs: Passes a client makes over its examples in a round, >= 1.
    batch_size: Images a client's step, >= 1.
    client_learning_rate: Of the clients' SGD, > 0.
    seed: Seed of the initial weights, the cohorts and the order of examples.
    architecture: Sizes of the network; by default the paper's, ten classes.

  Returns:
    The trained classifier.

  Raises:
    ValueError: If an argument breaks its rule.
  """
  _check_positive(
    rounds=rounds,
    clients_per_round=clients_per_round,
    client_epochs=client_epochs,
    batch_size=batch_size,
    client_learning_rate=client_learning_rate,
  )
  num_clients = len(client_data.client_ids)
  if clients_per_round > num_clients:
    raise ValueError(
      f"clients_per_round must be at most the {num_clients} clients of "
      f"client_data, got {clients_per_round}"
    )
  structure = client_data.element_type_structure
  if not {"image", "label"} <= set(structure):
    raise ValueError(
      "client_data must have the fields image and label, got "
      f"{sorted(structure)}"
    )

  def batches(dataset):
    dataset = dataset.shuffle(1024, seed=seed).repeat(client_epochs)
    dataset = dataset.batch(batch_size)
    return dataset.map(lambda batch: (batch["image"], batch["label"]))

  process = tff.learning.algorithms.build_weighted_fed_avg(
    cnn.as_functional_model(architecture or cnn.Architecture(), seed),
    tff.learning.optimizers.build_sgdm(float(client_learning_rate)),
    loop_implementation=tff.learning.LoopImplementation.DATASET_ITERATOR,
  )
  process = tff.simulation.compose_dataset_computation_with_learning_process(
    client_data.preprocess(batches).dataset_computation, process
  )
  rng = np.random.default_rng(seed)
  state = process.initialize()
  for _ in range(rounds):
    chosen = rng.choice(num_clients, clients_per_round, replace=False)
    cohort = [client_data.client_ids[i] for i in chosen]
    state = process.next(state, cohort).state
  return Classifier(tuple(process.get_model_weights(state).trainable))


def _check_positive(**values: float) -> None:
  for name, value in values.items():
    if not value > 0:
      raise ValueError(f"{name} must be positive, got {value}")
