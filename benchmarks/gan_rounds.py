"""Speed and memory of federated GAN rounds, as ratios against a peer.

    python -m benchmarks.gan_rounds --what speed     # against TF without TFF
    python -m benchmarks.gan_rounds --what clients   # cost a client by cohort
    python -m benchmarks.gan_rounds --what memory    # growth over rounds

Both sides of a ratio are measured in turn in one run. Times are medians; quote
the ratios, not the seconds.
"""

import functools
import statistics

from absl import app
from absl import flags
import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from benchmarks import measuring
from tff_gen_debug import learning
from tff_gen_debug import runtime
from tff_gen_debug.learning import client_batches
from tff_gen_debug.learning import gan_steps
from tff_gen_debug.learning import optimizer_steps
from tff_gen_debug.learning import seeds
from tff_gen_debug.models import gan

_WHAT = flags.DEFINE_enum(
  "what", "speed", ["speed", "clients", "memory"], "What to measure."
)
_REPEATS = flags.DEFINE_integer("repeats", 5, "Rounds that are timed.")
_ROUNDS = flags.DEFINE_integer("rounds", 200, "Rounds of --what=memory.")
_THREADS = flags.DEFINE_integer(
  "threads_per_client", None, "Of the runtime; its default if not given."
)
_PRIVATE = flags.DEFINE_bool(
  "private", True, "Whether the worker has a network of its own."
)

_STEPS, _BATCH, _CLIP = 6, 32, 0.3


def _models():
  yield (
    "paper's networks",
    gan.GanModel(
      gan.paper_generator(), gan.paper_discriminator(), gan.WassersteinLoss()
    ),
    _BATCH,
  )
  yield (
    "demo's networks",
    gan.GanModel(
      gan.small_generator(), gan.small_discriminator(), gan.NonSaturatingLoss()
    ),
    64,
  )


def _toy_model() -> gan.GanModel:
  """A GAN of three weights: a round is all overhead."""
  generator = gan.Generator(
    latent_dim=1,
    init=lambda seed: ((tf.zeros([1]),), ()),
    apply=lambda weights, statistics, latent, training: (
      weights[0] + latent,
      statistics,
    ),
  )
  discriminator = gan.Discriminator(
    init=lambda seed: (tf.ones([1]), tf.zeros([])),
    apply=lambda weights, images, mask: (
      images[:, 0] * weights[0][0] + weights[1]
    ),
  )
  return gan.GanModel(
    generator, discriminator, gan.NonSaturatingLoss(), image_shape=(1,)
  )


def _process(model: gan.GanModel, cohort: int, generator_batch: int):
  return learning.build_dp_fed_gan(
    model,
    aggregator=tff.aggregators.DifferentiallyPrivateFactory.gaussian_fixed(
      noise_multiplier=0.01, clients_per_round=float(max(cohort, 1)), clip=_CLIP
    ),
    client_optimizer=tff.learning.optimizers.build_sgdm(0.05),
    generator_optimizer=tff.learning.optimizers.build_sgdm(0.005),
    discriminator_steps=_STEPS,
    batch_size=_BATCH,
    generator_steps=_STEPS,
    generator_batch_size=generator_batch,
  )


def _clients(model: gan.GanModel, count: int) -> list[np.ndarray]:
  rng = np.random.default_rng(0)
  shape = (count, _STEPS * _BATCH, *model.image_shape)
  return list(rng.uniform(-1, 1, shape).astype(np.float32))


class _TffRounds:
  """Rounds of our process in the local runtime."""

  def __init__(self, model, images, generator_batch):
    self._process = _process(model, len(images), generator_batch)
    self._state = self._process.initialize()
    self._datasets = [tf.data.Dataset.from_tensor_slices(one) for one in images]

  def run(self):
    self._state = self._process.next(self._state, self._datasets).state


class _BareRounds:
  """The same maths in TensorFlow without TFF: a Python loop over clients."""

  def __init__(self, model, images, generator_batch):
    self._images = [tf.constant(one) for one in images]
    self._round = 0
    self._seed = tf.constant([1, 2])
    self._discriminator = model.discriminator.init(self._seed)
    self._generator, self._statistics = model.generator.init(self._seed)
    client_optimizer = tff.learning.optimizers.build_sgdm(0.05)
    generator_optimizer = tff.learning.optimizers.build_sgdm(0.005)
    self._state = generator_optimizer.initialize(
      optimizer_steps.weight_specs(self._generator)
    )

    @tf.function
    def client(discriminator, generator, statistics, one, seed):
      own_seed = seeds.client_seed(seed, one)
      batches = client_batches.make_batches(
        one, _STEPS, _BATCH, 1, gan_steps.batches_seed(own_seed)
      )
      delta = gan_steps.train_discriminator(
        model,
        client_optimizer,
        discriminator,
        generator,
        statistics,
        batches,
        own_seed,
      ).delta
      return tf.clip_by_global_norm(delta, _CLIP)[0]

    @tf.function
    def server(discriminator, total, generator, statistics, state, seed):
      discriminator = tuple(
        w + (d + tf.random.normal(w.shape, stddev=0.01 * _CLIP)) / len(images)
        for w, d in zip(discriminator, total)
      )
      update = gan_steps.train_generator(
        model,
        generator_optimizer,
        state,
        generator,
        statistics,
        discriminator,
        _STEPS,
        generator_batch,
        seed,
      )
      return discriminator, update

    self._client, self._server = client, server

  def run(self):
    seed = seeds.fold_in(self._seed, self._round)
    total = [tf.zeros_like(w) for w in self._discriminator]
    for one in self._images:
      delta = self._client(
        self._discriminator, self._generator, self._statistics, one, seed
      )
      total = [t + d for t, d in zip(total, delta)]
    self._discriminator, update = self._server(
      self._discriminator,
      total,
      self._generator,
      self._statistics,
      self._state,
      seed,
    )
    self._generator, self._statistics = update.weights, update.statistics
    self._state = update.optimizer_state
    self._generator[0].numpy()
    self._round += 1


def _speed() -> None:
  for name, model, generator_batch in _models():
    images = _clients(model, 10)
    sides = (
      _TffRounds(model, images, generator_batch),
      _BareRounds(model, images, generator_batch),
    )
    for side in sides:
      side.run()  # Traces and compiles.
    ours, bare = measuring.take_turns(
      [functools.partial(measuring.seconds, side.run) for side in sides],
      _REPEATS.value,
    )
    print(
      f"{name}, 10 clients x {_STEPS} batches of {_BATCH}: "
      f"{statistics.median(ours):.2f} s a round, "
      f"{statistics.median(bare):.2f} s without TFF, ratio "
      f"{measuring.ratio(ours, bare):.2f}",
      flush=True,
    )


def _cost_of_clients() -> None:
  model = _toy_model()
  for cohort in (10, 100, 1000):
    images = _clients(model, cohort)
    full, empty, maths = (
      measuring.median_seconds(rounds.run, _REPEATS.value)
      for rounds in (
        _TffRounds(model, images, _BATCH),
        _TffRounds(model, [], _BATCH),
        _BareRounds(model, images, _BATCH),
      )
    )
    measuring.print_cost_of_clients(
      cohort, full, empty, f"; outside client maths {1 - maths / full:.0%}"
    )


def _memory() -> None:
  _, model, generator_batch = list(_models())[1]
  rounds = _TffRounds(model, _clients(model, 10), generator_batch)
  measuring.print_memory(rounds.run, _ROUNDS.value)


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f"Unknown arguments: {' '.join(argv[1:])}")
  print(measuring.machine(), flush=True)
  with runtime.use_local_runtime(
    threads_per_client=_THREADS.value, private=_PRIVATE.value
  ):
    {"speed": _speed, "clients": _cost_of_clients, "memory": _memory}[
      _WHAT.value
    ]()


if __name__ == "__main__":
  app.run(main)
