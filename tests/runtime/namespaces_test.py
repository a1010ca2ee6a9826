"""Workers on machines of their own, one of which drops off the network."""

import contextlib
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.runtime import beside_session
from tests.runtime import machines
from tests.runtime import worker_programs
from tff_gen_debug import runtime

pytestmark = pytest.mark.slow

_TIMEOUT_SECONDS = 3.0


@pytest.fixture(scope="module")
def two_machines():
  with machines.machines(2) as made:
    yield made


@pytest.fixture
def programs(two_machines):
  """A worker on each of the machines."""
  with contextlib.ExitStack() as stack:
    yield [
      stack.enter_context(
        worker_programs.running(
          "--max_concurrent_clients=4",
          host=machine.host,
          port=8000,
          prefix=machine.prefix,
        )
      )
      for machine in two_machines
    ]
    for machine in two_machines:
      machine.plug_in()


def _driver(programs, **options):
  options = {"timeout": _TIMEOUT_SECONDS, "patience": 60, **options}
  addresses = [program.address for program in programs]
  return beside_session.remote(addresses, plaintext=True, **options)


def _sum_of_worker_pids(seconds):
  """Sums over clients, each of which takes a while, whose worker each has."""

  @tff.tensorflow.computation(np.int32)
  def which_worker(weight):
    end = tf.timestamp() + seconds
    (now,) = tf.while_loop(
      lambda now: now < end, lambda _: (tf.timestamp(),), (tf.timestamp(),)
    )
    with tf.control_dependencies([now]):
      line = tf.data.TextLineDataset("/proc/self/stat").reduce(
        "", lambda _, line: line
      )
    return weight * tf.strings.to_number(tf.strings.split(line)[0], tf.int32)

  @tff.federated_computation(tff.FederatedType(np.int32, tff.CLIENTS))
  def compute(weights):
    return tff.federated_sum(tff.federated_map(which_worker, weights))

  return compute


def _pids(programs):
  return [program.worker.pid for program in programs]


def _after(seconds, action):
  timer = threading.Timer(seconds, action)
  timer.start()
  return timer


def test_workers_are_on_machines_of_their_own(two_machines, programs):
  assert two_machines[0].host != two_machines[1].host
  for machine, program in zip(two_machines, programs):
    assert program.address == f"{machine.host}:8000"
    assert worker_programs.answers(program.address)
  # Nobody listens there on this machine's end of the wire.
  assert not worker_programs.answers(f"{two_machines[0].gateway}:8000")


def test_plain_connections_to_them_have_to_be_asked_for(programs):
  with pytest.raises(runtime.PlaintextError, match=programs[0].address):
    runtime.use_remote_runtime([programs[0].address])


def test_a_round_is_computed_by_both(programs):
  first, second = _pids(programs)
  compute = _sum_of_worker_pids(seconds=1.0)
  with _driver(programs) as another:
    # Either may get either part, but each part has a sum of three.
    assert compute([1, 2, 3, 0]) == 3 * (first + second)
    assert another.losses == 0


def test_a_round_outlives_the_loss_of_a_machine(two_machines, programs):
  first, second = _pids(programs)
  compute, long_compute = _sum_of_worker_pids(0.0), _sum_of_worker_pids(4.0)
  with _driver(programs) as another:
    # What is compiled and connected beforehand is not in the way of timing.
    compute([1, 1])
    timer = _after(1.5, two_machines[0].unplug)
    assert long_compute([1, 1]) == 2 * second
    timer.join()
    assert another.losses == 1

    # Rounds go on without it,
    assert compute([1, 1]) == 2 * second
    assert another.losses == 1
    two_machines[0].plug_in()
    # and with it when it is back: it is all that is left here.
    time.sleep(1.0)
    two_machines[1].unplug()
    assert compute([1, 1]) == 2 * first
    assert another.losses == 2


def test_no_machine_left_is_told_by_name(two_machines, programs):
  compute = _sum_of_worker_pids(0.0)
  with _driver(programs, patience=4) as another:
    compute([1, 1])
    for machine in two_machines:
      machine.unplug()
    begin = time.monotonic()
    with pytest.raises(runtime.NoWorkerError) as raised:
      compute([1, 1])
    # Until it is noticed, and then patience.
    assert time.monotonic() - begin < 45
    for program in programs:
      assert program.address in str(raised.value)
    assert another.losses == 2


def test_a_driver_closes_although_a_machine_is_gone(two_machines, programs):
  with _driver(programs) as another:
    _sum_of_worker_pids(0.0)([1, 1])
    two_machines[0].unplug()
    closing = threading.Thread(target=another.close, daemon=True)
    closing.start()
    closing.join(20)
    closed = not closing.is_alive()
    two_machines[0].plug_in()
    closing.join()
  assert closed


def test_a_lost_machine_that_stays_away_lets_a_driver_begin(
  two_machines, programs
):
  two_machines[0].unplug()
  _, second = _pids(programs)
  with _driver(programs) as another:
    assert _sum_of_worker_pids(0.0)([1, 1]) == 2 * second
    assert another.losses == 0


def test_a_worker_that_was_restarted_is_used_again(two_machines, programs):
  compute = _sum_of_worker_pids(0.0)
  with _driver(programs[:1]) as another:
    assert compute([1]) == programs[0].worker.pid
    old = programs[0]
    old.worker.kill()
    assert old.process.wait(30) == 1
    with worker_programs.running(
      host=old.host, port=old.port, prefix=two_machines[0].prefix
    ) as replacement:
      assert compute([1]) == replacement.worker.pid
    assert another.losses == 1
