"""What one run of the task is, and the ways to run it."""

import dataclasses
import math

from tasks import configuration
from tff_gen_debug.privacy import accounting

DATASETS = (
  "handwriting",
  "mnist",
  "fashion_mnist",
  "celeba_gender",
  "celeba_hair",
  "places365",
)
_TEACHERS = ("energy", "discriminator")
_NETWORKS = ("conv", "dense")
_CODES = ("low_frequencies", "signs", "clipped", "projected", "bins")
_STUDENTS = ("field", "gradient")
_SPLITS = ("validation", "test")
_METHODS = ("teachers", "dp_gan")
_SAMPLING = ("poisson", "fixed_size")

_field = configuration.field


@dataclasses.dataclass(frozen=True)
class Config:
  """The config; each field's help says what it is."""

  dataset: str = _field("handwriting", f"Whose images: {', '.join(DATASETS)}.")
  cache_dir: str = _field(
    "", "Where the images are or will be; the loader's own place by default."
  )
  method: str = _field(
    "teachers",
    "teachers, DataLens; or dp_gan, a federated GAN to compare with, whose"
    " clients have a teacher's shard each.",
  )
  measured_on: str = _field(
    "test",
    "What synthetic images are judged by: validation images, to choose "
    "settings, or test images, once for settings that were chosen before.",
  )
  published: bool = _field(
    False,
    "Whether to take top_k, threshold, noise, images and rounds from the "
    "paper, for this data set and an epsilon of 1 or 10, and its teachers; "
    "fewer of them are a simulation.",
  )
  epsilon: float = _field(10.0, "The budget; inf is without noise.")
  delta: float = _field(1e-5, "The delta of epsilon.")
  accountant: str = _field("pld", "pld, rdp or rdp_classic.")
  num_teachers: int = _field(4000, "Shards of the training images.")
  simulated_teachers: int = _field(
    0,
    "Teachers of the run that this smaller one stands for, with its noise on "
    "the mean vote; 0 to stand for itself.",
  )
  images_per_teacher: int = _field(
    0, "At most how many images of its shard a teacher uses; 0 for all."
  )
  teachers_per_client: int = _field(50, "Teachers that one TFF client runs.")
  rounds: int = _field(8, "Rounds; each asks about images_per_round.")
  images_per_round: int = _field(200, "Generated images that teachers judge.")
  teacher: str = _field(
    "energy",
    "energy: a witness of the energy distance, without state; discriminator: a"
    " network, as in the paper.",
  )
  frequencies: int = _field(
    12, "Images are compared, or sent, by cosines below this frequency."
  )
  softening: float = _field(
    1.0, "energy: the distance below which an image pulls less."
  )
  locality: float = _field(
    0.8,
    "energy: how much more a teacher's nearest images pull; 0 for all alike.",
  )
  network: str = _field(
    "conv", "discriminator: conv, two convolutions, or dense, a hidden layer."
  )
  discriminator_width: int = _field(
    8, "discriminator: filters of the first convolution, or hidden units."
  )
  stored: bool = _field(
    True, "discriminator: whether teachers keep their network between rounds."
  )
  teacher_steps: int = _field(2, "discriminator: its steps a round.")
  first_teacher_steps: int = _field(
    10, "discriminator: its steps in the first round, or in each if not stored."
  )
  teacher_learning_rate: float = _field(1e-3, "discriminator: Adam's.")
  code: str = _field(
    "low_frequencies", f"What teachers send: {', '.join(_CODES)}."
  )
  top_k: int = _field(0, "signs: pixels that a teacher votes on; 0 for all.")
  threshold: float = _field(
    -1.0,
    "signs: the share of teachers that a pixel's sum has to exceed to count as "
    "its sign; negative to take the sums themselves.",
  )
  coordinate_clip: float = _field(
    0.0, "signs: from where a drawn vote is certain; 0 for the largest entry."
  )
  stochastic: bool = _field(False, "signs: whether votes are drawn.")
  clip_norm: float = _field(
    1.0, "The largest norm of a direction, of other codes than signs."
  )
  dimensions: int = _field(
    64, "projected, bins: numbers that an image becomes."
  )
  bins: int = _field(10, "bins: values that a number is rounded to.")
  student: str = _field(
    "field",
    "field: fits the generator to all that teachers said; gradient: takes a "
    "step along what they said last, as in the paper.",
  )
  generator_steps: int = _field(120, "field: steps a round.")
  generated_per_class: int = _field(
    20, "field: images of a class that a step generates."
  )
  last_generator_steps: int = _field(480, "field: further ones at the end.")
  generator_learning_rate: float = _field(5e-3, "Adam's.")
  averaging_decay: float = _field(
    0.98, "What the generator's average keeps at a step."
  )
  clients_per_round: float = _field(
    200.0, "dp_gan: shards that a round is expected to have."
  )
  sampling: str = _field(
    "poisson",
    "dp_gan: how a round's shards are drawn. poisson: each by itself, and the"
    " guarantee is for a shard that comes or goes as a whole; fixed_size: with"
    " one for a shard, and so for an image, that is exchanged, as the teachers'"
    " is.",
  )
  discriminator_steps: int = _field(
    1, "dp_gan: steps of the discriminator on a client, a round."
  )
  client_batch_size: int = _field(
    32, "dp_gan: images of such a step, at most those of the largest shard."
  )
  client_learning_rate: float = _field(1.0, "dp_gan: SGD of clients.")
  server_learning_rate: float = _field(4.0, "dp_gan: SGD of the server.")
  gan_clip_norm: float = _field(
    0.1, "dp_gan: L2 norm that no client's update exceeds."
  )
  discriminator_rounds: int = _field(
    1, "dp_gan: in how many rounds the generator takes its steps once."
  )
  gan_generator_steps: int = _field(6, "dp_gan: how many steps it then takes.")
  gan_generator_batch_size: int = _field(64, "dp_gan: images of such a step.")
  gan_generator_learning_rate: float = _field(1e-3, "dp_gan: Adam's.")
  gan_averaging_decay: float = _field(
    0.9, "dp_gan: what the generator's average keeps at a round; 0 for none."
  )
  noise_dim: int = _field(32, "Random inputs of the generator.")
  filters: int = _field(32, "Filters of its last hidden layer.")
  num_samples: int = _field(50_000, "Images that classifiers are trained on.")
  references: bool = _field(
    True,
    "Whether to train classifiers on real images as well, to compare with and "
    "for classifier score and Frechet distance.",
  )
  limit: int = _field(0, "At most how many images to load, 0 for all.")
  seed: int = _field(1, "Of shards, networks and samples; noise has none.")

  def __post_init__(self):
    configuration.check_types(self)
    for name, choices in (
      ("accountant", accounting.ACCOUNTANTS),
      ("dataset", DATASETS),
      ("teacher", _TEACHERS),
      ("network", _NETWORKS),
      ("code", _CODES),
      ("student", _STUDENTS),
      ("measured_on", _SPLITS),
      ("method", _METHODS),
      ("sampling", _SAMPLING),
    ):
      configuration.check_choice(name, getattr(self, name), choices)
    for name in (
      "num_teachers",
      "teachers_per_client",
      "rounds",
      "images_per_round",
      "num_samples",
      "noise_dim",
      "discriminator_steps",
      "client_batch_size",
      "discriminator_rounds",
      "gan_generator_steps",
      "gan_generator_batch_size",
      "frequencies",
      "discriminator_width",
      "teacher_steps",
      "first_teacher_steps",
      "dimensions",
      "generated_per_class",
      "filters",
    ):
      configuration.check_least(name, getattr(self, name), 1)
    configuration.check_least("bins", self.bins, 2)
    if 0 < self.simulated_teachers < self.num_teachers:
      raise ValueError(
        "simulated_teachers must be 0, or at least num_teachers"
        f" ({self.num_teachers}), got {self.simulated_teachers}"
      )
    for name in (
      "images_per_teacher",
      "top_k",
      "coordinate_clip",
      "limit",
      "seed",
    ):
      configuration.check_least(name, getattr(self, name), 0)
    if not self.epsilon > 0:
      raise ValueError(f"epsilon must be positive, got {self.epsilon}")
    if not 0 < self.delta < 1:
      raise ValueError(f"delta must be in (0, 1), got {self.delta}")
    if self.published and math.isinf(self.epsilon):
      raise ValueError("epsilon must be finite with published")
    configuration.check_numbers(
      self,
      positive=(
        "softening",
        "teacher_learning_rate",
        "clip_norm",
        "generator_learning_rate",
        "clients_per_round",
        "client_learning_rate",
        "server_learning_rate",
        "gan_clip_norm",
        "gan_generator_learning_rate",
      ),
      infinite=("epsilon",),
      signed=("threshold",),
    )
    for name in ("averaging_decay", "gan_averaging_decay"):
      if getattr(self, name) >= 1:
        raise ValueError(f"{name} must be below 1, got {getattr(self, name)}")
    if self.method == "dp_gan":
      self._check_dp_gan()

  def _check_dp_gan(self) -> None:
    if self.clients_per_round > self.num_teachers:
      raise ValueError(
        "clients_per_round must be at most num_teachers"
        f" ({self.num_teachers}), got {self.clients_per_round}"
      )
    for name in ("published", "simulated_teachers"):
      if getattr(self, name):
        raise ValueError(
          f"{name} is of teachers, and must be off with method dp_gan, got"
          f" {getattr(self, name)}"
        )


PRESETS = {
  # What was found to be best, on the embedded images.
  "demo": Config(num_teachers=500, locality=2.0, generated_per_class=40),
  # The paper's own mechanism and settings, honestly accounted for.
  "paper": Config(
    dataset="mnist",
    published=True,
    teacher="discriminator",
    code="signs",
    stochastic=True,
    student="gradient",
    generator_learning_rate=1e-3,
    averaging_decay=0.0,
    num_samples=100_000,
  ),
  # The baseline: a federated GAN on as many shards as the paper's teachers.
  "dp_gan": Config(
    method="dp_gan", dataset="mnist", accountant="rdp", rounds=60
  ),
  # Everything that demo does, too briefly to be worth looking at.
  "smoke": Config(
    num_teachers=20,
    teachers_per_client=10,
    rounds=2,
    images_per_round=20,
    generator_steps=2,
    last_generator_steps=2,
    generated_per_class=4,
    filters=4,
    limit=600,
    num_samples=200,
    clients_per_round=5.0,
    gan_generator_batch_size=16,
  ),
}
