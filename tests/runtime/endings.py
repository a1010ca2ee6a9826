"""Ways in which a process that owns a worker may end, as a program.

Usage: `python endings.py WAY DIRECTORY [WAY DIRECTORY ...]`. Imports TFF once,
then lets one forked process after the other start a worker, write its own and
the worker's process id to `DIRECTORY/pids`, compute something, and end in its
way. Signals come from the test, which reads that file.
"""

import json
import os
import pathlib
import sys
import time

import numpy as np
import tensorflow_federated as tff

from tff_gen_debug import runtime


def _compute():
  value_type = tff.FederatedType(tff.TensorType(np.float32), tff.CLIENTS)

  @tff.federated_computation(value_type)
  def total(values):
    return tff.federated_sum(values)

  assert total([1.0, 2.0]) == 3.0


def _compute_until_killed():
  import tensorflow as tf

  number = tff.TensorType(np.float32)

  @tff.tensorflow.computation(number)
  def spin(value):
    return tf.while_loop(lambda v: v >= 0.0, lambda v: (v + 0.0,), (value,))[0]

  @tff.federated_computation(tff.FederatedType(number, tff.CLIENTS))
  def spin_all(values):
    return tff.federated_sum(tff.federated_map(spin, values))

  spin_all([1.0])


def _fork_a_survivor(directory: pathlib.Path):
  pid = os.fork()
  if pid == 0:
    time.sleep(60)
    os._exit(0)
  (directory / "survivor").write_text(str(pid))


def run(way: str, directory: pathlib.Path):
  """Starts a worker, says so, and ends in the given way."""
  local_runtime = runtime.use_local_runtime()
  if way == "survivor":
    _fork_a_survivor(directory)
  _compute()
  pids = {"python": os.getpid(), "worker": local_runtime.worker_pid}
  pids["scratch"] = str(local_runtime.log_file.parent)
  temporary = directory / "pids.tmp"
  temporary.write_text(json.dumps(pids))
  temporary.rename(directory / "pids")
  if way == "exception":
    raise KeyError("an exception that nobody catches")
  elif way == "sys_exit":
    sys.exit(3)
  elif way == "forked_child_exits":
    child = os.fork()
    if child == 0:
      # Leaves by the ordinary way, exit hooks included.
      sys.exit(0)
    os.waitpid(child, 0)
    _compute()
    (directory / "computed_after_child").touch()
  elif way == "computing":
    _compute_until_killed()
  elif way in ("sleeping", "survivor"):
    time.sleep(60)
  print("the last line of", way, flush=True)


def main(arguments):
  """Runs the ways, each in a process of its own, and waits for them."""
  pairs = list(zip(arguments[::2], arguments[1::2]))
  if len(pairs) == 1:
    return run(pairs[0][0], pathlib.Path(pairs[0][1]))
  children = []
  for way, directory in pairs:
    pid = os.fork()
    if pid == 0:
      return run(way, pathlib.Path(directory))
    children.append((pid, pathlib.Path(directory)))
  for pid, directory in children:
    _, status = os.waitpid(pid, 0)
    (directory / "status").write_text(str(os.waitstatus_to_exitcode(status)))


if __name__ == "__main__":
  main(sys.argv[1:])
