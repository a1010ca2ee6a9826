"""TFF's default execution on this machine: private, quiet, without orphans."""

import atexit
import contextlib
import gc
import operator
import os
import pathlib
from typing import Any, Optional, Union

import tensorflow_federated as tff

from tff_gen_debug.runtime import compat
from tff_gen_debug.runtime import execution
from tff_gen_debug.runtime import worker_process


class LocalRuntime:
  """A worker of this process, and the TFF contexts that compute on it.

  Made by `use_local_runtime`. Also a context manager that closes itself.
  """

  def __init__(
    self,
    options: worker_process.WorkerOptions,
    max_restarts: int,
    previous: tff.framework.SyncContext,
  ):
    self._scratch = worker_process.Scratch(options.log_file)
    self._owner = os.getpid()
    self._resources = contextlib.ExitStack()
    self._resources.callback(self._scratch.remove)
    try:
      self._factory = execution.LocalExecutorFactory(options, self._scratch)
    except BaseException:
      self._resources.close()
      raise
    self._resources.callback(self._factory.close)
    self._context = execution.RestartingContext(self._factory, max_restarts)
    self._resources.enter_context(
      compat.context_of_other_threads(self._context)
    )
    self._previous: Optional[tff.framework.SyncContext] = previous

  @property
  def context(self) -> tff.framework.SyncContext:
    """The context of ordinary calls: they return when they are computed."""
    return self._context

  @property
  def async_context(self) -> tff.framework.AsyncContext:
    """A context whose calls are awaited, on the same worker.

    For `tff.program.NativeFederatedContext`. Computations still run one at a
    time; the event loop goes on meanwhile.
    """
    return execution.AwaitableContext(self._context)

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

  @property
  def closed(self) -> bool:
    """Whether `close` has been called."""
    return self._factory.worker is None

  def close(self) -> None:
    """Ends the worker and restores the default context that was there before.

    Does nothing the second time, and nothing to the worker of a parent process.
    """
    self._end()
    if self._previous is not None:
      if tff.framework.get_context_stack().current is self._context:
        tff.framework.set_default_context(self._previous)
      self._previous = None

  def _end(self) -> None:
    if os.getpid() == self._owner:
      self._resources.close()

  def __enter__(self) -> "LocalRuntime":
    return self

  def __exit__(self, *unused_error) -> None:
    self.close()


_current: Optional[LocalRuntime] = None
_importer = os.getpid()


class _Exiting(tff.framework.SyncContext):
  """The default context while Python exits."""

  def invoke(self, comp, arg):
    raise RuntimeError("Python is exiting; nothing can be computed any more.")


def _at_exit() -> None:
  global _current
  runtime, _current = _current, None
  if os.getpid() != (runtime._owner if runtime else _importer):
    return
  if runtime is not None:
    runtime._end()
    runtime._previous = None
  # The context that TFF made when it was imported may have run a worker too.
  # TFF ends it when that context is collected, which at the interpreter's exit
  # is too late: the worker stays, and TFF's finalizer fails loudly.
  tff.framework.set_default_context(_Exiting())
  gc.collect()


atexit.register(_at_exit)


def _integer(
  name: str, value: Any, minimum: int, default: Optional[int] = None
) -> int:
  if value is None and default is not None:
    return default
  # A bool has an index too, and is not a number that anyone meant.
  if isinstance(value, bool) or not hasattr(value, "__index__"):
    raise TypeError(
      f"{name} must be an integer, got {value!r} of type {type(value).__name__}"
    )
  number = operator.index(value)
  if number < minimum:
    raise ValueError(f"{name} must be at least {minimum}, got {number}")
  return number


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

  Returns:
    The runtime. Close it (or use it as a context manager) to restore TFF's
    former default context; otherwise it is closed when Python exits.

  Raises:
    TypeError: If a number isn't an integer or `private` isn't a bool.
    ValueError: If a number is too small, or `log_file` is a directory.
    WorkerStartError: If the worker doesn't start.
  """
  global _current
  if not isinstance(private, bool):
    raise TypeError(f"private must be a bool, got {private!r}")
  options = worker_process.WorkerOptions(
    max_concurrent_clients=_integer(
      "max_concurrent_clients",
      max_concurrent_clients,
      minimum=1,
      default=worker_process.available_cores(),
    ),
    threads_per_client=_integer(
      "threads_per_client", threads_per_client, minimum=1, default=1
    ),
    private=private,
    log_file=None if log_file is None else _log_path(log_file),
  )
  max_restarts = _integer("max_restarts", max_restarts, minimum=0)
  if _current is not None:
    _current.close()
    _current = None
  previous = tff.framework.get_context_stack().current
  _current = LocalRuntime(options, max_restarts, previous)
  tff.framework.set_default_context(_current.context)
  return _current
