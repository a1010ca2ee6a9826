"""The DataLens GAN as a `tff.learning.templates.LearningProcess`.

Wang et al. (2021), DataLens, arXiv 2103.11109, algorithm 3. Clients are
teachers. In each round the server makes images; every teacher learns to tell
them from its own data, and says how each image should change; an aggregation
factory, which is where votes and noise are, makes one direction for each image
of that; and the server's student trains the generator on it.
"""

import collections
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.learning import class_labels
from tff_gen_debug.learning import client_store
from tff_gen_debug.learning import process_arguments
from tff_gen_debug.learning import seeds
from tff_gen_debug.learning import students
from tff_gen_debug.learning import teacher_states
from tff_gen_debug.learning import teachers
from tff_gen_debug.models.gan import labelled
from tff_gen_debug.models.gan import network

# Folded into the seed of the process, so that the parts don't share draws.
_GENERATOR, _SHARED_TEACHER, _OWN_TEACHER, _IMAGES, _STUDENT = range(5)


class TopAggGanState(NamedTuple):
  """All that a round needs of the rounds before, but for the teachers' own.

  Attributes:
    round_num: int32 scalar, the number of rounds done.
    weights: A `students.GeneratorWeights`.
    student: The state of the student.
    teacher_weights: What teachers without a store start each round from; empty
      with a store.
    aggregator: The state of the aggregation of directions.
    teacher_aggregator: That of the aggregation of teachers' weights; empty
      without one.
  """

  round_num: Any
  weights: Any
  student: Any
  teacher_weights: Any
  aggregator: Any
  teacher_aggregator: Any


class _RoundStart(NamedTuple):
  """What the server sends to the clients of a round. All of it is public."""

  round_num: Any
  fakes: Any
  teacher_weights: Any


def build_topagg_gan(
  generator: labelled.LabelledGenerator,
  teacher: teachers.Teacher,
  student: students.Student,
  *,
  aggregator: process_arguments.AggregationFactory,
  image_shape: Sequence[int],
  images_per_round: int,
  images_per_teacher: int,
  teachers_per_client: int = 1,
  store: Optional[client_store.ClientStore] = None,
  teacher_aggregator: Optional[process_arguments.AggregationFactory] = None,
  label_weights: Optional[Sequence[float]] = None,
  seed: int = 0,
) -> tff.learning.templates.LearningProcess:
  """Builds the process that trains a generator on teachers' votes.

  The computations of the process have these types, with `S` a `TopAggGanState`
  and `W` a `students.GeneratorWeights`:

  *   `initialize`: `( -> S@SERVER)`
  *   `next`: `(<state=S@SERVER, client_data={C*}@CLIENTS> ->
      <state=S@SERVER, metrics=M@SERVER>)`
  *   `get_model_weights`: `(S -> W)`
  *   `set_model_weights`: `(<S, W> -> S)`

  `C` is what `teacher_data.client_datasets` makes, one element a client: its
  number, and the padded shards of `teachers_per_client` teachers. `M` is an
  ordered dict of `aggregator` (its measurements) and `server`
  (`direction_norm`, float32, the L2 norm of the aggregate, as private as it).

  Teachers keep their discriminator and its optimizer between rounds in a
  `store`, as in the paper. Without one nothing stays on a client: each round
  its teachers start anew from weights that the server sends, the same to all.
  These are the initial ones, or, with a `teacher_aggregator`, trained
  federatedly: the changes of the teachers' weights are averaged by it.

  Formal guarantees: what clients send is the aggregate of their directions
  (and of their weights, if asked for), so the process has the privacy of
  `aggregator`, composed with that of `teacher_aggregator`, each round. No
  teacher reads another's data, weights or optimizer, but through the aggregate.
  Directions with a NaN or an infinity count for nothing.

  Performance: a client call costs some 4 ms in TFF whatever it does, so many
  small teachers to a client are faster.

  Args:
    generator: Makes the images.
    teacher: What a client does.
    student: What the server does.
    aggregator: For directions, float32 `[images_per_round, *image_shape]`. Any
      aggregation factory of TFF or of this package that averages, if a client
      is one teacher; else an `ImageVoteFactory` with `grouped`.
    image_shape: The shape of an image.
    images_per_round: How many images a round asks about, at least 1.
    images_per_teacher: The size that shards are padded to, at least 1.
    teachers_per_client: At least 1.
    store: Where teachers keep their state; None for teachers without.
    teacher_aggregator: For changes of weights, without a store and for clients
      that are one teacher; None not to train what teachers start from.
    label_weights: The chance of each class among the images of a round, public;
      None for uniform labels.
    seed: Makes initial weights, labels and generator inputs.

  Returns:
    A `tff.learning.templates.LearningProcess`.

  Raises:
    TypeError: If an aggregator is not an aggregation factory, or not one for
      several teachers a client.
    ValueError: If a number is out of its range, arguments exclude each other,
      or the generator's images are not of `image_shape`.
  """
  for name, value in (
    ("images_per_round", images_per_round),
    ("images_per_teacher", images_per_teacher),
    ("teachers_per_client", teachers_per_client),
  ):
    process_arguments.check_at_least(name, value, 1)
  if teacher_aggregator is not None and (
    store is not None or teachers_per_client > 1
  ):
    raise ValueError(
      "teacher_aggregator must be None with a store, whose teachers have"
      " weights of their own, and with several teachers a client"
    )
  grouped = getattr(aggregator, "grouped", False)
  if teachers_per_client > 1 and not grouped:
    raise TypeError(
      "aggregator must be an ImageVoteFactory with grouped=True, which tells a"
      " client's teachers apart, for teachers_per_client > 1; got"
      f" {type(aggregator)}"
    )
  class_shares = class_labels.shares_of_classes(
    label_weights, generator.num_classes
  )
  image_shape = tuple(image_shape)
  network.check_generator(generator.network, image_shape, images_per_round)
  directions_shape = (images_per_round, *image_shape)
  if grouped:
    # Guards each teacher by itself.
    guarded = aggregator
    directions_shape = (teachers_per_client, *directions_shape)
  else:
    guarded = process_arguments.guarded(aggregator, ())
  aggregation = guarded.create(tff.TensorType(np.float32, directions_shape))

  @tff.tensorflow.computation
  def initial_weights():
    weights, statistics = generator.network.init(
      seeds.make_seed(seed, _GENERATOR)
    )
    return students.GeneratorWeights(weights, statistics, weights)

  @tff.tensorflow.computation
  def initial_teacher_weights():
    if store is not None:
      return ()
    return teacher.initial_state(seeds.make_seed(seed, _SHARED_TEACHER)).weights

  weights_type = initial_weights.type_signature.result
  teacher_weights_type = initial_teacher_weights.type_signature.result
  teacher_aggregation = (
    process_arguments.guarded(teacher_aggregator, ()).create(
      teacher_weights_type
    )
    if teacher_aggregator is not None
    else None
  )

  @tff.tensorflow.computation(weights_type)
  def initial_student(weights):
    return student.initial_state(weights.generator)

  @tff.federated_computation
  def initialize():
    weights = tff.federated_eval(initial_weights, tff.SERVER)
    return tff.federated_zip(
      TopAggGanState(
        round_num=tff.federated_value(np.int32(0), tff.SERVER),
        weights=weights,
        student=tff.federated_map(initial_student, weights),
        teacher_weights=tff.federated_eval(initial_teacher_weights, tff.SERVER),
        aggregator=aggregation.initialize(),
        teacher_aggregator=teacher_aggregation.initialize()
        if teacher_aggregation is not None
        else tff.federated_value((), tff.SERVER),
      )
    )

  state_type = initialize.type_signature.result.member
  data_type = tff.SequenceType(
    collections.OrderedDict(
      client=np.int32,
      images=tff.TensorType(
        np.float32, (teachers_per_client, images_per_teacher, *image_shape)
      ),
      labels=tff.TensorType(
        np.int32, (teachers_per_client, images_per_teacher)
      ),
      mask=tff.TensorType(
        np.float32, (teachers_per_client, images_per_teacher)
      ),
    )
  )

  def round_inputs(round_num):
    labels = class_labels.draw_labels(
      class_shares,
      images_per_round,
      seeds.make_seed(seed, _IMAGES, round_num, 0),
    )
    inputs = generator.sample_inputs(
      labels, seeds.make_seed(seed, _IMAGES, round_num, 1)
    )
    return inputs, labels

  @tff.tensorflow.computation(np.int32, weights_type, teacher_weights_type)
  def start_round(round_num, weights, teacher_weights):
    inputs, labels = round_inputs(round_num)
    # As the student will see them: normalized by their own moments.
    images, _ = generator.network.apply(
      weights.generator, weights.statistics, inputs, True
    )
    return _RoundStart(
      round_num, teachers.LabelledImages(images, labels), teacher_weights
    )

  @tff.tensorflow.computation(start_round.type_signature.result, data_type)
  def client_work(start, dataset):
    data = dataset.get_single_element()
    shards = teachers.Shard(data["images"], data["labels"], data["mask"])
    states, is_first, place = teacher_states.states_of(
      teacher,
      store,
      start.teacher_weights,
      start.round_num,
      data["client"],
      teachers_per_client,
      seeds.make_seed(seed, _OWN_TEACHER),
    )
    directions, new_states = tf.vectorized_map(
      lambda own: teacher.judge(own[0], own[1], start.fakes, is_first),
      (states, shards),
    )
    dependencies = []
    if store is not None:
      dependencies.append(store.save(place, start.round_num + 1, new_states))
    with tf.control_dependencies(dependencies):
      directions = tf.ensure_shape(
        directions, [teachers_per_client, images_per_round, *image_shape]
      )
      directions = tf.reshape(directions, directions_shape)
    change = ()
    if teacher_aggregation is not None:
      change = tf.nest.map_structure(
        lambda new, old: new[0] - old, new_states.weights, start.teacher_weights
      )
    return directions, change

  @tff.tensorflow.computation(
    np.int32,
    weights_type,
    state_type.student,
    tff.TensorType(np.float32, (images_per_round, *image_shape)),
  )
  def student_work(round_num, weights, student_state, directions):
    inputs, labels = round_inputs(round_num)
    weights, student_state = student.learn(
      student_state,
      weights,
      inputs,
      labels,
      directions,
      seeds.make_seed(seed, _STUDENT, round_num),
    )
    metrics = collections.OrderedDict(direction_norm=tf.norm(directions))
    return round_num + 1, weights, student_state, metrics

  @tff.tensorflow.computation(teacher_weights_type, teacher_weights_type)
  def add_change(weights, change):
    return tf.nest.map_structure(tf.add, weights, change)

  @tff.federated_computation(
    initialize.type_signature.result, tff.FederatedType(data_type, tff.CLIENTS)
  )
  def next_fn(state, client_data):
    start = tff.federated_broadcast(
      tff.federated_map(
        start_round, (state.round_num, state.weights, state.teacher_weights)
      )
    )
    directions, change = tff.federated_map(client_work, (start, client_data))
    aggregate = aggregation.next(state.aggregator, directions)
    round_num, weights, student_state, server = tff.federated_map(
      student_work,
      (state.round_num, state.weights, state.student, aggregate.result),
    )
    teacher_weights = state.teacher_weights
    teacher_aggregator_state = state.teacher_aggregator
    if teacher_aggregation is not None:
      mean_change = teacher_aggregation.next(state.teacher_aggregator, change)
      teacher_aggregator_state = mean_change.state
      teacher_weights = tff.federated_map(
        add_change, (state.teacher_weights, mean_change.result)
      )
    new_state = tff.federated_zip(
      TopAggGanState(
        round_num=round_num,
        weights=weights,
        student=student_state,
        teacher_weights=teacher_weights,
        aggregator=aggregate.state,
        teacher_aggregator=teacher_aggregator_state,
      )
    )
    metrics = collections.OrderedDict(
      aggregator=aggregate.measurements, server=server
    )
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
