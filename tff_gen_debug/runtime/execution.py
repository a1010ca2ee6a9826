"""TFF execution contexts on a worker of our own, with repeats when it dies.

Built from TFF's public parts as `tff.backends.native` builds its own: a gRPC
stub, a remote executor over it, an executor factory, and a context that
compiles for the native backend. Added is what the stock context lacks:

*   Secure sums are simulated; see `compilation`.
*   A dead worker is told apart from a failing computation, and a computation
    is repeated so many times and no more. TFF 0.87 repeats after every
    `UNAVAILABLE` or `FAILED_PRECONDITION`, so that a computation which crashes
    its worker is tried for ever.
*   After a restart nothing refers to the old worker's values.
*   Values are disposed of at once, not twenty at a time: twenty copies of a
    model with 20 million weights are 1.6 GB.
*   An executor that is dropped from the cache is closed. Poisson sampling gives
    each round another number of clients, so another executor, and the worker
    keeps memory for each that was ever made (measured: 1.6 GB against 1.1).
"""

import asyncio
import collections
import concurrent.futures
import contextlib
import logging
import os
import threading
from typing import Any, FrozenSet, Optional, Tuple

import grpc
import tensorflow_federated as tff

from tff_gen_debug.runtime import compilation
from tff_gen_debug.runtime import worker_process

_CHANNEL_OPTIONS = (
  # The defaults, 4 MB, are less than one paper-sized discriminator.
  ("grpc.max_send_message_length", -1),
  ("grpc.max_receive_message_length", -1),
  # The worker is on this machine whatever `http_proxy` says.
  ("grpc.enable_http_proxy", 0),
)
# How gRPC reports a broken connection, which it notices before the process is
# gone, so that it is worth waiting. A failing computation is `INTERNAL`.
_CONNECTION_CODES = frozenset(
  {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
  }
)
_END_GRACE_SECONDS = 2.0
_MAX_EXECUTORS = 4


class WorkerDiedError(RuntimeError):
  """The worker ended while a computation was running on it."""


class _Stub(tff.framework.RemoteExecutorStub):
  """Sends TFF's requests to one worker and names the cause of failures."""

  def __init__(self, worker: worker_process.WorkerProcess):
    self._worker = worker
    self._owner = os.getpid()
    self._channel = grpc.insecure_channel(worker.target, _CHANNEL_OPTIONS)
    self._stub = tff.framework.RemoteExecutorGrpcStub(self._channel)

  def close(self) -> None:
    self._channel.close()

  @property
  def is_ready(self) -> bool:
    return self._worker.ended() is None

  def _send(self, method, request):
    try:
      return method(request)
    # ValueError is what gRPC makes of a closed channel.
    except (grpc.RpcError, ValueError) as error:
      code = error.code() if isinstance(error, grpc.Call) else None
      waits = code in _CONNECTION_CODES
      end = self._worker.ended(_END_GRACE_SECONDS if waits else 0.0)
      if end is not None:
        raise WorkerDiedError(
          f"TFF's worker (process {self._worker.pid}) {end} during a "
          f"computation.\n{self._worker.log_tail()}"
        ) from error
      if isinstance(error, tff.framework.RetryableError):
        # TFF would repeat what it marked so for ever; underneath is the error
        # as gRPC raised it.
        raise error.__context__ or error from None
      raise

  def get_executor(self, request):
    return self._send(self._stub.get_executor, request)

  def create_value(self, request):
    return self._send(self._stub.create_value, request)

  def create_struct(self, request):
    return self._send(self._stub.create_struct, request)

  def create_call(self, request):
    return self._send(self._stub.create_call, request)

  def create_selection(self, request):
    return self._send(self._stub.create_selection, request)

  def compute(self, request):
    return self._send(self._stub.compute, request)

  # These two free the worker's memory, mostly from finalizers, so they must not
  # raise, nor take a lock that the interrupted code may hold. With a dead
  # worker nothing is left to free, and to a forked process it is not its own.
  def dispose(self, request):
    self._free(self._stub.dispose, request)

  def dispose_executor(self, request):
    self._free(self._stub.dispose_executor, request)

  def _free(self, method, request):
    if os.getpid() == self._owner:
      with contextlib.suppress(grpc.RpcError, ValueError):
        method(request)


def _key(cardinalities) -> FrozenSet[Tuple[str, int]]:
  return frozenset((str(place), n) for place, n in cardinalities.items())


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
    self._stub = _Stub(self.worker)
    self._executors: collections.OrderedDict = collections.OrderedDict()

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
      key = _key(cardinalities)
      executor = self._executors.get(key)
      if executor is None:
        executor = tff.framework.RemoteExecutor(
          self._stub, dispose_batch_size=1
        )
        executor.set_cardinalities({tff.CLIENTS: 0, **cardinalities})
        self._executors[key] = executor
        if len(self._executors) > _MAX_EXECUTORS:
          self._executors.popitem(last=False)[1].close()
      self._executors.move_to_end(key)
      return executor

  def clean_up_executor(self, cardinalities):
    with self._lock:
      executor = self._executors.pop(_key(cardinalities), None)
      if executor is not None:
        executor.close()

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
    self._context = tff.framework.SyncExecutionContext(
      executor_fn=factory,
      compiler_fn=compilation.to_native,
      transform_args=tff.tensorflow.transform_args,
      transform_result=tff.tensorflow.transform_result,
    )

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
    if os.getpid() != self._owner:
      raise RuntimeError(
        f"This runtime belongs to process {self._owner}; a process forked from "
        "it can't share its connection. Call tff_gen_debug.runtime."
        "use_local_runtime() here, or start processes with the 'spawn' method."
      )
    with self._lock:
      repeats = 0
      while True:
        try:
          return self._context.invoke(comp, arg)
        except WorkerDiedError as error:
          if self._factory.worker is None:
            raise RuntimeError(
              "The runtime was closed during this computation."
            ) from error
          if repeats == self._max_restarts:
            raise WorkerDiedError(
              f"{error}\nThis computation ended {repeats + 1} worker(s) and is "
              "given up. If memory ran out, lower max_concurrent_clients."
            ) from error
          repeats += 1


class AwaitableContext(tff.framework.AsyncContext):
  """Runs computations without blocking the caller's event loop.

  For `tff.program.NativeFederatedContext` and for `await process.next(...)`.
  """

  def __init__(self, context: RestartingContext):
    self._context = context

  async def invoke(self, comp: Any, arg: Any) -> Any:
    """See base class; raises what `RestartingContext.invoke` raises."""
    if asyncio.iscoroutine(arg):
      arg = await arg
    future: concurrent.futures.Future = concurrent.futures.Future()
    # Past this the future can't be cancelled, as the worker can't be.
    future.set_running_or_notify_cancel()

    def run():
      try:
        future.set_result(self._context.invoke(comp, arg))
      except BaseException as error:  # Reaches whoever awaits the future.
        future.set_exception(error)

    # A daemon, unlike the threads of `asyncio.to_thread`: an interrupted script
    # must not wait for the round that it gives up.
    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(future)
