"""Tests of the DataLens process, on a GAN that can be done by hand.

An image is one number. The generator has a weight for each image of a round,
which is that image, so that a student with a rate of 1 adds the aggregate to
it.
"""

import collections
import os

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.learning import toy_gan
from tff_gen_debug.aggregators import gradient_codes
from tff_gen_debug.aggregators import image_votes
from tff_gen_debug.learning import client_store
from tff_gen_debug.learning import students
from tff_gen_debug.learning import teachers
from tff_gen_debug.learning import topagg_gan
from tff_gen_debug.models import gan
from tff_gen_debug.models.gan import labelled

_IMAGES, _TEACHERS, _SHARD = 3, 4, 3
_STEPS, _FIRST_STEPS = 2, 4
_RATE, _BETA_1, _BETA_2, _EPSILON = 0.1, 0.5, 0.9, 1e-3
_CLIP = 0.1
_START = np.array([-1.0, 0.25, 2.0])
# Of each teacher; what lacks to three images is padding.
_REAL = ([1.5, 0.5], [-2.0, -1.0, 0.25], [3.0], [])
# The references are float64; these are float32, through some 10 steps.
_TOLERANCE = dict(rtol=1e-4, atol=1e-5)


def _generator():
  def init(seed):
    del seed
    return (tf.constant(_START[:, np.newaxis], tf.float32),), ()

  def apply(weights, statistics, inputs, training):
    del inputs
    assert training is True
    return weights[0] + 0.0, statistics

  return labelled.LabelledGenerator(
    gan.Generator(latent_dim=1, init=init, apply=apply), num_classes=0
  )


def _teacher():
  toy = toy_gan.discriminator()
  return teachers.DiscriminatorTeacher(
    labelled.LabelledDiscriminator(
      toy.init, lambda weights, images, _: toy.apply(weights, images, None)
    ),
    tff.learning.optimizers.build_adam(_RATE, _BETA_1, _BETA_2, _EPSILON),
    num_classes=0,
    steps=_STEPS,
    first_steps=_FIRST_STEPS,
  )


class _Diary(teachers.Teacher):
  """Keeps what it began with; has different weights for each seed."""

  def initial_state(self, seed):
    draws = tf.random.stateless_normal([2], seed)
    return teachers.TeacherState((draws[:1],), (draws[1:],))

  def judge(self, state, shard, fakes, is_first):
    return tf.zeros_like(fakes.images), state


def _build(teacher=None, **overrides):
  generator = _generator()
  arguments = dict(
    aggregator=tff.aggregators.MeanFactory(),
    image_shape=(1,),
    images_per_round=_IMAGES,
    images_per_teacher=_SHARD,
  )
  arguments.update(overrides)
  return topagg_gan.build_topagg_gan(
    generator,
    teacher or _teacher(),
    students.GradientStudent(generator, toy_gan.sgd(1.0)),
    **arguments,
  )


def _votes(**settings):
  return image_votes.ImageVoteFactory(
    gradient_codes.ClippedCode(_CLIP),
    teachers=_TEACHERS,
    noise_multiplier=0.0,
    **settings,
  )


@pytest.fixture(scope="module")
def store(tmp_path_factory):
  return client_store.ClientStore(tmp_path_factory.mktemp("alone"))


@pytest.fixture(scope="module")
def paired_store(tmp_path_factory):
  return client_store.ClientStore(tmp_path_factory.mktemp("paired"))


@pytest.fixture(scope="module")
def stored_process(tff_runtime, store):
  return _build(store=store)


@pytest.fixture(scope="module")
def paired_process(tff_runtime, paired_store):
  return _build(
    store=paired_store, teachers_per_client=2, aggregator=_votes(grouped=True)
  )


@pytest.fixture(scope="module")
def forgetful_process(tff_runtime):
  return _build(aggregator=_votes())


@pytest.fixture
def stored(stored_process, store):
  _empty(store)
  return stored_process


@pytest.fixture
def paired(paired_process, paired_store):
  _empty(paired_store)
  return paired_process


def _empty(store):
  for name in os.listdir(store.directory):
    os.remove(os.path.join(store.directory, name))


def _files(store, client) -> dict:
  """The bytes of a client's files."""
  contents = {}
  for name in os.listdir(store.directory):
    if name.startswith(f"{client}."):
      with open(os.path.join(store.directory, name), "rb") as file:
        contents[name] = file.read()
  return contents


def _client(number, *shards):
  images = np.full([len(shards), _SHARD, 1], -1, np.float32)
  mask = np.zeros([len(shards), _SHARD], np.float32)
  for row, shard in enumerate(shards):
    images[row, : len(shard), 0] = shard
    mask[row, : len(shard)] = 1
  return tf.data.Dataset.from_tensors(
    collections.OrderedDict(
      client=np.int32(number),
      images=images,
      labels=np.zeros([len(shards), _SHARD], np.int32),
      mask=mask,
    )
  )


def _clients(real=_REAL, of=range(_TEACHERS)):
  return [_client(i, real[i]) for i in of]


def _pairs(real=_REAL):
  return [_client(i, real[2 * i], real[2 * i + 1]) for i in range(2)]


class _ByHand:
  """A discriminator and its Adam (Kingma and Ba, 2015) in NumPy."""

  def __init__(self):
    self.weights = np.array([toy_gan.SLOPE, toy_gan.BIAS])
    self.steps = 0
    self.mean, self.square = np.zeros(2), np.zeros(2)

  def _passes(self, images):
    slope, bias = self.weights
    return 1 / (1 + np.exp(-(slope * images + bias)))

  def judge(self, real, images):
    real = np.array(real)
    for _ in range(_STEPS if self.steps else _FIRST_STEPS):
      on_fake = self._passes(images) / len(images)
      on_real = (self._passes(real) - 1) / max(len(real), 1)
      gradient = np.array(
        [
          np.sum(on_fake * images) + np.sum(on_real * real),
          np.sum(on_fake) + np.sum(on_real),
        ]
      )
      self.steps += 1
      self.mean = _BETA_1 * self.mean + (1 - _BETA_1) * gradient
      self.square = _BETA_2 * self.square + (1 - _BETA_2) * gradient**2
      # As at the end of their section 2.
      bias = np.sqrt(1 - _BETA_2**self.steps) / (1 - _BETA_1**self.steps)
      self.weights = self.weights - _RATE * bias * self.mean / (
        np.sqrt(self.square) + _EPSILON
      )
    if not len(real):
      return np.zeros(len(images))
    return (1 - self._passes(images)) * self.weights[0]


def _mean(directions):
  return np.mean(directions, axis=0)


def _clipped(directions):
  # An image of one number is as long as that.
  return np.sum(np.clip(directions, -_CLIP, _CLIP), axis=0) / _TEACHERS


def _run(process, state, *rounds):
  for data in rounds:
    state = process.next(state, data).state
  return state


def _check(process, state, images, by_hand=None, store=None, size=1):
  weights = process.get_model_weights(state)
  for one in (weights.generator, weights.averaged_generator):
    np.testing.assert_allclose(one[0][:, 0], images, **_TOLERANCE)
  for i, teacher in enumerate(by_hand or ()):
    own = _kept(store, i // size, state.round_num, size)
    row = i % size
    assert own.memory["step"][row] == teacher.steps
    for kept, expected in (
      (own.weights, teacher.weights),
      (own.memory["accumulator"], teacher.mean),
      (own.memory["preconditioner"], teacher.square),
    ):
      slope, bias = (w[row] for w in kept)
      np.testing.assert_allclose([slope[0], bias], expected, **_TOLERANCE)


def _kept(store, client, rounds, size, teacher=None):
  specs = tf.nest.map_structure(
    lambda x: tf.TensorSpec(
      [size, *np.shape(x)], tf.convert_to_tensor(x).dtype
    ),
    (teacher or _teacher()).initial_state(tf.zeros([2], tf.int32)),
  )
  loaded = store.load(client, tf.constant(rounds), specs)
  assert loaded.found
  return loaded.state


def test_rounds_of_teachers_with_a_memory_equal_numpy(stored, store):
  by_hand = [_ByHand() for _ in _REAL]
  images = _START
  state = stored.initialize()
  # The third teacher misses a round; its discriminator stays as it was.
  for present in (range(4), [0, 1, 3], range(4)):
    directions = _mean([by_hand[i].judge(_REAL[i], images) for i in present])
    output = stored.next(state, _clients(of=present))
    state = output.state
    images = images + directions
    np.testing.assert_allclose(
      output.metrics["server"]["direction_norm"],
      np.linalg.norm(directions),
      **_TOLERANCE,
    )
  assert state.round_num == 3
  assert not tf.nest.flatten(state.teacher_weights)
  _check(stored, state, images, by_hand, store)


def test_teachers_in_pairs_equal_numpy(paired, paired_store):
  by_hand = [_ByHand() for _ in _REAL]
  images = _START
  for _ in range(3):
    directions = [t.judge(r, images) for t, r in zip(by_hand, _REAL)]
    images = images + _clipped(directions)
  state = _run(paired, paired.initialize(), *[_pairs()] * 3)
  _check(paired, state, images, by_hand, paired_store, size=2)


def test_without_a_store_teachers_start_anew(forgetful_process):
  process = forgetful_process
  images = _START
  for _ in range(2):
    images = images + _clipped([_ByHand().judge(r, images) for r in _REAL])
  initial = process.initialize()
  state = _run(process, initial, *[_clients()] * 2)
  _check(process, state, images)
  for one, other in zip(state.teacher_weights, initial.teacher_weights):
    np.testing.assert_array_equal(one, other)


def test_pairs_vote_as_their_teachers_would_alone(paired, forgetful_process):
  # In their first round both have the same teachers.
  one = _run(paired, paired.initialize(), _pairs())
  process = forgetful_process
  other = _run(process, process.initialize(), _clients())
  # The sums are added in another order.
  np.testing.assert_allclose(
    one.weights.generator[0], other.weights.generator[0], rtol=1e-6
  )


def test_only_a_process_with_a_store_writes(stored_process, forgetful_process):
  for process, writes in ((stored_process, True), (forgetful_process, False)):
    proto = tff.framework.serialize_computation(process.next)
    for operation in (b"WriteFile", b"SaveV2"):
      assert (operation in proto.SerializeToString()) == writes


def test_teacher_weights_are_trained_federatedly(tff_runtime):
  process = _build(teacher_aggregator=tff.aggregators.MeanFactory())
  state = _run(process, process.initialize(), *[_clients()] * 3)
  images, shared = _START, np.array([toy_gan.SLOPE, toy_gan.BIAS])
  for _ in range(3):
    by_hand = [_ByHand() for _ in _REAL]
    for teacher in by_hand:
      teacher.weights = shared
    images = images + _mean(
      [t.judge(r, images) for t, r in zip(by_hand, _REAL)]
    )
    shared = _mean([t.weights for t in by_hand])
  _check(process, state, images)
  slope, bias = state.teacher_weights
  np.testing.assert_allclose([slope[0], bias], shared, **_TOLERANCE)


def test_a_teachers_data_changes_its_own_files_and_vote_only(
  stored, store, paired, paired_store
):
  changed = [list(shard) for shard in _REAL]
  changed[1][0] = 50.0
  kept, results = [], []
  for real in (_REAL, changed):
    _empty(store)
    _empty(paired_store)
    _run(stored, stored.initialize(), _clients(real))
    kept.append([_files(store, i) for i in range(_TEACHERS)])
    assert all(kept[-1])
    state = _run(paired, paired.initialize(), _pairs(real))
    results.append(state.weights.generator[0])
  assert [a == b for a, b in zip(*kept)] == [True, False, True, True]
  # From one end of the clip to the other at most, of float32 numbers.
  moved = np.abs(results[1] - results[0])
  assert 0.01 < np.max(moved) <= 2 * _CLIP / _TEACHERS + 1e-6
  own = _kept(paired_store, 0, 1, 2)
  before = _ByHand()
  before.judge(_REAL[0], _START)
  # The teacher in the same client does not notice.
  np.testing.assert_allclose(own.weights[0][0], before.weights[:1], rtol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_direction_that_is_not_finite_counts_for_nothing(stored, bad):
  real = [list(shard) for shard in _REAL]
  real[1][0] = bad
  directions = [_ByHand().judge(r, _START) for r in _REAL]
  directions[1] = np.zeros(_IMAGES)
  state = _run(stored, stored.initialize(), _clients(real))
  _check(stored, state, _START + _mean(directions))


def _assert_same(one, other):
  tf.nest.map_structure(np.testing.assert_array_equal, one, other)


def test_a_round_is_repeated_exactly_from_the_state_before(stored, store):
  early = _run(stored, stored.initialize(), *[_clients()] * 2)
  runs = []
  for _ in range(2):
    late = _run(stored, early, _clients())
    files = [_files(store, i) for i in range(_TEACHERS)]
    runs.append((late, files))
  _assert_same(runs[0][0], runs[1][0])
  assert runs[0][1] == runs[1][1]
  # Whoever was killed in round 3 is where it would have been without that.
  resumed = _run(stored, runs[1][0], _clients())
  _empty(store)
  straight = _run(stored, stored.initialize(), *[_clients()] * 4)
  _assert_same(resumed, straight)
  # After round 4 there is no way back to round 2.
  with pytest.raises(Exception, match="checkpointed after every round"):
    stored.next(early, _clients())


def test_teachers_in_a_store_begin_apart(tff_runtime, tmp_path):
  own_store = client_store.ClientStore(tmp_path)
  process = _build(
    teacher=_Diary(),
    store=own_store,
    teachers_per_client=2,
    aggregator=_votes(grouped=True),
  )
  state = process.initialize()
  begun = []
  for _ in range(2):
    state = _run(process, state, _pairs())
    kept = [_kept(own_store, i, state.round_num, 2, _Diary()) for i in (0, 1)]
    begun.append(
      [np.concatenate([s.weights[0], s.memory[0]], axis=1) for s in kept]
    )
  np.testing.assert_array_equal(begun[0], begun[1])
  assert len(np.unique(begun)) == 8  # Of 4 teachers, 2 numbers each.


def test_weights_can_be_set_and_read(forgetful_process):
  process = forgetful_process
  state = process.initialize()
  weights = process.get_model_weights(state)
  new = weights._replace(generator=(weights.generator[0] + 1,))
  changed = process.set_model_weights(state, new)
  _assert_same(process.get_model_weights(changed), new)
  _assert_same(changed._replace(weights=weights), state)
