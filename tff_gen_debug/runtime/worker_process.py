"""One life of TFF's C++ worker: started, watched, read from and ended.

Imports no TensorFlow. The work that has to survive this process is done by
`worker_launcher.py`, a program of its own.
"""

import dataclasses
import importlib.util
import itertools
import json
import logging
import os
import pathlib
import selectors
import shutil
import subprocess
import sys
import tempfile
import threading
from typing import IO, Any, Dict, List, Optional, Tuple, cast

_LAUNCHER = pathlib.Path(__file__).with_name("worker_launcher.py")
_START_TIMEOUT_SECONDS = 130.0
_STOP_TIMEOUT_SECONDS = 10.0
# `sun_path` of sockaddr_un(7) holds 108 bytes (104 on macOS) with the final 0.
_MAX_SOCKET_PATH_BYTES = 100
_LOG_TAIL_BYTES = 1 << 16


def worker_binary_path() -> pathlib.Path:
  """Where the installed TFF keeps its worker, without importing TFF.

  Returns:
    The path, whether or not there is a file.

  Raises:
    FileNotFoundError: If `tensorflow_federated` is not installed.
  """
  spec = importlib.util.find_spec("tensorflow_federated")
  if spec is None or not spec.submodule_search_locations:
    raise FileNotFoundError("tensorflow_federated is not installed")
  package = pathlib.Path(next(iter(spec.submodule_search_locations)))
  return package / "data" / "worker_binary"


def available_cores() -> int:
  """The number of cores on which this process may run."""
  if hasattr(os, "sched_getaffinity"):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


@dataclasses.dataclass(frozen=True)
class WorkerOptions:
  """How to run the worker.

  Attributes:
    max_concurrent_clients: How many clients' computations run at a time, >= 1.
    threads_per_client: Threads that one TensorFlow operation may use, >= 1.
    private: Whether to put the worker into a network of its own.
    log_file: Where its output goes; None keeps it in the scratch directory.
    listen: Host and port on which drivers of other machines reach it; None for
      a worker of this process alone.
    must_be_private: Whether to start no worker rather than one that listens on
      a port of its own, on all interfaces.
  """

  max_concurrent_clients: int
  threads_per_client: int
  private: bool = True
  log_file: Optional[pathlib.Path] = None
  listen: Optional[Tuple[str, int]] = None
  must_be_private: bool = False

  def environment(self) -> Dict[str, str]:
    """The environment of the worker."""
    environment = dict(os.environ)
    environment["TF_NUM_INTRAOP_THREADS"] = str(self.threads_per_client)
    environment["TF_NUM_INTEROP_THREADS"] = str(self.max_concurrent_clients)
    # glibc gives each of the worker's many threads a heap of its own, and freed
    # models stay in all of them: twice the memory for no measurable speed.
    arenas = str(max(2, self.max_concurrent_clients))
    environment.setdefault("MALLOC_ARENA_MAX", arenas)
    # Warnings and errors reach the log file even when the user silences
    # TensorFlow in Python; its informational chatter only on request.
    if environment.get("TF_CPP_MIN_LOG_LEVEL") != "0":
      environment["TF_CPP_MIN_LOG_LEVEL"] = "1"
    return environment


class WorkerStartError(RuntimeError):
  """The worker could not be started."""


class Scratch:
  """The directory (mode 0700) of a runtime's sockets and default log file."""

  def __init__(self, log_file: Optional[pathlib.Path] = None):
    parent = tempfile.gettempdir()
    if len(os.fsencode(parent)) > _MAX_SOCKET_PATH_BYTES - 40:
      parent = "/tmp"
    self.path = pathlib.Path(
      tempfile.mkdtemp(prefix="tff_gen_debug_", dir=parent)
    )
    self._own_log = log_file is None
    self.log_file = log_file or self.path / "worker.log"
    self._keep_log = False

  def keep_log(self) -> None:
    """Has the log outlive the runtime: somebody was told to read it."""
    self._keep_log = True

  def disposable(self) -> List[str]:
    """What the launcher may remove when this process is killed."""
    if not self._own_log:
      return [str(self.path)]
    return [] if self._keep_log else [str(self.log_file), str(self.path)]

  def remove(self) -> None:
    """Removes the directory, except a log that somebody was told to read."""
    if not (self._own_log and self._keep_log):
      shutil.rmtree(self.path, ignore_errors=True)


class WorkerProcess:
  """A running worker. Ends with `stop()`, or with this Python process.

  Attributes:
    target: What gRPC connects to.
    pid: The worker's process id.
    is_private: Whether the worker is in a network of its own, reachable only
      through a Unix socket of this user or where it was told to listen.
  """

  _serial_numbers = itertools.count()

  def __init__(self, options: WorkerOptions, scratch: Scratch):
    """Starts the worker and waits until it accepts connections.

    Args:
      options: How to run it.
      scratch: Where its socket and log are.

    Raises:
      WorkerStartError: If it does not come up.
    """
    self._binary = worker_binary_path()
    if not os.access(self._binary, os.X_OK):
      raise WorkerStartError(
        f"TFF's worker {self._binary} is missing or not executable; reinstall "
        "tensorflow-federated"
      )
    self._options = options
    self._scratch = scratch
    self._owner = os.getpid()
    self._lock = threading.Lock()
    self._end: Optional[str] = None
    log_file = scratch.log_file
    self._log_start = log_file.stat().st_size if log_file.exists() else 0
    event = self._launch(options.private)
    self.is_private = options.private and "not_private" not in event
    if "not_private" in event:
      refusal = event["not_private"]
      self._release_launcher()
      if options.must_be_private:
        raise WorkerStartError(
          f"The kernel refuses a private network for TFF's worker ({refusal}), "
          "without which it listens on a port of all interfaces, to everybody. "
          "See docs/distributed.md for what to do."
        )
      event = self._launch(private=False)
    if "ready" not in event:
      self._release_launcher()
      # A supervisor may try again for ever: no folder for each empty log.
      if log_file.exists() and log_file.stat().st_size > self._log_start:
        scratch.keep_log()
      reason = event.get("failed", "gave no sign of life")
      raise WorkerStartError(
        f"TFF's worker {reason} while starting.\n{self.log_tail()}"
      )
    self.pid = int(event["ready"]["pid"])
    port = int(event["ready"]["port"])
    self.target = self._target(port)
    if options.private and not self.is_private:
      logging.getLogger(__name__).warning(
        "The kernel refuses a private network for TFF's worker (%s): it "
        "listens, without authentication, on TCP port %d of all interfaces. "
        "See docs/sharp_edges.md.",
        refusal,
        port,
      )

  def _target(self, port: int) -> str:
    if self._options.listen is not None:
      host, port = self._options.listen
      return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if self.is_private:
      return f"unix:{self._socket_path}"
    return f"127.0.0.1:{port}"

  def _launch(self, private: bool) -> Dict[str, Any]:
    """Runs the launcher; returns its first event, {} if none comes."""
    number = next(self._serial_numbers)
    self._socket_path = self._scratch.path / f"{number}.sock"
    flag = "--max_concurrent_computation_calls"
    config = {
      "command": [
        str(self._binary),
        f"{flag}={self._options.max_concurrent_clients}",
      ],
      "log": str(self._scratch.log_file),
      "owner": self._owner,
      "private": private,
      "socket": (
        str(self._socket_path)
        if private and self._options.listen is None
        else None
      ),
      "listen": self._options.listen,
      "remove": self._scratch.disposable(),
    }
    with open(self._scratch.log_file, "ab") as log:
      self._launcher = subprocess.Popen(
        [sys.executable, "-I", "-S", str(_LAUNCHER), json.dumps(config)],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env=self._options.environment(),
        # A terminal sends Ctrl-C to its whole foreground process group. Python
        # decides what it means; the worker is ended when Python ends.
        start_new_session=True,
      )
    return self._next_event(_START_TIMEOUT_SECONDS)

  def _next_event(self, timeout: float) -> Dict[str, Any]:
    stdout = cast(IO[bytes], self._launcher.stdout)
    with selectors.DefaultSelector() as selector:
      selector.register(stdout, selectors.EVENT_READ)
      line = stdout.readline() if selector.select(timeout) else b""
    return json.loads(line) if line else {}

  def _release_launcher(self) -> None:
    """Orders the launcher to end the worker and waits until it has."""
    stdin = cast(IO[bytes], self._launcher.stdin)
    stdout = cast(IO[bytes], self._launcher.stdout)
    try:
      stdin.write(b"x")
    except OSError:
      pass  # It has ended already, and the worker with it.
    try:
      self._launcher.wait(_STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
      # The kernel sends the worker after it.
      self._launcher.kill()
      self._launcher.wait()
    stdin.close()
    stdout.close()

  def ended(self, within: float = 0.0) -> Optional[str]:
    """How the worker ended, or None if it runs.

    Args:
      within: Seconds to wait for an end that may be under way: a broken
        connection is noticed before the process is gone.

    Returns:
      A predicate for the subject "the worker", such as "exited with code 1".
    """
    with self._lock:
      if self._end is None:
        try:
          self._launcher.wait(within)
        except subprocess.TimeoutExpired:
          return None
        event = self._next_event(0.0)
        self._end = str(event.get("ended", "was ended with its launcher"))
        self._scratch.keep_log()
        self._release_launcher()
      return self._end

  def stop(self) -> None:
    """Ends the worker. Does nothing in a process forked from the owner."""
    if os.getpid() != self._owner:
      return
    with self._lock:
      if self._end is None:
        self._end = "was stopped"
        self._release_launcher()

  def log_tail(self, lines: int = 20) -> str:
    """The last lines that this worker wrote, headed by the log's path."""
    log_file = self._scratch.log_file
    try:
      with open(log_file, "rb") as f:
        size = f.seek(0, os.SEEK_END)
        f.seek(max(self._log_start, size - _LOG_TAIL_BYTES))
        text = f.read().decode("utf-8", "replace")
    except OSError:
      text = ""
    tail = [line for line in text.splitlines() if line.strip()][-lines:]
    if not tail:
      return f"It wrote nothing to its log {log_file}."
    return f"Last lines of its log {log_file}:\n  " + "\n  ".join(tail)
