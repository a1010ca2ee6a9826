"""The questions: which settings are trained to answer each of them.

For every setting the rate (and the clip norm) is chosen by validation images
with one training each, and only the chosen one is trained again, with other
seeds, for the test images.
"""

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import math
import operator
from typing import Protocol

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


class Trainings(Protocol):
  """Runs trainings."""

  def accuracies(self, trials: Sequence[settings.Trial]) -> Sequence[float]:
    """As `training.Trainer.accuracies`."""


class Comparisons:
  """Answers questions with trainings."""

  def __init__(self, config: config_lib.Config, trainings: Trainings):
    self._config = config
    self._trainings = trainings

  def by_epsilon(self, unit: str) -> Mapping[str, Sequence[Measured]]:
    """TopAgg and the dense Gaussian at each budget.

    TopAgg's top_k is chosen by validation as well.

    Args:
      unit: `settings.USER` or `settings.EXAMPLE`.

    Returns:
      Name -> a measurement for each of the config's epsilons.
    """
    shares = config_lib.numbers(self._config.top_shares)
    groups = []
    for epsilon in config_lib.numbers(self._config.epsilons):
      groups.append([settings.Setting("gaussian", epsilon, unit=unit)])
      for stochastic in (True, False):
        groups.append(
          [
            settings.Setting("topagg", epsilon, share, stochastic, unit=unit)
            for share in shares
          ]
        )
    return self._rows(groups)

  def by_top_share(self) -> Mapping[str, Sequence[Measured]]:
    """TopAgg and the other sparse aggregations for each top_k."""
    epsilon = self._config.detail_epsilon
    return self._rows(
      [setting]
      for share in config_lib.numbers(self._config.top_shares)
      for setting in (
        settings.Setting("topagg", epsilon, share, True),
        settings.Setting("topagg", epsilon, share, False),
        settings.Setting("top_k", epsilon, share),
        settings.Setting("random_k", epsilon, share),
      )
    )

  def by_threshold(self) -> Mapping[str, Sequence[Measured]]:
    """TopAgg for each threshold, at the top_k that is best without one."""
    return self._rows(
      [dataclasses.replace(best, threshold=threshold)]
      for best in self._best_top_share(True, False)
      for threshold in config_lib.numbers(self._config.thresholds)
    )

  def by_votes(self) -> Mapping[str, Measured]:
    """TopAgg with votes drawn, for each clip of entries, and not drawn."""
    (best,) = self._best_top_share(True)
    groups = {
      f"stochastic, clip {clip:g}" if clip else "stochastic, no clip": [
        dataclasses.replace(best, coordinate_clip=clip)
      ]
      for clip in config_lib.numbers(self._config.coordinate_clips)
    }
    groups["deterministic"] = [dataclasses.replace(best, stochastic=False)]
    return dict(zip(groups, self._measure(groups.values())))

  def _best_top_share(self, *stochastic: bool) -> list[settings.Setting]:
    epsilon = self._config.detail_epsilon
    shares = config_lib.numbers(self._config.top_shares)
    chosen = self._choose(
      [settings.Setting("topagg", epsilon, share, drawn) for share in shares]
      for drawn in stochastic
    )
    return [trial.setting for trial, _ in chosen]

  def _rows(
    self, groups: Iterable[Sequence[settings.Setting]]
  ) -> Mapping[str, Sequence[Measured]]:
    rows: dict[str, list[Measured]] = {}
    for measured in self._measure(groups):
      rows.setdefault(measured.setting.name, []).append(measured)
    return rows

  def _measure(
    self, groups: Iterable[Sequence[settings.Setting]]
  ) -> list[Measured]:
    """Measures the best setting of each group."""
    chosen = self._choose(groups)
    seeds = config_lib.integers(self._config.seeds)
    accuracies = self._accuracies(
      [
        [dataclasses.replace(trial, seed=seed) for seed in seeds]
        for trial, _ in chosen
      ]
    )
    return [
      Measured(trial.setting, trial, validation, tuple(of_seeds))
      for (trial, validation), of_seeds in zip(chosen, accuracies)
    ]

  def _choose(
    self, groups: Iterable[Sequence[settings.Setting]]
  ) -> list[tuple[settings.Trial, float]]:
    """The training of each group that does best on validation images."""
    seed = self._config.tuning_seed
    trials = [
      [
        trial
        for setting in group
        for trial in settings.trials(self._config, setting, seed)
      ]
      for group in groups
    ]
    return [
      max(zip(group, accuracies), key=operator.itemgetter(1))
      for group, accuracies in zip(trials, self._accuracies(trials))
    ]

  def _accuracies(
    self, groups: Sequence[Sequence[settings.Trial]]
  ) -> list[list[float]]:
    """Of all trainings; all at once, for those who can run many at a time."""
    flat = [trial for group in groups for trial in group]
    accuracies = iter(self._trainings.accuracies(flat))
    return [[next(accuracies) for _ in group] for group in groups]


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
