"""What the benchmarks have in common: taking turns, medians, memory."""

import os
import statistics
import time
from typing import Callable, Sequence

import psutil
import tensorflow as tf

Run = Callable[[], object]


def machine() -> str:
  """A line about where figures come from."""
  load = os.getloadavg()[0]
  return (
    f"{os.cpu_count()} cores, load {load:.1f} at the start, TensorFlow "
    f"{tf.__version__}"
  )


def seconds(run: Run) -> float:
  """What one call takes."""
  start = time.perf_counter()
  run()
  return time.perf_counter() - start


def median_seconds(run: Run, repeats: int) -> float:
  """The median of `repeats` calls after one that traces and compiles."""
  run()
  return statistics.median(seconds(run) for _ in range(repeats))


def take_turns(
  timers: Sequence[Callable[[], float]], repeats: int
) -> list[list[float]]:
  """Seconds by side, each a list of `repeats`; all meet the same machine."""
  times = [[timer() for timer in timers] for _ in range(repeats)]
  return [list(column) for column in zip(*times)]


def ratio(ours: Sequence[float], others: Sequence[float]) -> float:
  """The median of the ratios of the turns."""
  return statistics.median(one / other for one, other in zip(ours, others))


def print_memory(run: Run, rounds: int, every: int = 20) -> None:
  """Prints the memory of Python and TFF's worker while rounds are run."""
  process = psutil.Process()

  def resident() -> tuple[float, float]:
    workers = [
      child
      for child in process.children(recursive=True)
      if child.name().startswith("worker_binary")
    ]
    return (
      process.memory_info().rss / 2**20,
      sum(child.memory_info().rss for child in workers) / 2**20,
    )

  first = None
  for done in range(1, rounds + 1):
    run()
    if done % every == 0:
      python, worker = resident()
      first = first or python + worker
      growth = (python + worker) / first - 1
      print(
        f"round {done}: Python {python:.0f} MiB, worker {worker:.0f} MiB, "
        f"growth since round {every} {growth:+.1%}",
        flush=True,
      )


def print_cost_of_clients(
  clients: int, full: float, empty: float, more: str = ""
) -> None:
  """Prints what a client adds to a round, from two rounds' seconds."""
  print(
    f"{clients} clients: {full:.2f} s a round, {empty:.2f} s without clients, "
    f"{1000 * (full - empty) / clients:.2f} ms a client{more}",
    flush=True,
  )
