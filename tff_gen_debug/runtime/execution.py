"""TFF execution contexts on a worker of our own, with repeats when it dies.

Built from TFF's public parts as `tff.backends.native` builds its own: a gRPC
stub, a remote executor over it, an executor factory, and a context that
compiles for the native backend. Added is what the stock context lacks:

*   Secure sums are simulated; see `compilation`.
*   A dead worker is told apart from a failing computation, and a computation
    is repeated so many times and no more; see `worker_stub`.
*   After a restart nothing refers to the old worker's values.
*   The worker's memory is freed sooner; see `executor_cache`.
"""

import logging
import os
import threading
from typing import Any, Optional

import grpc
import tensorflow_federated as tff

from tff_gen_debug.runtime import compilation
from tff_gen_debug.runtime import executor_cache
from tff_gen_debug.runtime import worker_process
from tff_gen_debug.runtime import worker_stub

_CHANNEL_OPTIONS = (
  # The defaults, 4 MB, are less than one paper-sized discriminator.
  ("grpc.max_send_message_length", -1),
  ("grpc.max_receive_message_length", -1),
  # The worker is on this machine whatever `http_proxy` says.
  ("grpc.enable_http_proxy", 0),
)
# A broken connection is noticed before the process is gone.
_END_GRACE_SECONDS = 2.0


def local_stub(worker: worker_process.WorkerProcess) -> worker_stub.WorkerStub:
  """A stub of a worker on this machine, which tells its death by its process.

  Args:
    worker: The running worker.

  Returns:
    The stub, on a channel of its own.
  """

  def explain_loss(code, unused_details):
    waits = code in worker_stub.CONNECTION_CODES
    end = worker.ended(_END_GRACE_SECONDS if waits else 0.0)
    if end is None:
      return None
    return (
      f"TFF's worker (process {worker.pid}) {end} during a computation.\n"
      f"{worker.log_tail()}"
    )

  channel = grpc.insecure_channel(worker.target, _CHANNEL_OPTIONS)
  return worker_stub.WorkerStub(channel, explain_loss)


class LocalExecutorFactory(tff.framework.ExecutorFactory):
  """Makes executors on a worker that it starts, replaces and ends.

  Attributes:
    worker: The present worker; None once the factory is closed.
    restarts: How many workers died and were replaced.
  """

  def __init__(
    self,
    options: worker_process.WorkerOptions,
    scratch: worker_process.Scratch,
  ):
    self._options = options
    self._scratch = scratch
    self._lock = threading.RLock()
    self.restarts = 0
    self.worker: Optional[worker_process.WorkerProcess] = None
    self._start()

  def _start(self) -> None:
    self.worker = worker_process.WorkerProcess(self._options, self._scratch)
    self._stub = local_stub(self.worker)
    self._executors = executor_cache.ExecutorCache(self._stub)

  def _replace_if_dead(self, worker: worker_process.WorkerProcess) -> None:
    end = worker.ended()
    if end is None:
      return
    logging.getLogger(__name__).warning(
      "TFF's worker (process %d) %s. Starting another one, and repeating the "
      "computation if one was running.\n%s",
      worker.pid,
      end,
      worker.log_tail(),
    )
    self._stub.close()
    self.restarts += 1
    self._start()

  def create_executor(self, cardinalities):
    with self._lock:
      if self.worker is None:
        raise RuntimeError(
          "This runtime is closed. Call tff_gen_debug.runtime."
          "use_local_runtime() for another one."
        )
      self._replace_if_dead(self.worker)
      return self._executors.get(cardinalities)

  def clean_up_executor(self, cardinalities):
    with self._lock:
      self._executors.remove(cardinalities)

  def close(self) -> None:
    """Ends the worker; a computation that runs on it fails."""
    with self._lock:
      worker, self.worker = self.worker, None
    if worker is not None:
      worker.stop()
      self._stub.close()


class RestartingContext(tff.framework.SyncContext):
  """Runs computations; repeats one whose worker died under it.

  One computation at a time: the executors' calls block, and a second
  computation's executors must not be cleaned up by the failure of the first.
  """

  def __init__(self, factory: LocalExecutorFactory, max_restarts: int):
    self._factory = factory
    self._max_restarts = max_restarts
    self._owner = os.getpid()
    self._lock = threading.RLock()
    self._context = compilation.native_context(factory)

  @property
  def executor_factory(self) -> LocalExecutorFactory:
    """The factory of the executors on which computations run."""
    return self._factory

  def invoke(self, comp: Any, arg: Any) -> Any:
    """See base class.

    Raises:
      WorkerDiedError: If the worker died, and again at each repeat.
      RuntimeError: If the runtime is closed or belongs to a parent process.
      grpc.RpcError: If the computation itself fails.
    """
    worker_stub.check_owner(self._owner, "use_local_runtime")
    with self._lock:
      repeats = 0
      while True:
        try:
          return self._context.invoke(comp, arg)
        except worker_stub.WorkerDiedError as error:
          if self._factory.worker is None:
            raise RuntimeError(
              "The runtime was closed during this computation."
            ) from error
          if repeats == self._max_restarts:
            raise worker_stub.WorkerDiedError(
              f"{error}\nThis computation ended {repeats + 1} worker(s) and is "
              "given up. If memory ran out, lower max_concurrent_clients."
            ) from error
          repeats += 1
