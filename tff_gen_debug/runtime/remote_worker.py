"""One worker on another machine: its connection, watched while it computes."""

import contextlib
import threading
from typing import Any, Callable, ContextManager, Iterator, Optional

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
# A worker is lost after so many questions in a row, each asked after the one
# before has failed: a driver that itself stood still has but one to lose.
_FAILURES = 3


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
    self._lock = threading.Lock()
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
    seconds = self._timeout / (2 * _FAILURES)
    try:
      yield lambda: health.check(channel, seconds)
    finally:
      channel.close()

  def invoke(self, comp: Any, arg: Any) -> Any:
    """See base class.

    Raises:
      WorkerDiedError: If the worker was lost.
      grpc.RpcError: If the computation itself fails.
    """
    self._silence = None
    self.executors()  # Connects, so that there is what the watch may break.
    watch = _Watch(self._stub, self._checking, self._timeout, self._on_silence)
    try:
      return self._context.invoke(comp, arg)
    except worker_stub.WorkerDiedError:
      self.disconnect()
      raise
    finally:
      watch.end()

  def _on_silence(self, silence: str) -> None:
    self._silence = silence

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
    with self._lock:
      if self._executors is None:
        channel = channels.open_channel(self.address, self._credentials)
        self._stub = worker_stub.WorkerStub(channel, self.explain_loss)
        self._executors = executor_cache.ExecutorCache(self._stub)
      return self._executors

  def disconnect(self) -> None:
    """Closes the connection; a computation that runs on it fails."""
    with self._lock:
      stub, self._stub, self._executors = self._stub, None, None
    if stub is not None:
      stub.close()

  def free(self) -> None:
    """Frees what this process keeps on the worker, and disconnects."""
    executors = self._executors
    if executors is not None:
      # To a machine that is gone this may take a while; once is enough.
      try:
        self.check()
      except grpc.RpcError:
        pass
      else:
        executors.clear()
    self.disconnect()


class _Watch:
  """Asks a worker whether it is there, and breaks a connection if it isn't."""

  def __init__(
    self,
    stub: Optional[worker_stub.WorkerStub],
    checking: Callable[[], ContextManager[Callable[[], None]]],
    timeout: float,
    on_silence: Callable[[str], None],
  ):
    self._stub = stub
    self._checking = checking
    self._timeout = timeout
    self._on_silence = on_silence
    self._ended = threading.Event()
    self._lock = threading.Lock()
    threading.Thread(target=self._run, daemon=True).start()

  def end(self) -> None:
    """Asks no more; from here on the connection is left alone."""
    with self._lock:
      self._ended.set()

  def _run(self) -> None:
    pause = self._timeout / (2 * _FAILURES)
    failures = 0
    if self._ended.wait(pause):
      return  # Most computations: nothing to ask.
    with self._checking() as check:
      while not self._ended.wait(pause):
        try:
          check()
          failures = 0
        except grpc.RpcError as error:
          failures += 1
          if failures == _FAILURES:
            self._break(error)
            return

  def _break(self, error: grpc.RpcError) -> None:
    code = error.code().name if isinstance(error, grpc.Call) else error
    with self._lock:
      if not self._ended.is_set() and self._stub is not None:
        self._on_silence(f"was silent for {self._timeout:.0f} s ({code})")
        self._stub.close()


class _Factory(tff.framework.ExecutorFactory):
  """Makes executors on whatever connection the worker has at the time."""

  def __init__(self, worker: RemoteWorker):
    self._worker = worker

  def create_executor(self, cardinalities):
    return self._worker.executors().get(cardinalities)

  def clean_up_executor(self, cardinalities):
    self._worker.executors().remove(cardinalities)
