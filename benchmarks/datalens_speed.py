"""What DataLens' rounds take: by the number of teachers, and the vote alone.

    python -m benchmarks.datalens_speed --measure votes
    python -m benchmarks.datalens_speed --measure rounds

votes: encoding and adding the votes of some teachers on 15 images of 784
pixels, against a NumPy loop over teachers and images, in turn in one run; the
loop takes the k largest by argsort and draws their signs, as published code
does. rounds: seconds a round of the task's process in TFF, with discriminators
that keep their state on disk, and with energy teachers. Quote the ratios, not
the seconds.
"""

import dataclasses
import statistics
import tempfile
import time

from absl import app
from absl import flags
import numpy as np
import tensorflow as tf

from benchmarks import measuring
from tasks.datalens import config as config_lib
from tasks.datalens import methods
from tff_gen_debug import runtime
from tff_gen_debug.aggregators import gradient_codes
from tff_gen_debug.aggregators import image_votes
from tff_gen_debug.datasets import shards
from tff_gen_debug.learning import teacher_data

_WHAT = flags.DEFINE_enum(
  "measure", "votes", ["votes", "rounds"], "What to measure."
)
_TEACHERS = flags.DEFINE_list(
  "numbers_of_teachers", ["100", "400", "1600"], "How many teachers."
)
_TURNS = flags.DEFINE_integer("turns", 5, "Results that are timed.")
_IMAGES, _PIXELS = 15, 784
_CHUNK = 100  # Teachers that vote in one call, as in one client's.
_CODES = {
  "200 drawn signs": gradient_codes.TopKSignCode(200),
  "200 signs": gradient_codes.TopKSignCode(200, stochastic=False),
  "all drawn signs": gradient_codes.TopKSignCode(_PIXELS),
  "all signs": gradient_codes.TopKSignCode(_PIXELS, stochastic=False),
}


def _numpy_votes(
  gradients: np.ndarray, top_k: int, stochastic: bool
) -> np.ndarray:
  """The sums of votes, one teacher and image after the other."""
  rng = np.random.default_rng(0)
  total = np.zeros((_IMAGES, _PIXELS), np.int64)
  for teacher in gradients:
    for image, gradient in enumerate(teacher):
      chosen = np.argsort(np.abs(gradient))[-top_k:]
      entries = gradient[chosen]
      if stochastic:
        bound = np.abs(entries).max()
        positive = rng.uniform(-1, 1, top_k) < entries / bound
        total[image, chosen] += np.where(positive, 1, -1)
      else:
        total[image, chosen] += np.sign(entries).astype(np.int64)
  return total


def _votes(num_teachers: int) -> None:
  rng = np.random.default_rng(1)
  shape = (num_teachers, _IMAGES, _PIXELS)
  gradients = rng.standard_normal(shape, np.float32)
  chunks = [
    tf.constant(gradients[i : i + _CHUNK])
    for i in range(0, num_teachers, _CHUNK)
  ]
  for name, code in _CODES.items():
    query = image_votes.ImageVoteQuery(
      code, images=_IMAGES, noise_multiplier=0.0
    )
    encode = tf.function(lambda x, q=query: q.preprocess_record((), x))

    def ours(encode=encode):
      return tf.add_n([encode(chunk) for chunk in chunks]).numpy()

    top_k = round(code.norm_bound**2)
    stochastic = "drawn" in name

    def loop(top_k=top_k, stochastic=stochastic):
      return _numpy_votes(gradients, top_k, stochastic)

    if not stochastic:
      np.testing.assert_array_equal(ours(), loop())
    ours()
    times = measuring.take_turns(
      [lambda: measuring.seconds(ours), lambda: measuring.seconds(loop)],
      _TURNS.value,
    )
    print(
      f"{num_teachers} teachers, {name}: "
      f"{1e3 * statistics.median(times[0]):.0f} ms, NumPy loop "
      f"{1e3 * statistics.median(times[1]):.0f} ms; ours / loop "
      f"{measuring.ratio(times[0], times[1]):.3f}",
      flush=True,
    )


def _rounds(num_teachers: int) -> None:
  per_teacher = 13
  count = num_teachers * per_teacher
  rng = np.random.default_rng(2)
  images = rng.integers(0, 256, (count, 28, 28), np.uint8)
  labels = rng.integers(0, 10, count)
  scene = methods.Scene((28, 28, 1), 10, per_teacher)
  paper = dataclasses.replace(
    config_lib.PRESETS["paper"],
    published=False,
    top_k=200,
    threshold=0.7,
    rounds=1000,
    images_per_round=15,
    num_teachers=num_teachers,
  )
  energy = dataclasses.replace(
    config_lib.PRESETS["demo"], num_teachers=num_teachers, generator_steps=1
  )
  for name, config in (("discriminators", paper), ("energy", energy)):
    with tempfile.TemporaryDirectory() as folder:
      plan = methods.make_plan(config, scene.image_shape)
      process = methods.build_process(config, scene, plan, f"{folder}/teachers")
      datasets = teacher_data.client_datasets(
        images,
        labels,
        shards.deal(count, num_teachers),
        teachers_per_client=config.teachers_per_client,
        directory=f"{folder}/shards",
      )
      clients = list(datasets.values())
      state = process.initialize()
      times = []
      for _ in range(_TURNS.value + 1):
        start = time.perf_counter()
        state = process.next(state, clients).state
        times.append(time.perf_counter() - start)
    print(
      f"{num_teachers} teachers, {name}, {config.images_per_round} images: "
      f"{statistics.median(times[1:]):.2f} s a round, "
      f"{1e3 * statistics.median(times[1:]) / num_teachers:.2f} ms a teacher; "
      f"first round {times[0]:.1f} s",
      flush=True,
    )


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f"Unknown arguments: {' '.join(argv[1:])}")
  print(measuring.machine(), flush=True)
  numbers = [int(number) for number in _TEACHERS.value]
  if _WHAT.value == "votes":
    for number in numbers:
      _votes(number)
    return
  with runtime.use_local_runtime():
    for number in numbers:
      _rounds(number)


if __name__ == "__main__":
  app.run(main)
