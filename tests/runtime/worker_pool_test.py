"""Who computes, and what becomes of a computation whose worker is lost."""

import threading
import time

import grpc
import pytest

from tff_gen_debug.runtime import worker_pool
from tff_gen_debug.runtime import worker_stub


class _UnreachableError(grpc.RpcError):
  pass


class _Worker:
  """What the pool sees of a worker; `lives` and `answers` are the test's."""

  def __init__(self, address):
    self.address = address
    self.answers = True
    self.lives = True
    self.computed = []
    self.checks = 0
    self.started = threading.Event()
    self.may_finish = threading.Event()
    self.may_finish.set()
    self.freed = self.disconnected = False

  def check(self):
    self.checks += 1
    if not self.answers:
      raise _UnreachableError("no route to host")

  def invoke(self, comp, arg):
    self.started.set()
    self.may_finish.wait(10.0)
    if not self.lives:
      self.answers = False
      raise worker_stub.WorkerDiedError(f"{self.address} was lost")
    if comp == "fails":
      raise ValueError("as the test wishes")
    self.computed.append(arg)
    return 2 * arg

  def free(self):
    self.freed = True

  def disconnect(self):
    self.disconnected = True
    self.lives = False
    self.may_finish.set()


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
  monkeypatch.setattr(worker_pool, "_RETRY_SECONDS", 0.05)


def _pool(*workers, max_repeats=1, patience=0.5, asked=True):
  """A pool; if `asked`, its workers have all answered and come in order."""
  pool = worker_pool.WorkerPool(
    workers, max_repeats=max_repeats, patience=patience
  )
  if asked:
    for member in pool._members:
      member.lost = None
  return pool


def _run(function, *arguments):
  """Runs in a thread; returns it and the list that its result goes to."""
  results = []

  def run():
    try:
      results.append(function(*arguments))
    except Exception as error:
      results.append(error)

  thread = threading.Thread(target=run, daemon=True)
  thread.start()
  return thread, results


def test_a_busy_worker_is_left_alone():
  one, other = _Worker("one"), _Worker("other")
  pool = _pool(one, other)
  one.may_finish.clear()
  thread, results = _run(pool.invoke, "double", 1)
  assert one.started.wait(5.0)
  assert [pool.invoke("double", n) for n in (2, 3)] == [4, 6]
  one.may_finish.set()
  thread.join(5.0)
  assert results == [2]
  assert (one.computed, other.computed) == ([1], [2, 3])


def test_who_finds_none_free_waits():
  worker = _Worker("one")
  pool = _pool(worker, patience=0.1)
  worker.may_finish.clear()
  first, first_results = _run(pool.invoke, "double", 1)
  assert worker.started.wait(5.0)
  second, second_results = _run(pool.invoke, "double", 2)
  # Longer than the pool's patience, which is with lost workers only.
  time.sleep(0.4)
  assert second.is_alive()
  worker.may_finish.set()
  first.join(5.0)
  second.join(5.0)
  assert (first_results, second_results) == ([2], [4])


def test_another_worker_repeats_what_a_lost_one_computed():
  one, other = _Worker("one"), _Worker("other")
  one.lives = False
  pool = _pool(one, other)
  assert pool.invoke("double", 1) == 2
  assert (one.computed, other.computed, pool.losses) == ([], [1], 1)


def test_a_worker_that_answers_again_is_used_again():
  one, other = _Worker("one"), _Worker("other")
  one.lives = False
  pool = _pool(one, other)
  pool.invoke("double", 1)
  one.lives = one.answers = True
  time.sleep(0.1)
  other.may_finish.clear()
  thread, _ = _run(pool.invoke, "double", 2)
  assert other.started.wait(5.0)
  assert pool.invoke("double", 3) == 6
  assert one.computed == [3]
  other.may_finish.set()
  thread.join(5.0)


def test_repeats_end():
  workers = [_Worker(name) for name in ("one", "two", "three")]
  for worker in workers:
    worker.lives = False
  pool = _pool(*workers, max_repeats=1)
  with pytest.raises(worker_stub.WorkerDiedError, match=r"lost 2 worker\(s\)"):
    pool.invoke("double", 1)
  assert pool.losses == 2


def test_no_worker_within_patience_names_all():
  workers = [_Worker(name) for name in ("one", "two")]
  for worker in workers:
    worker.answers = False
  pool = _pool(*workers, patience=0.3, asked=False)
  begin = time.monotonic()
  with pytest.raises(worker_pool.NoWorkerError) as raised:
    pool.invoke("double", 1)
  assert 0.3 <= time.monotonic() - begin < 5.0
  assert "one does not answer (no route to host)" in str(raised.value)
  assert "two does not answer (no route to host)" in str(raised.value)
  assert all(worker.checks > 1 for worker in workers)


def test_one_that_comes_within_patience_is_waited_for():
  worker = _Worker("one")
  worker.answers = False
  pool = _pool(worker, patience=10.0, asked=False)
  thread, results = _run(pool.invoke, "double", 1)
  time.sleep(0.2)
  worker.answers = True
  thread.join(5.0)
  assert results == [2]


def test_without_patience_each_is_asked_once():
  worker = _Worker("one")
  assert _pool(worker, patience=0.0, asked=False).invoke("double", 1) == 2
  worker = _Worker("other")
  worker.answers = False
  with pytest.raises(worker_pool.NoWorkerError, match="no route to host"):
    _pool(worker, patience=0.0, asked=False).invoke("double", 1)


def test_nobody_waits_for_a_worker_that_does_not_answer():
  slow, quick = _Worker("slow"), _Worker("quick")
  answering = threading.Event()
  slow.check = lambda: answering.wait(10.0)
  pool = _pool(slow, quick, patience=0.2, asked=False)
  begin = time.monotonic()
  assert [pool.invoke("double", n) for n in range(5)] == [0, 2, 4, 6, 8]
  assert time.monotonic() - begin < 5.0
  assert quick.computed == list(range(5))
  answering.set()


def test_an_interrupted_computation_gives_its_worker_back():
  worker = _Worker("one")

  def interrupt(comp, arg):
    del worker.invoke
    raise KeyboardInterrupt()

  worker.invoke = interrupt
  pool = _pool(worker)
  with pytest.raises(KeyboardInterrupt):
    pool.invoke("double", 1)
  assert pool.invoke("double", 2) == 4


def test_a_failing_computation_is_not_repeated():
  worker = _Worker("one")
  pool = _pool(worker, max_repeats=5)
  with pytest.raises(ValueError, match="as the test wishes"):
    pool.invoke("fails", 1)
  assert pool.invoke("double", 1) == 2
  assert pool.losses == 0


def test_closing_frees_workers_and_ends_waiting():
  idle, busy = _Worker("idle"), _Worker("busy")
  busy.may_finish.clear()
  pool = _pool(busy, idle, max_repeats=5)
  thread, results = _run(pool.invoke, "double", 1)
  assert busy.started.wait(5.0)
  pool.close()
  thread.join(5.0)
  assert (idle.freed, busy.disconnected) == (True, True)
  assert isinstance(results[0], RuntimeError)
  assert "closed during this computation" in str(results[0])
  with pytest.raises(RuntimeError, match="runtime is closed"):
    pool.invoke("double", 1)
