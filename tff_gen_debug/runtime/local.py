"""TFF's default execution on this machine: private, quiet, without orphans."""

import contextlib
import os
import pathlib
from typing import Optional, Union

from tff_gen_debug import arguments
from tff_gen_debug.runtime import default_runtime
from tff_gen_debug.runtime import execution
from tff_gen_debug.runtime import subrounds
from tff_gen_debug.runtime import worker_process


class LocalRuntime(default_runtime.Runtime):
  """A worker of this process, and the TFF contexts that compute on it.

  Made by `use_local_runtime`. Also a context manager that closes itself.
  """

  def __init__(
    self,
    options: worker_process.WorkerOptions,
    max_restarts: int,
    num_subrounds: int,
  ):
    self._scratch = worker_process.Scratch(options.log_file)
    with contextlib.ExitStack() as resources:
      resources.callback(self._scratch.remove)
      self._factory = execution.LocalExecutorFactory(options, self._scratch)
      resources.callback(self._factory.close)
      context = subrounds.in_subrounds(
        execution.RestartingContext(self._factory, max_restarts),
        parallel=1,
        num_subrounds=num_subrounds,
      )
      super().__init__(context, resources.pop_all())

  @property
  def is_private(self) -> bool:
    """Whether the worker can be reached by nobody but this user."""
    worker = self._factory.worker
    return worker is not None and worker.is_private

  @property
  def log_file(self) -> pathlib.Path:
    """What the worker wrote. Removed at the end if it is in no use by then.

    A log that was asked for by name stays, and so does one of a worker that
    died.
    """
    return self._scratch.log_file

  @property
  def worker_pid(self) -> Optional[int]:
    """Process id of the present worker; None after `close`."""
    worker = self._factory.worker
    return None if worker is None else worker.pid

  @property
  def restarts(self) -> int:
    """How many workers died and were replaced."""
    return self._factory.restarts


def _log_path(log_file: Union[str, "os.PathLike[str]"]) -> pathlib.Path:
  path = pathlib.Path(log_file).absolute()
  if path.is_dir():
    raise ValueError(f"log_file must be a file, got the directory {path}")
  path.parent.mkdir(parents=True, exist_ok=True)
  return path


def use_local_runtime(
  *,
  max_concurrent_clients: Optional[int] = None,
  threads_per_client: Optional[int] = None,
  private: bool = True,
  log_file: Optional[Union[str, "os.PathLike[str]"]] = None,
  max_restarts: int = 1,
  num_subrounds: int = 1,
) -> LocalRuntime:
  """Makes a worker of this process TFF's default way to compute.

  Use it once, before the first computation:

      import tff_gen_debug.runtime as runtime
      runtime.use_local_runtime()

  It differs from the default that TFF installs when imported:

  *   The worker ends with this process, however that ends, and keeps neither
      its terminal nor its pipes open.
  *   On Linux the worker is alone in a network namespace and reached through a
      Unix socket that only this user can open. TFF's own listens on all
      interfaces and runs the graphs of whoever connects. Where the kernel
      forbids this, one warning says so and the worker listens as TFF's does.
      A private worker reaches no network either: graphs that read `gs://` or
      `hdfs://` need `private=False`.
  *   Its output goes to a log file. When it dies, it is restarted and the
      computation repeated; then the error carries the end of that log.
  *   Clients run one a core with one thread each, which is the fastest for many
      clients with small models. TFF runs them all at once.
  *   All threads compute on it, not only the one that called this.
  *   Secure sums are simulated in the clear; one warning says so.

  Calling this again closes the runtime of the call before.

  Args:
    max_concurrent_clients: How many clients compute at a time, at least 1;
      None means as many as this process may use cores. Bounds memory too: each
      holds a copy of the model.
    threads_per_client: Threads that one TensorFlow operation uses, at least 1;
      None means 1. Raise it for few clients with large operations.
    private: Whether to give the worker a network of its own.
    log_file: File to which the worker's output is appended; None writes to a
      temporary file, removed at the end if no worker died.
    max_restarts: How often one computation is repeated because the worker died
      under it, at least 0.
    num_subrounds: Into how many parts, computed one after another, a round's
      cohort is cut, at least 1. The worker holds the updates of one part only,
      so that memory is bounded whatever the cohort; see `subrounds`.

  Returns:
    The runtime. Close it (or use it as a context manager) to restore TFF's
    former default context; otherwise it is closed when Python exits.

  Raises:
    TypeError: If a number isn't an integer or `private` isn't a bool.
    ValueError: If a number is too small, or `log_file` is a directory.
    WorkerStartError: If the worker doesn't start.
  """
  if not isinstance(private, bool):
    raise TypeError(f"private must be a bool, got {private!r}")
  options = worker_process.WorkerOptions(
    max_concurrent_clients=(
      worker_process.available_cores()
      if max_concurrent_clients is None
      else arguments.integer(
        "max_concurrent_clients", max_concurrent_clients, 1
      )
    ),
    threads_per_client=(
      1
      if threads_per_client is None
      else arguments.integer("threads_per_client", threads_per_client, 1)
    ),
    private=private,
    log_file=None if log_file is None else _log_path(log_file),
  )
  max_restarts = arguments.integer("max_restarts", max_restarts, 0)
  num_subrounds = arguments.integer("num_subrounds", num_subrounds, 1)
  return default_runtime.replace(
    lambda: LocalRuntime(options, max_restarts, num_subrounds)
  )
