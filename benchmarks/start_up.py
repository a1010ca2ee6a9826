"""What it takes until the first round: imports, building, compiling.

    python -m benchmarks.start_up

Imports are timed in processes of their own, ours after TensorFlow Federated's
in the same one, so that what is printed is what we add. A process's building
and first round are timed beside those of `tff.learning`'s FedAvg of the same
character model, in one runtime; the second round is there to see what is
tracing and compiling in the first.
"""

import statistics
import subprocess
import sys
import time
from typing import Callable

from absl import app
from absl import flags
import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from benchmarks import char_lm_task
from benchmarks import measuring
from benchmarks.peers import task
from tff_gen_debug import learning
from tff_gen_debug import runtime
from tff_gen_debug.models import gan
from tff_gen_debug.models.text import language_model

_IMPORTS = flags.DEFINE_integer("imports", 5, "Processes that import each.")
_ROOMS = (
  "aggregators",
  "datasets",
  "debugging",
  "evaluation",
  "learning",
  "models.gan",
  "models.text",
  "privacy",
  "runtime.local",
)
_SCRIPT = """
import importlib, sys, time
times = [time.perf_counter()]
for name in sys.argv[1:]:
  importlib.import_module(name)
  times.append(time.perf_counter())
print(*(after - before for before, after in zip(times, times[1:])))
"""


def _import_seconds(*names: str) -> list[float]:
  """Seconds of each import, one after the other, the median of processes."""
  runs = []
  for _ in range(_IMPORTS.value):
    output = subprocess.run(
      [sys.executable, "-W", "ignore", "-c", _SCRIPT, *names],
      capture_output=True,
      text=True,
      check=True,
    ).stdout
    runs.append([float(word) for word in output.split()])
  return [statistics.median(column) for column in zip(*runs)]


def _imports() -> None:
  ours = [f"tff_gen_debug.{room}" for room in _ROOMS]
  tff_seconds, *seconds = _import_seconds("tensorflow_federated", *ours)
  print(f"import tensorflow_federated: {tff_seconds:.2f} s")
  print(f"all our rooms after it: {sum(seconds):.2f} s")
  for name, one in sorted(zip(ours, seconds), key=lambda pair: -pair[1])[:4]:
    print(f"  {name}: {one:.2f} s")
  for name in ("tff_gen_debug.privacy", "tff_gen_debug.runtime.worker"):
    (alone,) = _import_seconds(name)
    print(f"{name} alone: {alone:.2f} s", flush=True)


def _fed_gan():
  model = gan.GanModel(
    gan.small_generator(), gan.small_discriminator(), gan.NonSaturatingLoss()
  )
  process = learning.build_dp_fed_gan(
    model,
    aggregator=tff.aggregators.DifferentiallyPrivateFactory.gaussian_fixed(
      noise_multiplier=0.01, clients_per_round=10.0, clip=0.3
    ),
    client_optimizer=tff.learning.optimizers.build_sgdm(0.05),
    generator_optimizer=tff.learning.optimizers.build_adam(1e-3),
    discriminator_steps=6,
    batch_size=32,
    generator_steps=6,
  )
  images = np.zeros((10, 192, *model.image_shape), np.float32)
  return process, [tf.data.Dataset.from_tensor_slices(one) for one in images]


def _char_lm():
  return char_lm_task.process(), char_lm_task.datasets(10)


def _stock_fed_avg():
  model = language_model.LanguageModel(
    task.NUM_TOKENS, embedding=task.EMBEDDING, units=task.UNITS
  )
  process = tff.learning.algorithms.build_unweighted_fed_avg(
    model.as_functional_model(task.LENGTH),
    client_optimizer_fn=tff.learning.optimizers.build_sgdm(0.5),
    server_optimizer_fn=tff.learning.optimizers.build_sgdm(1.0),
    model_aggregator=tff.learning.dp_aggregator(0.01, 10.0),
  )
  clients = [one.batch(task.BATCH) for one in char_lm_task.datasets(10)]
  return process, clients


def _print_first_round(name: str, build: Callable[[], tuple]) -> None:
  begin = time.perf_counter()
  process, clients = build()
  built = time.perf_counter()
  state = process.initialize()
  initialized = time.perf_counter()
  state = process.next(state, clients).state
  first = time.perf_counter()
  process.next(state, clients)
  second = time.perf_counter()
  print(
    f"{name}: built in {built - begin:.1f} s, initialized in "
    f"{initialized - built:.1f} s, first round {first - initialized:.1f} s, "
    f"second {second - first:.1f} s",
    flush=True,
  )


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f"Unknown arguments: {' '.join(argv[1:])}")
  print(measuring.machine(), flush=True)
  _imports()
  with runtime.use_local_runtime():
    _print_first_round("tff.learning's FedAvg, char-LM", _stock_fed_avg)
    _print_first_round("ours, char-LM", _char_lm)
    _print_first_round("ours, GAN", _fed_gan)


if __name__ == "__main__":
  app.run(main)
