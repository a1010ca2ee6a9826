"""How well the primary model does for each user, computed on the clients.

A selection criterion needs to know which accuracy is low. Two ways to learn it:
`evaluate_users` releases every user's exact counts, which is not private and
must be said in the report; `private_accuracy_histogram` releases a noised
histogram at a known cost.
"""

import collections
from collections.abc import Callable, Mapping, Sequence
import dataclasses
import math
from typing import Any, Optional

import dp_accounting
import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.datasets import preprocessing
from tff_gen_debug.datasets import whole_client
from tff_gen_debug.debugging import asked_clients
from tff_gen_debug.debugging import noised_sums
from tff_gen_debug.models import image_classifier
from tff_gen_debug.privacy import releases as release_lib

ExampleFn = Callable[[Any], Mapping[str, tf.Tensor]]

# Bounds the memory of a runtime that starts all clients of a call at once.
_CLIENTS_PER_CALL = 100


@dataclasses.dataclass(frozen=True)
class UserEvaluation:
  """Exact counts of correct predictions, a non-private release.

  Attributes:
    num_correct: Client id -> number of correctly classified examples.
    num_examples: Client id -> number of examples, with the same keys.
  """

  num_correct: Mapping[str, int]
  num_examples: Mapping[str, int]

  @property
  def accuracies(self) -> dict[str, float]:
    """Accuracy in [0, 1] of every client that has examples."""
    return {
      client_id: self.num_correct[client_id] / total
      for client_id, total in self.num_examples.items()
      if total > 0
    }

  @property
  def num_without_examples(self) -> int:
    """Number of clients that have no accuracy, for want of examples."""
    return sum(total == 0 for total in self.num_examples.values())


def evaluate_users(
  classifier: image_classifier.ImageClassifier,
  client_data: tff.simulation.datasets.ClientData,
  client_ids: Optional[Sequence[str]] = None,
  *,
  example_fn: ExampleFn = preprocessing.paper_example,
) -> UserEvaluation:
  """Counts each client's correct predictions in a federated computation.

  Not private: the exact counts of every client are collected. Record
  `exact_accuracy_release` in the report, which `resolve` of a criterion does.

  Args:
    classifier: The primary model.
    client_data: The users' data.
    client_ids: Whom to evaluate; by default all clients of `client_data`.
    example_fn: Maps a batch of n >= 0 examples of `client_data` to a mapping
      with `image`, float32 `[n, *image_shape]` in [-1, 1], and `label`,
      integers `[n]`.

  Returns:
    The counts, in the order of `client_ids`.

  Raises:
    ValueError: If `client_ids` is empty or `example_fn` returns something else.
  """
  client_ids = asked_clients.resolve(client_data, client_ids)

  @tff.tensorflow.computation(np.str_)
  def count_correct(client_id):
    dataset = client_data.serializable_dataset_fn(client_id)
    _, correct = classify_client(classifier, dataset, example_fn)
    return collections.OrderedDict(
      num_correct=tf.math.count_nonzero(correct), num_examples=tf.size(correct)
    )

  @tff.federated_computation(tff.FederatedType(np.str_, tff.CLIENTS))
  def count_everywhere(ids):
    return tff.federated_map(count_correct, ids)

  num_correct, num_examples = {}, {}
  for start in range(0, len(client_ids), _CLIENTS_PER_CALL):
    cohort = client_ids[start : start + _CLIENTS_PER_CALL]
    for client_id, counts in zip(cohort, count_everywhere(cohort)):
      num_correct[client_id] = int(counts["num_correct"])
      num_examples[client_id] = int(counts["num_examples"])
  return UserEvaluation(num_correct, num_examples)


def user_accuracies(
  classifier: image_classifier.ImageClassifier,
  client_data: tff.simulation.datasets.ClientData,
  client_ids: Optional[Sequence[str]] = None,
  *,
  example_fn: ExampleFn = preprocessing.paper_example,
) -> dict[str, float]:
  """The exact accuracy of every client with examples; see `evaluate_users`."""
  return evaluate_users(
    classifier, client_data, client_ids, example_fn=example_fn
  ).accuracies


def exact_accuracy_release(num_users: int) -> release_lib.Release:
  """What the report says when exact accuracies were collected."""
  return release_lib.Release(
    name="user accuracies",
    what=f"the primary model's exact accuracy for each of {num_users} users",
  )


@dataclasses.dataclass(frozen=True, eq=False)
class AccuracyHistogram:
  """A noised histogram of user accuracies.

  Attributes:
    edges: Increasing bin edges `[bins + 1]`, from 0 to 1.
    counts: Noised numbers of users `[bins]`; may be negative.
    noise_multiplier: Standard deviation of the noise on every count, divided
      by the sensitivity under the neighbouring relation it was made for.
  """

  edges: np.ndarray
  counts: np.ndarray
  noise_multiplier: float

  @property
  def event(self) -> dp_accounting.DpEvent:
    """The cost, for a ledger with the histogram's neighbouring relation."""
    return dp_accounting.GaussianDpEvent(self.noise_multiplier)

  @property
  def release(self) -> release_lib.Release:
    """One record however many thresholds are read off the histogram."""
    return release_lib.Release(
      name="accuracy histogram",
      what=(
        f"a histogram of user accuracies in {len(self.counts)} bins, with "
        f"Gaussian noise (noise multiplier {self.noise_multiplier:g})"
      ),
      event=self.event,
    )

  def percentile(self, percent: float) -> float:
    """The accuracy below which about `percent` % of the users are.

    Negative counts are taken as zero, and users as evenly spread in their bin.

    Args:
      percent: In (0, 100).

    Returns:
      An accuracy in (0, 1).

    Raises:
      ValueError: If the noise left no positive count.
    """
    counts = np.maximum(self.counts, 0.0)
    if counts.sum() <= 0:
      raise ValueError(
        "counts must hold at least one positive number to find a percentile; "
        "use more users or a smaller noise_multiplier"
      )
    cumulative = np.concatenate([[0.0], np.cumsum(counts)]) / counts.sum()
    target = percent / 100
    last = int(np.searchsorted(cumulative, target))
    low, high = cumulative[last - 1], cumulative[last]
    fraction = (target - low) / (high - low)
    width = self.edges[last] - self.edges[last - 1]
    return float(self.edges[last - 1] + fraction * width)


def private_accuracy_histogram(
  classifier: image_classifier.ImageClassifier,
  client_data: tff.simulation.datasets.ClientData,
  client_ids: Optional[Sequence[str]] = None,
  *,
  noise_multiplier: float,
  neighboring_relation: str = "add_or_remove_one",
  num_bins: int = 20,
  example_fn: ExampleFn = preprocessing.paper_example,
) -> AccuracyHistogram:
  """Sums one-hot accuracies over clients and adds Gaussian noise, all in TFF.

  Formal guarantees: a client adds 1 to at most one count. Adding or removing a
  user changes the histogram by at most 1 in L2 norm, replacing one by at most
  sqrt(2): the sensitivity. The release is a Gaussian mechanism with noise of
  standard deviation noise_multiplier x sensitivity (`AccuracyHistogram.event`).

  Edge cases: a client without examples adds nothing. No amplification is
  claimed for `client_ids` that are a sample of a larger population.

  Args:
    classifier: The primary model.
    client_data: The users' data.
    client_ids: Whom to ask; by default all clients of `client_data`.
    noise_multiplier: Standard deviation of the noise on each count, divided by
      the sensitivity, > 0.
    neighboring_relation: "add_or_remove_one" or "replace_one", as the plan's.
    num_bins: Number of equal bins of [0, 1], >= 2.
    example_fn: As for `evaluate_users`.

  Returns:
    The noised histogram; record its `event` in the ledger once.

  Raises:
    ValueError: If an argument breaks its rule.
  """
  noise_multiplier = float(noise_multiplier)
  if not (noise_multiplier > 0 and math.isfinite(noise_multiplier)):
    raise ValueError(
      f"noise_multiplier must be positive and finite, got {noise_multiplier}"
    )
  if neighboring_relation not in noised_sums.SENSITIVITIES:
    raise ValueError(
      "neighboring_relation must be one of "
      f"{sorted(noised_sums.SENSITIVITIES)}, got {neighboring_relation!r}"
    )
  if num_bins < 2:
    raise ValueError(f"num_bins must be at least 2, got {num_bins}")
  client_ids = asked_clients.resolve(client_data, client_ids)

  @tff.tensorflow.computation(np.str_)
  def one_hot_accuracy(client_id):
    dataset = client_data.serializable_dataset_fn(client_id)
    _, correct = classify_client(classifier, dataset, example_fn)
    # In integers, so that no rounding moves an accuracy across an edge.
    num_correct = tf.math.count_nonzero(correct)
    total = tf.size(correct, out_type=tf.int64)
    bin_index = num_correct * num_bins // tf.maximum(total, 1)
    bin_index = tf.minimum(bin_index, num_bins - 1)
    bin_index = tf.where(total > 0, bin_index, -1)  # -1 is no bin at all.
    return tf.one_hot(bin_index, num_bins)

  return AccuracyHistogram(
    edges=np.linspace(0, 1, num_bins + 1),
    counts=noised_sums.noised_sum(
      one_hot_accuracy,
      client_ids,
      l2_norm_clip=1.0,
      stddev=noise_multiplier * noised_sums.SENSITIVITIES[neighboring_relation],
    ),
    noise_multiplier=noise_multiplier,
  )


def classify_client(
  classifier: image_classifier.ImageClassifier,
  dataset: tf.data.Dataset,
  example_fn: ExampleFn,
) -> tuple[Any, tf.Tensor]:
  """Classifies all examples of one client as a single batch, in the graph.

  A tensor once classified is far cheaper in a worker than a data set function,
  which it instantiates anew at every call. Takes about 0.2 MB an example.

  Args:
    classifier: The primary model; its weights are captured as constants.
    dataset: One client's examples, all of one shape; may be empty.
    example_fn: As for `evaluate_users`.

  Returns:
    The examples with a leading dimension, and bool `[n]`: whether each is
    classified correctly. An image with NaN or infinity is not.
  """
  batch = whole_client.as_batch(dataset)
  model_input = example_fn(batch)
  _check_model_input(model_input, classifier.image_shape)
  image = model_input["image"]
  logits = classifier.logits(image)
  predictions = tf.argmax(logits, axis=1)
  labels = tf.cast(model_input["label"], predictions.dtype)
  # Of the input: what a ReLU makes of NaN may be finite.
  is_finite = tf.reduce_all(tf.math.is_finite(image), axis=[1, 2, 3])
  # Not `==`, which compares identities in the graphs of TFF computations.
  return batch, tf.logical_and(tf.equal(predictions, labels), is_finite)


def _check_model_input(model_input: Any, image_shape: tuple[int, ...]) -> None:
  if not isinstance(model_input, Mapping) or not (
    {"image", "label"} <= set(model_input)
  ):
    raise ValueError(
      "example_fn must return a mapping with image and label, got "
      f"{model_input}"
    )
  image, label = model_input["image"], model_input["label"]
  if image.shape[1:] != image_shape or image.dtype != tf.float32:
    shape = ", ".join(map(str, image_shape))
    raise ValueError(
      f"example_fn must return float32 images of shape [n, {shape}], got "
      f"{image.dtype.name} {image.shape}"
    )
  if label.shape.rank != 1 or not label.dtype.is_integer:
    raise ValueError(
      "example_fn must return integer labels of shape [n], got "
      f"{label.dtype.name} {label.shape}"
    )
