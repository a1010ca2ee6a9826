"""What is done to a victim, one function a fault.

Each takes a `Site`, injects its fault at a random moment of the run, starts the
victim again where the fault ended it, and returns an `Injury`. A victim that
was through before the fault came raises `TooLateError`.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import random
import signal
import subprocess
import time
from typing import Callable, Dict, Iterator, List

from tests.faults import running
from tests.runtime import machines
from tests.runtime import worker_programs

# How long a link is away: longer than the victim's timeout of 3 s.
_AWAY_SECONDS = 8.0
_RESTART_SECONDS = 1.0
# A fault comes no later than so many rounds before the end, give or take what a
# round takes: it has to be seen.
_LAST_ROUNDS = 5
_ROUND_SECONDS = 0.2


class TooLateError(Exception):
  """The run had ended before the fault: it says nothing."""


@dataclasses.dataclass(frozen=True)
class Injury:
  """What must be seen of a fault afterwards.

  Attributes:
    repeated: How many rounds the run had to repeat, with the cost of both on
      its ledger: 0 but for damaged checkpoints.
    losses: How many workers it must have lost, at least.
  """

  repeated: int = 0
  losses: int = 0


@dataclasses.dataclass
class Site:
  """Where one run takes place.

  Attributes:
    victims: Starts the victim.
    folder: The victim's.
    rounds: How many rounds it has.
    random: Draws the moment of the fault.
    workers: Programs of two remote workers, shared by all runs.
  """

  victims: running.Victims
  folder: pathlib.Path
  rounds: int
  random: random.Random
  workers: List[worker_programs.Program]

  def start(self, remote: bool = False) -> int:
    """Starts the victim and waits until it computes; returns its pid."""
    addresses = [worker.address for worker in self.workers] if remote else []
    pid = self.victims.start(self.folder, self.rounds, addresses)
    running.wait_until_started(pid, self.folder)
    return pid

  def finish(self, remote: bool = False) -> None:
    """Starts the victim and waits until it ends."""
    running.wait_until_ended(self.start(remote))

  def wait_for_a_moment(self) -> None:
    """Waits until some random time of the run; it must not have ended."""
    states = self.folder / "states"
    reached = self.random.randrange(self.rounds - _LAST_ROUNDS)

    def is_there():
      lines = states.read_text().splitlines() if states.exists() else []
      return bool(lines) and int(lines[-1].split()[0]) >= reached

    running.wait(is_there, 60)
    time.sleep(self.random.uniform(0.0, _ROUND_SECONDS))
    if (self.folder / "result.json").exists():
      raise TooLateError()

  def wait_for_checkpoints(self) -> None:
    """Waits until there are two."""
    states = self.folder / "states"
    running.wait(lambda: states.exists(), 60)
    running.wait(lambda: len(states.read_text().splitlines()) > 2, 60)


def _kill(pid: int) -> None:
  with contextlib.suppress(ProcessLookupError):
    os.kill(pid, signal.SIGKILL)


def _kill_driver(site: Site, remote: bool) -> Injury:
  for _ in range(site.random.choice([1, 2])):
    pid = site.start(remote)
    site.wait_for_a_moment()
    _kill(pid)
    running.wait_until_ended(pid)
  site.finish(remote)
  return Injury()


def driver_killed(site: Site) -> Injury:
  """kill -9 of the Python process, with a local worker."""
  return _kill_driver(site, remote=False)


def driver_of_remote_workers_killed(site: Site) -> Injury:
  """kill -9 of the Python process, with remote workers."""
  return _kill_driver(site, remote=True)


def local_worker_killed(site: Site) -> Injury:
  """kill -9 of the worker that Python started."""
  pid = site.start()
  site.wait_for_a_moment()
  _kill(running.local_worker(site.folder))
  running.wait_until_ended(pid)
  return Injury(losses=1)


def _kill_workers(site: Site, numbers: List[int]) -> Injury:
  pid = site.start(remote=True)
  site.wait_for_a_moment()
  for number in numbers:
    site.workers[number].worker.kill()
  for number in numbers:
    site.workers[number].process.wait(30)
  time.sleep(_RESTART_SECONDS)
  for number in numbers:
    dead = site.workers[number]
    dead.close()
    site.workers[number] = worker_programs.Program(port=dead.port)
    site.workers[number].wait_until_up()
  running.wait_until_ended(pid)
  return Injury(losses=len(numbers))


def remote_worker_killed(site: Site) -> Injury:
  """kill -9 of one of two remote workers; started again after a second."""
  return _kill_workers(site, [site.random.randrange(2)])


def all_remote_workers_killed(site: Site) -> Injury:
  """kill -9 of both remote workers; started again after a second."""
  return _kill_workers(site, [0, 1])


def remote_worker_stopped(site: Site) -> Injury:
  """SIGSTOP of a remote worker for the rest of the run."""
  worker = site.workers[site.random.randrange(2)].worker.pid
  pid = site.start(remote=True)
  site.wait_for_a_moment()
  os.kill(worker, signal.SIGSTOP)
  try:
    running.wait_until_ended(pid)
  finally:
    os.kill(worker, signal.SIGCONT)
  return Injury(losses=1)


def network_cut(site: Site) -> Injury:
  """The network to a remote worker down past the deadline, or to the end."""
  with machines.machines(1) as (machine,):
    with worker_programs.running(
      host=machine.host, prefix=machine.prefix
    ) as program:
      workers, site.workers = site.workers, [site.workers[0], program]
      try:
        pid = site.start(remote=True)
        site.wait_for_a_moment()
        machine.unplug()
        if site.random.random() < 0.5:
          time.sleep(_AWAY_SECONDS)
          machine.plug_in()
        running.wait_until_ended(pid)
        machine.plug_in()
      finally:
        site.workers = workers
  return Injury(losses=1)


def checkpoint_damaged(site: Site) -> Injury:
  """kill -9, and the latest checkpoint cut short or with a bit flipped."""
  pid = site.start()
  site.wait_for_checkpoints()
  time.sleep(site.random.uniform(0.0, _ROUND_SECONDS))
  _kill(pid)
  running.wait_until_ended(pid)
  checkpoints = site.folder / "checkpoints"
  versions = sorted(
    int(path.name[len("round_") :])
    for path in checkpoints.glob("round_*")
    if path.name[len("round_") :].isdigit()
  )
  (data,) = (checkpoints / f"round_{versions[-1]}").rglob("variables.data*")
  content = bytearray(data.read_bytes())
  if site.random.random() < 0.5:
    content = content[: site.random.randrange(len(content))]
  else:
    content[site.random.randrange(len(content))] ^= 1 << site.random.randrange(
      8
    )
  data.write_bytes(content)
  site.finish()
  return Injury(repeated=versions[-1] - versions[-2])


@contextlib.contextmanager
def small_disk(path: pathlib.Path) -> Iterator[None]:
  """A file system of 4 MiB of its own, mounted on a folder."""
  path.mkdir(parents=True)
  mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(path)]
  subprocess.run(mount, check=True, capture_output=True)
  try:
    yield
  finally:
    subprocess.run(["umount", "-l", str(path)], check=True)


def _expect_write_error(site: Site, pid: int) -> None:
  running.wait_until_ended(pid)
  error = running.error_of(site.folder)
  if (site.folder / "result.json").exists():
    raise TooLateError()  # It needed no checkpoint any more.
  if not error or not error.startswith("CheckpointWriteError"):
    raise RuntimeError(f"expected a CheckpointWriteError, got {error}")


def disk_full(site: Site) -> Injury:
  """The disk of the checkpoints fills up; room is made after the error."""
  checkpoints = site.folder / "checkpoints"
  with small_disk(checkpoints):
    pid = site.start()
    site.wait_for_checkpoints()
    ballast = checkpoints / "ballast"
    with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
      while True:
        file.write(bytes(4096))
    _expect_write_error(site, pid)
    ballast.unlink()
    site.finish()
  return Injury()


def folder_unwritable(site: Site) -> Injury:
  """The folder of the checkpoints becomes read-only, until after the error."""
  checkpoints = site.folder / "checkpoints"
  with small_disk(checkpoints):
    pid = site.start()
    site.wait_for_checkpoints()
    remount = ["mount", "-o", "remount,{}", str(checkpoints)]
    _until_it_works([part.format("ro") for part in remount])
    _expect_write_error(site, pid)
    _until_it_works([part.format("rw") for part in remount])
    site.finish()
  return Injury()


def _until_it_works(command: List[str]) -> None:
  """A file system can't be made read-only while a file is being written."""
  for _ in range(1000):
    if (
      subprocess.run(command, capture_output=True, check=False).returncode == 0
    ):
      return
    time.sleep(0.005)
  raise RuntimeError(f"{' '.join(command)} failed for long")


# By fault, how many of the survey's 50 runs it gets.
RUNS: Dict[Callable[[Site], Injury], int] = {
  driver_killed: 10,
  driver_of_remote_workers_killed: 6,
  local_worker_killed: 6,
  remote_worker_killed: 6,
  all_remote_workers_killed: 3,
  remote_worker_stopped: 4,
  network_cut: 4,
  checkpoint_damaged: 5,
  disk_full: 3,
  folder_unwritable: 3,
}

# These change the machine's network and mounts.
NEED_ROOT = (network_cut, disk_full, folder_unwritable)


def report(folder: pathlib.Path) -> str:
  """What a victim failed with and logged, for a message."""
  log = folder / "log"
  tail = log.read_text(errors="replace")[-2000:] if log.exists() else ""
  return json.dumps({"error": running.error_of(folder), "log": tail}, indent=2)
