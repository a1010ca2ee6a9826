"""Starts victims, and looks at what they left behind."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from typing import Dict, List, Optional, Sequence

from tests.runtime import worker_programs

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_FINISH_SECONDS = 240.0


def wait(condition, seconds: float) -> bool:
  """Whether the condition holds within so many seconds."""
  deadline = time.monotonic() + seconds
  while not condition():
    if time.monotonic() > deadline:
      return False
    time.sleep(0.01)
  return True


class Victims:
  """The program that forks victims; a context manager."""

  def __init__(self):
    self._program = subprocess.Popen(
      [sys.executable, "-W", "ignore", "-m", "tests.faults.victim"],
      cwd=_ROOT,
      env=dict(os.environ, TF_CPP_MIN_LOG_LEVEL="2", CUDA_VISIBLE_DEVICES="-1"),
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      stderr=subprocess.DEVNULL,
      text=True,
    )

  def start(
    self, folder: pathlib.Path, rounds: int, workers: Sequence[str] = ()
  ) -> int:
    """Starts a victim in a folder; returns its process id."""
    for name in ("started", "error"):
      (folder / name).unlink(missing_ok=True)
    request = dict(folder=str(folder), rounds=rounds, workers=list(workers))
    self._program.stdin.write(json.dumps(request) + "\n")
    self._program.stdin.flush()
    return int(self._program.stdout.readline())

  def __enter__(self) -> "Victims":
    return self

  def __exit__(self, *unused_error) -> None:
    # Which closes its pipes and waits.
    with self._program:
      self._program.stdin.close()
      try:
        self._program.wait(10)
      except subprocess.TimeoutExpired:
        self._program.kill()


def wait_until_started(pid: int, folder: pathlib.Path) -> None:
  """Waits until a victim computes."""
  started = folder / "started"
  ready = wait(
    lambda: started.exists() or worker_programs.is_gone(pid), _FINISH_SECONDS
  )
  if not ready or not started.exists():
    raise RuntimeError(f"the victim did not start: {error_of(folder)}")


def local_worker(folder: pathlib.Path) -> int:
  """The process id of a victim's local worker."""
  return int((folder / "started").read_text())


def wait_until_ended(pid: int) -> None:
  """Waits until a victim's process is gone."""
  if not wait(lambda: worker_programs.is_gone(pid), _FINISH_SECONDS):
    os.kill(pid, signal.SIGKILL)
    raise RuntimeError("the victim hangs")


def error_of(folder: pathlib.Path) -> Optional[str]:
  """What a victim failed with, if it failed by an error."""
  path = folder / "error"
  return path.read_text() if path.exists() else None


@dataclasses.dataclass(frozen=True)
class Outcome:
  """What is to be seen after the last start.

  Attributes:
    finished: Whether the run finished all of its rounds.
    ledger: Its ledger, as JSON; None if it didn't finish.
    losses: How many workers the last start lost.
    forked_rounds: Rounds of which more than one state left TFF.
    repeated_releases: Rounds whose metrics were released more than once.
  """

  finished: bool
  ledger: Optional[str]
  losses: int
  forked_rounds: List[int]
  repeated_releases: List[int]


def outcome(folder: pathlib.Path, rounds: int) -> Outcome:
  """Reads what a victim left."""
  path = folder / "result.json"
  result = json.loads(path.read_text()) if path.exists() else {}
  digests: Dict[int, set] = {}
  for line in (folder / "states").read_text().splitlines():
    number, digest = line.split()
    digests.setdefault(int(number), set()).add(digest)
  released = [int(n) for n in (folder / "released").read_text().split()]
  return Outcome(
    finished=result.get("rounds") == rounds,
    ledger=result.get("ledger"),
    losses=result.get("losses", 0),
    forked_rounds=[n for n, found in digests.items() if len(found) > 1],
    repeated_releases=sorted({n for n in released if released.count(n) > 1}),
  )
