"""What is compared, aggregations with their settings, and one training."""

import dataclasses
import functools
import hashlib
import json
import math
from typing import Optional

import tensorflow_federated as tff

from tasks.topagg_fedavg import config as config_lib
from tff_gen_debug import aggregators
from tff_gen_debug import privacy

METHODS = {
  "topagg": "TopAgg",
  "gaussian": "dense Gaussian",
  "top_k": "top-k without signs",
  "random_k": "random-k",
}
USER, EXAMPLE = "user", "example"


@dataclasses.dataclass(frozen=True)
class Setting:
  """What a question asks about.

  Attributes:
    method: One of `METHODS`.
    epsilon: Budget of a training; infinite for none.
    top_share: The share of the weights that a client votes on or sends.
    stochastic: Of TopAgg.
    threshold: Of TopAgg.
    coordinate_clip: Of TopAgg; 0 for none.
    unit: Whose privacy it is: a `USER`'s or one `EXAMPLE`'s.
  """

  method: str
  epsilon: float
  top_share: float = 1.0
  stochastic: bool = True
  threshold: float = 0.0
  coordinate_clip: float = 0.0
  unit: str = USER

  @property
  def name(self) -> str:
    """For legends and tables."""
    name = METHODS[self.method]
    if self.method == "topagg":
      name += ", stochastic" if self.stochastic else ", deterministic"
    return name


@dataclasses.dataclass(frozen=True)
class Trial:
  """One training.

  Attributes:
    setting: What it is about.
    rate: TopAgg's step size, or the server's learning rate.
    clip_norm: Of a client's update; 0 for TopAgg.
    seed: Makes all but the privacy noise.
  """

  setting: Setting
  rate: float
  clip_norm: float
  seed: int

  @property
  def key(self) -> str:
    """A name for its file."""
    content = json.dumps(dataclasses.asdict(self), sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    return f"{self.setting.method}_{self.setting.epsilon:g}_{digest}"


def trials(
  config: config_lib.Config, setting: Setting, seed: int
) -> list[Trial]:
  """The trainings to choose from for a setting."""
  if setting.method == "topagg":
    return [
      Trial(setting, rate, 0.0, seed)
      for rate in config_lib.numbers(config.step_sizes)
    ]
  return [
    Trial(setting, rate, clip_norm, seed)
    for rate in config_lib.numbers(config.server_learning_rates)
    for clip_norm in config_lib.numbers(config.clip_norms)
  ]


def make_plan(
  config: config_lib.Config, setting: Setting, population: int
) -> privacy.PrivacyPlan:
  """The plan of one training with nothing but these users (or images)."""
  by_user = setting.unit == USER
  plan = privacy.PrivacyPlan(
    population=population,
    expected_clients_per_round=(
      config.users_per_round if by_user else config.examples_per_step
    ),
    rounds=config.rounds if by_user else config.example_steps,
    noise_multiplier=0.0,
    delta=config.delta or None,
    accountant=config.accountant,
  )
  if math.isinf(setting.epsilon):
    return plan
  return _calibrate(plan, setting.epsilon)


# A budget is the same for many trainings, and the search takes its time.
@functools.cache
def _calibrate(
  plan: privacy.PrivacyPlan, target_epsilon: float
) -> privacy.PrivacyPlan:
  return plan.calibrate(target_epsilon=target_epsilon)


def top_k(top_share: float, num_weights: int) -> int:
  """How many weights a share of them is, at least one."""
  return max(1, round(top_share * num_weights))


def coordinate_clip(setting: Setting) -> Optional[float]:
  """As TopAgg takes it."""
  return setting.coordinate_clip or None


def make_aggregator(
  trial: Trial, plan: privacy.PrivacyPlan, num_weights: int
) -> tff.aggregators.UnweightedAggregationFactory:
  """The aggregation of a training of users."""
  setting = trial.setting
  k = top_k(setting.top_share, num_weights)
  if setting.method == "topagg":
    return aggregators.topagg_factory(
      plan,
      k,
      stochastic=setting.stochastic,
      threshold=setting.threshold,
      coordinate_clip=coordinate_clip(setting),
      step_size=trial.rate,
    )
  gaussian = aggregators.gaussian_mean_factory(plan, trial.clip_norm)
  if setting.method == "top_k":
    return aggregators.TopKFactory(k, gaussian)
  if setting.method == "random_k":
    return aggregators.RandomKFactory(k, gaussian)
  return gaussian


def server_learning_rate(trial: Trial) -> float:
  """TopAgg's result is a step already."""
  return 1.0 if trial.setting.method == "topagg" else trial.rate
