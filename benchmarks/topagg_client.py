"""Time and memory of a TopAgg client's vote, against two ways to cut an update.

    python -m benchmarks.topagg_client --what time
    python -m benchmarks.topagg_client --what memory

The update is float32 and ten million weights large. A vote
(`top_k_votes.cast_votes`) has to find the largest entries and to draw a sign
for each; `tf.math.top_k` of the flat update, which is not private, finds the
same entries; clipping by the global norm is what a client of DP-FedAvg does.
All sides of a ratio are measured in turn in one run. Times are medians; quote
the ratios, not the seconds.

Memory is the peak of a fresh process while it computes one result, result
included, above what it held before, with the update: in copies of the update.
"""

import functools
import pathlib
import statistics
import subprocess
import sys

from absl import app
from absl import flags
import numpy as np
import psutil
import tensorflow as tf

from benchmarks import measuring
from tff_gen_debug.aggregators import top_k_votes

_WHAT = flags.DEFINE_enum(
  "what", "time", ["time", "memory"], "What to measure."
)
_SIZE = flags.DEFINE_integer("size", 10_000_000, "Weights of the update.")
_TENSORS = flags.DEFINE_list(
  "tensors", ["1", "20"], "Into how many tensors the weights are divided."
)
_SHARES = flags.DEFINE_list(
  "shares", ["0.01", "0.1"], "Values of top_k, as shares of the weights."
)
_REPEATS = flags.DEFINE_integer("repeats", 15, "Results that are timed.")
_CLIP = 0.3
_SIDES = ("vote", "top_k", "clip")
_PEAK_OF = flags.DEFINE_enum(
  "peak_of", None, _SIDES, "Internal: the one side to measure the memory of."
)


def _update(size: int, tensors: int) -> list[tf.Tensor]:
  """Normal weights; the sizes of the tensors grow, as layers' do."""
  steps = [2 * size * i // (tensors * (tensors + 1)) for i in range(tensors)]
  steps.append(size - sum(steps[1:]))
  # Not drawn by TensorFlow, which keeps memory that it drew numbers in.
  rng = np.random.default_rng(0)
  return [
    tf.constant(rng.standard_normal(step, np.float32)) for step in steps[1:]
  ]


def _side(name: str, update: list[tf.Tensor], share: float) -> measuring.Run:
  """A call that computes the result of one side and drops it."""
  top_k = round(share * sum(t.shape.num_elements() for t in update))
  # A peer that sorts gets a flat update for nothing.
  flat = tf.concat(update, 0) if name == "top_k" else None

  @tf.function
  def compute():
    if name == "vote":
      return top_k_votes.cast_votes(update, top_k)
    if name == "top_k":
      return tf.math.top_k(tf.abs(flat), top_k, sorted=False).indices
    return tf.clip_by_global_norm(update, _CLIP)[0]

  def run():
    # What is computed on the CPU is there when the call returns.
    tf.nest.map_structure(lambda t: t.shape, compute())

  return run


def _time() -> None:
  for tensors in map(int, _TENSORS.value):
    update = _update(_SIZE.value, tensors)
    for share in map(float, _SHARES.value):
      runs = [_side(name, update, share) for name in _SIDES]
      for run in runs:
        run()  # Traces.
      vote, top_k, clip = measuring.take_turns(
        [functools.partial(measuring.seconds, run) for run in runs],
        _REPEATS.value,
      )
      medians = [
        f"{name} {1000 * statistics.median(times):.0f} ms"
        for name, times in zip(_SIDES, (vote, top_k, clip))
      ]
      print(
        f"{_SIZE.value} weights in {tensors} tensors, top_k {share:.0%}:"
        f" {', '.join(medians)}; vote / top_k"
        f" {measuring.ratio(vote, top_k):.2f}, vote / clip"
        f" {measuring.ratio(vote, clip):.1f}",
        flush=True,
      )


def _peak_bytes() -> int:
  """The highest memory in use since the last `_forget_peak`."""
  status = pathlib.Path("/proc/self/status").read_text()
  line = next(line for line in status.splitlines() if "VmHWM" in line)
  return int(line.split()[1]) * 1024


def _forget_peak() -> None:
  # Linux: 5 sets the high water mark to what is in use now.
  pathlib.Path("/proc/self/clear_refs").write_text("5")


def _print_copies() -> None:
  """The memory of one side; only in a process made for it."""
  tensors, share = int(_TENSORS.value[0]), float(_SHARES.value[0])
  # Threads, generators and the code of the operations are not per update.
  _side(_PEAK_OF.value, _update(1000 * tensors, tensors), share)()
  run = _side(_PEAK_OF.value, _update(_SIZE.value, tensors), share)
  _forget_peak()
  before = psutil.Process().memory_info().rss
  run()
  print((_peak_bytes() - before) / (4 * _SIZE.value))


def _copies(side: str, tensors: str, share: str) -> float:
  """What a process of its own measures."""
  output = subprocess.run(
    [
      sys.executable,
      "-m",
      "benchmarks.topagg_client",
      "--what=memory",
      f"--peak_of={side}",
      f"--size={_SIZE.value}",
      f"--tensors={tensors}",
      f"--shares={share}",
    ],
    check=True,
    stdout=subprocess.PIPE,
    text=True,
  ).stdout
  return float(output)


def _memory() -> None:
  for tensors in _TENSORS.value:
    for share in _SHARES.value:
      for side in _SIDES:
        copies = [_copies(side, tensors, share) for _ in range(3)]
        print(
          f"{_SIZE.value} weights in {tensors} tensors, top_k"
          f" {float(share):.0%}: {side} needs {max(copies):.2f} copies beyond"
          f" the update, {1 + max(copies):.2f} with it (most of"
          f" {len(copies)}; least {min(copies):.2f})",
          flush=True,
        )


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f"Unknown arguments: {' '.join(argv[1:])}")
  if _PEAK_OF.value:
    _print_copies()
    return
  print(measuring.machine(), flush=True)
  {"time": _time, "memory": _memory}[_WHAT.value]()


if __name__ == "__main__":
  app.run(main)
