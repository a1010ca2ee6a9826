"""A student that makes its generator answer as the teachers did.

Each round buys noised answers: for some images, the directions in which all
teachers together would move them. A step along them uses an answer once. This
student keeps every answer, and fits its generator to all of them: it asks
simulated teachers, whose shards are generated, about the same images, and
brings their answers near. Answers are not bought anew for every step, so few
rounds are enough, with little noise on each.
"""

from typing import Any, NamedTuple

import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.learning import energy_teacher
from tff_gen_debug.learning import optimizer_steps
from tff_gen_debug.learning import seeds
from tff_gen_debug.learning import students
from tff_gen_debug.models.gan import labelled


class Answers(NamedTuple):
  """What teachers have said, for the images of all rounds.

  Attributes:
    asked: float32 [rounds, images, m], the images' features.
    said: float32 [rounds, images, m], the pull of the teachers' own images.
    labels: int32 [rounds, images].
    count: int32 scalar, the rounds that have been.
  """

  asked: Any
  said: Any
  labels: Any
  count: Any


class _State(NamedTuple):
  answers: Any
  optimizer: Any
  step: Any


class FieldStudent(students.Student):
  """Fits a generator to the answers of `EnergyTeacher`s.

  The loss is the mean over answers of |said - simulated|^2, estimated without
  bias by the product of the differences to two independent simulations. For
  teachers without locality it is least where the generator's distribution has
  the energy distance's witness of the data.
  """

  def __init__(
    self,
    generator: labelled.LabelledGenerator,
    teacher: energy_teacher.EnergyTeacher,
    optimizer: tff.learning.optimizers.Optimizer,
    *,
    rounds: int,
    images_per_round: int,
    shard_images: int,
    answered_share: float,
    steps: int = 60,
    last_steps: int = 240,
    answers_per_step: int = 200,
    images_per_class: int = 20,
    averaging_decay: float = 0.98,
  ):
    """Initializes the student.

    Args:
      generator: The network.
      teacher: What the clients do.
      optimizer: Trains the generator. Its learning rate holds for half of all
        steps, and then falls linearly to a fiftieth.
      rounds: The rounds of the run, at least 1.
      images_per_round: Images that teachers are asked about, at least 1.
      shard_images: Images of one class that a simulated teacher has, at least
        1: about as many as a real one. It matters with locality only.
      answered_share: The expected share of teachers that have images of a given
        class, in (0, 1]; public, as 1 - (1 - 1 / classes)^images for shards of
        some images and classes of one size.
      steps: Steps a round, at least 1.
      last_steps: Further steps in the last round, at least 0.
      answers_per_step: Answers that a step looks at, at least 1.
      images_per_class: Images of a class that a step generates, at least twice
        `shard_images`, for two simulations.
      averaging_decay: As for `students.GradientStudent`.

    Raises:
      ValueError: If a number is out of its range.
    """
    for name, value, least in (
      ("rounds", rounds, 1),
      ("images_per_round", images_per_round, 1),
      ("shard_images", shard_images, 1),
      ("steps", steps, 1),
      ("last_steps", last_steps, 0),
      ("answers_per_step", answers_per_step, 1),
      ("images_per_class", images_per_class, 2 * shard_images),
    ):
      if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    if not 0 < answered_share <= 1:
      raise ValueError(
        f"answered_share must be in (0, 1], got {answered_share}"
      )
    self._generator = generator
    self._teacher = teacher
    self._optimizer = optimizer
    self._rounds = rounds
    self._images = images_per_round
    self._shard_images = shard_images
    self._answered_share = answered_share
    self._steps = steps
    self._last_steps = last_steps
    self._answers_per_step = answers_per_step
    # Two halves of whole shards.
    self._shards_per_half = images_per_class // (2 * shard_images)
    self._averaging_decay = students.check_decay(averaging_decay)

  def initial_state(self, generator):
    size = self._teacher.num_features
    shape = [self._rounds, self._images]
    return _State(
      Answers(
        asked=tf.zeros([*shape, size]),
        said=tf.zeros([*shape, size]),
        labels=tf.zeros(shape, tf.int32),
        count=tf.constant(0),
      ),
      self._optimizer.initialize(optimizer_steps.weight_specs(generator)),
      tf.constant(0),
    )

  def learn(self, state, weights, inputs, labels, directions, seed):
    answers = self._remember(state.answers, weights, inputs, labels, directions)
    is_last = answers.count >= self._rounds
    count = self._steps + tf.where(is_last, self._last_steps, 0)

    def step(index, number, weights, optimizer_state):
      new_weights, new_state = self._step(
        answers,
        number,
        weights,
        optimizer_state,
        seeds.fold_in(seed, index),
      )
      return index + 1, number + 1, new_weights, new_state

    _, number, weights, optimizer_state = tf.while_loop(
      lambda index, *_: index < count,
      step,
      (tf.constant(0), state.step, weights, state.optimizer),
      # One step at a time: memory, and the order of sums.
      parallel_iterations=1,
    )
    return weights, _State(answers, optimizer_state, number)

  def _remember(self, answers, weights, inputs, labels, directions):
    images, _ = self._generator.network.apply(
      weights.generator, weights.statistics, inputs, True
    )
    # A run that goes on beyond its rounds forgets its last answers.
    row = tf.minimum(answers.count, self._rounds - 1)[tf.newaxis, tf.newaxis]

    def put(rows, new):
      return tf.tensor_scatter_nd_update(rows, row, new[tf.newaxis])

    said = self._teacher.features(directions) / self._answered_share
    return Answers(
      put(answers.asked, self._teacher.features(images)),
      put(answers.said, said),
      put(answers.labels, labels),
      answers.count + 1,
    )

  def _step(self, answers, number, weights, optimizer_state, seed):
    rounds_done = tf.minimum(answers.count, self._rounds)
    chosen = tf.random.stateless_uniform(
      [self._answers_per_step],
      seeds.fold_in(seed, 0),
      maxval=rounds_done * self._images,
      dtype=tf.int32,
    )

    def choose(rows):
      return tf.gather(
        tf.reshape(rows, [self._rounds * self._images, *rows.shape[2:]]), chosen
      )

    asked, said, labels = (
      choose(answers.asked),
      choose(answers.said),
      choose(answers.labels),
    )
    classes = tf.range(max(self._generator.num_classes, 1))
    # [half, class, shard, image], so that every half has all classes.
    generated_labels = tf.reshape(
      tf.tile(
        tf.repeat(classes, self._shards_per_half * self._shard_images), [2]
      ),
      [-1],
    )
    inputs = self._generator.sample_inputs(
      generated_labels, seeds.fold_in(seed, 1)
    )
    with tf.GradientTape() as tape:
      tape.watch(weights.generator)
      images, statistics = self._generator.network.apply(
        weights.generator, weights.statistics, inputs, True
      )
      one, other = self._simulate(asked, labels, classes, images)
      loss = tf.reduce_mean(
        tf.reduce_sum((said - one) * (said - other), axis=1)
      )
    gradients = tape.gradient(
      loss,
      weights.generator,
      unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    hparams = self._optimizer.get_hparams(optimizer_state)
    rate = hparams["learning_rate"]
    optimizer_state, generator = self._optimizer.next(
      self._optimizer.set_hparams(
        optimizer_state,
        {**hparams, "learning_rate": rate * self._anneal(number)},
      ),
      weights.generator,
      gradients,
    )
    optimizer_state = self._optimizer.set_hparams(
      optimizer_state, {**hparams, "learning_rate": rate}
    )
    averaged = students.average(
      self._averaging_decay, weights.averaged_generator, generator
    )
    return (
      students.GeneratorWeights(generator, statistics, averaged),
      optimizer_state,
    )

  def _simulate(self, asked, labels, classes, images):
    """What simulated teachers say, each half of them: two [q, m]."""
    features = tf.reshape(
      self._teacher.features(images),
      [
        2,
        classes.shape[0],
        self._shards_per_half,
        self._shard_images,
        asked.shape[1],
      ],
    )
    # Each answer is simulated with the shards of its own class alone.
    halves = []
    for half in range(2):
      own = tf.gather(features[half], labels)  # [q, shard, image, m]
      pull = self._teacher.pull(
        asked[:, tf.newaxis, tf.newaxis],
        own,
        tf.ones([*own.shape[:2], 1, self._shard_images]),
      )
      halves.append(tf.reduce_mean(pull[:, :, 0], axis=1))
    return halves

  def _anneal(self, number: tf.Tensor) -> tf.Tensor:
    total = self._rounds * self._steps + self._last_steps
    done = tf.cast(number + 1, tf.float32) / total
    falling = 0.02 + 0.98 * (1 - done) / 0.5
    return tf.clip_by_value(tf.where(done < 0.5, 1.0, falling), 0.02, 1.0)
