"""Selection criteria by what examples are: tasks T1, T2, T3, T5, T6.

The tasks are those of Table 1 of Augenstein et al. (ICLR 2020, arXiv
1911.06679); T4, which asks for whom the primary model is bad, is in
`accuracy_criteria`, and T3 for words is `oov.OovCriterion`. Examples of images
are mappings with `image`, float32 `[height, width, channels]` in [-1, 1],
`label`, an integer, and whatever else a predicate looks at.
"""

from collections.abc import Callable, Collection
import dataclasses
from typing import Any, Optional

import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug import arguments
from tff_gen_debug.datasets import client_data as client_data_lib
from tff_gen_debug.datasets import client_hash
from tff_gen_debug.datasets import whole_client
from tff_gen_debug.debugging import selection
from tff_gen_debug.debugging import splits

# From an example to whether it has a property: a bool scalar tensor.
Predicate = Callable[[Any], tf.Tensor]

# Domain of the sample, so that it is independent of what else is drawn for the
# same client with the same seed.
_PURPOSE = 0x72616E64  # "rand"


def as_it_is(example: Any) -> Any:
  """The `example_fn` of data that has `image` and `label` already."""
  return example


def has_label_in(labels: Collection[int]) -> Predicate:
  """Makes a predicate of whether an example's `label` is one of `labels`."""

  def predicate(example: Any) -> tf.Tensor:
    label = tf.cast(example["label"], tf.int64)
    return tf.reduce_any(tf.equal(label, tf.constant(labels, tf.int64)))

  return predicate


@dataclasses.dataclass(frozen=True)
class RandomExamples:
  """T1, sanity checks: a random sample of every user's examples.

  There is no reference slice; hold the samples against public examples.

  Attributes:
    max_examples_per_user: How many, at most; at least 1.
    seed: Of the sample, in [0, 2**63 - 1].
  """

  max_examples_per_user: int = 100
  seed: int = 0

  def __post_init__(self):
    arguments.integer("max_examples_per_user", self.max_examples_per_user, 1)
    client_hash.check_seed(self.seed)

  def __str__(self):
    return f"at most {self.max_examples_per_user} random examples of each user"

  def split(
    self,
    client_data: tff.simulation.datasets.ClientData,
    context: splits.Context,
  ) -> splits.Split:
    del context
    return splits.Split(
      question="Are the users' data what we take them for?",
      suspect=splits.Slice("random", str(self), self._sample(client_data)),
    )

  def _sample(
    self, client_data: tff.simulation.datasets.ClientData
  ) -> client_data_lib.TracedClientData:
    base_fn = client_data.serializable_dataset_fn

    def dataset_fn(client_id):
      examples = whole_client.as_batch(base_fn(client_id))
      total = tf.shape(tf.nest.flatten(examples)[0])[0]
      keys = tf.random.stateless_uniform(
        [total],
        client_hash.stateless_seed(client_id, self.seed, _PURPOSE),
        alg="philox",
      )
      count = tf.minimum(total, self.max_examples_per_user)
      kept = tf.sort(tf.math.top_k(keys, count).indices)
      return tf.data.Dataset.from_tensor_slices(
        tf.nest.map_structure(lambda x: tf.gather(x, kept), examples)
      )

    return client_data_lib.TracedClientData(client_data.client_ids, dataset_fn)


@dataclasses.dataclass(frozen=True)
class MisclassifiedExamples:
  """T2, mistakes: misclassified examples, against those classified correctly.

  Attributes:
    min_examples: A user with fewer examples of a slice is left out of it; at
      least 1, 5 in the paper.
  """

  min_examples: int = 5

  def __post_init__(self):
    selection.by_example("misclassified", self.min_examples)

  def __str__(self):
    return (
      f"misclassified examples of users with at least {self.min_examples} of"
      " them"
    )

  def split(
    self,
    client_data: tff.simulation.datasets.ClientData,
    context: splits.Context,
  ) -> splits.Split:
    primary = context.primary_for(self)

    def chosen(outcome):
      criterion = selection.by_example(outcome, self.min_examples)
      return splits.Slice(
        outcome,
        str(criterion),
        criterion.select(client_data, primary, example_fn=as_it_is),
      )

    return splits.Split(
      question="What is it that the model gets wrong?",
      suspect=chosen("misclassified"),
      reference=chosen("correct"),
    )


@dataclasses.dataclass(frozen=True)
class ExamplesWhere:
  """T4, a slice: the examples with a property, against those without it.

  Attributes:
    predicate: From an example to whether it has the property.
    name: The property, in a word or two, such as "version 2.1".
    rest: What examples without it are called.
    question: What samples are to answer.
  """

  predicate: Predicate
  name: str
  rest: str = "others"
  question: str = "What is different about these examples?"

  def __str__(self):
    return f"examples that are {self.name}"

  def split(
    self,
    client_data: tff.simulation.datasets.ClientData,
    context: splits.Context,
  ) -> splits.Split:
    del context

    def chosen(name, predicate):
      kept = client_data_lib.TracedClientData(
        client_data.client_ids,
        lambda client_id: client_data.serializable_dataset_fn(client_id).filter(
          predicate
        ),
      )
      return splits.Slice(name, f"examples that are {name}", kept)

    return splits.Split(
      question=self.question,
      suspect=chosen(self.name, self.predicate),
      reference=chosen(
        self.rest, lambda example: tf.logical_not(self.predicate(example))
      ),
    )


@dataclasses.dataclass(frozen=True)
class UnknownLabels:
  """T3, unknown classes: examples whose label the primary model does not have.

  Attributes:
    known_labels: The labels that it has.
  """

  known_labels: Collection[int]

  def __post_init__(self):
    labels = tuple(
      arguments.integer("known_labels", label, -(2**31))
      for label in self.known_labels
    )
    if not labels:
      raise ValueError("known_labels must hold at least one label, got none")
    object.__setattr__(self, "known_labels", labels)

  def __str__(self):
    return f"examples with another label than {len(self.known_labels)} known"

  def split(
    self,
    client_data: tff.simulation.datasets.ClientData,
    context: splits.Context,
  ) -> splits.Split:
    is_known = has_label_in(self.known_labels)
    return ExamplesWhere(
      lambda example: tf.logical_not(is_known(example)),
      "of unknown label",
      rest="of known label",
      question="What are the examples whose label the model does not know?",
    ).split(client_data, context)


def has_no_label(example: Any) -> tf.Tensor:
  """Whether an example's `label` is negative, which stands for none."""
  return tf.cast(example["label"], tf.int64) < 0


@dataclasses.dataclass(frozen=True)
class UnlabelledExamples:
  """T5, labelling: what nobody has labelled, against what is labelled.

  Samples of the slice are for people to label; see `labelling.write_sheet`.

  Attributes:
    is_unlabelled: From an example to whether it has no label; by default
      whether its `label` is negative.
  """

  is_unlabelled: Predicate = has_no_label

  def __str__(self):
    return "examples without a label"

  def split(
    self,
    client_data: tff.simulation.datasets.ClientData,
    context: splits.Context,
  ) -> splits.Split:
    return ExamplesWhere(
      self.is_unlabelled,
      "unlabelled",
      rest="labelled",
      question="What is it that nobody has labelled?",
    ).split(client_data, context)


@dataclasses.dataclass(frozen=True, eq=False)
class ServingAgainstTraining:
  """T6, bias: what is served, against what the primary model was trained on.

  Attributes:
    training: The training data, of the same element type. Its clients may be
      those of the served data or others; a client that is in both pays for both
      models. None: the primary model was trained centrally, on examples that
      may be looked at, which are then the public ones to hold samples against.
  """

  training: Optional[tff.simulation.datasets.ClientData] = None

  def __str__(self):
    return "examples that are served, against those of training"

  def split(
    self,
    client_data: tff.simulation.datasets.ClientData,
    context: splits.Context,
  ) -> splits.Split:
    del context
    served = splits.Slice("serving", "examples that are served", client_data)
    reference = None
    if self.training is not None:
      _check_same_elements(client_data, self.training)
      reference = splits.Slice(
        "training", "examples of training", self.training
      )
    return splits.Split(
      question="Does the model meet other data than it was trained on?",
      suspect=served,
      reference=reference,
    )


def _check_same_elements(
  one: tff.simulation.datasets.ClientData,
  other: tff.simulation.datasets.ClientData,
) -> None:
  if one.element_type_structure != other.element_type_structure:
    raise ValueError(
      "training must have the element type of the served data, "
      f"{one.element_type_structure}, got {other.element_type_structure}"
    )
