"""The training program: rounds, budget, checkpoints and releases.

A `tff.program` in the sense of TFF: a loop over rounds whose state goes to a
`tff.program.FileProgramStateManager` and whose results to
`tff.program.ReleaseManager`s. A run may be killed at any point and started
again: it goes on from its last checkpoint, and since nothing of a round is
released before a checkpoint holds that round *and what it cost*, no round whose
results anyone saw is run a second time. The exception is a checkpoint that the
disk damaged: then the rounds since the one before are run again, and both times
are on the ledger.
"""

import collections
from collections.abc import Callable, Mapping, Sequence
import copy
import dataclasses
import logging
from typing import Any, Optional, Union

import dp_accounting
import tensorflow_federated as tff
import tqdm

from tff_gen_debug.privacy import ledger as ledger_lib
from tff_gen_debug.runtime import checkpoints as checkpoints_lib

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Budget:
  """What each round costs, and how much may be spent.

  Attributes:
    round_event: The event of each round, usually `PrivacyPlan.round_event`; or
      a function from a round's number, counted from 0, to the event of that
      round, such as `TreePlan.round_event`. It has to be a function of the
      number alone, for runs that resume.
    ledger: What has been spent before the first round; the rounds are recorded
      in a copy.
    stop_at_epsilon: The run stops before the round that would take the ledger
      over it; no limit by default.
    repeat_event: From a round's number to the event of running it once more
      with new noise, after a checkpoint was damaged. Needed where `round_event`
      is a function: its events count on what other rounds did, such as that an
      epoch's later rounds have other users. Without, such a run ends there.
  """

  round_event: Union[
    dp_accounting.DpEvent, Callable[[int], dp_accounting.DpEvent]
  ]
  ledger: ledger_lib.PrivacyLedger
  stop_at_epsilon: Optional[float] = None
  repeat_event: Optional[Callable[[int], dp_accounting.DpEvent]] = None

  def event(self, round_num: int) -> dp_accounting.DpEvent:
    """The event of one round, counted from 0."""
    if callable(self.round_event):
      return self.round_event(round_num)
    return self.round_event


@dataclasses.dataclass(frozen=True)
class TrainingResult:
  """How a run ended.

  Attributes:
    state: The state of the process after the last round.
    rounds: The number of rounds in `state`.
    ledger: What has been spent.
    stopped_by_budget: Whether the budget ended the run before its last round.
  """

  state: Any
  rounds: int
  ledger: ledger_lib.PrivacyLedger
  stopped_by_budget: bool


def train(
  process: tff.learning.templates.LearningProcess,
  *,
  sample_clients: Callable[[int], Sequence[str]],
  client_datasets: Mapping[str, Any],
  rounds: int,
  budget: Budget,
  directory: str,
  checkpoint_every: int = 20,
  release_managers: Sequence[tff.program.ReleaseManager] = (),
  on_checkpoint: Optional[Callable[[Any, int], None]] = None,
  description: str = "train",
  show_progress: bool = True,
) -> TrainingResult:
  """Runs `process` for `rounds` rounds, or goes on with an earlier run.

  Args:
    process: The process to run. Its metrics are all that can be released; what
      is not private in them must have been asked for when it was built.
    sample_clients: From a round's number, counted from 0, the ids of its
      cohort; usually `ClientSampler.sample` of the plan. It has to be a
      function of the number alone, for runs that resume.
    client_datasets: What the process takes for a client, by id: its
      `tf.data.Dataset`, or the id itself where the process makes the data set
      on the worker. Data sets are built once and used in all rounds: making one
      anew each round leaks memory in TensorFlow.
    rounds: How many rounds the run has, at least 0.
    budget: What a round costs.
    directory: Where checkpoints go; made if missing. Starting again with the
      directory of an unfinished run goes on with that run.
    checkpoint_every: Rounds between checkpoints, at least 1.
    release_managers: Where each round's metrics go, with its number, counted
      from 1, as the key. They get a round only when a checkpoint holds it.
    on_checkpoint: Called with the state and its number of rounds for every
      checkpoint, also for the one that a run starts or resumes from.
    description: Names the run in the progress bar.
    show_progress: Whether to show the progress bar.

  Returns:
    A `TrainingResult`.

  Raises:
    ValueError: If a number is out of its range.
    KeyError: If a sampled client has no data set.
    CheckpointError: If there are checkpoints to go on from, but all damaged or
      of another process.
    CheckpointWriteError: If a checkpoint can't be written.
  """
  if rounds < 0:
    raise ValueError(f"rounds must be at least 0, got {rounds}")
  if checkpoint_every < 1:
    raise ValueError(
      f"checkpoint_every must be at least 1, got {checkpoint_every}"
    )
  checkpoints = checkpoints_lib.Checkpoints(directory)
  state, ledger, done = process.initialize(), copy.deepcopy(budget.ledger), 0
  latest = checkpoints.load_latest(state)
  if latest is None:
    checkpoints.save(state, ledger, done)
  else:
    state, ledger, done = latest.state, latest.ledger, latest.rounds
    _charge_lost_rounds(budget, ledger, latest)
    _logger.info("%s: going on after round %d", description, done)
  if on_checkpoint is not None:
    on_checkpoint(state, done)

  unreleased: collections.OrderedDict[int, Any] = collections.OrderedDict()
  stopped = False
  with tqdm.tqdm(
    total=rounds,
    initial=done,
    desc=description,
    unit="round",
    disable=not show_progress,
  ) as progress:
    progress.set_postfix_str(f"epsilon={ledger.epsilon():.4g}")
    while done < rounds and not stopped:
      event = budget.event(done)
      stopped = _exceeds(budget, ledger, event)
      if not stopped:
        cohort = [client_datasets[key] for key in sample_clients(done)]
        state, metrics = process.next(state, cohort)
        ledger.record(event)
        done += 1
        unreleased[done] = metrics
        progress.update()
        progress.set_postfix_str(f"epsilon={ledger.epsilon():.4g}")
      is_last = stopped or done == rounds
      if unreleased and (is_last or done % checkpoint_every == 0):
        checkpoints.save(state, ledger, done)
        _release(release_managers, unreleased)
        unreleased.clear()
        if on_checkpoint is not None:
          on_checkpoint(state, done)
  if stopped:
    _logger.warning(
      "%s: stopped after round %d; the next would exceed epsilon %g",
      description,
      done,
      budget.stop_at_epsilon,
    )
  return TrainingResult(state, done, ledger, stopped)


def _charge_lost_rounds(
  budget: Budget,
  ledger: ledger_lib.PrivacyLedger,
  latest: checkpoints_lib.Checkpoint,
) -> None:
  """Records what was released and then lost with a damaged checkpoint."""
  lost = [round_num for rounds in latest.lost for round_num in rounds]
  if lost and callable(budget.round_event) and budget.repeat_event is None:
    raise checkpoints_lib.CheckpointError(
      f"A checkpoint was damaged, and {len(lost)} round(s) whose results are "
      "out would be run again. What that costs is not known: round_event "
      "depends on the round, and the budget has no repeat_event."
    )
  event = budget.repeat_event or budget.event
  for round_num in lost:
    ledger.record(event(round_num))
  if lost:
    _logger.warning(
      "%d round(s) whose results are out were lost with a damaged checkpoint. "
      "They stay on the ledger and are run again, so this run spends more than "
      "an unbroken one.",
      len(lost),
    )


def _exceeds(
  budget: Budget, ledger: ledger_lib.PrivacyLedger, event: dp_accounting.DpEvent
) -> bool:
  if budget.stop_at_epsilon is None:
    return False
  return ledger.epsilon_with(event) > budget.stop_at_epsilon


def _release(managers, metrics_by_round: Mapping[int, Any]) -> None:
  async def release_all():
    for round_num, metrics in metrics_by_round.items():
      for manager in managers:
        await manager.release(metrics, round_num)

  checkpoints_lib.run_coroutine(release_all())
