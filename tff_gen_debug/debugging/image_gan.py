"""The auxiliary model for images: a GAN, trained by DP-FedAvg-GAN."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any, Optional

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug import arguments
from tff_gen_debug import privacy
from tff_gen_debug.aggregators import gaussian
from tff_gen_debug.datasets import client_data as client_data_lib
from tff_gen_debug.datasets import client_examples
from tff_gen_debug.debugging import auxiliary as auxiliary_lib
from tff_gen_debug.debugging import density
from tff_gen_debug.debugging import findings as findings_lib
from tff_gen_debug.debugging import image_differences
from tff_gen_debug.debugging import pictures
from tff_gen_debug.debugging import report as report_lib
from tff_gen_debug.learning import dp_fed_gan
from tff_gen_debug.learning import gan_weights
from tff_gen_debug.models import gan
from tff_gen_debug.models import image_classifier

_LATENT_DIM = 64
_SHOWN = 64


def _small_gan() -> gan.GanModel:
  return gan.GanModel(
    gan.small_generator(_LATENT_DIM),
    gan.small_discriminator(),
    gan.NonSaturatingLoss(),
  )


@dataclasses.dataclass(frozen=True, eq=False)
class ImageGan:
  """A federated GAN on the `image` of examples; see `build_dp_fed_gan`.

  The defaults are those of `tasks.preprocessing_bug`, for images of 28 by 28
  grey pixels: small convolutional networks, which draw legible digits after
  some 100 rounds of 10 users.

  Attributes:
    model: Networks and loss.
    clip_norm: L2 norm that no user's update exceeds.
    client_learning_rate: SGD of users, on the discriminator.
    server_learning_rate: Of the server's SGD on the discriminator.
    generator_learning_rate: Adam's, on the generator (beta_1 0.5).
    discriminator_steps: At most how many batches of a user a round.
    client_epochs: How often a user may use an image a round.
    batch_size: A user's images a batch.
    generator_steps: Steps of the generator a round.
    generator_batch_size: Generated images a step.
    averaging_decay: Moving average of the generator, a round; None for none.
    max_client_images: At most how many images of a user are kept and used.
    num_samples: How many images are generated and measured, at least 50.
    seed: Makes all randomness but the privacy noise.
  """

  model: gan.GanModel = dataclasses.field(default_factory=_small_gan)
  clip_norm: float = 0.5
  client_learning_rate: float = 0.1
  server_learning_rate: float = 1.0
  generator_learning_rate: float = 1e-3
  discriminator_steps: int = 6
  client_epochs: int = 2
  batch_size: int = 32
  generator_steps: int = 6
  generator_batch_size: int = 64
  averaging_decay: Optional[float] = 0.9
  max_client_images: int = 1000
  num_samples: int = 1000
  seed: int = 0

  def __post_init__(self):
    arguments.integer("num_samples", self.num_samples, 50)
    arguments.integer("max_client_images", self.max_client_images, 1)

  def examples(
    self, client_data: tff.simulation.datasets.ClientData
  ) -> client_examples.ClientExamples:
    base_fn = client_data.serializable_dataset_fn
    spec = client_data.element_type_structure
    if not isinstance(spec, Mapping) or "image" not in spec:
      raise ValueError(
        f"client_data must have examples with `image`, got {spec}"
      )
    image = spec["image"]
    shape = tuple(self.model.image_shape)
    if image.dtype != tf.float32 or tuple(image.shape) != shape:
      raise ValueError(
        f"client_data must have images of float32 {list(shape)} for this model,"
        f" got {image.dtype.name} {image.shape}"
      )
    images = client_data_lib.TracedClientData(
      client_data.client_ids,
      lambda client_id: base_fn(client_id).map(lambda e: e["image"]),
    )
    return client_examples.ClientExamples(images, self.max_client_images)

  def build_process(
    self, plan: privacy.PrivacyPlan
  ) -> tff.learning.templates.LearningProcess:
    optimizers = tff.learning.optimizers
    return dp_fed_gan.build_dp_fed_gan(
      self.model,
      aggregator=gaussian.gaussian_mean_factory(plan, self.clip_norm),
      client_optimizer=optimizers.build_sgdm(self.client_learning_rate),
      server_optimizer=optimizers.build_sgdm(self.server_learning_rate),
      generator_optimizer=optimizers.build_adam(
        self.generator_learning_rate, beta_1=0.5
      ),
      discriminator_steps=self.discriminator_steps,
      batch_size=self.batch_size,
      client_epochs=self.client_epochs,
      max_client_images=self.max_client_images,
      generator_steps=self.generator_steps,
      generator_batch_size=self.generator_batch_size,
      averaging_decay=self.averaging_decay,
      seed=self.seed,
    )

  def sample(self, weights: gan_weights.GanWeights) -> np.ndarray:
    """Images, float32 `[num_samples, *image_shape]` in [-1, 1]."""
    return gan_weights.generate_images(
      self.model, weights, self.num_samples, self.seed
    )

  def find(
    self,
    suspect: np.ndarray,
    reference: Optional[np.ndarray],
    names: tuple[str, str],
    primary: Optional[image_classifier.ImageClassifier],
  ) -> list[findings_lib.Finding]:
    """See `image_differences.compare_images`."""
    if reference is None:
      return [
        findings_lib.Finding(
          name="different",
          holds=False,
          claim="there is nothing to hold the samples against: look at them",
          evidence="There is one slice, and no public images were given.",
          decided=False,
        )
      ]
    suspect_name, reference_name = names
    return image_differences.compare_images(
      suspect,
      reference,
      primary,
      suspect_name=suspect_name,
      reference_name=reference_name,
      is_reference_generated=reference_name != auxiliary_lib.PUBLIC,
    )

  def sections(
    self, samples: Mapping[str, np.ndarray]
  ) -> Sequence[report_lib.Section]:
    sections: list[report_lib.Section] = [
      report_lib.ImageGrid(
        title="Generated: what the modeler may see",
        figures=[_figure(name, images) for name, images in samples.items()],
        text=(
          "Samples after the last round, not images of users. White is +1, "
          "black is -1."
        ),
      )
    ]
    if len(samples) == 2:
      (one, first), (other, second) = samples.items()
      typical = density.most_typical(first, second, _SHOWN)
      sections.append(
        report_lib.ImageGrid(
          title="Where the two differ most",
          figures=[
            _figure(f"more of {one}", typical.suspect),
            _figure(f"more of {other}", typical.reference),
          ],
          text=(
            "Of the samples above, those that a classifier which tells the two "
            "kinds apart is most certain about: where the ratio of their "
            "densities is highest and lowest. On samples that it has not seen, "
            "it puts a sample of the one above one of the other with a chance "
            f"of {typical.auc:.2f}; 0.5 would be no difference. Two models of "
            "the same data differ too."
          ),
        )
      )
    return sections

  def to_dict(self) -> dict[str, Any]:
    settings = {
      field.name: getattr(self, field.name)
      for field in dataclasses.fields(self)
      if field.name != "model"
    }
    # Of networks, which are functions, the sizes say most.
    return {
      "kind": "image GAN",
      "image_shape": list(self.model.image_shape),
      "loss": type(self.model.loss).__name__,
      **settings,
    }


def _figure(name: str, images: np.ndarray) -> report_lib.Figure:
  return report_lib.Figure(
    label=f"{name}, generated", png=pictures.sample_grid(images[:_SHOWN])
  )
