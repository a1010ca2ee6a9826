"""What becomes of errors, on a server that fails in a way of our choosing."""

import asyncio
from concurrent import futures
import gc
import sys
import time

import grpc
import numpy as np
import pytest
import tensorflow_federated as tff

from tff_gen_debug.runtime import execution
from tff_gen_debug.runtime import worker_stub


class _FailingWorker:
  """A gRPC server that aborts requests; `end` is what became of it."""

  pid = 12345

  def __init__(self, code, succeeds=()):
    self.end = None
    self.waited = []
    self.requests = []
    self._code = code
    self._succeeds = succeeds
    self._server = grpc.server(futures.ThreadPoolExecutor(1))
    self._server.add_generic_rpc_handlers([self])
    port = self._server.add_insecure_port("127.0.0.1:0")
    self.target = f"127.0.0.1:{port}"
    self._server.start()

  def service(self, details):
    method = details.method.rpartition("/")[2]
    self.requests.append(method)

    def answer(unused_request, context):
      if self.requests.count("GetExecutor") > 3:
        # Ends repeats that would otherwise never end.
        context.abort(grpc.StatusCode.ABORTED, "too many repeats")
      if method not in self._succeeds:
        context.abort(self._code, "as the test wishes")
      # An empty message of any type.
      return b""

    return grpc.unary_unary_rpc_method_handler(answer)

  def ended(self, within=0.0):
    self.waited.append(within)
    return self.end

  def log_tail(self):
    return "the end of the log"

  def stop(self):
    self._server.stop(None).wait()


@pytest.fixture
def failing_worker():
  workers = []

  def make(code, **options):
    workers.append(_FailingWorker(code, **options))
    return workers[-1]

  yield make
  for worker in workers:
    worker.stop()


def _compute_on(worker):
  """Computes in a stock context over our stub, so with TFF's own repeats."""
  stub = execution.local_stub(worker)

  def make_executor(cardinalities):
    executor = tff.framework.RemoteExecutor(stub)
    executor.set_cardinalities(cardinalities)
    return executor

  context = tff.framework.SyncExecutionContext(
    tff.framework.ResourceManagingExecutorFactory(make_executor),
    tff.backends.native.desugar_and_transform_to_native,
    transform_args=tff.tensorflow.transform_args,
    transform_result=tff.tensorflow.transform_result,
  )

  @tff.tensorflow.computation(tff.TensorType(np.float32))
  def double(value):
    return 2.0 * value

  try:
    return context.invoke(double, 1.0)
  finally:
    stub.close()


@pytest.mark.parametrize(
  "code",
  [
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.INVALID_ARGUMENT,
    # TFF repeats these two for ever.
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.UNAVAILABLE,
  ],
)
def test_error_of_a_living_worker_is_told_once(failing_worker, code):
  worker = failing_worker(code)
  begin = time.monotonic()
  with pytest.raises(grpc.RpcError, match="as the test wishes") as raised:
    _compute_on(worker)
  assert not isinstance(raised.value, tff.framework.RetryableError)
  assert raised.value.code() == code
  assert worker.requests == ["GetExecutor"]
  assert time.monotonic() - begin < 30.0


@pytest.mark.parametrize(
  "code, waits",
  [
    (grpc.StatusCode.UNAVAILABLE, True),
    (grpc.StatusCode.CANCELLED, True),
    (grpc.StatusCode.INTERNAL, False),
    (grpc.StatusCode.RESOURCE_EXHAUSTED, False),
  ],
)
def test_only_a_lost_connection_is_waited_for(failing_worker, code, waits):
  worker = failing_worker(code)
  with pytest.raises(grpc.RpcError):
    _compute_on(worker)
  assert [within > 0.0 for within in worker.waited] == [waits]


def test_error_of_a_dead_worker_carries_its_log(failing_worker):
  worker = failing_worker(grpc.StatusCode.UNAVAILABLE)
  worker.end = "was ended by signal 9 (SIGKILL)"
  with pytest.raises(worker_stub.WorkerDiedError) as raised:
    _compute_on(worker)
  assert "process 12345) was ended by signal 9 (SIGKILL)" in str(raised.value)
  assert "the end of the log" in str(raised.value)
  assert isinstance(raised.value.__cause__, grpc.RpcError)


def test_freeing_values_of_a_dead_worker_is_no_error(
  failing_worker, monkeypatch
):
  errors = []
  # Where the interpreter sends what finalizers raise.
  monkeypatch.setattr(sys, "unraisablehook", errors.append)
  worker = failing_worker(
    grpc.StatusCode.UNAVAILABLE, succeeds=("GetExecutor", "CreateValue")
  )
  stub = execution.local_stub(worker)
  executor = tff.framework.RemoteExecutor(stub, dispose_batch_size=1)
  executor.set_cardinalities({tff.CLIENTS: 0})

  def make_value():
    number = tff.TensorType(np.float32)
    return asyncio.run(executor.create_value(1.0, number))

  make_value()
  late = make_value()
  stub.close()
  del late
  gc.collect()
  assert worker.requests == [
    "GetExecutor",
    "CreateValue",
    "Dispose",
    "CreateValue",
  ]
  assert errors == []
