"""What do malicious clients do to trainings, and which aggregations stop them?

    python -m benchmarks.malicious_clients

For each victim (`malicious_victims`), aggregation (`DEFENCES`), attack
(`hostile_updates.ATTACKS`) and share of hostile clients: a small training from
scratch. Prints a Markdown table for each victim of what came of them. There is
no noise, so that what is seen is the attack; clip norms are the tasks'
defaults. Learning rates and steps were chosen on trainings without an attack,
and are the same for all shares.

Each cell is kept as a file of `--cells_folder`, so that an interrupted run goes
on where it was. Use a new folder after changing a setting. A seed takes about
half an hour on two cores; victims can run side by side in two processes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import dataclasses
import json
import os
import re
import statistics
import time
from typing import Any

from absl import app
from absl import flags
import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from benchmarks import hostile_updates
from benchmarks import malicious_victims
from benchmarks import measuring
from tff_gen_debug import aggregators
from tff_gen_debug import files
from tff_gen_debug import privacy
from tff_gen_debug import runtime

_VICTIMS = flags.DEFINE_list("victims", ["GAN", "char-LM"], "Who is attacked.")
_DEFENCES = flags.DEFINE_list(
  "defences", None, "Keys of DEFENCES; default all."
)
_ATTACKS = flags.DEFINE_list(
  "attacks", list(hostile_updates.ATTACKS), "What hostile clients do."
)
_SHARES = flags.DEFINE_list(
  "hostile_shares", ["0.01", "0.1", "0.3"], "Shares of clients, besides 0."
)
_SEEDS = flags.DEFINE_list(
  "attack_seeds", ["1"], "Each makes weights, cohorts and who is hostile."
)
_FOLDER = flags.DEFINE_string(
  "cells_folder", "out/malicious_clients", "Where finished cells are kept."
)

# A training that is not finite any more is given up; looked at that often.
_CHECK_EVERY = 5

# The L2 norm above which a fixed zeroing drops an update, in clip norms: no
# honest update comes near it.
_ZEROING = 20.0

# How updates become one, and what the server does with it.
Aggregation = tuple[
  tff.aggregators.UnweightedAggregationFactory,
  tff.learning.optimizers.Optimizer,
]
Defence = Callable[[malicious_victims.Victim, privacy.PrivacyPlan], Aggregation]


def _plain_mean(victim, plan) -> Aggregation:
  del plan
  return tff.aggregators.UnweightedMeanFactory(), victim.server_optimizer


def _guarded_gaussian(victim, plan) -> Aggregation:
  clipped = aggregators.gaussian_mean_factory(plan, victim.clip_norm)
  return aggregators.NonFiniteGuardFactory(clipped), victim.server_optimizer


def _topagg(victim, plan) -> Aggregation:
  votes = aggregators.topagg_factory(
    plan,
    # What validation prefers in `tasks.topagg_fedavg`.
    top_k=victim.num_weights,
    step_size=victim.vote_step,
    stochastic=False,
  )
  return votes, tff.learning.optimizers.build_sgdm(1.0)


def _robust(victim, plan) -> Aggregation:
  del plan
  robust = tff.learning.robust_aggregator(weighted=False)
  return robust, victim.server_optimizer


def _zeroing(victim, plan) -> Aggregation:
  del plan
  zeroing = tff.aggregators.zeroing_factory(
    _ZEROING * victim.clip_norm,
    tff.aggregators.UnweightedMeanFactory(),
    norm_order=2.0,
  )
  return zeroing, victim.server_optimizer


DEFENCES: Mapping[str, Defence] = {
  "plain mean": _plain_mean,
  "guard and clip": _guarded_gaussian,
  "TopAgg": _topagg,
  "TFF robust": _robust,
  "TFF zeroing": _zeroing,
}


@dataclasses.dataclass(frozen=True)
class Cell:
  """One training.

  Attributes:
    victim: The victim's name.
    defence: A key of `DEFENCES`.
    attack: A key of `hostile_updates.ATTACKS`, or "" if the share is 0.
    share: The share of hostile clients.
    seed: The seed.
  """

  victim: str
  defence: str
  attack: str
  share: float
  seed: int

  @property
  def file_name(self) -> str:
    """Where the cell is kept."""
    words = [self.victim, self.defence, self.attack, f"{self.share:g}"]
    name = "_".join([*filter(None, words), f"seed_{self.seed}"])
    return re.sub(r"[^\w.-]", "_", name) + ".json"


Results = dict[Cell, Mapping[str, float]]


def cells_of(
  victim: str,
  defence: str,
  attacks: Sequence[str],
  shares: Sequence[float],
  seed: int,
) -> Iterator[Cell]:
  """The trainings with one process, the one without an attack first."""
  yield Cell(victim, defence, "", 0.0, seed)
  for attack in attacks:
    for share in shares:
      yield Cell(victim, defence, attack, share, seed)


class Arena:
  """Trains a victim behind a defence, under one attack after the other."""

  def __init__(
    self, victim: malicious_victims.Victim, defence: Defence, seed: int
  ):
    """Builds the process, once for all attacks.

    Args:
      victim: The victim.
      defence: The defence.
      seed: Makes weights, cohorts and who is hostile.
    """
    self._victim = victim
    self._seed = seed
    plan = privacy.PrivacyPlan(
      population=len(victim.datasets),
      expected_clients_per_round=victim.clients_per_round,
      rounds=victim.rounds,
      noise_multiplier=0.0,
    )
    self._sampler = plan.sampler(list(victim.datasets), seed)
    aggregator, optimizer = defence(victim, plan)
    self._process = victim.build(
      hostile_updates.HostileFactory(aggregator), optimizer, seed
    )

  def run(self, attack: str, share: float) -> tuple[Mapping[str, float], int]:
    """Trains from scratch.

    Args:
      attack: A key of `hostile_updates.ATTACKS`; "" for none.
      share: The share of hostile clients.

    Returns:
      The victim's measures, none if the model is not finite; and how many
      updates were hostile until then.
    """
    state = self._process.initialize()
    if attack:
      state = state._replace(
        aggregator=hostile_updates.with_attack(
          state.aggregator, attack, share, self._seed
        )
      )
    for round_num in range(self._victim.rounds):
      cohort = self._sampler.sample(round_num)
      state = self._process.next(
        state, [self._victim.datasets[key] for key in cohort]
      ).state
      if (round_num + 1) % _CHECK_EVERY == 0:
        weights = self._process.get_model_weights(state)
        if not _all_finite(weights):
          break
    weights = self._process.get_model_weights(state)
    measures = self._victim.measure(weights) if _all_finite(weights) else {}
    return measures, int(state.aggregator.num_hostile)


def _all_finite(weights: Any) -> bool:
  return all(np.all(np.isfinite(w)) for w in tf.nest.flatten(weights))


def run_cells(
  victim: malicious_victims.Victim,
  cells: Sequence[Cell],
  folder: str,
) -> Results:
  """Trains the cells that are not in the folder, and reads the others.

  Args:
    victim: The victim.
    cells: Cells of this victim, one defence and one seed.
    folder: Where they are kept.

  Returns:
    The measures by cell; no measures of a model that is not finite.
  """
  arena = None
  results: Results = {}
  for cell in cells:
    path = os.path.join(folder, cell.file_name)
    if not os.path.exists(path):
      arena = arena or Arena(victim, DEFENCES[cell.defence], cell.seed)
      start = time.perf_counter()
      measures, num_hostile = arena.run(cell.attack, cell.share)
      content = dict(
        dataclasses.asdict(cell),
        measures=measures,
        num_hostile=num_hostile,
        seconds=time.perf_counter() - start,
      )
      files.write_atomically(path, json.dumps(content, indent=1).encode())
      print(
        f"{cell.file_name}: {_numbers(victim, [measures])},"
        f" {num_hostile} hostile updates",
        flush=True,
      )
    with open(path, encoding="utf-8") as file:
      results[cell] = json.load(file)["measures"]
  return results


def markdown(victim: malicious_victims.Victim, results: Results) -> str:
  """The table of a victim: a row is a defence and an attack.

  Args:
    victim: The victim.
    results: Measures by cell.

  Returns:
    Lines; what was measured with several seeds is their mean, with the least
    and the greatest in brackets.
  """
  shares = sorted({cell.share for cell in results})
  heads = ["aggregation", "attack", *(f"{share:.0%}" for share in shares)]
  lines = [heads, ["---"] * len(heads)]
  rows = dict.fromkeys((cell.defence, cell.attack) for cell in results)
  attacked = {defence for defence, attack in rows if attack}
  for defence, attack in rows:
    if not attack and defence in attacked:
      continue  # It is the first column of the other rows.
    line = [defence, attack or "none"]
    for share in shares:
      found = [
        measures
        for cell, measures in results.items()
        if cell.defence == defence
        and cell.share == share
        and cell.attack == (attack if share else "")
      ]
      line.append(_numbers(victim, found))
    lines.append(line)
  return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _numbers(
  victim: malicious_victims.Victim, found: Sequence[Mapping[str, float]]
) -> str:
  """The measures, and how many of several models are not finite."""
  finite = [measures for measures in found if measures]
  lost = len(found) - len(finite)
  if not finite:
    return "lost" if lost else ""
  parts = []
  for name, digits in victim.measures.items():
    values = [one[name] for one in finite]
    part = f"{statistics.mean(values):.{digits}f}"
    if len(values) > 1:
      part += f" [{min(values):.{digits}f}, {max(values):.{digits}f}]"
    parts.append(part)
  numbers = " / ".join(parts)
  return f"{numbers} ({lost} of {len(found)} lost)" if lost else numbers


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f"Unknown arguments: {' '.join(argv[1:])}")
  machine = measuring.machine()
  folder = _FOLDER.value
  os.makedirs(folder, exist_ok=True)
  victims = [malicious_victims.VICTIMS[name](folder) for name in _VICTIMS.value]
  results: dict[str, Results] = {victim.name: {} for victim in victims}
  with runtime.use_local_runtime():
    for seed in map(int, _SEEDS.value):
      for victim in victims:
        for defence in _DEFENCES.value or DEFENCES:
          cells = cells_of(
            victim.name,
            defence,
            _ATTACKS.value,
            [float(share) for share in _SHARES.value],
            seed,
          )
          results[victim.name].update(run_cells(victim, list(cells), folder))
  print(machine)
  for victim in victims:
    print(
      f"\n{victim.name}, {victim.rounds} rounds of"
      f" {victim.clients_per_round:g} clients, no noise, clip norm"
      f" {victim.clip_norm:g}, seeds {', '.join(_SEEDS.value)}:"
      f" {' / '.join(victim.measures)} by share of hostile clients\n"
    )
    print(markdown(victim, results[victim.name]), flush=True)


if __name__ == "__main__":
  app.run(main)
