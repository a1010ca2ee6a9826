"""TFF's requests to one worker, and what their failures mean."""

import contextlib
import os
from typing import Callable, Optional

import grpc
import tensorflow_federated as tff

from tff_gen_debug.runtime import health

# TFF's own stub waits for the answer for ever.
_FREE_SECONDS = 5.0
# How gRPC reports a broken connection. A failing computation is `INTERNAL`.
CONNECTION_CODES = frozenset(
  {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
  }
)

# From the code of a failed request (None where the channel is closed) and its
# message to why the worker is lost, or None if it is there.
ExplainLoss = Callable[[Optional[grpc.StatusCode], str], Optional[str]]


class WorkerDiedError(RuntimeError):
  """The worker was lost while a computation was running on it."""


def check_owner(owner: int, function: str) -> None:
  """Refuses to compute in a process that was forked from a runtime's.

  Args:
    owner: The id of the process that made the runtime.
    function: The name of what makes one.

  Raises:
    RuntimeError: If this is another process.
  """
  if os.getpid() != owner:
    raise RuntimeError(
      f"This runtime belongs to process {owner}; a process forked from it "
      "can't share its connections. Call tff_gen_debug.runtime."
      f"{function}() here, or start processes with the 'spawn' method."
    )


class WorkerStub(tff.framework.RemoteExecutorStub):
  """Sends TFF's requests to one worker and names the cause of failures.

  TFF 0.87 repeats a computation after every `UNAVAILABLE` or
  `FAILED_PRECONDITION`, so that one which crashes its worker is tried for ever.
  Here no error is marked for repeating; that is left to whoever knows whether
  there is a worker left.
  """

  def __init__(self, channel: grpc.Channel, explain_loss: ExplainLoss):
    self._owner = os.getpid()
    self._channel = channel
    self._explain_loss = explain_loss
    self._stub = tff.framework.RemoteExecutorGrpcStub(channel)

  def close(self) -> None:
    """Closes the channel; requests under way fail."""
    self._channel.close()

  @property
  def is_ready(self) -> bool:
    """Whether the channel is connected."""
    return self._stub.is_ready

  def _send(self, method, request):
    try:
      return method(request)
    # ValueError is what gRPC makes of a closed channel.
    except (grpc.RpcError, ValueError) as error:
      code = error.code() if isinstance(error, grpc.Call) else None
      details = error.details() if isinstance(error, grpc.Call) else str(error)
      loss = self._explain_loss(code, details or "")
      if loss is not None:
        raise WorkerDiedError(loss) from error
      if isinstance(error, tff.framework.RetryableError):
        # Underneath is the error as gRPC raised it.
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
  # raise, nor wait for a machine that is gone, nor take a lock that the
  # interrupted code may hold. With a dead worker nothing is left to free, and
  # to a forked process it is not its own.
  def dispose(self, request):
    self._free("Dispose", request)

  def dispose_executor(self, request):
    self._free("DisposeExecutor", request)

  def _free(self, method, request):
    if os.getpid() != self._owner:
      return
    with contextlib.suppress(grpc.RpcError, ValueError):
      send = self._channel.unary_unary(
        health.SERVICE + method,
        request_serializer=type(request).SerializeToString,
        response_deserializer=bytes,
      )
      send(request, timeout=_FREE_SECONDS)
