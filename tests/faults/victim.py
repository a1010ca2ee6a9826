"""A small private training that is there to be broken, as a program.

Usage: `python victim.py`. Imports TFF once, then reads a JSON object a line and
forks a process for each: `folder` is where that one keeps all that it has,
`workers` the addresses of remote workers (a local one if there are none),
`rounds` how many rounds. Prints the process's id. That process leaves in its
folder

*   `started` once it computes, with the process id of its local worker;
*   `states`, a line "round digest" for each state that left TFF;
*   `released`, a line "round" for each round whose metrics were released;
*   `result.json` with its ledger, and how many workers it lost, if it finished,
    `error` with the error's type
    and message if it failed, and `log`.

Started again in the same folder, it goes on.
"""

import hashlib
import json
import os
import pathlib
import signal
import sys

import dp_accounting
import numpy as np
import tensorflow_federated as tff
import tree

from tests.learning import linear_model
from tff_gen_debug import learning
from tff_gen_debug import runtime
from tff_gen_debug.aggregators import non_finite
from tff_gen_debug.privacy import ledger as ledger_lib
from tff_gen_debug.runtime import program

_CLIENTS = [f"client_{number}" for number in range(6)]
_EVENT = dp_accounting.PoissonSampledDpEvent(
  0.5, dp_accounting.GaussianDpEvent(2.0)
)
_CHECKPOINT_EVERY = 2
_TIMEOUT_SECONDS = 3.0


def unbroken_ledger(rounds: int, repeated: int = 0) -> str:
  """The ledger of a run that nothing disturbed, as JSON.

  Args:
    rounds: The rounds of the run.
    repeated: The rounds that it had to run a second time.
  """
  ledger = ledger_lib.PrivacyLedger(delta=1e-5)
  ledger.record(_EVENT, rounds + repeated)
  return ledger.to_json()


def _append(path: pathlib.Path, line: str) -> None:
  with open(path, "a", encoding="ascii") as file:
    file.write(line + "\n")
    file.flush()
    os.fsync(file.fileno())


class _Recorder(tff.program.ReleaseManager):
  """Writes down which rounds were released."""

  def __init__(self, path: pathlib.Path):
    self._path = path

  async def release(self, value, key):
    del value
    _append(self._path, str(key))


def _process() -> tff.learning.templates.LearningProcess:
  return learning.build_dp_fed_avg(
    linear_model.model(),
    aggregator=non_finite.NonFiniteGuardFactory(
      tff.aggregators.DifferentiallyPrivateFactory.gaussian_fixed(
        noise_multiplier=2.0, clients_per_round=3.0, clip=0.5
      )
    ),
    client_optimizer=tff.learning.optimizers.build_sgdm(0.1),
    batch_size=2,
    client_steps=2,
  )


def _digest(state) -> str:
  sha = hashlib.sha256()
  for leaf in tree.flatten(state):
    sha.update(np.asarray(leaf).tobytes())
  return sha.hexdigest()


def _sample(round_num: int):
  """A function of the round's number, as a resumed run needs it."""
  generator = np.random.default_rng(round_num)
  return [key for key in _CLIENTS if generator.random() < 0.5]


def _train(folder: pathlib.Path, workers, rounds: int) -> None:
  if workers:
    context = runtime.use_remote_runtime(
      workers,
      num_subrounds=3,
      plaintext=True,
      timeout=_TIMEOUT_SECONDS,
      patience=120.0,
    )
  else:
    context = runtime.use_local_runtime(max_restarts=5)
  with context:
    process = _process()
    datasets = {
      key: linear_model.dataset(*linear_model.examples(4, seed))
      for seed, key in enumerate(_CLIENTS)
    }
    worker = "" if workers else str(context.worker_pid)
    (folder / "started.new").write_text(worker)
    os.replace(folder / "started.new", folder / "started")
    result = program.train(
      process,
      sample_clients=_sample,
      client_datasets=datasets,
      rounds=rounds,
      budget=program.Budget(_EVENT, ledger_lib.PrivacyLedger(delta=1e-5)),
      directory=str(folder / "checkpoints"),
      checkpoint_every=_CHECKPOINT_EVERY,
      release_managers=[_Recorder(folder / "released")],
      on_checkpoint=lambda state, done: _append(
        folder / "states", f"{done} {_digest(state)}"
      ),
      show_progress=False,
    )
    losses = context.losses if workers else context.restarts
  finished = {
    "ledger": result.ledger.to_json(),
    "rounds": result.rounds,
    "losses": losses,
  }
  (folder / "result.json").write_text(json.dumps(finished))


def _run(folder: pathlib.Path, workers, rounds: int) -> None:
  folder.mkdir(parents=True, exist_ok=True)
  log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
  null = os.open(os.devnull, os.O_RDONLY)
  for number, source in ((0, null), (1, log), (2, log)):
    os.dup2(source, number)
  try:
    _train(folder, workers, rounds)
  except BaseException as error:
    (folder / "error").write_text(f"{type(error).__name__}: {error}")
    raise


def main() -> None:
  """Serves requests until standard input ends."""
  signal.signal(signal.SIGCHLD, signal.SIG_IGN)
  for line in sys.stdin:
    request = json.loads(line)
    pid = os.fork()
    if pid == 0:
      signal.signal(signal.SIGCHLD, signal.SIG_DFL)
      _run(
        pathlib.Path(request["folder"]), request["workers"], request["rounds"]
      )
      return
    print(pid, flush=True)


if __name__ == "__main__":
  main()
