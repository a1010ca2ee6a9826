"""The questions: which settings are trained to answer each of them.

For every setting the rate (and the clip norm) is chosen by validation images
with one training each, and only the chosen one is trained again, with other
seeds, for the test images.
"""

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import math

import numpy as np
from scipy import stats

from tasks.topagg_fedavg import config as config_lib
from tasks.topagg_fedavg import overlap
from tasks.topagg_fedavg import population as population_lib
from tasks.topagg_fedavg import settings
from tasks.topagg_fedavg import training

_SIGNIFICANT = 0.05
_OVERLAP_USERS = 100
_OVERLAP_SHARES = (0.001, 0.01, 0.1, 1.0)


@dataclasses.dataclass(frozen=True)
class Measured:
  """A setting, what was chosen for it, and how well it does.

  Attributes:
    setting: The setting.
    chosen: The training with the best validation accuracy.
    validation: That accuracy.
    accuracies: On the test images, one a seed.
  """

  setting: settings.Setting
  chosen: settings.Trial
  validation: float
  accuracies: tuple[float, ...]

  @property
  def mean(self) -> float:
    return float(np.mean(self.accuracies))

  @property
  def stddev(self) -> float:
    """Of one training, from its seeds."""
    return float(np.std(self.accuracies, ddof=1))

  def clearly_above(self, other: "Measured") -> bool:
    """Whether Welch's t-test tells the means apart, this one being higher.

    Seeds that all give the same accuracy, in both, tell nothing of chance: no.
    """
    if self.mean <= other.mean:
      return False
    if len(set(self.accuracies)) == len(set(other.accuracies)) == 1:
      return False
    test = stats.ttest_ind_from_stats(
      self.mean,
      self.stddev,
      len(self.accuracies),
      other.mean,
      other.stddev,
      len(other.accuracies),
      equal_var=False,
    )
    return bool(test.pvalue < _SIGNIFICANT)


class Comparisons:
  """Answers questions with one trainer."""

  def __init__(self, config: config_lib.Config, trainer: training.Trainer):
    self._config = config
    self._trainer = trainer

  def by_epsilon(self, unit: str) -> Mapping[str, Sequence[Measured]]:
    """TopAgg and the dense Gaussian at each budget.

    TopAgg's top_k is chosen by validation as well.

    Args:
      unit: `settings.USER` or `settings.EXAMPLE`.

    Returns:
      Name -> a measurement for each of the config's epsilons.
    """
    shares = config_lib.numbers(self._config.top_shares)
    rows: dict[str, list[Measured]] = {}
    for epsilon in config_lib.numbers(self._config.epsilons):
      for candidates in (
        [settings.Setting("gaussian", epsilon, unit=unit)],
        [
          settings.Setting("topagg", epsilon, share, True, unit=unit)
          for share in shares
        ],
        [
          settings.Setting("topagg", epsilon, share, False, unit=unit)
          for share in shares
        ],
      ):
        measured = self._measure(candidates)
        rows.setdefault(measured.setting.name, []).append(measured)
    return rows

  def by_top_share(self) -> Mapping[str, Sequence[Measured]]:
    """TopAgg and the other sparse aggregations for each top_k."""
    epsilon = self._config.detail_epsilon
    rows: dict[str, list[Measured]] = {}
    for share in config_lib.numbers(self._config.top_shares):
      for setting in (
        settings.Setting("topagg", epsilon, share, True),
        settings.Setting("topagg", epsilon, share, False),
        settings.Setting("top_k", epsilon, share),
        settings.Setting("random_k", epsilon, share),
      ):
        rows.setdefault(setting.name, []).append(self._measure([setting]))
    return rows

  def by_threshold(self) -> Mapping[str, Sequence[Measured]]:
    """TopAgg for each threshold, at the top_k that is best without one."""
    thresholds = config_lib.numbers(self._config.thresholds)
    rows = {}
    for stochastic in (True, False):
      best = self._best_top_share(stochastic)
      rows[best.name] = [
        self._measure([dataclasses.replace(best, threshold=threshold)])
        for threshold in thresholds
      ]
    return rows

  def by_votes(self) -> Mapping[str, Measured]:
    """TopAgg with votes drawn, for each clip of entries, and not drawn."""
    best = self._best_top_share(True)
    rows = {}
    for clip in config_lib.numbers(self._config.coordinate_clips):
      name = f"stochastic, clip {clip:g}" if clip else "stochastic, no clip"
      rows[name] = self._measure(
        [dataclasses.replace(best, coordinate_clip=clip)]
      )
    rows["deterministic"] = self._measure(
      [dataclasses.replace(best, stochastic=False)]
    )
    return rows

  def _best_top_share(self, stochastic: bool) -> settings.Setting:
    return self._choose(
      settings.Setting("topagg", self._config.detail_epsilon, share, stochastic)
      for share in config_lib.numbers(self._config.top_shares)
    )[0].setting

  def _choose(
    self, candidates: Iterable[settings.Setting]
  ) -> tuple[settings.Trial, float]:
    """The training of these settings that does best on validation images."""
    trials = [
      trial
      for setting in candidates
      for trial in settings.trials(
        self._config, setting, self._config.tuning_seed
      )
    ]
    accuracies = [self._trainer.accuracy(trial) for trial in trials]
    best = int(np.argmax(accuracies))
    return trials[best], accuracies[best]

  def _measure(self, candidates: Sequence[settings.Setting]) -> Measured:
    chosen, validation = self._choose(candidates)
    return Measured(
      chosen.setting,
      chosen,
      validation,
      tuple(
        self._trainer.accuracy(dataclasses.replace(chosen, seed=seed))
        for seed in config_lib.integers(self._config.seeds)
      ),
    )


def overlaps(
  config: config_lib.Config,
  population: population_lib.Population,
  trainer: training.Trainer,
) -> Mapping[str, Sequence[overlap.Overlap]]:
  """How users' votes overlap, before and after training without noise."""
  trial = settings.Trial(
    settings.Setting("gaussian", math.inf),
    config_lib.numbers(config.server_learning_rates)[0],
    max(config_lib.numbers(config.clip_norms)),
    config.tuning_seed,
  )
  model = trainer.model(trial.seed)
  rng = np.random.default_rng(trial.seed)
  count = min(_OVERLAP_USERS, len(population.users))
  chosen = rng.choice(sorted(population.users), count, replace=False)
  rows = {}
  for name, weights in (
    ("before training", model.initial_weights[0]),
    (f"after {config.rounds} rounds", trainer.train(trial)),
  ):
    updates = overlap.client_updates(
      model,
      weights,
      [population.users[user] for user in chosen],
      learning_rate=config.client_learning_rate,
      batch_size=config.batch_size,
      steps=config.client_steps,
    )
    rows[name] = [
      overlap.measure(updates, settings.top_k(share, trainer.num_weights))
      for share in _OVERLAP_SHARES
    ]
  return rows
