"""Two workers, reached as those of other machines are, on loopback ports."""

import contextlib
import os
import signal
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff
import tree

from tests.learning import linear_model
from tests.learning import toy_gan
from tests.runtime import beside_session
from tests.runtime import worker_programs
from tff_gen_debug import aggregators
from tff_gen_debug import learning
from tff_gen_debug import runtime
from tff_gen_debug.models import gan

pytestmark = pytest.mark.usefixtures("tff_runtime")

_NUMBER = tff.TensorType(np.float32)


@pytest.fixture(scope="module")
def programs():
  with contextlib.ExitStack() as stack:
    started = [worker_programs.Program() for _ in range(2)]
    # A test may put another one in the place of one that it killed.
    stack.callback(lambda: [program.close() for program in started])
    for program in started:
      program.wait_until_up()
    yield started


@pytest.fixture
def remote(programs):
  with beside_session.remote(
    [program.address for program in programs]
  ) as remote_runtime:
    yield remote_runtime


@tff.tensorflow.computation(_NUMBER)
def _double(value):
  return 2.0 * value


@tff.federated_computation(tff.FederatedType(_NUMBER, tff.CLIENTS))
def _sum_of_doubles(values):
  return tff.federated_sum(tff.federated_map(_double, values))


def test_computes_and_gives_the_default_back(programs, tff_runtime):
  with beside_session.remote(
    [program.address for program in programs]
  ) as remote:
    assert tff.framework.get_context_stack().current is remote.context
    assert _sum_of_doubles([1.0, 2.0, 3.0]) == 12.0
    assert _double(3.0) == 6.0
    assert remote.addresses == tuple(program.address for program in programs)
    assert (remote.losses, remote.closed) == (0, False)
  assert remote.closed
  assert tff.framework.get_context_stack().current is tff_runtime.context
  with pytest.raises(RuntimeError, match="use_remote_runtime"):
    remote.context.invoke(_double, 1.0)


def test_other_threads_compute_there_too(remote):
  results = []
  thread = threading.Thread(
    target=lambda: results.append(_sum_of_doubles([1.0, 2.0]))
  )
  thread.start()
  thread.join(60.0)
  assert results == [6.0]


def _spinning_sum(seconds_of_work):
  """A sum whose clients compute for a while each."""
  steps = int(seconds_of_work * 1500)

  @tff.tensorflow.computation(_NUMBER)
  def work(value):
    matrix = tf.eye(200) * 0.999

    def step(_, product):
      return tf.linalg.matmul(product, matrix)

    _, product = tf.while_loop(
      lambda i, _: i < steps,
      lambda i, product: (i + 1, step(i, product)),
      (0, tf.eye(200) + value * 0.0),
    )
    return value + 0.0 * tf.reduce_sum(product)

  @tff.federated_computation(tff.FederatedType(_NUMBER, tff.CLIENTS))
  def total(values):
    return tff.federated_sum(tff.federated_map(work, values))

  return total


def _cpu_seconds(programs):
  return np.array([sum(program.worker.cpu_times()[:2]) for program in programs])


def test_both_workers_work_at_the_same_time(programs, remote):
  total = _spinning_sum(1.0)
  total([1.0, 1.0])
  before = _cpu_seconds(programs)
  assert total([1.0, 2.0, 3.0, 4.0]) == 10.0
  used = _cpu_seconds(programs) - before
  # Two clients each; one worker that did all would leave the other with none.
  assert used.min() > 0.5 * used.max()


def _fed_avg(aggregator):
  return learning.build_dp_fed_avg(
    linear_model.model(),
    aggregator=aggregator,
    client_optimizer=tff.learning.optimizers.build_sgdm(0.1),
    batch_size=2,
    client_steps=2,
    seed=5,
  )


def _fed_gan(aggregator):
  return learning.build_dp_fed_gan(
    toy_gan.model(gan.NonSaturatingLoss(), spread=1.0),
    aggregator=aggregator,
    client_optimizer=toy_gan.sgd(0.1),
    generator_optimizer=tff.learning.optimizers.build_adam(0.1),
    discriminator_steps=2,
    batch_size=2,
    generator_steps=2,
    seed=5,
  )


def _stock_fed_avg(aggregator):
  return tff.learning.algorithms.build_unweighted_fed_avg(
    linear_model.model(),
    client_optimizer_fn=tff.learning.optimizers.build_sgdm(0.1),
    server_optimizer_fn=tff.learning.optimizers.build_sgdm(1.0),
    model_aggregator=aggregator,
  )


def _linear_clients(batched):
  datasets = []
  for client in range(5):
    dataset = linear_model.dataset(*linear_model.examples(4, seed=client))
    datasets.append(dataset.batch(2) if batched else dataset)
  return datasets


def _image_clients():
  return [toy_gan.dataset([client - 2.0, 0.5 * client]) for client in range(5)]


def _gaussian():
  return tff.aggregators.DifferentiallyPrivateFactory.gaussian_fixed(
    noise_multiplier=0.0, clients_per_round=5.0, clip=0.5
  )


def _votes():
  return aggregators.TopAggFactory(
    2, expected_clients_per_round=5, noise_multiplier=0.0, stochastic=False
  )


_CASES = {
  "fed_avg": (_fed_avg, _gaussian, lambda: _linear_clients(False)),
  "fed_avg_votes": (_fed_avg, _votes, lambda: _linear_clients(False)),
  "fed_gan": (_fed_gan, _gaussian, _image_clients),
  "fed_gan_adaptive": (
    _fed_gan,
    lambda: tff.aggregators.DifferentiallyPrivateFactory.gaussian_adaptive(
      noise_multiplier=0.0, clients_per_round=5.0, clipped_count_stddev=0.0
    ),
    _image_clients,
  ),
  "stock_robust": (
    _stock_fed_avg,
    lambda: tff.learning.robust_aggregator(weighted=False),
    lambda: _linear_clients(True),
  ),
  "stock_secure": (
    _stock_fed_avg,
    lambda: tff.learning.secure_aggregator(weighted=False),
    lambda: _linear_clients(True),
  ),
}


# Building the others takes most of a minute on a busy machine.
_QUICK = ("fed_avg", "fed_avg_votes")
_CASE_NAMES = [
  pytest.param(name, marks=[] if name in _QUICK else [pytest.mark.slow])
  for name in _CASES
]


@pytest.mark.parametrize("name", _CASE_NAMES)
def test_the_result_is_that_of_the_local_runtime(name, programs):
  build, make_aggregator, make_clients = _CASES[name]
  process, clients = build(make_aggregator()), make_clients()

  def run():
    state = start
    for _ in range(3):
      state = process.next(state, clients).state
    return process.get_model_weights(state)

  start = process.initialize()
  local = run()
  with beside_session.remote(
    [program.address for program in programs], num_subrounds=3
  ):
    remote = run()
  exact = name == "fed_avg_votes"
  for one, other in zip(tree.flatten(local), tree.flatten(remote)):
    # Float sums differ by the order in which they are added up.
    tolerance = dict(rtol=0, atol=0) if exact else dict(rtol=1e-5, atol=1e-6)
    if name == "stock_secure":
      # Integers underneath, which parts round alike; 2^-20 of the clip range.
      tolerance = dict(rtol=0, atol=1e-5)
    np.testing.assert_allclose(one, other, **tolerance)
  first = tree.flatten(process.get_model_weights(start))
  assert any(np.any(a != b) for a, b in zip(first, tree.flatten(local)))


def _restarted(program):
  new = worker_programs.Program(port=program.port)
  new.wait_until_up()
  return new


@pytest.mark.slow
def test_a_killed_worker_costs_no_round(programs):
  total = _spinning_sum(2.0)
  with beside_session.remote(
    [program.address for program in programs]
  ) as remote:
    _sum_of_doubles([1.0, 2.0])
    threading.Timer(0.5, programs[0].worker.kill).start()
    assert total([1.0, 2.0, 3.0, 4.0]) == 10.0
    assert remote.losses == 1
    programs[0].process.wait(30)
    programs[0].close()
    programs[0] = _restarted(programs[0])
    time.sleep(2.5)
    before = _cpu_seconds(programs)
    assert total([1.0, 2.0, 3.0, 4.0]) == 10.0
    assert remote.losses == 1
    used = _cpu_seconds(programs) - before
    assert used.min() > 0.5 * used.max()


@pytest.mark.slow
def test_a_worker_that_stands_still_is_lost(programs):
  total = _spinning_sum(2.0)
  with beside_session.remote(
    [program.address for program in programs], timeout=2.0
  ) as remote:
    _sum_of_doubles([1.0, 2.0])
    worker = programs[0].worker.pid
    threading.Timer(0.5, os.kill, (worker, signal.SIGSTOP)).start()
    try:
      assert total([1.0, 2.0, 3.0, 4.0]) == 10.0
      assert remote.losses == 1
    finally:
      os.kill(worker, signal.SIGCONT)
    assert _sum_of_doubles([1.0, 2.0]) == 6.0


@pytest.mark.slow
def test_a_long_computation_is_no_silence(programs):
  total = _spinning_sum(4.0)
  with beside_session.remote(
    [program.address for program in programs], timeout=2.0
  ) as remote:
    assert total([1.0, 2.0]) == 3.0
    assert remote.losses == 0


def test_nobody_there():
  address = f"127.0.0.1:{worker_programs.free_port()}"
  begin = time.monotonic()
  with pytest.raises(runtime.NoWorkerError, match=address):
    with beside_session.remote([address], patience=1.0):
      pass
  assert time.monotonic() - begin < 20.0


def test_a_failing_computation_is_told(remote):
  @tff.tensorflow.computation(_NUMBER)
  def positive(value):
    with tf.control_dependencies([tf.debugging.assert_positive(value)]):
      return tf.identity(value)

  @tff.federated_computation(tff.FederatedType(_NUMBER, tff.CLIENTS))
  def total(values):
    return tff.federated_sum(tff.federated_map(positive, values))

  with pytest.raises(Exception, match="assert"):
    total([1.0, -2.0])
  assert total([1.0, 2.0]) == 3.0
  assert remote.losses == 0


@pytest.mark.slow
def test_a_large_model_travels(remote):
  size = 3_000_000
  value_type = tff.TensorType(np.float32, [size])

  @tff.federated_computation(tff.FederatedType(value_type, tff.CLIENTS))
  def mean(values):
    return tff.federated_mean(values)

  result = mean([np.full(size, n, np.float32) for n in (1.0, 2.0, 3.0)])
  np.testing.assert_allclose(result, 2.0)


def test_a_forked_process_is_told_whose_it_is(remote, tmp_path):
  child = os.fork()
  if child == 0:
    try:
      _double(1.0)
    except RuntimeError as error:
      (tmp_path / "said").write_text(str(error))
    finally:
      os._exit(0)
  os.waitpid(child, 0)
  assert "belongs to process" in (tmp_path / "said").read_text()
  assert _double(2.0) == 4.0
