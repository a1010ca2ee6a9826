"""What one run of the task is, and the ways to run it."""

from collections.abc import Callable
import dataclasses
import math
from typing import TypeVar

from tasks import configuration
from tff_gen_debug.privacy import accounting
from tff_gen_debug.privacy import validation

_T = TypeVar("_T")

_DATASETS = ("handwriting", "fashion_mnist", "emnist")
QUESTIONS = ("epsilon", "top_k", "threshold", "votes", "overlap", "examples")

_field = configuration.field


@dataclasses.dataclass(frozen=True)
class Config:
  """The config; each field's help says what it is.

  Lists are comma-separated strings, so that each field is a flag.
  """

  dataset: str = _field("handwriting", f"Whose images: {', '.join(_DATASETS)}.")
  cache_dir: str = _field(
    "", "Where the images are or will be; the loader's own place by default."
  )
  all_blocks: bool = _field(
    False, "handwriting: whether to take all 288 blocks, not the embedded 203."
  )
  images_per_user: int = _field(
    13, "Images of a user; blocks of handwriting are cut into such users."
  )
  alpha: float = _field(
    5.0,
    "fashion_mnist: concentration of the users' class shares, the sum of the "
    "Dirichlet's parameters.",
  )
  conv_widths: str = _field("4,8,8", "Channels of the CNN's convolutions.")
  dense_width: int = _field(16, "Units of its hidden dense layer.")
  rounds: int = _field(60, "Rounds of a training.")
  users_per_round: float = _field(80.0, "Expected users a round.")
  batch_size: int = _field(13, "A user's images a batch.")
  client_steps: int = _field(2, "At most how many batches of a user a round.")
  client_learning_rate: float = _field(0.1, "SGD of the users.")
  questions: str = _field(
    ",".join(QUESTIONS), "What to ask; the README says what each is."
  )
  epsilons: str = _field(
    "1,2,4,8,inf", "Budgets of a training; inf is without noise."
  )
  detail_epsilon: float = _field(
    4.0, "The budget of the questions about TopAgg's settings."
  )
  top_shares: str = _field(
    "0.001,0.01,0.1,1", "top_k, as shares of the model's weights."
  )
  thresholds: str = _field(
    "0,0.02,0.05,0.1", "Shares of the expected users that a vote must exceed."
  )
  coordinate_clips: str = _field(
    "0,0.03,0.003",
    "Entries above which a stochastic vote is certain; 0 for a user's largest.",
  )
  step_sizes: str = _field(
    "0.003,0.01,0.03", "To choose from: the step of a weight that is voted on."
  )
  server_learning_rates: str = _field(
    "1,3,10", "To choose from: the server's, where means are aggregated."
  )
  clip_norms: str = _field("0.3,1", "To choose from: of updates, in L2 norm.")
  example_steps: int = _field(
    200, "Steps of DP-SGD, where the unit of privacy is one image."
  )
  examples_per_step: float = _field(200.0, "Expected images a step of it.")
  delta: float = _field(0.0, "The delta of epsilon; 0 for 1 / users or images.")
  accountant: str = _field("rdp", "rdp, rdp_classic or pld.")
  seeds: str = _field("1,2,3", "Of the trainings that the test set sees.")
  tuning_seed: int = _field(100, "Of those that choose, by validation.")

  def __post_init__(self):
    configuration.check_types(self)
    configuration.check_choice(
      "accountant", self.accountant, accounting.ACCOUNTANTS
    )
    configuration.check_choice("dataset", self.dataset, _DATASETS)
    if not strings(self.questions):
      raise ValueError(
        f"questions must be one or more, got {validation.shown(self.questions)}"
      )
    for question in strings(self.questions):
      configuration.check_choice("questions", question, QUESTIONS)
    for name in (
      "images_per_user",
      "dense_width",
      "rounds",
      "batch_size",
      "client_steps",
      "example_steps",
    ):
      configuration.check_least(name, getattr(self, name), 1)
    configuration.check_numbers(
      self,
      positive=(
        "alpha",
        "users_per_round",
        "client_learning_rate",
        "detail_epsilon",
        "examples_per_step",
      ),
      infinite=("alpha", "detail_epsilon"),
    )
    if self.delta >= 1:
      raise ValueError(f"delta must be below 1, got {self.delta}")
    for name in (
      "thresholds",
      "coordinate_clips",
      "epsilons",
      "top_shares",
      "step_sizes",
      "server_learning_rates",
      "clip_norms",
    ):
      text = getattr(self, name)
      values = _check_list(name, text, numbers)
      may_be_0 = name in ("thresholds", "coordinate_clips")
      if min(values) <= 0 and not may_be_0:
        raise ValueError(
          f"{name} must be positive numbers, got {validation.shown(text)}"
        )
      if math.isinf(max(values)) and name != "epsilons":
        raise ValueError(
          f"{name} must be finite numbers, got {validation.shown(text)}"
        )
    seeds = _check_list("seeds", self.seeds, integers)
    if min(seeds) < 0 or max(seeds) > 2**53:
      raise ValueError(
        f"seeds must be in [0, 2**53], got {validation.shown(self.seeds)}"
      )
    widths = _parsed("conv_widths", self.conv_widths, integers)
    if len(widths) != 3 or not 1 <= min(widths) <= max(widths) <= 2**20:
      raise ValueError(
        "conv_widths must be 3 integers in [1, 2**20], got"
        f" {validation.shown(self.conv_widths)}"
      )
    if len(integers(self.seeds)) < 2:
      raise ValueError(
        f"seeds must be two or more, got {validation.shown(self.seeds)}"
      )
    if self.tuning_seed in integers(self.seeds):
      raise ValueError(
        f"tuning_seed must not be one of seeds, got {self.tuning_seed}"
      )
    if max(numbers(self.top_shares)) > 1:
      raise ValueError(
        f"top_shares must be in (0, 1], got {validation.shown(self.top_shares)}"
      )


def strings(text: str) -> list[str]:
  """The items of a comma-separated list."""
  return [item.strip() for item in text.split(",") if item.strip()]


def numbers(text: str) -> list[float]:
  """Non-negative numbers, `inf` among them."""
  values = [float(item) for item in strings(text)]
  if any(math.isnan(value) or value < 0 for value in values):
    raise ValueError(f"numbers must not be negative, got {text!r}")
  return values


def integers(text: str) -> list[int]:
  """Integers."""
  return [int(item) for item in strings(text)]


def _parsed(name: str, text: str, parse: Callable[[str], list[_T]]) -> list[_T]:
  try:
    return parse(text)
  except ValueError as error:
    raise ValueError(
      f"{name} must be numbers, got {validation.shown(text)}"
    ) from error


def _check_list(
  name: str, text: str, parse: Callable[[str], list[_T]]
) -> list[_T]:
  values = _parsed(name, text, parse)
  if not values or len(set(values)) < len(values):
    raise ValueError(
      f"{name} must be distinct numbers, got {validation.shown(text)}"
    )
  return values


PRESETS = {
  # Two budgets and few settings: which way it goes, in minutes.
  "demo": Config(
    epsilons="1,8",
    detail_epsilon=8.0,
    top_shares="0.01,0.1,1",
    thresholds="0,0.05",
    coordinate_clips="0,0.003",
    rounds=40,
    users_per_round=60.0,
    step_sizes="0.01,0.03",
    server_learning_rates="2,5",
    clip_norms="0.3",
    questions="epsilon,top_k,threshold,votes,overlap",
  ),
  # All questions on all budgets.
  "paper": Config(),
  # Everything that paper does, too briefly to be worth reading.
  "smoke": Config(
    conv_widths="2,2,2",
    dense_width=4,
    rounds=2,
    users_per_round=10.0,
    client_steps=1,
    epsilons="8,inf",
    detail_epsilon=8.0,
    top_shares="0.1,1",
    thresholds="0,0.1",
    coordinate_clips="0,0.01",
    step_sizes="0.01",
    server_learning_rates="1",
    clip_norms="1",
    example_steps=2,
    examples_per_step=10.0,
    seeds="1,2",
  ),
}
