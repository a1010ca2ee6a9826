"""Whether a worker answers, asked without TensorFlow.

TFF's worker has no health service. The cheapest of its requests, which it
answers also while it computes, is to dispose of no executor.
"""

import grpc

# The gRPC service of TFF's workers.
SERVICE = "/tensorflow_federated.v0.ExecutorGroup/"

_METHOD = SERVICE + "DisposeExecutor"
_NO_EXECUTOR = b""


def check(channel: grpc.Channel, timeout: float) -> None:
  """Asks a worker to do nothing.

  Args:
    channel: A channel to the worker.
    timeout: How many seconds it may take to answer.

  Raises:
    grpc.RpcError: If it doesn't answer as TFF's worker does.
    ValueError: If the channel is closed.
  """
  request = channel.unary_unary(
    _METHOD, request_serializer=bytes, response_deserializer=bytes
  )
  request(_NO_EXECUTOR, timeout=timeout)
