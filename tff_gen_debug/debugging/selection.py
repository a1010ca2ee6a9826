"""Selection criteria: which users or examples the auxiliary model learns from.

A modeler who may not look at data says instead what they would have looked at
(Augenstein et al., 2020, arXiv 1911.06679, section 3 and Table 1). The choice
is made in the client's own preprocessing: a client that is not selected has an
empty data set, and nobody learns which clients those are.

    low = by_user(below=Percentile(25)).resolve(accuracies)
    slice_data = low.select(client_data, classifier)
"""

from collections.abc import Callable, Mapping
import dataclasses
import math
from typing import Optional, Union

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.datasets import client_data as client_data_lib
from tff_gen_debug.datasets import preprocessing
from tff_gen_debug.debugging import user_accuracy
from tff_gen_debug.models import image_classifier
from tff_gen_debug.privacy import releases as release_lib


@dataclasses.dataclass(frozen=True)
class Percentile:
  """A place in the distribution of user accuracies, in (0, 100)."""

  percent: float

  def __post_init__(self):
    if not 0 < self.percent < 100:
      raise ValueError(f"percent must be in (0, 100), got {self.percent}")

  def __str__(self):
    return f"percentile {self.percent:g}"


Threshold = Union[float, Percentile]


@dataclasses.dataclass(frozen=True)
class UserCriterion:
  """Selects all examples of the users whose accuracy is in a range.

  Make it with `by_user`.

  Attributes:
    below: Selected users' accuracy is strictly smaller, if given.
    above: Selected users' accuracy is strictly greater, if given.
    releases: What had to be released to turn percentiles into values.
  """

  below: Optional[Threshold] = None
  above: Optional[Threshold] = None
  releases: tuple[release_lib.Release, ...] = ()

  def __post_init__(self):
    if self.below is None and self.above is None:
      raise ValueError("below or above must be given, got neither")
    for name in ("below", "above"):
      value = getattr(self, name)
      if value is None or isinstance(value, Percentile):
        continue
      if not 0 <= value <= 1:
        raise ValueError(
          f"{name} must be an accuracy in [0, 1] or a Percentile, got {value}"
        )

  def __str__(self):
    parts = []
    for sign, value in (("<", self.below), (">", self.above)):
      if value is not None:
        text = str(value) if isinstance(value, Percentile) else f"{value:.4g}"
        parts.append(f"accuracy {sign} {text}")
    return "users with " + " and ".join(parts)

  @property
  def is_resolved(self) -> bool:
    """Whether both thresholds are accuracies rather than percentiles."""
    return not any(isinstance(t, Percentile) for t in (self.below, self.above))

  def resolve(self, accuracies: Mapping[str, float]) -> "UserCriterion":
    """Turns percentiles into accuracies, from every user's exact accuracy.

    A threshold lies half-way between two accuracies that occur, where the share
    of users beyond it is nearest to the asked-for share. So ties, of which
    accuracies of k out of n are full, never empty a slice.

    Args:
      accuracies: From `user_accuracies`; a non-private release, which the
        result lists. Not listed, and not used, if there is no percentile.

    Returns:
      The criterion with accuracies as thresholds.

    Raises:
      ValueError: If there is a percentile but no two accuracies differ.
    """
    if self.is_resolved:
      return self
    values = np.sort(np.asarray(list(accuracies.values()), np.float64))
    if not np.all((values >= 0) & (values <= 1)) or not len(values):
      raise ValueError(
        "accuracies must hold at least one user and only values in [0, 1]"
      )
    return dataclasses.replace(
      self,
      below=_exact_threshold(self.below, values, "below"),
      above=_exact_threshold(self.above, values, "above"),
      releases=self.releases
      + (user_accuracy.exact_accuracy_release(len(values)),),
    )

  def resolve_privately(
    self, histogram: user_accuracy.AccuracyHistogram
  ) -> "UserCriterion":
    """Turns percentiles into accuracies, from a noised histogram.

    Reading thresholds off the histogram is post-processing: its event is
    recorded once however many criteria are resolved with it.

    Args:
      histogram: From `private_accuracy_histogram`.

    Returns:
      The criterion with accuracies as thresholds.

    Raises:
      ValueError: If the histogram holds nothing but noise.
    """
    if self.is_resolved:
      return self

    def value(threshold):
      if isinstance(threshold, Percentile):
        return histogram.percentile(threshold.percent)
      return threshold

    return dataclasses.replace(
      self,
      below=value(self.below),
      above=value(self.above),
      releases=self.releases + (histogram.release,),
    )

  def select(
    self,
    client_data: tff.simulation.datasets.ClientData,
    classifier: image_classifier.ImageClassifier,
    *,
    example_fn: user_accuracy.ExampleFn = preprocessing.paper_example,
  ) -> tff.simulation.datasets.ClientData:
    """The same clients, those not selected with an empty data set.

    Args:
      client_data: The users' data; examples of one fixed shape.
      classifier: The primary model, run by each client on its own examples.
      example_fn: Maps a batch of n >= 0 examples of `client_data` to a mapping
        with `image`, float32 `[n, *image_shape]` in [-1, 1], and `label`,
        integers `[n]`.

    Returns:
      A ClientData with the client ids and the example structure of
      `client_data`.

    Raises:
      ValueError: If a percentile is not resolved.
    """
    low, high = self._open_interval()

    def keep(correct):
      total = tf.size(correct, out_type=tf.int64)
      num_correct = tf.math.count_nonzero(correct)
      # In float64 as in Python, so that both agree on equal accuracies.
      accuracy = tf.math.divide_no_nan(
        tf.cast(num_correct, tf.float64), tf.cast(total, tf.float64)
      )
      selected = tf.logical_and(low < accuracy, accuracy < high)
      return tf.logical_and(tf.ones_like(correct), selected)

    return _select(client_data, classifier, example_fn, keep)

  def eligible_clients(
    self, evaluation: user_accuracy.UserEvaluation
  ) -> list[str]:
    """Whose data set `select` leaves non-empty; only a simulation may know.

    Args:
      evaluation: From `evaluate_users` on the same data.

    Returns:
      Client ids in the order of `evaluation`.

    Raises:
      ValueError: If a percentile is not resolved.
    """
    low, high = self._open_interval()
    return [
      client_id
      for client_id, accuracy in evaluation.accuracies.items()
      if low < accuracy < high
    ]

  def _open_interval(self) -> tuple[float, float]:
    """The accuracies between which, exclusively, users are selected."""
    if isinstance(self.above, Percentile) or isinstance(self.below, Percentile):
      raise ValueError(
        f"{self} holds a percentile; resolve it with accuracies first"
      )
    return (
      -math.inf if self.above is None else self.above,
      math.inf if self.below is None else self.below,
    )


@dataclasses.dataclass(frozen=True)
class ExampleCriterion:
  """Selects the examples that the primary model gets right, or wrong.

  Make it with `by_example`.

  Attributes:
    outcome: "correct" or "misclassified".
    min_examples: A user with fewer such examples is left out.
    releases: Empty: nothing is released to make this choice.
  """

  outcome: str
  min_examples: int = 5
  releases: tuple[release_lib.Release, ...] = ()

  def __post_init__(self):
    if self.outcome not in ("correct", "misclassified"):
      raise ValueError(
        f"outcome must be 'correct' or 'misclassified', got {self.outcome!r}"
      )
    if self.min_examples < 1:
      raise ValueError(
        f"min_examples must be at least 1, got {self.min_examples}"
      )

  def __str__(self):
    return f"{self.outcome} examples of users with at least {self.min_examples}"

  def select(
    self,
    client_data: tff.simulation.datasets.ClientData,
    classifier: image_classifier.ImageClassifier,
    *,
    example_fn: user_accuracy.ExampleFn = preprocessing.paper_example,
  ) -> tff.simulation.datasets.ClientData:
    """The same clients with the selected examples; see `UserCriterion`."""

    def keep(correct):
      if self.outcome == "misclassified":
        correct = tf.logical_not(correct)
      enough = tf.math.count_nonzero(correct) >= self.min_examples
      return tf.logical_and(correct, enough)

    return _select(client_data, classifier, example_fn, keep)

  def eligible_clients(
    self, evaluation: user_accuracy.UserEvaluation
  ) -> list[str]:
    """Whose data set `select` leaves non-empty; see `UserCriterion`."""
    eligible = []
    for client_id, total in evaluation.num_examples.items():
      count = evaluation.num_correct[client_id]
      if self.outcome == "misclassified":
        count = total - count
      if count >= self.min_examples:
        eligible.append(client_id)
    return eligible


def by_user(
  *, below: Optional[Threshold] = None, above: Optional[Threshold] = None
) -> UserCriterion:
  """Users on whom the primary model's accuracy is low, or high.

  The paper's slices are `by_user(below=0.882)` and `by_user(above=0.939)`, the
  25th and 75th percentiles without the bug (section 5).

  Args:
    below: Accuracy in [0, 1] or a `Percentile`; users strictly below it.
    above: The same; users strictly above it. With both, a band.

  Returns:
    The criterion.

  Raises:
    ValueError: If neither is given or one is out of range.
  """
  return UserCriterion(below=below, above=above)


def by_example(outcome: str, min_examples: int = 5) -> ExampleCriterion:
  """Examples that the primary model classifies correctly, or not.

  Args:
    outcome: "correct" or "misclassified".
    min_examples: A user with fewer such examples is left out; >= 1, 5 in the
      paper.

  Returns:
    The criterion.

  Raises:
    ValueError: If an argument breaks its rule.
  """
  return ExampleCriterion(outcome=outcome, min_examples=min_examples)


def _select(
  client_data: tff.simulation.datasets.ClientData,
  classifier: image_classifier.ImageClassifier,
  example_fn: user_accuracy.ExampleFn,
  keep: Callable[[tf.Tensor], tf.Tensor],
) -> tff.simulation.datasets.ClientData:
  """Each client's examples where `keep` of their correctness is true."""
  dataset_fn = client_data.serializable_dataset_fn

  def selected_fn(client_id):
    examples, correct = user_accuracy.classify_client(
      classifier, dataset_fn(client_id), example_fn
    )
    mask = keep(correct)
    return tf.data.Dataset.from_tensor_slices(
      tf.nest.map_structure(lambda x: tf.boolean_mask(x, mask), examples)
    )

  return client_data_lib.TracedClientData(client_data.client_ids, selected_fn)


def _exact_threshold(
  threshold: Optional[Threshold], values: np.ndarray, side: str
) -> Optional[Threshold]:
  """A threshold between two of the sorted `values`, for a percentile."""
  if not isinstance(threshold, Percentile):
    return threshold
  distinct, counts = np.unique(values, return_counts=True)
  if len(distinct) == 1:
    raise ValueError(
      f"accuracies must differ to find {side} {threshold}, but all "
      f"{len(values)} are {distinct[0]:.4g}"
    )
  # selected[i]: users beyond the gap between distinct[i] and distinct[i + 1].
  if side == "below":
    selected = np.cumsum(counts)[:-1]
    wanted = threshold.percent / 100
  else:
    selected = np.cumsum(counts[::-1])[::-1][1:]
    wanted = (100 - threshold.percent) / 100
  gap = int(np.argmin(np.abs(selected / len(values) - wanted)))
  return float((distinct[gap] + distinct[gap + 1]) / 2)
