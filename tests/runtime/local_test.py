"""The runtime as a user meets it: computing, failing, restarting, closing."""

import asyncio
import logging
import os
import signal
import threading
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.runtime import beside_session
from tff_gen_debug import runtime

pytestmark = pytest.mark.usefixtures("tff_runtime")

_NUMBER = tff.TensorType(np.float32)
_TEXT = tff.TensorType(np.str_)


def _sum_over_clients(client_computation):
  parameter = client_computation.type_signature.parameter

  @tff.federated_computation(tff.FederatedType(parameter, tff.CLIENTS))
  def compute(values):
    return tff.federated_sum(tff.federated_map(client_computation, values))

  return compute


@tff.tensorflow.computation(_NUMBER)
def _double(value):
  return 2.0 * value


_sum_of_doubles = _sum_over_clients(_double)


def _wait(condition, seconds=60.0):
  deadline = time.monotonic() + seconds
  while not condition():
    assert time.monotonic() < deadline, "timed out"
    time.sleep(0.01)


def test_sums_over_clients():
  assert _sum_of_doubles([1.0, 2.0, 4.0]) == 14.0


def test_sum_over_no_clients_is_zero():
  assert _sum_of_doubles([]) == 0.0


def test_cohort_may_change_every_round():
  for n in [3, 0, 1, 7, 2, 5, 4, 6, 3, 0]:
    assert _sum_of_doubles([1.0] * n) == 2.0 * n


def test_data_sets_are_arguments():
  @tff.tensorflow.computation(tff.SequenceType(_NUMBER))
  def total(data):
    return data.reduce(np.float32(0.0), lambda a, b: a + b)

  data = [
    tf.data.Dataset.from_tensor_slices(np.array(v, np.float32))
    for v in ([1.0, 2.0], [], [4.0, 8.0, 16.0])
  ]
  assert _sum_over_clients(total)(data) == 31.0


def test_no_limit_on_the_size_of_messages():
  # gRPC's default limit is 4 MB.
  size = 3_000_000
  value_type = tff.TensorType(np.float32, [size])

  @tff.federated_computation(tff.FederatedType(value_type, tff.CLIENTS))
  def mean(values):
    return tff.federated_mean(values)

  result = mean([np.zeros(size, np.float32), np.full(size, 4.0, np.float32)])
  np.testing.assert_array_equal(result, np.full(size, 2.0, np.float32))


def test_computes_inside_a_running_event_loop():
  async def main():
    return _sum_of_doubles([1.0, 2.0])

  assert asyncio.run(main()) == 6.0


def _check_other_threads_compute():
  results = []
  threads = [
    threading.Thread(
      target=lambda n=n: results.append(_sum_of_doubles([1.0] * n))
    )
    for n in range(4)
  ]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert sorted(results) == [0.0, 2.0, 4.0, 6.0]


def test_computes_in_other_threads():
  _check_other_threads_compute()


def test_other_threads_compute_again_after_a_runtime_within_this_one():
  with beside_session.local():
    _check_other_threads_compute()
  _check_other_threads_compute()


def test_async_context_leaves_the_event_loop_running(tff_runtime):
  async def main():
    context = tff.program.NativeFederatedContext(tff_runtime.async_context)
    reference = context.invoke(_sum_of_doubles, [1.0, 2.0])
    ticks = 0
    task = asyncio.create_task(reference.get_value())
    while not task.done():
      ticks += 1
      await asyncio.sleep(0)
    return await task, ticks

  value, ticks = asyncio.run(main())
  assert value == 6.0
  # A blocked loop would have turned a handful of times.
  assert ticks > 50


def test_error_of_a_computation_is_told_once_and_restarts_nothing(tff_runtime):
  @tff.tensorflow.computation(_NUMBER)
  def check(value):
    return tf.raw_ops.CheckNumerics(tensor=value, message="client saw")

  worker, restarts = tff_runtime.worker_pid, tff_runtime.restarts
  begin = time.monotonic()
  with pytest.raises(grpc.RpcError, match="client saw : Tensor had NaN"):
    _sum_over_clients(check)([1.0, np.nan])
  # An error that looks like a lost connection would be waited for.
  assert time.monotonic() - begin < 10.0
  assert (tff_runtime.worker_pid, tff_runtime.restarts) == (worker, restarts)
  assert _sum_of_doubles([1.0]) == 2.0


# The file system is the one thing that a test shares with the worker: the
# computation says that it runs, and waits until it is allowed to end.
@tff.tensorflow.computation(_TEXT)
def _wait_for_permission(directory):
  started = tf.io.write_file(directory + "/started", "")
  with tf.control_dependencies([started]):

    def waits(unused_turns):
      return tf.equal(tf.size(tf.io.matching_files(directory + "/go*")), 0)

    turns = tf.while_loop(waits, lambda i: (i + 1,), (tf.constant(0),))[0]
  return tf.cast(turns >= 0, tf.float32)


_count_permitted = _sum_over_clients(_wait_for_permission)


def _kill_when_started(local_runtime, directory, times):
  for _ in range(times):
    _wait((directory / "started").exists)
    (directory / "started").unlink()
    os.kill(local_runtime.worker_pid, signal.SIGKILL)
  (directory / "go").touch()


def test_killed_worker_is_replaced_and_the_computation_repeated(
  tmp_path, caplog, tff_runtime
):
  log_file = tmp_path / "worker.log"
  with beside_session.local(log_file=log_file) as local_runtime:
    first = local_runtime.worker_pid
    killer = threading.Thread(
      target=_kill_when_started, args=(local_runtime, tmp_path, 1)
    )
    killer.start()
    with caplog.at_level(logging.WARNING):
      assert _count_permitted([str(tmp_path)] * 2) == 2.0
    killer.join()
    assert local_runtime.restarts == 1
    assert local_runtime.worker_pid != first
    assert local_runtime.is_private == tff_runtime.is_private
  warnings = [r.getMessage() for r in caplog.records if "worker" in r.message]
  assert len(warnings) == 1
  assert f"(process {first}) was ended by signal 9" in warnings[0]


def test_worker_killed_between_computations_is_replaced(tmp_path):
  log_file = tmp_path / "worker.log"
  with beside_session.local(log_file=log_file) as local_runtime:
    assert _sum_of_doubles([1.0]) == 2.0
    os.kill(local_runtime.worker_pid, signal.SIGKILL)
    assert _sum_of_doubles([1.0, 1.0]) == 4.0
    # The executor for this cohort belonged to the dead worker.
    assert _sum_of_doubles([1.0]) == 2.0


@tff.tensorflow.computation(_NUMBER)
def _crash(value):
  message = "the reason is in the log"
  with tf.control_dependencies([tf.raw_ops.Abort(error_msg=message)]):
    return tf.identity(value)


@pytest.mark.parametrize("max_restarts", [0, 2])
def test_computation_that_crashes_its_worker_is_given_up(
  tmp_path, max_restarts
):
  log_file = tmp_path / "logs" / "worker.log"
  with beside_session.local(
    max_restarts=max_restarts, log_file=log_file
  ) as local_runtime:
    with pytest.raises(runtime.WorkerDiedError) as raised:
      _sum_over_clients(_crash)([1.0])
    assert "signal 6 (SIGABRT)" in str(raised.value)
    assert "the reason is in the log" in str(raised.value)
    assert str(log_file) in str(raised.value)
    assert local_runtime.restarts == max_restarts
    # It ruins that computation and no other.
    assert _sum_of_doubles([1.0]) == 2.0
  assert log_file.read_text().count("the reason is in the log") == (
    max_restarts + 1
  )


def test_close_ends_a_computation_under_way(tmp_path):
  with beside_session.local() as local_runtime:
    errors = []

    def compute():
      try:
        _count_permitted([str(tmp_path)])
      except BaseException as error:
        errors.append(error)

    thread = threading.Thread(target=compute)
    thread.start()
    _wait((tmp_path / "started").exists)
    local_runtime.close()
    thread.join(30)
    assert not thread.is_alive()
  assert [str(error) for error in errors] == [
    "The runtime was closed during this computation."
  ]


def test_close_restores_the_context_that_was_there(tff_runtime):
  stack = tff.framework.get_context_stack()
  before = stack.current
  with beside_session.local(max_concurrent_clients=1) as another:
    assert stack.current is another.context
    worker = another.worker_pid
    assert os.path.exists(f"/proc/{worker}")
    assert _sum_of_doubles([1.0]) == 2.0
  assert stack.current is before
  assert another.closed
  assert another.worker_pid is None
  assert not os.path.exists(f"/proc/{worker}")
  assert not another.log_file.exists()
  another.close()
  with pytest.raises(RuntimeError, match="closed"):
    another.context.invoke(_sum_of_doubles, [1.0])
  assert tff_runtime.worker_pid is not None


def test_second_call_closes_the_first():
  with beside_session.local() as first:
    second = runtime.use_local_runtime()
    assert first.closed
    assert _sum_of_doubles([1.0]) == 2.0
    first.close()
    assert _sum_of_doubles([1.0]) == 2.0
    second.close()


def test_close_leaves_a_context_alone_that_was_set_since():
  stack = tff.framework.get_context_stack()
  before = stack.current
  mine = tff.backends.native.create_sync_local_cpp_execution_context()
  try:
    with beside_session.local():
      tff.framework.set_default_context(mine)
    assert stack.current is mine
  finally:
    tff.framework.set_default_context(before)


def test_forked_process_is_told_that_the_worker_is_not_its_own():
  read, write = os.pipe()
  pid = os.fork()
  if pid == 0:
    try:
      _sum_of_doubles([1.0])
    except BaseException as error:
      os.write(write, str(error).encode())
    os._exit(0)
  os.close(write)
  with os.fdopen(read) as f:
    message = f.read()
  os.waitpid(pid, 0)
  assert f"belongs to process {os.getpid()}" in message
  assert _sum_of_doubles([1.0]) == 2.0


@pytest.mark.parametrize(
  "options, error, message",
  [
    (
      {"max_concurrent_clients": 0},
      ValueError,
      "max_concurrent_clients must be at least 1, got 0",
    ),
    (
      {"threads_per_client": -2},
      ValueError,
      "threads_per_client must be at least 1, got -2",
    ),
    (
      {"max_restarts": -1},
      ValueError,
      "max_restarts must be at least 0, got -1",
    ),
    (
      {"max_concurrent_clients": 1.5},
      TypeError,
      "max_concurrent_clients must be an integer, got 1.5",
    ),
    (
      {"threads_per_client": True},
      TypeError,
      "threads_per_client must be an integer, got True",
    ),
    (
      {"max_restarts": None},
      TypeError,
      "max_restarts must be an integer, got None",
    ),
    ({"private": "yes"}, TypeError, "private must be a bool, got 'yes'"),
    ({"log_file": "/"}, ValueError, "log_file must be a file"),
  ],
)
def test_bad_options_are_named_before_anything_changes(
  tff_runtime, options, error, message
):
  with pytest.raises(error, match=message):
    runtime.use_local_runtime(**options)
  assert not tff_runtime.closed


def test_numpy_integers_are_integers():
  with beside_session.local(max_concurrent_clients=np.int64(1)):
    assert _sum_of_doubles([1.0, 2.0]) == 6.0
