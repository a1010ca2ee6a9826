"""How well the primary model does by class, as a private metric.

Tells which classes to look into where nobody may know how often each user has
them, let alone which examples are wrong (task T4 of Table 1 of Augenstein et
al., ICLR 2020, arXiv 1911.06679).
"""

import dataclasses
import math

import dp_accounting
import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.debugging import noised_sums
from tff_gen_debug.debugging import user_accuracy
from tff_gen_debug.models import image_classifier
from tff_gen_debug.privacy import releases as release_lib
from tff_gen_debug.privacy import validation

# A class is left out of the ranking if its sum is less than so many standard
# deviations of the noise on it: its accuracy would be noise over noise.
_LEAST_SIGNAL = 5.0


@dataclasses.dataclass(frozen=True, eq=False)
class ClassAccuracy:
  """Noised sums over users.

  Attributes:
    correct: `[classes]`: sum over users of the share of their examples that are
      of the class and classified correctly.
    wrong: `[classes]`: the same of those that are misclassified.
    noise_multiplier: Standard deviation of the noise on each sum, divided by
      the sensitivity under `neighboring_relation`.
    neighboring_relation: "add_or_remove_one" or "replace_one".
  """

  correct: np.ndarray
  wrong: np.ndarray
  noise_multiplier: float
  neighboring_relation: str

  @property
  def accuracies(self) -> np.ndarray:
    """float64 `[classes]` in [0, 1]; NaN where noise hides the class.

    Each user counts as the share of their examples that are of the class, so
    that no user counts for more than another.
    """
    present = self.correct + self.wrong
    stddev = (
      self.noise_multiplier
      * noised_sums.SENSITIVITIES[self.neighboring_relation]
    )
    visible = present > max(_LEAST_SIGNAL * math.sqrt(2) * stddev, 1e-9)
    with np.errstate(divide="ignore", invalid="ignore"):
      accuracies = np.clip(self.correct / present, 0.0, 1.0)
    return np.where(visible, accuracies, np.nan)

  def lowest(self, count: int = 1) -> list[int]:
    """The classes of lowest accuracy, the lowest first.

    Args:
      count: How many, at least 1.

    Returns:
      At most so many: classes that the noise hides are left out.
    """
    accuracies = self.accuracies
    order = np.argsort(accuracies, kind="stable")  # NaN comes last.
    return [int(c) for c in order[:count] if not np.isnan(accuracies[c])]

  @property
  def event(self) -> dp_accounting.DpEvent:
    """The cost, for a ledger with `neighboring_relation`."""
    return dp_accounting.GaussianDpEvent(self.noise_multiplier)

  @property
  def release(self) -> release_lib.Release:
    """The record for the report."""
    return release_lib.Release(
      name="accuracy by class",
      what=(
        "sums over users of the shares of their examples that are of each of"
        f" {len(self.correct)} classes and right or wrong, with Gaussian noise"
        f" (noise multiplier {self.noise_multiplier:g})"
      ),
      event=self.event,
    )


def private_class_accuracy(
  classifier: image_classifier.ImageClassifier,
  client_data: tff.simulation.datasets.ClientData,
  *,
  noise_multiplier: float,
  neighboring_relation: str = "add_or_remove_one",
  example_fn: user_accuracy.ExampleFn,
) -> ClassAccuracy:
  """Sums each client's shares of right and wrong examples by class, in TFF.

  Formal guarantees: what a client sends has no negative entry, and its entries
  sum to at most 1, so its L2 norm is at most 1 (and clipped there, against
  rounding). Adding or removing a user therefore moves the sums by at most 1 in
  L2 norm, replacing one by at most sqrt(2): two vectors without negative
  entries are at most a right angle apart. The release is a Gaussian mechanism
  with noise of standard deviation noise_multiplier x sensitivity on each sum.

  Edge cases: a client without examples adds nothing, and neither do examples
  with a label outside of the classifier's classes.

  Args:
    classifier: The primary model.
    client_data: The users' data; all clients are asked.
    noise_multiplier: Standard deviation of the noise on each sum, divided by
      the sensitivity; > 0.
    neighboring_relation: "add_or_remove_one" or "replace_one", as the plan's.
    example_fn: As for `user_accuracy.evaluate_users`.

  Returns:
    The noised sums; record their `event` in the ledger once.

  Raises:
    TypeError: If an argument has the wrong type.
    ValueError: If an argument breaks its rule.
  """
  noise_multiplier = validation.positive("noise_multiplier", noise_multiplier)
  validation.one_of(
    "neighboring_relation",
    neighboring_relation,
    tuple(noised_sums.SENSITIVITIES),
  )
  num_classes = classifier.num_classes

  @tff.tensorflow.computation(np.str_)
  def client_shares(client_id):
    dataset = client_data.serializable_dataset_fn(client_id)
    batch, correct = user_accuracy.classify_client(
      classifier, dataset, example_fn
    )
    labels = tf.cast(example_fn(batch)["label"], tf.int32)
    of_class = tf.one_hot(labels, num_classes)
    is_correct = tf.cast(correct, tf.float32)[:, tf.newaxis]
    total = tf.maximum(tf.cast(tf.size(labels), tf.float32), 1.0)
    return tf.stack(
      [
        tf.reduce_sum(of_class * is_correct, axis=0) / total,
        tf.reduce_sum(of_class * (1 - is_correct), axis=0) / total,
      ]
    )

  correct, wrong = noised_sums.noised_sum(
    client_shares,
    client_data.client_ids,
    l2_norm_clip=1.0,
    stddev=noise_multiplier * noised_sums.SENSITIVITIES[neighboring_relation],
  )
  return ClassAccuracy(correct, wrong, noise_multiplier, neighboring_relation)
