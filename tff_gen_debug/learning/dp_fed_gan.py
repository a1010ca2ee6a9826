"""DP-FedAvg-GAN as a `tff.learning.templates.LearningProcess`.

Augenstein et al. (2020), Generative Models for Effective ML on Private,
Decentralized Datasets, arXiv 1911.06679, algorithm 1. In each round every
client of the cohort trains the discriminator on its own images, with the
generator frozen; an aggregation factory, which is where clipping and noise
are, turns the clients' changes into one; the server applies it and then trains
the generator against the new discriminator. The server's part sees no user
data, so the generator is as private as the discriminator, by post-processing.
"""

import collections
from collections.abc import Collection
from typing import Any, NamedTuple, Optional

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.learning import client_batches
from tff_gen_debug.learning import gan_steps
from tff_gen_debug.learning import gan_weights
from tff_gen_debug.learning import optimizer_steps
from tff_gen_debug.learning import process_arguments
from tff_gen_debug.learning import seeds
from tff_gen_debug.models.gan import network
from tff_gen_debug.privacy import validation

# Numbers that clients can be asked for. All are exact sums over the cohort,
# without differential privacy.
CLIENT_METRICS = (
  "num_clients",
  "num_examples",
  "discriminator_loss",
  process_arguments.NON_FINITE_CLIENTS,
)

# Folded into the seed of the process, so that the parts don't share draws.
_INIT_GENERATOR, _INIT_DISCRIMINATOR, _CLIENTS, _SERVER = range(4)


class DPFedGanState(NamedTuple):
  """All that a round needs of the rounds before.

  Attributes:
    round_num: int32 scalar, the number of rounds done.
    weights: A `GanWeights`.
    discriminator_optimizer: The state of the server's optimizer.
    generator_optimizer: The state of the generator's optimizer.
    aggregator: The state of the aggregation process.
  """

  round_num: Any
  weights: Any
  discriminator_optimizer: Any
  generator_optimizer: Any
  aggregator: Any


class _RoundStart(NamedTuple):
  """What the server sends to the clients of a round."""

  discriminator: Any
  generator: Any
  statistics: Any
  seed: Any


def build_dp_fed_gan(
  model: network.GanModel,
  *,
  aggregator: process_arguments.AggregationFactory,
  client_optimizer: tff.learning.optimizers.Optimizer,
  generator_optimizer: tff.learning.optimizers.Optimizer,
  server_optimizer: Optional[tff.learning.optimizers.Optimizer] = None,
  discriminator_steps: int = 6,
  batch_size: int = 32,
  client_epochs: int = 1,
  max_client_images: int = 1000,
  generator_steps: int = 6,
  generator_batch_size: Optional[int] = None,
  averaging_decay: Optional[float] = None,
  client_metrics: Collection[str] = (),
  seed: int = 0,
) -> tff.learning.templates.LearningProcess:
  """Builds the process that trains a GAN on clients' images.

  The computations of the process have these types, with `S` a `DPFedGanState`
  and `W` a `GanWeights`:

  *   `initialize`: `( -> S@SERVER)`
  *   `next`: `(<state=S@SERVER, client_data={image*}@CLIENTS> ->
      <state=S@SERVER, metrics=M@SERVER>)`
  *   `get_model_weights`: `(S -> W)`
  *   `set_model_weights`: `(<S, W> -> S)`

  where `image` is float32 of `model.image_shape`: a client's data set holds
  single images, which the process shuffles and batches itself.

  `M` is an ordered dict of `aggregator` (the measurements of the aggregation),
  `server` (`generator_loss` and `discriminator_update_norm`, float32, and
  `update_non_finite`, int32, 1 if the aggregate was not finite and so left the
  discriminator as it was; all functions of the aggregate and so as private as
  it is) and `clients` (what `client_metrics` asks for).

  All of a round's own randomness derives from `seed`, the round's number and,
  on a client, the client's images, so a repeated round repeats exactly. The
  noise of the aggregator is not seeded.

  Formal guarantees: of the users' data, only the aggregate of the discriminator
  updates reaches the server, so the process has the privacy of `aggregator`.
  Updates whose norm is not finite are zeroed before the aggregator sees them.
  With `client_metrics` empty nothing else leaves the clients.

  Edge cases: a client without images, or without finite ones, sends a zero
  update; an empty cohort is a round of whatever `aggregator` makes of no
  updates; a partial batch counts only its own images.

  Args:
    model: Networks and loss.
    aggregator: Any aggregation factory of TFF or of this package for the
      discriminator's update, a tuple of tensors. A weighted one gets weight 1
      from each client, as in the paper. It has to average, not to sum.
    client_optimizer: Trains the discriminator on clients; its state starts anew
      at each round.
    generator_optimizer: Trains the generator on the server.
    server_optimizer: Applies the aggregate to the discriminator; by default SGD
      with learning rate 1, which adds it.
    discriminator_steps: At most how many batches a client trains on a round
      (the paper's n_D); at least 1.
    batch_size: Images a batch, at least 1.
    client_epochs: How often a client may use an image in a round, at least 1;
      the paper's is 1.
    max_client_images: How many images of a client are read at most, a bound of
      its memory; at least 1.
    generator_steps: Steps of the generator a round (the paper's n_G); at least
      0.
    generator_batch_size: Generated images a step; `batch_size` by default.
    averaging_decay: The weight, in (0, 1), that an exponential moving average
      of the generator keeps at each round; no average by default.
    client_metrics: Names from `CLIENT_METRICS` of exact, *not* differentially
      private sums to release each round: the number of clients, of images used,
      the sum of their losses, the number of zeroed clients.
    seed: Makes initial weights, batches and generator inputs.

  Returns:
    A `tff.learning.templates.LearningProcess`.

  Raises:
    TypeError: If `aggregator` is not an aggregation factory, weights are not
      tuples of floating tensors, an optimizer is not one of `tff.learning`, or
      a number or a metric has another type.
    ValueError: If a number is out of its range, a metric is unknown, or the
      networks don't fit each other.
  """
  if server_optimizer is None:
    server_optimizer = tff.learning.optimizers.build_sgdm(1.0)
  if generator_batch_size is None:
    generator_batch_size = batch_size
  process_arguments.check_optimizer("client_optimizer", client_optimizer)
  process_arguments.check_optimizer("server_optimizer", server_optimizer)
  process_arguments.check_optimizer("generator_optimizer", generator_optimizer)
  process_arguments.check_at_least(
    "discriminator_steps", discriminator_steps, 1
  )
  process_arguments.check_at_least("batch_size", batch_size, 1)
  process_arguments.check_at_least("client_epochs", client_epochs, 1)
  process_arguments.check_at_least("max_client_images", max_client_images, 1)
  process_arguments.check_at_least("generator_steps", generator_steps, 0)
  process_arguments.check_at_least(
    "generator_batch_size", generator_batch_size, 1
  )
  if averaging_decay is not None and not (
    isinstance(averaging_decay, float) and 0 < averaging_decay < 1
  ):
    raise ValueError(
      "averaging_decay must be in (0, 1) or None, got"
      f" {validation.shown(averaging_decay)}"
    )
  client_metrics = process_arguments.check_metrics(
    client_metrics, CLIENT_METRICS
  )
  network.check_model(model)
  guarded = process_arguments.guarded(aggregator, client_metrics)

  @tff.tensorflow.computation
  def initial_weights():
    generator, statistics = model.generator.init(
      seeds.make_seed(seed, _INIT_GENERATOR)
    )
    return gan_weights.GanWeights(
      discriminator=model.discriminator.init(
        seeds.make_seed(seed, _INIT_DISCRIMINATOR)
      ),
      generator=generator,
      statistics=statistics,
      averaged_generator=() if averaging_decay is None else generator,
    )

  weights_type = initial_weights.type_signature.result
  aggregation = guarded.create(weights_type.discriminator)

  @tff.tensorflow.computation(weights_type)
  def initial_optimizers(weights):
    return (
      server_optimizer.initialize(
        optimizer_steps.weight_specs(weights.discriminator)
      ),
      generator_optimizer.initialize(
        optimizer_steps.weight_specs(weights.generator)
      ),
    )

  @tff.federated_computation
  def initialize():
    weights = tff.federated_eval(initial_weights, tff.SERVER)
    optimizers = tff.federated_map(initial_optimizers, weights)
    return tff.federated_zip(
      DPFedGanState(
        round_num=tff.federated_value(np.int32(0), tff.SERVER),
        weights=weights,
        discriminator_optimizer=optimizers[0],
        generator_optimizer=optimizers[1],
        aggregator=aggregation.initialize(),
      )
    )

  state_type = initialize.type_signature.result.member
  data_type = tff.SequenceType(tff.TensorType(np.float32, model.image_shape))

  @tff.tensorflow.computation(np.int32, weights_type)
  def start_round(round_num, weights):
    return _RoundStart(
      discriminator=weights.discriminator,
      generator=weights.generator,
      statistics=weights.statistics,
      seed=seeds.make_seed(seed, _CLIENTS, round_num),
    )

  @tff.tensorflow.computation(start_round.type_signature.result, data_type)
  def client_work(start, dataset):
    images = client_batches.read_examples(
      dataset, tf.TensorSpec(model.image_shape), max_client_images
    )
    own_seed = seeds.client_seed(start.seed, images)
    batches = client_batches.make_batches(
      images,
      discriminator_steps,
      batch_size,
      client_epochs,
      gan_steps.batches_seed(own_seed),
    )
    update = gan_steps.train_discriminator(
      model,
      client_optimizer,
      start.discriminator,
      start.generator,
      start.statistics,
      batches,
      own_seed,
    )
    available = collections.OrderedDict(
      num_clients=tf.constant(1.0),
      num_examples=update.num_examples,
      # One bad client must not make everyone's sum NaN.
      discriminator_loss=tf.where(
        tf.math.is_finite(update.loss_sum), update.loss_sum, 0.0
      ),
    )
    return update.delta, collections.OrderedDict(
      (name, value)
      for name, value in available.items()
      if name in client_metrics
    )

  @tff.tensorflow.computation(
    np.int32,
    weights_type,
    state_type.discriminator_optimizer,
    state_type.generator_optimizer,
    weights_type.discriminator,
  )
  def server_work(
    round_num, weights, discriminator_state, generator_state, mean_delta
  ):
    gradient = tf.nest.map_structure(tf.negative, mean_delta)
    update_norm = tf.linalg.global_norm(mean_delta)
    is_finite = tf.math.is_finite(update_norm)
    # An aggregate that isn't finite leaves the discriminator as it was.
    discriminator_state, discriminator = tf.nest.map_structure(
      lambda new, old: tf.where(is_finite, new, old),
      server_optimizer.next(
        discriminator_state, weights.discriminator, gradient
      ),
      (discriminator_state, weights.discriminator),
    )
    update = gan_steps.train_generator(
      model,
      generator_optimizer,
      generator_state,
      weights.generator,
      weights.statistics,
      discriminator,
      generator_steps,
      generator_batch_size,
      seeds.make_seed(seed, _SERVER, round_num),
    )
    new_weights = gan_weights.GanWeights(
      discriminator=discriminator,
      generator=update.weights,
      statistics=update.statistics,
      averaged_generator=_average(
        averaging_decay, weights.averaged_generator, update.weights
      ),
    )
    metrics = collections.OrderedDict(
      generator_loss=update.loss,
      discriminator_update_norm=update_norm,
      update_non_finite=tf.cast(tf.logical_not(is_finite), tf.int32),
    )
    return (
      round_num + 1,
      new_weights,
      discriminator_state,
      update.optimizer_state,
      metrics,
    )

  @tff.federated_computation(
    initialize.type_signature.result, tff.FederatedType(data_type, tff.CLIENTS)
  )
  def next_fn(state, client_data):
    start = tff.federated_broadcast(
      tff.federated_map(start_round, (state.round_num, state.weights))
    )
    delta, client_sums = tff.federated_map(client_work, (start, client_data))
    aggregate = aggregation.next(state.aggregator, delta)
    round_num, weights, discriminator_optimizer, generator_optimizer, server = (
      tff.federated_map(
        server_work,
        (
          state.round_num,
          state.weights,
          state.discriminator_optimizer,
          state.generator_optimizer,
          aggregate.result,
        ),
      )
    )
    new_state = tff.federated_zip(
      DPFedGanState(
        round_num=round_num,
        weights=weights,
        discriminator_optimizer=discriminator_optimizer,
        generator_optimizer=generator_optimizer,
        aggregator=aggregate.state,
      )
    )
    metrics = collections.OrderedDict(
      aggregator=aggregate.measurements, server=server
    )
    if client_sums.type_signature.member:
      metrics["clients"] = tff.federated_sum(client_sums)
    return tff.learning.templates.LearningProcessOutput(
      new_state, tff.federated_zip(metrics)
    )

  @tff.tensorflow.computation(state_type)
  def get_model_weights(state):
    return state.weights

  @tff.tensorflow.computation(state_type, weights_type)
  def set_model_weights(state, weights):
    return state._replace(weights=weights)

  return tff.learning.templates.LearningProcess(
    initialize, next_fn, get_model_weights, set_model_weights
  )


def _average(decay: Optional[float], average, weights):
  if decay is None:
    return ()
  return tf.nest.map_structure(
    lambda a, w: decay * a + (1 - decay) * w, average, weights
  )
