"""Selection criteria by how well the primary model does: task T4.

T4 of Table 1 of Augenstein et al. (ICLR 2020, arXiv 1911.06679): the users, or
the classes, on whom the primary model is bad. What has to be known for that
leaves the clients, with noise or, if asked for by name, exactly, and is listed
in the split's releases. For slices of another kind see
`criteria.ExamplesWhere`.
"""

import dataclasses
import os
from typing import Optional

import tensorflow_federated as tff

from tff_gen_debug import arguments
from tff_gen_debug.debugging import class_accuracy
from tff_gen_debug.debugging import criteria
from tff_gen_debug.debugging import kept_measurements
from tff_gen_debug.debugging import selection
from tff_gen_debug.debugging import splits
from tff_gen_debug.debugging import user_accuracy
from tff_gen_debug.models import image_classifier
from tff_gen_debug.privacy import validation


@dataclasses.dataclass(frozen=True)
class LowAccuracyUsers:
  """The users for whom the primary model is bad, against the others.

  Users between `below` and `above` are in neither slice.

  Attributes:
    below: Accuracy in [0, 1], or a `Percentile` of users' accuracies: whose is
      lower is suspect.
    above: The same: whose is higher is the reference.
    noise_multiplier: Noise of the histogram from which percentiles are read,
      over its sensitivity; needed if there is a percentile. 0: percentiles are
      of exact accuracies, which is *not* private, and the report says so.
  """

  below: selection.Threshold = selection.Percentile(35)
  above: selection.Threshold = selection.Percentile(65)
  noise_multiplier: Optional[float] = None

  def __post_init__(self):
    selection.by_user(below=self.below)
    selection.by_user(above=self.above)
    if _is_percentile(self.below) == _is_percentile(self.above):
      low, high = map(_place, (self.below, self.above))
      if low > high:
        raise ValueError(
          f"below must not be more than above, got {self.below} and"
          f" {self.above}"
        )
    if self.noise_multiplier is not None:
      validation.non_negative("noise_multiplier", self.noise_multiplier)
    elif self._has_percentile:
      raise ValueError(
        "noise_multiplier must be given to find a percentile of users'"
        " accuracies: the noise of their histogram, or 0 for exact accuracies,"
        " which are not private; got None"
      )

  def __str__(self):
    return str(selection.by_user(below=self.below))

  @property
  def _has_percentile(self) -> bool:
    return _is_percentile(self.below) or _is_percentile(self.above)

  def split(
    self,
    client_data: tff.simulation.datasets.ClientData,
    context: splits.Context,
  ) -> splits.Split:
    primary = context.primary_for(self)
    low, high = self._resolved(client_data, context, primary)

    def chosen(name, criterion):
      return splits.Slice(
        name,
        str(criterion),
        criterion.select(client_data, primary, example_fn=criteria.as_it_is),
      )

    return splits.Split(
      question="Why is the model bad for some users?",
      suspect=chosen("low accuracy", low),
      reference=chosen("high accuracy", high),
      exclusive=True,
      releases=tuple(
        {r.name: r for r in low.releases + high.releases}.values()
      ),
    )

  def _resolved(
    self,
    client_data: tff.simulation.datasets.ClientData,
    context: splits.Context,
    primary: image_classifier.ImageClassifier,
  ) -> tuple[selection.UserCriterion, selection.UserCriterion]:
    """The two criteria with accuracies in place of percentiles."""
    low = selection.by_user(below=self.below)
    high = selection.by_user(above=self.above)
    if not self._has_percentile:
      return low, high
    noise_multiplier = self.noise_multiplier
    if not noise_multiplier:
      accuracies = user_accuracy.user_accuracies(
        primary, client_data, example_fn=criteria.as_it_is
      )
      return low.resolve(accuracies), high.resolve(accuracies)
    histogram = kept_measurements.keep(
      os.path.join(context.folder, "accuracy_histogram.json"),
      user_accuracy.AccuracyHistogram,
      lambda: user_accuracy.private_accuracy_histogram(
        primary,
        client_data,
        noise_multiplier=noise_multiplier,
        neighboring_relation=context.neighboring_relation,
        example_fn=criteria.as_it_is,
      ),
    )
    return (
      low.resolve_privately(histogram),
      high.resolve_privately(histogram),
    )


@dataclasses.dataclass(frozen=True)
class LowAccuracyClasses:
  """The classes on which the primary model is worst, against the others.

  Attributes:
    noise_multiplier: Noise of the accuracies by class, over their sensitivity;
      > 0.
    num_classes: How many classes are suspect, at least 1.
  """

  noise_multiplier: float
  num_classes: int = 1

  def __post_init__(self):
    validation.positive("noise_multiplier", self.noise_multiplier)
    arguments.integer("num_classes", self.num_classes, 1)

  def __str__(self):
    return f"examples of the {self.num_classes} classes of lowest accuracy"

  def split(
    self,
    client_data: tff.simulation.datasets.ClientData,
    context: splits.Context,
  ) -> splits.Split:
    primary = context.primary_for(self)

    measured = kept_measurements.keep(
      os.path.join(context.folder, "class_accuracy.json"),
      class_accuracy.ClassAccuracy,
      lambda: class_accuracy.private_class_accuracy(
        primary,
        client_data,
        noise_multiplier=self.noise_multiplier,
        neighboring_relation=context.neighboring_relation,
        example_fn=criteria.as_it_is,
      ),
    )
    lowest = measured.lowest(self.num_classes)
    if not lowest:
      raise ValueError(
        "noise_multiplier must be small enough to see a class, got"
        f" {self.noise_multiplier:g}; use less noise or more users"
      )
    if len(lowest) == len(measured.accuracies):
      raise ValueError(
        f"num_classes must be below the primary model's {len(lowest)} classes,"
        f" so that others are left, got {self.num_classes}"
      )

    names = ", ".join(map(str, lowest))
    split = criteria.ExamplesWhere(
      criteria.has_label_in(lowest),
      f"class {names}",
      rest="other classes",
      question="Why is the model bad at some classes?",
    ).split(client_data, context)
    return dataclasses.replace(
      split,
      suspect=dataclasses.replace(split.suspect, labels=tuple(lowest)),
      releases=(measured.release,),
    )


def _is_percentile(threshold: selection.Threshold) -> bool:
  return isinstance(threshold, selection.Percentile)


def _place(threshold: selection.Threshold) -> float:
  if isinstance(threshold, selection.Percentile):
    return threshold.percent
  return threshold
