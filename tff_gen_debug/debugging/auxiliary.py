"""What an investigation asks of an auxiliary model.

The auxiliary model is the generative one that is trained on a slice of the
users' data, with differential privacy, so that somebody may look at its
samples (Augenstein et al., ICLR 2020, arXiv 1911.06679, section 3). There are
two, `image_gan.ImageGan` and `character_model.CharacterModel`; any class with
these methods is a third.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Optional, Protocol

import tensorflow_federated as tff

from tff_gen_debug import privacy
from tff_gen_debug.debugging import findings as findings_lib
from tff_gen_debug.debugging import report as report_lib
from tff_gen_debug.models import image_classifier

# What public examples are called that a single slice is held against.
PUBLIC = "public"


class AuxiliaryModel(Protocol):
  """A generative model, how it is trained, and how its samples are read.

  Samples are whatever `sample` makes: the investigation passes them on and
  looks at nothing of them.
  """

  def examples(
    self, client_data: tff.simulation.datasets.ClientData
  ) -> Mapping[str, Any]:
    """What the training process takes for each client, by client id.

    Args:
      client_data: A slice of the users' data.

    Returns:
      A `tf.data.Dataset` for every client, without elements for a client that
      has no examples; each is read when it is first asked for.
    """

  def build_process(
    self, plan: privacy.PrivacyPlan
  ) -> tff.learning.templates.LearningProcess:
    """Builds the training process, with the clipping and the noise of a plan.

    Args:
      plan: Of one training.

    Returns:
      The process.
    """

  def sample(self, weights: Any) -> Any:
    """Draws samples; the same for the same weights.

    Args:
      weights: What `get_model_weights` of the process returns.

    Returns:
      The samples.
    """

  def find(
    self,
    suspect: Any,
    reference: Optional[Any],
    names: tuple[str, str],
    primary: Optional[image_classifier.ImageClassifier],
  ) -> list[findings_lib.Finding]:
    """Says what the samples of one slice show and those of the other do not.

    Args:
      suspect: Samples for the suspect slice.
      reference: Samples for the reference slice, or public examples of the same
        form; None if there are none.
      names: What the two are called, the second `PUBLIC` if it is none of the
        model's own.
      primary: The primary model, if there is one.

    Returns:
      At least one finding, those that hold first.
    """

  def sections(
    self, samples: Mapping[str, Any]
  ) -> Sequence[report_lib.Section]:
    """Shows samples in a report.

    Args:
      samples: By the name of the slice.

    Returns:
      Sections of the report.
    """

  def to_dict(self) -> dict[str, Any]:
    """What the model is, of JSON types, for the report and to resume by."""
