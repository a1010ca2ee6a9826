"""What one run of the task is, and the three ways to run it."""

import dataclasses

from tasks import configuration
from tff_gen_debug.privacy import accounting

_DATASETS = ("handwriting", "emnist")
_BUGS = ("invert_pixels", "rotate_90", "blank_half", "shifted_crop")
_SELECTIONS = ("by_user", "by_example")
_NETWORKS = ("small", "paper")
_LOSSES = ("non_saturating", "wasserstein")
CLIENT_METRICS = (
  "num_clients",
  "num_examples",
  "discriminator_loss",
  "non_finite_clients",
)


_field = configuration.field


@dataclasses.dataclass(frozen=True)
class Config:
  """The config; each field's help says what it is."""

  dataset: str = _field(
    "handwriting", f"Whose images: {' or '.join(_DATASETS)}."
  )
  cache_dir: str = _field("", "Where EMNIST is or will be; TFF's by default.")
  num_clients: int = _field(
    0, "Pseudo users made from the embedded users; 0 for the real ones."
  )
  bug: str = _field("invert_pixels", f"What goes wrong: {', '.join(_BUGS)}.")
  bug_probability: float = _field(0.5, "The share of users who have the bug.")
  classifier_epochs: int = _field(4, "Passes over the primary model's data.")
  classifier_rounds: int = _field(
    0, "Rounds of federated averaging that train it; 0 to train it centrally."
  )
  selection: str = _field(
    "by_user", f"What splits the data: {' or '.join(_SELECTIONS)}."
  )
  low_percentile: float = _field(
    35.0, "by_user: the low slice is below this percentile of accuracies."
  )
  high_percentile: float = _field(
    65.0, "by_user: the high slice is above this percentile of accuracies."
  )
  low_accuracy: float = _field(
    0.0, "by_user: a fixed accuracy instead of low_percentile; 0 for none."
  )
  high_accuracy: float = _field(
    0.0, "by_user: a fixed accuracy instead of high_percentile; 0 for none."
  )
  min_examples: int = _field(
    5, "by_example: users with fewer selected examples are left out."
  )
  histogram_noise_multiplier: float = _field(
    0.0,
    "by_user: noise of the histogram that percentiles are read from; 0 for "
    "exact accuracies, which are not private.",
  )
  networks: str = _field("small", f"The GAN: {' or '.join(_NETWORKS)}.")
  latent_dim: int = _field(64, "Inputs of the generator.")
  loss: str = _field("non_saturating", f"Its loss: {' or '.join(_LOSSES)}.")
  rounds: int = _field(250, "Rounds of each GAN.")
  clients_per_round: float = _field(10.0, "Expected users a round.")
  discriminator_steps: int = _field(6, "At most how many batches a user.")
  client_epochs: int = _field(2, "How often a user may use an image a round.")
  batch_size: int = _field(32, "A user's images a batch.")
  client_learning_rate: float = _field(0.1, "SGD of users.")
  server_learning_rate: float = _field(1.0, "SGD of the server.")
  generator_steps: int = _field(6, "Generator steps a round.")
  generator_batch_size: int = _field(64, "Generated images a step.")
  generator_optimizer: str = _field("adam", "adam (beta_1 0.5) or sgd.")
  generator_learning_rate: float = _field(1e-3, "Of the generator.")
  averaging_decay: float = _field(
    0.9, "Moving average of the generator, a round; 0 for none."
  )
  clip_norm: float = _field(0.5, "L2 norm that no user's update exceeds.")
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
  stop_at_epsilon: float = _field(
    0.0, "Stop a GAN before the round that would exceed it; 0 for no limit."
  )
  client_metrics: str = _field(
    "",
    "Comma-separated exact numbers to release from users, not private: "
    f"{', '.join(CLIENT_METRICS)}.",
  )
  num_samples: int = _field(1000, "Generated images that are measured.")
  checkpoint_every: int = _field(20, "Rounds between checkpoints and samples.")
  seed: int = _field(1, "Makes all randomness but the privacy noise.")

  def __post_init__(self):
    configuration.check_types(self)
    configuration.check_choice("dataset", self.dataset, _DATASETS)
    configuration.check_choice("bug", self.bug, _BUGS)
    configuration.check_choice("selection", self.selection, _SELECTIONS)
    configuration.check_choice("networks", self.networks, _NETWORKS)
    configuration.check_choice("loss", self.loss, _LOSSES)
    configuration.check_choice(
      "generator_optimizer", self.generator_optimizer, ("adam", "sgd")
    )
    configuration.check_choice(
      "accountant", self.accountant, accounting.ACCOUNTANTS
    )
    configuration.check_names(
      "client_metrics", self.client_metrics, CLIENT_METRICS
    )
    for name in ("bug_probability", "low_accuracy", "high_accuracy"):
      configuration.check_unit(name, getattr(self, name))
    if not 0 < self.low_percentile < 100 > self.high_percentile > 0:
      raise ValueError(
        "low_percentile and high_percentile must be in (0, 100), got "
        f"{self.low_percentile} and {self.high_percentile}"
      )
    for name in (
      "rounds",
      "num_samples",
      "checkpoint_every",
      "batch_size",
      "classifier_epochs",
      "latent_dim",
      "discriminator_steps",
      "client_epochs",
      "generator_batch_size",
    ):
      configuration.check_least(name, getattr(self, name), 1)
    configuration.check_numbers(
      self,
      positive=(
        "clients_per_round",
        "population_clients_per_round",
        "client_learning_rate",
        "server_learning_rate",
        "generator_learning_rate",
        "clip_norm",
      ),
    )
    for name in ("averaging_decay", "delta"):
      if getattr(self, name) >= 1:
        raise ValueError(f"{name} must be below 1, got {getattr(self, name)}")

  @property
  def slice_names(self) -> tuple[str, str]:
    """What the two slices are called, the one with mistakes first."""
    if self.selection == "by_user":
      return ("low accuracy", "high accuracy")
    return ("misclassified", "correct")


PRESETS = {
  "demo": Config(),
  # Everything that demo does, on too little data to be worth looking at.
  "smoke": Config(
    num_clients=60,
    classifier_epochs=1,
    rounds=4,
    clients_per_round=4.0,
    num_samples=100,
    checkpoint_every=2,
  ),
  # Augenstein et al. (2020), section 5, and the code published with it, with
  # Poisson sampling in place of cohorts of 10 drawn without replacement.
  "paper": Config(
    dataset="emnist",
    low_accuracy=0.882,
    high_accuracy=0.939,
    classifier_epochs=3,
    networks="paper",
    latent_dim=128,
    loss="wasserstein",
    rounds=1000,
    client_epochs=1,
    client_learning_rate=5e-4,
    generator_batch_size=32,
    generator_optimizer="sgd",
    generator_learning_rate=5e-3,
    averaging_decay=0.0,
    clip_norm=0.1,
    checkpoint_every=50,
  ),
}
