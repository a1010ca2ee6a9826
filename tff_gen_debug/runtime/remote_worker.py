"""One worker on another machine: its connection, watched while it computes."""

import contextlib
import threading
import time
from typing import Any, Callable, Iterator, Optional

import grpc
import tensorflow_federated as tff

from tff_gen_debug.runtime import channels
from tff_gen_debug.runtime import compilation
from tff_gen_debug.runtime import executor_cache
from tff_gen_debug.runtime import health
from tff_gen_debug.runtime import worker_stub

# After these the worker is there no more, or no longer the one whose executors
# we hold: one that was restarted knows none of them.
_LOSS_CODES = worker_stub.CONNECTION_CODES | {
  grpc.StatusCode.FAILED_PRECONDITION,
  grpc.StatusCode.DEADLINE_EXCEEDED,
}
_CHECKS_PER_TIMEOUT = 3


class RemoteWorker(tff.framework.SyncContext):
  """Runs computations on one remote worker, one at a time.

  While one runs, the worker is asked every few seconds, on a connection of its
  own, whether it is there. TCP alone notices neither a machine that vanished
  nor a process that stands still, and gRPC's own pings are punished by a server
  that expects one in five minutes.

  After a loss the connection and all executors are made anew.
  """

  def __init__(
    self,
    address: str,
    credentials: Optional[grpc.ChannelCredentials],
    timeout: float,
    compiler: Callable[[Any], Any],
  ):
    """Creates the worker's stand-in; connects when it is first used.

    Args:
      address: "host:port".
      credentials: Those of TLS; None for a plain connection.
      timeout: Seconds without an answer after which it counts as lost.
      compiler: Compiles computations for it; may be shared with others.
    """
    self.address = address
    self._credentials = credentials
    self._timeout = timeout
    self._factory = _Factory(self)
    self._context = compilation.native_context(self._factory, compiler)
    self._stub: Optional[worker_stub.WorkerStub] = None
    self._executors: Optional[executor_cache.ExecutorCache] = None
    self._silence: Optional[str] = None

  def check(self) -> None:
    """Asks the worker whether it is there.

    Raises:
      grpc.RpcError: If it doesn't answer within the timeout.
    """
    with self._checking() as check:
      check()

  @contextlib.contextmanager
  def _checking(self) -> Iterator[Callable[[], None]]:
    channel = channels.open_channel(self.address, self._credentials)
    pause = self._timeout / _CHECKS_PER_TIMEOUT
    try:
      yield lambda: health.check(channel, pause)
    finally:
      channel.close()

  def invoke(self, comp: Any, arg: Any) -> Any:
    """See base class.

    Raises:
      WorkerDiedError: If the worker was lost.
      grpc.RpcError: If the computation itself fails.
    """
    finished = threading.Event()
    self._silence = None
    watch = threading.Thread(target=self._watch, args=(finished,), daemon=True)
    watch.start()
    try:
      return self._context.invoke(comp, arg)
    except worker_stub.WorkerDiedError:
      self.disconnect()
      raise
    finally:
      finished.set()

  def _watch(self, finished: threading.Event) -> None:
    """Breaks the connection if the worker is silent until `finished`."""
    pause = self._timeout / _CHECKS_PER_TIMEOUT
    if finished.wait(pause):
      return
    answered = time.monotonic()
    with self._checking() as check:
      while not finished.wait(pause):
        try:
          check()
          answered = time.monotonic()
        except grpc.RpcError as error:
          silent = time.monotonic() - answered
          if silent >= self._timeout and not finished.is_set():
            self._silence = f"was silent for {silent:.0f} s ({error.code()})"
            stub = self._stub
            if stub is not None:
              stub.close()
            return

  def explain_loss(
    self, code: Optional[grpc.StatusCode], details: str
  ) -> Optional[str]:
    """See `worker_stub.ExplainLoss`."""
    if code is not None and code not in _LOSS_CODES:
      return None
    reason = self._silence or (
      f"was lost ({code.name if code else 'closed'}: {details})"
    )
    return f"TFF's worker at {self.address} {reason}"

  def executors(self) -> executor_cache.ExecutorCache:
    """The executors on the present connection, made if missing."""
    if self._executors is None:
      channel = channels.open_channel(self.address, self._credentials)
      self._stub = worker_stub.WorkerStub(channel, self.explain_loss)
      self._executors = executor_cache.ExecutorCache(self._stub)
    return self._executors

  def disconnect(self) -> None:
    """Closes the connection; a computation that runs on it fails."""
    stub, self._stub, self._executors = self._stub, None, None
    if stub is not None:
      stub.close()

  def free(self) -> None:
    """Frees what this process keeps on the worker, and disconnects."""
    if self._executors is not None:
      # To a machine that is gone this may take a while; once is enough.
      try:
        self.check()
      except grpc.RpcError:
        pass
      else:
        self._executors.clear()
    self.disconnect()


class _Factory(tff.framework.ExecutorFactory):
  """Makes executors on whatever connection the worker has at the time."""

  def __init__(self, worker: RemoteWorker):
    self._worker = worker

  def create_executor(self, cardinalities):
    return self._worker.executors().get(cardinalities)

  def clean_up_executor(self, cardinalities):
    self._worker.executors().remove(cardinalities)
