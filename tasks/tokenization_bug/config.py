"""What one run of the task is, and the ways to run it."""

import dataclasses

from tasks import configuration
from tff_gen_debug.privacy import accounting

_DATASETS = ("docstrings", "stackoverflow")
_BUGS = ("join_first_words", "split_apostrophes", "break_accents")
_VOCABULARY_USERS = ("train", "held_out")
_CELLS = ("lstm", "cifg")
_SERVER_OPTIMIZERS = ("adam", "sgd")
_CLIPPING = ("fixed", "adaptive")
CLIENT_METRICS = ("num_clients", "num_examples", "loss", "non_finite_clients")


_field = configuration.field


@dataclasses.dataclass(frozen=True)
class Config:
  """The config; each field's help says what it is."""

  dataset: str = _field("docstrings", f"Whose text: {' or '.join(_DATASETS)}.")
  cache_dir: str = _field(
    "", "Where the text is or will be; the loader's own place by default."
  )
  num_clients: int = _field(0, "How many of the users take part; 0 for all.")
  bug: str = _field("join_first_words", f"What goes wrong: {', '.join(_BUGS)}.")
  bug_probability: float = _field(
    0.1, "The share of sentences that have the bug."
  )
  vocabulary_size: int = _field(10_000, "Words that the word model knows.")
  vocabulary_users: str = _field(
    "train",
    "From whom the vocabulary is, before the bug: train (the users of the run, "
    "by exact counts, which are not private) or held_out (other users).",
  )
  sentence_length: int = _field(20, "Words of a sentence that are read.")
  max_sentences: int = _field(64, "Sentences of a user, at most.")
  max_words_per_user: int = _field(
    64, "Out-of-vocabulary words of a user, at most."
  )
  max_characters: int = _field(20, "Longer words are left out.")
  position_noise_multiplier: float = _field(
    3.0,
    "Noise of the out-of-vocabulary shares by position; 0 for exact ones, "
    "which are not private.",
  )
  word_rounds: int = _field(40, "Rounds of the word model; 0 for none.")
  word_embedding: int = _field(32, "Width of the word model's embedding.")
  word_units: int = _field(64, "LSTM units of the word model.")
  word_projection: int = _field(32, "Width of its layer before the logits.")
  word_clip_norm: float = _field(1.0, "L2 norm of its updates, at most.")
  word_batch_size: int = _field(8, "A user's sentences a batch.")
  word_client_steps: int = _field(
    1, "At most how many batches of a user in one of its rounds."
  )
  word_client_learning_rate: float = _field(1.0, "SGD of its users.")
  char_rounds: int = _field(300, "Rounds of the character model.")
  char_cell: str = _field("lstm", f"Its recurrent layer: {', '.join(_CELLS)}.")
  char_embedding: int = _field(32, "Width of its embedding.")
  char_units: int = _field(128, "Its recurrent units.")
  char_projection: int = _field(
    0, "Width of a projection after (cifg: in) the recurrent layer; 0 for none."
  )
  char_clip_norm: float = _field(1.0, "L2 norm of its updates, at most.")
  char_batch_size: int = _field(32, "A user's words a batch.")
  char_client_steps: int = _field(
    2, "At most how many batches of a user in one of its rounds."
  )
  char_client_learning_rate: float = _field(1.0, "SGD of its users.")
  clipping: str = _field(
    "fixed",
    "fixed, or adaptive: clip norms follow the median update from where they "
    "start.",
  )
  clients_per_round: float = _field(50.0, "Expected users a round.")
  server_optimizer: str = _field(
    "adam", "adam (epsilon 1e-4) or sgd (momentum 0.9)."
  )
  server_learning_rate: float = _field(0.02, "Of the server's optimizer.")
  noise_multiplier: float = _field(
    1.0, "Noise over sensitivity, on the sum of a round, where it is deployed."
  )
  target_epsilon: float = _field(
    0.0, "Choose the noise so that the rounds cost this; 0 to keep the noise."
  )
  population: int = _field(
    1_000_000,
    "Users where it is deployed, which this run simulates; 0 to deploy it on "
    "the users of this run.",
  )
  population_clients_per_round: float = _field(
    5000.0, "Expected users a round where it is deployed."
  )
  delta: float = _field(0.0, "The delta of epsilon; 0 for 1 / population.")
  accountant: str = _field("rdp", "rdp, rdp_classic or pld.")
  stop_at_epsilon: float = _field(
    0.0, "Stop before the round that would exceed it; 0 for no limit."
  )
  client_metrics: str = _field(
    "",
    "Comma-separated exact numbers to release from users, not private: "
    f"{', '.join(CLIENT_METRICS)}.",
  )
  num_draws: int = _field(100_000, "Words that the character model generates.")
  num_sentences: int = _field(
    10_000, "Sentences that the word model generates."
  )
  checkpoint_every: int = _field(50, "Rounds between checkpoints.")
  seed: int = _field(1, "Makes all randomness but the privacy noise.")

  def __post_init__(self):
    configuration.check_types(self)
    configuration.check_choice("dataset", self.dataset, _DATASETS)
    configuration.check_choice("bug", self.bug, _BUGS)
    configuration.check_choice(
      "vocabulary_users", self.vocabulary_users, _VOCABULARY_USERS
    )
    configuration.check_choice("char_cell", self.char_cell, _CELLS)
    configuration.check_choice("clipping", self.clipping, _CLIPPING)
    configuration.check_choice(
      "server_optimizer", self.server_optimizer, _SERVER_OPTIMIZERS
    )
    configuration.check_choice(
      "accountant", self.accountant, accounting.ACCOUNTANTS
    )
    configuration.check_names(
      "client_metrics", self.client_metrics, CLIENT_METRICS
    )
    configuration.check_unit("bug_probability", self.bug_probability)
    for name in (
      "vocabulary_size",
      "sentence_length",
      "max_sentences",
      "max_words_per_user",
      "max_characters",
      "char_rounds",
      "word_embedding",
      "word_units",
      "word_projection",
      "word_batch_size",
      "char_embedding",
      "char_units",
      "char_batch_size",
      "word_client_steps",
      "char_client_steps",
      "num_draws",
      "num_sentences",
      "checkpoint_every",
    ):
      configuration.check_least(name, getattr(self, name), 1)
    configuration.check_numbers(
      self,
      positive=(
        "word_clip_norm",
        "word_client_learning_rate",
        "char_clip_norm",
        "char_client_learning_rate",
        "clients_per_round",
        "population_clients_per_round",
        "server_learning_rate",
      ),
    )
    if self.delta >= 1:
      raise ValueError(f"delta must be below 1, got {self.delta}")


PRESETS = {
  "demo": Config(),
  # What the users of the run are really promised, with nothing extrapolated: a
  # small model, few rounds, a fifth of all users in each.
  "private": Config(
    vocabulary_users="held_out",
    position_noise_multiplier=4.0,
    word_rounds=0,
    char_rounds=60,
    char_embedding=16,
    char_units=64,
    char_clip_norm=0.5,
    char_batch_size=64,
    char_client_steps=1,
    clients_per_round=400.0,
    population=0,
    target_epsilon=8.0,
    checkpoint_every=20,
  ),
  # Everything that demo does, on too little data to be worth reading.
  "smoke": Config(
    num_clients=200,
    vocabulary_size=1000,
    word_rounds=2,
    word_units=16,
    word_embedding=8,
    word_projection=8,
    char_rounds=4,
    char_units=32,
    clients_per_round=10.0,
    num_draws=2000,
    num_sentences=500,
    checkpoint_every=2,
  ),
  # Augenstein et al. (2020), section 4, as far as it is public: the data, the
  # word model, cohort, rounds and noise of its training. The sizes and rates of
  # the character model are not; these are ours. Poisson sampling in place of
  # cohorts of 5,000 drawn without replacement.
  "paper": Config(
    dataset="stackoverflow",
    max_sentences=256,
    word_rounds=2000,
    word_embedding=96,
    word_units=670,
    word_projection=96,
    word_batch_size=16,
    word_client_steps=16,
    char_rounds=2000,
    char_cell="cifg",
    char_embedding=96,
    char_units=256,
    char_projection=128,
    char_batch_size=16,
    char_client_steps=4,
    clients_per_round=5000.0,
    population=0,
  ),
}
