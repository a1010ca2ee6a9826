"""What a selection criterion makes of the users' data: slices to look into.

Each slice is a `ClientData` of all users, in which whoever is not selected has
no examples: the choice is made on the device, and nobody learns whose it was.
"""

import dataclasses
from typing import Optional, Protocol

import tensorflow_federated as tff

from tff_gen_debug.models import image_classifier
from tff_gen_debug.privacy import releases as release_lib


@dataclasses.dataclass(frozen=True, eq=False)
class Slice:
  """Examples that one auxiliary model is trained on.

  Attributes:
    name: In a word or two, such as "misclassified".
    description: Which examples these are, in words, for the report.
    client_data: The examples.
    labels: Those of its examples, if it was chosen by label. Then it has other
      classes than the rest, whatever is wrong.
  """

  name: str
  description: str
  client_data: tff.simulation.datasets.ClientData
  labels: Optional[tuple[int, ...]] = None


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
  """One or two slices, and what had to be known to make them.

  Attributes:
    question: What samples of the slices are to answer.
    suspect: The slice in which something may be wrong.
    reference: The slice that it is held against, if there is one.
    exclusive: Whether no user has examples in both slices, so that each user
      pays for one auxiliary model only.
    releases: What left the clients for the split.
  """

  question: str
  suspect: Slice
  reference: Optional[Slice] = None
  exclusive: bool = False
  releases: tuple[release_lib.Release, ...] = ()

  @property
  def slices(self) -> tuple[Slice, ...]:
    """The slices, the suspect one first."""
    if self.reference is None:
      return (self.suspect,)
    return (self.suspect, self.reference)


@dataclasses.dataclass(frozen=True, eq=False)
class Context:
  """What a criterion may need beside the users' data.

  Attributes:
    folder: Where it keeps what it released, so that a run that goes on does not
      draw that noise twice.
    neighboring_relation: "add_or_remove_one" or "replace_one", as the plan's.
    primary: The primary model, if there is one.
  """

  folder: str
  neighboring_relation: str = "add_or_remove_one"
  primary: Optional[image_classifier.ImageClassifier] = None

  def primary_for(self, criterion: object) -> image_classifier.ImageClassifier:
    """The primary model, or a ValueError that says who needs one."""
    if self.primary is None:
      raise ValueError(
        f"primary must be given, since {type(criterion).__name__} asks what the"
        " primary model makes of examples; got None"
      )
    return self.primary


class Criterion(Protocol):
  """Says which examples a modeler would have looked at (the paper's Table 1).

  `str(criterion)` names it in a report.
  """

  def split(
    self, client_data: tff.simulation.datasets.ClientData, context: Context
  ) -> Split:
    """Selects the examples.

    Args:
      client_data: The users' data.
      context: What else there is.

    Returns:
      The slices.
    """
