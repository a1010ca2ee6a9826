"""What one run of the task is, and the ways to run it."""

from collections.abc import Mapping
import dataclasses

from tasks import configuration
from tff_gen_debug.privacy import accounting

# By the name of a criterion, the paper's task that it is one of.
TASKS: Mapping[str, str] = {
  "random": "T1 random examples",
  "mistakes": "T2 misclassified examples",
  "unknown_labels": "T3 unknown labels",
  "unknown_words": "T3 unknown words",
  "users": "T4 users of low accuracy",
  "classes": "T4 classes of low accuracy",
  "version": "T4 a version of the app",
  "unlabelled": "T5 unlabelled examples",
  "serving": "T6 serving against training",
}

IMAGE_FAULTS = (
  "none",
  "inverted",
  "rotated",
  "wrong_crop",
  "blank",
  "low_contrast",
  "duplicates",
  "class_mislabelled",
  "label_unknown",
  "class_missing",
)
WORD_FAULTS = (
  "none",
  "words_joined",
  "apostrophes_lost",
  "words_doubled",
  "wrong_encoding",
  "html_left_in",
)
WORD_CRITERIA = ("unknown_words",)

_field = configuration.field


@dataclasses.dataclass(frozen=True)
class Config:
  """The config; each field's help says what it is."""

  criterion: str = _field(
    "users", f"Which examples to look into: {', '.join(TASKS)}."
  )
  fault: str = _field(
    "inverted",
    f"What is wrong with the data. Of images: {', '.join(IMAGE_FAULTS)}. Of "
    f"words: {', '.join(WORD_FAULTS)}.",
  )
  fault_share: float = _field(
    0.0,
    "The share of users (words: of sentences) that have it; 0 for the paper's, "
    "0.5 of users and 0.1 of sentences.",
  )
  rounds: int = _field(80, "Rounds of each GAN, or of the character model.")
  clients_per_round: float = _field(6.0, "Expected users a round.")
  discriminator_steps: int = _field(3, "Images: at most how many batches.")
  generator_steps: int = _field(4, "Images: generator steps a round.")
  vocabulary_size: int = _field(10_000, "Words: how many the model knows.")
  vocabulary_users: str = _field(
    "train",
    "Words: from whom the vocabulary is, before the fault: train (the users of "
    "the run, by exact counts, which are not private) or held_out (others).",
  )
  accuracy_noise_multiplier: float = _field(
    0.0,
    "users: noise of the histogram of accuracies from which slices are read; "
    "0 for exact accuracies, which are not private. classes: noise of the "
    "accuracies by class; 0 for 0.5.",
  )
  noise_multiplier: float = _field(
    1.0, "Noise over sensitivity, on the sum of a round, where it is deployed."
  )
  population: int = _field(
    1_000_000,
    "Users of a slice where it is deployed, which this run simulates; 0 to "
    "deploy it on the users of this run.",
  )
  population_clients_per_round: float = _field(
    1000.0, "Expected users a round where it is deployed."
  )
  delta: float = _field(0.0, "The delta of epsilon; 0 for 1 / population.")
  accountant: str = _field("rdp", "rdp, rdp_classic or pld.")
  epsilon_limit: float = _field(
    0.0, "Stop before the round that would exceed it; 0 for no limit."
  )
  num_samples: int = _field(1000, "Images: how many are generated.")
  num_draws: int = _field(20_000, "Words: how many are drawn.")
  checkpoint_every: int = _field(20, "Rounds between checkpoints.")
  seed: int = _field(1, "Makes all randomness but the privacy noise.")

  def __post_init__(self):
    configuration.check_types(self)
    configuration.check_choice("criterion", self.criterion, tuple(TASKS))
    configuration.check_choice(
      "fault",
      self.fault,
      WORD_FAULTS if self.is_about_words else IMAGE_FAULTS,
    )
    configuration.check_choice(
      "accountant", self.accountant, accounting.ACCOUNTANTS
    )
    configuration.check_choice(
      "vocabulary_users", self.vocabulary_users, ("train", "held_out")
    )
    configuration.check_unit("fault_share", self.fault_share)
    for name in (
      "rounds",
      "checkpoint_every",
      "discriminator_steps",
      "vocabulary_size",
    ):
      configuration.check_least(name, getattr(self, name), 1)
    # Fewer say nothing.
    for name in ("num_samples", "num_draws"):
      configuration.check_least(name, getattr(self, name), 50)
    configuration.check_numbers(
      self, positive=("clients_per_round", "population_clients_per_round")
    )
    if self.delta >= 1:
      raise ValueError(f"delta must be below 1, got {self.delta}")

  @property
  def is_about_words(self) -> bool:
    return self.criterion in WORD_CRITERIA

  # Nothing but noised updates leaves the clients in this task's trainings.
  @property
  def client_metrics(self) -> str:
    return ""


PRESETS = {
  "demo": Config(),
  "words": Config(
    criterion="unknown_words",
    fault="words_joined",
    rounds=300,
    clients_per_round=50.0,
    population_clients_per_round=5000.0,
  ),
  # The same motions, on too few rounds to be worth looking at.
  "smoke": Config(rounds=2, clients_per_round=2.0, num_samples=100),
}
