"""DP-FedAvg as a `tff.learning.templates.LearningProcess`.

McMahan et al. (2018), Learning Differentially Private Recurrent Language
Models, arXiv 1710.06963. In each round every client of the cohort trains the
model on its own examples; an aggregation factory, which is where clipping and
noise are, turns the clients' updates into one; the server's optimizer applies
it. `tff.learning.algorithms.build_unweighted_fed_avg` is the same algorithm;
this process bounds what one user does in a round, releases nothing but the
aggregate unless asked, and is several times as fast on small models.
"""

import collections
from collections.abc import Collection
from typing import Optional

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.learning import client_batches
from tff_gen_debug.learning import local_training
from tff_gen_debug.learning import process_arguments
from tff_gen_debug.learning import seeds

# Numbers that clients can be asked for. All are exact sums over the cohort,
# without differential privacy.
FED_AVG_CLIENT_METRICS = (
  "num_clients",
  "num_examples",
  "loss",
  process_arguments.NON_FINITE_CLIENTS,
)


def build_dp_fed_avg(
  model: tff.learning.models.FunctionalModel,
  *,
  aggregator: process_arguments.AggregationFactory,
  client_optimizer: tff.learning.optimizers.Optimizer,
  server_optimizer: Optional[tff.learning.optimizers.Optimizer] = None,
  batch_size: int = 16,
  client_steps: int = 1,
  client_epochs: int = 1,
  max_client_examples: int = 1000,
  client_metrics: Collection[str] = (),
  seed: int = 0,
) -> tff.learning.templates.LearningProcess:
  """Builds the process that trains a model on clients' examples.

  The computations of the process have these types, with `S` a
  `tff.learning.templates.LearningAlgorithmState` and `W` a
  `tff.learning.models.ModelWeights`:

  *   `initialize`: `( -> S@SERVER)`
  *   `next`: `(<state=S@SERVER, client_data={example*}@CLIENTS> ->
      <state=S@SERVER, metrics=M@SERVER>)`
  *   `get_model_weights`: `(S -> W)`
  *   `set_model_weights`: `(<S, W> -> S)`

  where `example` is `model.input_spec` without the batch dimension: a client's
  data set holds single examples, which the process shuffles and batches itself.

  `M` is an ordered dict of `distributor` (empty), `client_work` (what
  `client_metrics` asks for), `aggregator` (the measurements of the aggregation)
  and `finalizer` (`update_non_finite`, int32: 1 if the aggregate was not
  finite and so left the weights as they were).

  The order of a client's examples derives from `seed`, the round's number and
  the examples, so a repeated round repeats exactly. The noise of the aggregator
  is not seeded.

  Formal guarantees: of the users' data, only the aggregate of the updates
  reaches the server, so the process has the privacy of `aggregator`. Updates
  whose norm is not finite are zeroed before the aggregator sees them. With
  `client_metrics` empty nothing else leaves the clients.

  Edge cases: a client without examples, or whose training is not finite, sends
  a zero update; an empty cohort is a round of whatever `aggregator` makes of no
  updates; a partial batch counts only its own examples.

  Args:
    model: What to train. Its loss has to be a mean over the batch; its metrics
      are not used.
    aggregator: Any aggregation factory of TFF or of this package for the
      structure of the trainable weights. A weighted one gets weight 1 from each
      client. It has to average, not to sum.
    client_optimizer: Trains the model on clients; its state starts anew at each
      round.
    server_optimizer: Applies the aggregate to the weights; by default SGD with
      learning rate 1, which adds it.
    batch_size: Examples a batch, at least 1.
    client_steps: At most how many batches a client trains on a round, at least
      1.
    client_epochs: How often a client may use an example in a round, at least 1.
    max_client_examples: How many examples of a client are read at most, its
      first ones, a bound of its memory; at least 1.
    client_metrics: Names from `FED_AVG_CLIENT_METRICS` of exact, *not*
      differentially private sums to release each round: the number of clients,
      of examples used, the sum of their losses, and, among the measurements of
      the aggregator, the number of zeroed clients.
    seed: Makes the order of examples.

  Returns:
    A `tff.learning.templates.LearningProcess`.

  Raises:
    TypeError: If `model` is not a functional model, `aggregator` is not an
      aggregation factory, an optimizer is not one of `tff.learning`, or a
      number or a metric has another type.
    ValueError: If a number is out of its range, a metric is unknown, or the
      shape of an example is not known.
  """
  if not isinstance(model, tff.learning.models.FunctionalModel):
    raise TypeError(
      f"model must be a tff.learning.models.FunctionalModel, got {type(model)}"
    )
  if server_optimizer is None:
    server_optimizer = tff.learning.optimizers.build_sgdm(1.0)
  process_arguments.check_optimizer("client_optimizer", client_optimizer)
  process_arguments.check_optimizer("server_optimizer", server_optimizer)
  process_arguments.check_at_least("batch_size", batch_size, 1)
  process_arguments.check_at_least("client_steps", client_steps, 1)
  process_arguments.check_at_least("client_epochs", client_epochs, 1)
  process_arguments.check_at_least(
    "max_client_examples", max_client_examples, 1
  )
  client_metrics = process_arguments.check_metrics(
    client_metrics, FED_AVG_CLIENT_METRICS
  )
  guarded = process_arguments.guarded(aggregator, client_metrics)

  @tff.tensorflow.computation
  def initial_weights():
    return tff.learning.models.ModelWeights(
      *tf.nest.map_structure(tf.constant, model.initial_weights)
    )

  weights_type = initial_weights.type_signature.result

  def work(weights, dataset, round_num):
    examples = client_batches.read_examples(
      dataset, _example_spec(model), max_client_examples
    )
    batches = client_batches.make_batches(
      examples,
      client_steps,
      batch_size,
      client_epochs,
      seeds.client_seed(seeds.make_seed(seed, round_num), examples),
    )
    return local_training.train(model, client_optimizer, weights, batches)

  return tff.learning.templates.compose_learning_process(
    initial_weights,
    tff.learning.templates.build_broadcast_process(weights_type),
    _client_work(weights_type, _example_spec(model), work, client_metrics),
    tff.aggregators.as_weighted_aggregator(guarded).create(
      weights_type.trainable, tff.TensorType(np.float32)
    ),
    tff.learning.templates.build_apply_optimizer_finalizer(
      server_optimizer, weights_type
    ),
  )


def _client_work(
  weights_type, example_spec, work, client_metrics
) -> tff.learning.templates.ClientWorkProcess:
  """Runs `work(weights, dataset, round_num)` on clients; counts rounds."""
  data_type = tff.SequenceType(tff.types.tensorflow_to_type(example_spec))

  @tff.federated_computation
  def initialize():
    return tff.federated_value(np.int32(0), tff.SERVER)

  @tff.tensorflow.computation(np.int32)
  def next_round(round_num):
    return round_num + 1

  @tff.tensorflow.computation(weights_type, data_type, np.int32)
  def on_client(weights, dataset, round_num):
    local = work(weights, dataset, round_num)
    available = collections.OrderedDict(
      num_clients=tf.constant(1.0),
      num_examples=local.num_examples,
      # One bad client must not make everyone's sum NaN.
      loss=tf.where(tf.math.is_finite(local.loss_sum), local.loss_sum, 0.0),
    )
    return (
      tff.learning.templates.ClientResult(local.update, tf.constant(1.0)),
      collections.OrderedDict(
        (name, value)
        for name, value in available.items()
        if name in client_metrics
      ),
    )

  @tff.federated_computation(
    initialize.type_signature.result,
    tff.FederatedType(weights_type, tff.CLIENTS),
    tff.FederatedType(data_type, tff.CLIENTS),
  )
  def next_fn(round_num, weights, client_data):
    result, sums = tff.federated_map(
      on_client, (weights, client_data, tff.federated_broadcast(round_num))
    )
    # A sum of no tensors is none; nothing may be summed then.
    measurements = (
      tff.federated_sum(sums)
      if sums.type_signature.member
      else tff.federated_value(collections.OrderedDict(), tff.SERVER)
    )
    return tff.templates.MeasuredProcessOutput(
      tff.federated_map(next_round, round_num), result, measurements
    )

  return tff.learning.templates.ClientWorkProcess(initialize, next_fn)


def _example_spec(model: tff.learning.models.FunctionalModel):
  """The structure of `tf.TensorSpec` of one example."""
  spec = tf.nest.map_structure(
    lambda s: tf.TensorSpec(s.shape[1:], s.dtype), model.input_spec
  )
  for one in tf.nest.flatten(spec):
    if not one.shape.is_fully_defined():
      raise ValueError(
        "model.input_spec must have known shapes but for the batch dimension, "
        f"got {model.input_spec}"
      )
  return spec
