"""Runs trainings in several processes at a time.

A training builds its own TFF process, which keeps one core busy with Python
before the clients compute; other trainings use the cores meanwhile.
"""

from collections.abc import Sequence
from concurrent import futures
from concurrent.futures import process
import multiprocessing
from multiprocessing import util
import os
import threading

from tasks import console
from tasks.topagg_fedavg import config as config_lib
from tasks.topagg_fedavg import population as population_lib
from tasks.topagg_fedavg import settings
from tasks.topagg_fedavg import training
from tff_gen_debug import runtime
from tff_gen_debug.runtime import worker_process

# Of a process of the pool.
_trainer: training.Trainer


class TrainingPoolError(Exception):
  """A process of a pool died or didn't start."""


class TrainingPool:
  """Processes, each with a trainer and a TFF runtime of its own.

  A context manager; its processes end with it.
  """

  def __init__(
    self,
    config: config_lib.Config,
    population: population_lib.Population,
    folder: str,
    processes: int,
  ):
    """Initializes the pool; its processes start when they are needed.

    Args:
      config: As `training.Trainer` takes it.
      population: The same.
      folder: The same.
      processes: How many trainings run at a time.
    """
    # TensorFlow doesn't survive a fork.
    self._executor = futures.ProcessPoolExecutor(
      processes,
      mp_context=multiprocessing.get_context("spawn"),
      initializer=_start,
      initargs=(config, population, folder, processes),
    )

  def __enter__(self) -> "TrainingPool":
    return self

  def __exit__(self, *unused_error) -> None:
    self._executor.shutdown(cancel_futures=True)

  def accuracies(self, trials: Sequence[settings.Trial]) -> list[float]:
    """As `training.Trainer.accuracies`.

    Args:
      trials: The trainings.

    Returns:
      The accuracy of each.

    Raises:
      TrainingPoolError: If a process died, for want of memory for instance.
    """
    # Two processes must not run the same training.
    different = list(dict.fromkeys(trials))
    try:
      measured = dict(zip(different, self._executor.map(_accuracy, different)))
    except process.BrokenProcessPool as error:
      raise TrainingPoolError(
        "A process that trains has died or didn't start. What is trained is "
        "kept: the same command goes on, perhaps with fewer --processes."
      ) from error
    return [measured[trial] for trial in trials]


def _start(
  config: config_lib.Config,
  population: population_lib.Population,
  folder: str,
  processes: int,
) -> None:
  global _trainer
  threading.Thread(target=_end_with_parent, daemon=True).start()
  console.set_up()
  cores = worker_process.available_cores()
  own_runtime = runtime.use_local_runtime(
    max_concurrent_clients=max(1, cores // processes)
  )
  # Such processes end without what `atexit` has.
  util.Finalize(None, own_runtime.close, exitpriority=0)
  _trainer = training.Trainer(config, population, folder)


def _end_with_parent() -> None:
  """Ends this process when its parent is gone, killed for instance.

  It would wait for the next training otherwise, for ever.
  """
  parent = multiprocessing.parent_process()
  if parent is not None:
    parent.join()
    os._exit(1)


def _accuracy(trial: settings.Trial) -> float:
  return _trainer.accuracy(trial)
