"""Worker programs as drivers meet them: processes that listen on a port."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import Iterator, List, Optional, Sequence

import grpc
import psutil

from tff_gen_debug.runtime import channels
from tff_gen_debug.runtime import health

_ROOT = pathlib.Path(__file__).resolve().parents[2]
# A start takes one or two seconds on a machine that does nothing else.
_START_SECONDS = 90.0
_STOP_SECONDS = 30.0


def free_port(host: str = "127.0.0.1") -> int:
  """A port on which nobody listens at present."""
  with socket.socket() as s:
    s.bind((host, 0))
    return s.getsockname()[1]


def command(*flags: str) -> List[str]:
  """The command line of the worker program."""
  return [sys.executable, "-m", "tff_gen_debug.runtime.worker", *flags]


def run(*flags: str) -> "subprocess.CompletedProcess[str]":
  """Runs the worker program to its end."""
  with tempfile.TemporaryDirectory() as scratch:
    return subprocess.run(
      command(*flags),
      cwd=_ROOT,
      env=dict(os.environ, TMPDIR=scratch),
      capture_output=True,
      text=True,
      timeout=_START_SECONDS,
      check=False,
    )


def is_gone(pid: int) -> bool:
  """Whether no such process runs."""
  try:
    return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
  except psutil.NoSuchProcess:
    return True


def wait_until_gone(pid: int, seconds: float = 10.0) -> bool:
  """Whether the process is gone within so many seconds."""
  deadline = time.monotonic() + seconds
  while not is_gone(pid):
    if time.monotonic() > deadline:
      return False
    time.sleep(0.02)
  return True


def answers(address: str, seconds: float = 5.0) -> bool:
  """Whether a worker answers there, asked without encryption."""
  with channels.open_channel(address, None) as channel:
    try:
      health.check(channel, seconds)
      return True
    except grpc.RpcError:
      return False


class Program:
  """A worker program that has been started.

  Attributes:
    process: The program.
    host: The address on which it listens.
    port: The port on which it listens.
  """

  def __init__(
    self,
    flags: Sequence[str] = (),
    host: Optional[str] = None,
    port: Optional[int] = None,
    prefix: Sequence[str] = (),
  ):
    """Starts it; `wait_until_up` waits until it answers.

    Args:
      flags: Flags besides host and port.
      host: The address to listen on; None to leave the flag out.
      port: The port; None for a free one.
      prefix: What comes before the command, such as `nice`.
    """
    self.host = host or "127.0.0.1"
    self.port = port or free_port()
    self._output = tempfile.TemporaryFile()
    # What a worker that died leaves of its own accord goes with the test.
    self._scratch = tempfile.TemporaryDirectory()
    self.process = subprocess.Popen(
      [
        *prefix,
        *command("--port", str(self.port), *flags),
        *([] if host is None else ["--host", host]),
      ],
      cwd=_ROOT,
      env=dict(os.environ, TMPDIR=self._scratch.name),
      stdin=subprocess.DEVNULL,
      stdout=self._output,
      stderr=self._output,
    )

  @property
  def address(self) -> str:
    """What a driver is given."""
    return f"{self.host}:{self.port}"

  @property
  def output(self) -> str:
    """What the program has printed so far."""
    self._output.seek(0)
    return self._output.read().decode()

  @property
  def worker(self) -> psutil.Process:
    """The program's `worker_binary`."""
    (worker,) = (
      child
      for child in psutil.Process(self.process.pid).children(recursive=True)
      if child.name() == "worker_binary"
    )
    return worker

  @property
  def launcher(self) -> psutil.Process:
    """The process that forked the worker and holds its port."""
    return psutil.Process(self.worker.ppid())

  def wait_until_up(self) -> None:
    """Waits until the worker answers."""
    deadline = time.monotonic() + _START_SECONDS
    while not answers(self.address):
      assert self.process.poll() is None, self.output
      assert time.monotonic() < deadline, self.output
      time.sleep(0.05)

  def end(self, signal_number: int) -> int:
    """Sends a signal to the program; returns its exit status."""
    self.process.send_signal(signal_number)
    return self.process.wait(_STOP_SECONDS)

  def close(self) -> None:
    """Ends the program, however it is, and what it started."""
    if self.process.poll() is None:
      try:
        self.end(signal.SIGTERM)
      except subprocess.TimeoutExpired:
        self.end(signal.SIGKILL)
    self._output.close()
    self._scratch.cleanup()


@contextlib.contextmanager
def running(*flags: str, **options) -> Iterator[Program]:
  """A program whose worker answers; it ends with the context."""
  program = Program(flags, **options)
  try:
    program.wait_until_up()
    yield program
  finally:
    program.close()
