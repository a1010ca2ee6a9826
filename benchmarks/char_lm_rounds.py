r"""Speed and memory of federated char-LM rounds, as ratios against peers.

    python -m benchmarks.char_lm_rounds --what speed     # against other tools
    python -m benchmarks.char_lm_rounds --what clients   # cost a client
    python -m benchmarks.char_lm_rounds --what memory    # growth over rounds

The task (see `peers/task.py`): DP-FedAvg of an LSTM of 256 units with an
embedding of 96; 50 clients a round, each one step of SGD on 16 words of 20
characters; clip and Gaussian noise. The peers are

*   TFF as its tutorials use it: a Keras model (GRU), `tff.learning`'s FedAvg,
    TFF's own runtime;
*   FedJAX, and pfl-research with PyTorch (with one thread, and with one a
    core, PyTorch's default, which on a busy machine is many times as slow),
    both with an LSTM. They need environments of their own and are left out
    without them:

        python -m venv fedjax_env
        fedjax_env/bin/pip install fedjax==0.0.17
        python -m venv pfl_env
        pfl_env/bin/pip install pfl==0.6.0 torch==2.13.0
        python -m benchmarks.char_lm_rounds --what speed \
            --fedjax_python fedjax_env/bin/python \
            --pfl_python pfl_env/bin/python

All sides of a ratio are measured in turn in one run. Times are medians; quote
the ratios, not the seconds.
"""

import contextlib
import functools
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile

from absl import app
from absl import flags
import numpy as np

from benchmarks import char_lm_task
from benchmarks import measuring
from benchmarks.peers import task
from tff_gen_debug import runtime

_WHAT = flags.DEFINE_enum(
  "what", "speed", ["speed", "clients", "memory"], "What to measure."
)
_REPEATS = flags.DEFINE_integer("repeats", 7, "Rounds that are timed.")
_ROUNDS = flags.DEFINE_integer("rounds", 100, "Rounds of --what=memory.")
_FEDJAX = flags.DEFINE_string(
  "fedjax_python", None, "Interpreter of an environment with FedJAX."
)
_PFL = flags.DEFINE_string(
  "pfl_python", None, "Interpreter of an environment with pfl and PyTorch."
)
_PFL_THREADS = flags.DEFINE_list(
  "pfl_threads",
  [1, os.cpu_count()],
  "Numbers of PyTorch's threads, each a side of its own.",
)
_THREADS = flags.DEFINE_integer(
  "threads_per_client", None, "Of the runtime; its default if not given."
)

# Of --what=memory: Poisson cohorts of 50 clients in expectation.
_POPULATION, _SAMPLING = 500, 0.1


class _Peer(contextlib.AbstractContextManager):
  """A peer's process, which runs a round when asked."""

  def __init__(self, name: str, python: str, script: str, **environment: str):
    self.name = name
    self._log = tempfile.TemporaryFile("w+")
    self._process = subprocess.Popen(
      [python, "-m", f"benchmarks.peers.{script}"],
      cwd=pathlib.Path(__file__).parent.parent,
      env={**os.environ, **environment},
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      stderr=self._log,
      text=True,
      # TFF's worker outlives its parent: the whole group is ended.
      start_new_session=True,
    )

  def __exit__(self, *_) -> None:
    with contextlib.suppress(ProcessLookupError):
      os.killpg(self._process.pid, signal.SIGKILL)
    self._process.wait()
    self._log.close()

  def wait_until_ready(self) -> None:
    self._read()

  def seconds(self) -> float:
    self._process.stdin.write("\n")
    self._process.stdin.flush()
    return self._read()

  def _read(self) -> float:
    for line in self._process.stdout:
      if line.startswith(task.PREFIX):
        return float(line[len(task.PREFIX) :])
    self._log.seek(0)
    raise RuntimeError(f"{self.name} ended:\n{self._log.read()[-2000:]}")


def _peers(stack: contextlib.ExitStack) -> list[_Peer]:
  """Peers that are ready; one at a time, since they compile on all cores."""
  wanted = [("TFF's tutorial", sys.executable, "tff_keras", {})]
  if _FEDJAX.value:
    wanted.append(("FedJAX", _FEDJAX.value, "fedjax_lstm", {}))
  else:
    print("FedJAX is left out: --fedjax_python is not given")
  if _PFL.value:
    for threads in _PFL_THREADS.value:
      name = f"pfl with PyTorch, threads: {threads}"
      environment = {"OMP_NUM_THREADS": str(threads)}
      wanted.append((name, _PFL.value, "pfl_torch", environment))
  else:
    print("pfl-research is left out: --pfl_python is not given")
  peers = []
  for name, python, script, environment in wanted:
    peer = stack.enter_context(_Peer(name, python, script, **environment))
    peer.wait_until_ready()
    peers.append(peer)
  return peers


def _speed() -> None:
  rounds, datasets = char_lm_task.Rounds(), char_lm_task.datasets(task.CLIENTS)
  run = functools.partial(rounds.run, datasets)
  run()  # Traces and compiles.
  with contextlib.ExitStack() as stack:
    peers = _peers(stack)
    ours, *others = measuring.take_turns(
      [
        functools.partial(measuring.seconds, run),
        *(peer.seconds for peer in peers),
      ],
      _REPEATS.value,
    )
  print(
    f"{task.CLIENTS} clients x {task.BATCH} words of {task.LENGTH} characters: "
    f"{statistics.median(ours):.2f} s a round"
  )
  for peer, times in zip(peers, others):
    print(
      f"{peer.name}: {statistics.median(times):.2f} s a round, ours/theirs "
      f"{measuring.ratio(ours, times):.2f}",
      flush=True,
    )


def _cost_of_clients() -> None:
  rounds = char_lm_task.Rounds()
  empty = measuring.median_seconds(
    functools.partial(rounds.run, []), _REPEATS.value
  )
  for clients in (10, 100, 1000):
    full = measuring.median_seconds(
      functools.partial(rounds.run, char_lm_task.datasets(clients)),
      _REPEATS.value,
    )
    measuring.print_cost_of_clients(clients, full, empty)


def _memory() -> None:
  rounds, datasets = char_lm_task.Rounds(), char_lm_task.datasets(_POPULATION)
  rng = np.random.default_rng(0)

  def run():
    drawn = rng.random(_POPULATION) < _SAMPLING
    rounds.run([one for one, is_in in zip(datasets, drawn) if is_in])

  measuring.print_memory(run, _ROUNDS.value)


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f"Unknown arguments: {' '.join(argv[1:])}")
  print(measuring.machine(), flush=True)
  with runtime.use_local_runtime(threads_per_client=_THREADS.value):
    {"speed": _speed, "clients": _cost_of_clients, "memory": _memory}[
      _WHAT.value
    ]()


if __name__ == "__main__":
  app.run(main)
