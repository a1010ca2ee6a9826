"""Remote workers: how two scale, what travels, how much memory a cohort takes.

    python -m benchmarks.remote_workers --ask scaling
    python -m benchmarks.remote_workers --ask traffic
    python -m benchmarks.remote_workers --ask cohorts

The task is that of `char_lm_rounds`: an LSTM of 256 units, 50 clients a round.

scaling: seconds a round on two workers of one core each, against one such
worker, in turn in one run, by the number of clients. The driver computes next
to nothing, but it shares these cores. traffic: bytes a round both ways, of
clients that are sent as data sets and of clients that are sent as ids of a
SQLite file; counted by a proxy. cohorts: the worker's most memory in a round of
so many clients, cut into parts of 50 and whole.
"""

import collections
import contextlib
import functools
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from absl import app
from absl import flags
import grpc
import numpy as np
import psutil
import tensorflow as tf
import tensorflow_federated as tff

from benchmarks import char_lm_task
from benchmarks import counting_proxy
from benchmarks import measuring
from benchmarks.peers import task
from tff_gen_debug import runtime
from tff_gen_debug.runtime import channels
from tff_gen_debug.runtime import health

_ASK = flags.DEFINE_enum(
  "ask", "scaling", ["scaling", "traffic", "cohorts"], "What to measure."
)
_SIZES = flags.DEFINE_list(
  "scaling_clients", ["50", "200", "800"], "Clients a round of --ask=scaling."
)
_TIMED = flags.DEFINE_integer("timed_rounds", 3, "Rounds a turn.")
_TURNS = flags.DEFINE_integer("worker_turns", 3, "Turns of each side.")
_COHORTS = flags.DEFINE_list(
  "cohorts", ["250", "1000", "5000"], "Clients of --ask=cohorts."
)
_WHOLE_LIMIT = flags.DEFINE_integer(
  "largest_whole", 1000, "The largest cohort that is also computed whole."
)
_PART = 50
_FIRST_PORT = 23710


@contextlib.contextmanager
def _worker(port: int, core: int):
  """A worker program pinned to one core."""
  program = subprocess.Popen(
    [
      sys.executable,
      "-m",
      "tff_gen_debug.runtime.worker",
      f"--port={port}",
      "--max_concurrent_clients=1",
    ],
    stderr=subprocess.DEVNULL,
    preexec_fn=lambda: os.sched_setaffinity(0, {core}),
  )
  address = f"127.0.0.1:{port}"
  try:
    with channels.open_channel(address, None) as channel:
      for _ in range(600):
        with contextlib.suppress(grpc.RpcError):
          health.check(channel, 1.0)
          break
        time.sleep(0.1)
    yield address
  finally:
    program.terminate()
    program.wait(30)


def _scaling() -> None:
  sizes = {int(size): char_lm_task.datasets(int(size)) for size in _SIZES.value}
  with _worker(_FIRST_PORT, 0) as one, _worker(_FIRST_PORT + 1, 1) as two:
    times: dict[tuple[int, int], list[float]] = collections.defaultdict(list)
    for _ in range(_TURNS.value):
      for addresses in ([one], [one, two]):
        with runtime.use_remote_runtime(addresses):
          rounds = char_lm_task.Rounds()
          for size, clients in sizes.items():
            times[size, len(addresses)].append(
              measuring.median_seconds(
                functools.partial(rounds.run, clients), _TIMED.value
              )
            )
  for size in sizes:
    alone, both = times[size, 1], times[size, 2]
    print(
      f"{size} clients: one worker {statistics.median(alone):.2f} s a round, "
      f"two {statistics.median(both):.2f} s, "
      f"{measuring.ratio(alone, both):.2f} times as fast"
    )


def _sqlite_process(folder: str):
  """The process for clients' ids, and the ids."""
  ids = [f"client_{number}" for number in range(task.CLIENTS)]
  inputs, targets = task.client_tokens(task.CLIENTS)
  source = tff.simulation.datasets.TestClientData(
    {
      key: {
        "inputs": inputs[number].astype(np.int64),
        "targets": targets[number].astype(np.int64),
      }
      for number, key in enumerate(ids)
    }
  )
  path = os.path.join(folder, "clients.sqlite")
  tff.simulation.datasets.save_to_sql_client_data(
    ids, source.create_tf_dataset_for_client, path
  )
  spec = tf.TensorSpec(inputs.shape[2:], tf.int64)
  data = tff.simulation.datasets.load_and_parse_sql_client_data(
    path, {"inputs": spec, "targets": spec}
  )
  data = data.preprocess(
    lambda dataset: dataset.map(
      lambda row: (
        tf.cast(row["inputs"], tf.int32),
        tf.cast(row["targets"], tf.int32),
      )
    )
  )
  process = tff.simulation.compose_dataset_computation_with_learning_process(
    data.dataset_computation, char_lm_task.process()
  )
  return process, ids


def _traffic() -> None:
  with tempfile.TemporaryDirectory() as folder, _worker(_FIRST_PORT, 0):
    sides = {
      "data sets": (
        char_lm_task.process(),
        char_lm_task.datasets(task.CLIENTS),
      ),
      "ids": _sqlite_process(folder),
    }
    for name, (process, clients) in sides.items():
      proxy = counting_proxy.CountingProxy("127.0.0.1", _FIRST_PORT)
      with runtime.use_remote_runtime([proxy.address]):
        state = process.next(process.initialize(), clients).state
        weights = tf.nest.flatten(process.get_model_weights(state).trainable)
        sent, received = proxy.sent, proxy.received
        for _ in range(_TIMED.value):
          state = process.next(state, clients).state
        to_worker = (proxy.sent - sent) / _TIMED.value / 2**20
        to_driver = (proxy.received - received) / _TIMED.value / 2**20
      proxy.close()
      model = sum(weight.nbytes for weight in weights) / 2**20
      print(
        f"{task.CLIENTS} clients as {name}: {to_worker:.2f} MiB to the worker "
        f"and {to_driver:.2f} MiB back a round; the model has {model:.2f} MiB",
        flush=True,
      )


class _MostMemory:
  """The most memory that a process takes while the context lasts, in MiB."""

  def __init__(self, pid: int):
    self._process = psutil.Process(pid)
    self._done = threading.Event()
    self.mebibytes = 0.0

  def __enter__(self) -> "_MostMemory":
    self._thread = threading.Thread(target=self._watch)
    self._thread.start()
    return self

  def _watch(self) -> None:
    while not self._done.wait(0.02):
      rss = self._process.memory_info().rss / 2**20
      self.mebibytes = max(self.mebibytes, rss)

  def __exit__(self, *unused_error) -> None:
    self._done.set()
    self._thread.join()


def _cohorts() -> None:
  for size in map(int, _COHORTS.value):
    clients = char_lm_task.datasets(size)
    for parts in (-(-size // _PART), 1):
      if parts == 1 and size > _WHOLE_LIMIT.value:
        continue
      with runtime.use_local_runtime(num_subrounds=parts) as local:
        rounds = char_lm_task.Rounds()
        rounds.run(clients[:_PART])  # Traces and compiles.
        start = psutil.Process(local.worker_pid).memory_info().rss / 2**20
        with _MostMemory(local.worker_pid) as most:
          seconds = measuring.seconds(functools.partial(rounds.run, clients))
      print(
        f"{size} clients in {parts} part(s): {seconds:.1f} s, worker's most "
        f"memory {most.mebibytes:.0f} MiB, {start:.0f} MiB before",
        flush=True,
      )


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f"Unknown arguments: {' '.join(argv[1:])}")
  print(measuring.machine(), flush=True)
  {"scaling": _scaling, "traffic": _traffic, "cohorts": _cohorts}[_ASK.value]()


if __name__ == "__main__":
  app.run(main)
