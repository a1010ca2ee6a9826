"""Tests of clients' states in files, and of rounds that were broken off."""

import os

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.learning import client_store

# A mark is complete with that many digits.
_MARK_LENGTH = 10


def _specs(rows=3):
  return {
    "step": tf.TensorSpec([], tf.int64),
    "weights": (
      tf.TensorSpec([rows, 2], tf.float32),
      tf.TensorSpec([0], tf.float32),
    ),
    "flag": tf.TensorSpec([1], tf.bool),
  }


def _state(number: int):
  """A state that float32 for all of it would not hold."""
  return {
    "step": tf.constant(2**40 + number, tf.int64),
    "weights": (
      tf.fill([3, 2], tf.constant(1 / 3 + number)),
      tf.zeros([0]),
    ),
    "flag": tf.constant([number % 2 == 1]),
  }


def _number(state) -> int:
  """Which `_state` it is; all parts have to agree."""
  number = int(state["step"]) - 2**40
  expected = _state(number)
  tf.nest.map_structure(np.testing.assert_array_equal, state, expected)
  tf.nest.map_structure(_same_dtype, state, expected)
  return number


def _same_dtype(one, other):
  assert one.dtype == other.dtype


def _load(store, client, rounds_done):
  return store.load(
    tf.constant(client, tf.int32), tf.constant(rounds_done, tf.int32), _specs()
  )


def _round(store, client, rounds_done, number):
  """The client's part in the round after `rounds_done`: returns what it had."""
  loaded = _load(store, client, rounds_done)
  store.save(
    loaded.other_place, tf.constant(rounds_done + 1, tf.int32), _state(number)
  )
  return _number(loaded.state) if loaded.found else None


def _last_place(store, client, rounds_done) -> str:
  """The place that the latest save went to."""
  read = {
    "a": os.path.join(store.directory, f"{client}.a"),
    "b": os.path.join(store.directory, f"{client}.b"),
  }
  for place in read.values():
    mark = place + ".round"
    if os.path.exists(mark):
      with open(mark, encoding="ascii") as file:
        if file.read() == f"{rounds_done:0{_MARK_LENGTH}d}":
          return place
  raise AssertionError(f"no place of round {rounds_done}")


@pytest.fixture
def store(tmp_path):
  return client_store.ClientStore(tmp_path / "made" / "here")


def test_a_first_load_finds_nothing_but_zeros(store):
  assert os.path.isdir(store.directory)
  loaded = _load(store, 0, 0)
  assert not loaded.found
  expected = tf.nest.map_structure(
    lambda s: np.zeros(s.shape, s.dtype.as_numpy_dtype), _specs()
  )
  tf.nest.map_structure(np.testing.assert_array_equal, loaded.state, expected)
  tf.nest.map_structure(_same_dtype, loaded.state, _state(0))
  # Also in a round long after the first.
  assert not _load(store, 0, 1234).found
  # Reading leaves nothing.
  assert not os.listdir(store.directory)


def test_a_client_reads_what_it_wrote_in_the_round_before(store):
  had = [_round(store, 7, done, 10 * done) for done in range(6)]
  assert had == [None, 0, 10, 20, 30, 40]
  # Another process, on the same files.
  other = client_store.ClientStore(store.directory)
  assert _number(_load(other, 7, 6).state) == 50
  # Two places of a client, however many rounds.
  places = {name.split(".")[1] for name in os.listdir(store.directory)}
  assert places == {"a", "b"}


def test_clients_do_not_share_files(store):
  # Numbers of which one begins as the other does.
  for client in (1, 11, 111):
    assert _round(store, client, 0, client) is None
  for client in (11, 1, 111):
    assert _round(store, client, 1, 2 * client) == client
  assert [_number(_load(store, c, 2).state) for c in (1, 11, 111)] == [
    2,
    22,
    222,
  ]
  # One who goes back leaves the others where they are.
  assert _number(_load(store, 11, 1).state) == 11
  assert not _load(store, 2, 2).found


def test_a_round_that_was_broken_off_is_redone_from_the_state_before(store):
  for done in range(3):
    _round(store, 0, done, 1 + done)
  # Rounds 1 to 3 are done by the client, and 2 by the process.
  for number in (33, 333):
    assert _round(store, 0, 2, number) == 2
  # The last try counts, and its place is not that of the state before.
  assert _number(_load(store, 0, 3).state) == 333
  assert _number(_load(store, 0, 2).state) == 2
  assert _round(store, 0, 3, 4) == 333


def test_the_first_round_can_be_redone_too(store):
  _round(store, 0, 0, 1)
  assert _round(store, 0, 0, 5) is None
  assert _round(store, 0, 1, 6) == 5


def test_a_client_may_skip_rounds(store):
  _round(store, 0, 4, 1)
  assert _round(store, 0, 9, 2) == 1
  assert _round(store, 0, 20, 3) == 2
  # Broken off: the process is back at the end of round 20.
  assert _round(store, 0, 20, 4) == 2
  assert _round(store, 0, 25, 5) == 4


def test_a_process_further_back_than_the_files_is_an_error(store):
  for done in range(3):
    _round(store, 5, done, done)
  with pytest.raises(
    tf.errors.InvalidArgumentError, match="checkpointed after every round"
  ):
    _load(store, 5, 1)
  # A client that was not in those rounds has nothing to lose.
  assert not _load(store, 6, 1).found
  # As at the start of a new run in an old run's directory.
  with pytest.raises(tf.errors.InvalidArgumentError, match="checkpointed"):
    _load(store, 5, 0)


def _empty_mark(place):
  with open(place + ".round", "w", encoding="ascii"):
    pass


def _half_a_mark(place):
  with open(place + ".round", "w", encoding="ascii") as file:
    file.write("00000")


def _empty_mark_and_half_the_data(place):
  _empty_mark(place)
  data = place + ".data-00000-of-00001"
  os.truncate(data, os.path.getsize(data) // 2)


def _empty_mark_and_no_data(place):
  _empty_mark(place)
  os.remove(place + ".data-00000-of-00001")
  os.remove(place + ".index")


@pytest.mark.parametrize(
  "damage",
  [
    _empty_mark,
    _half_a_mark,
    _empty_mark_and_half_the_data,
    _empty_mark_and_no_data,
  ],
)
@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_a_kill_while_writing_leaves_the_state_before(store, damage, rounds):
  for done in range(rounds):
    _round(store, 0, done, 1 + done)
  damage(_last_place(store, 0, rounds))
  # The process did not end the round either, and redoes it.
  had = _round(store, 0, rounds - 1, 77)
  assert had == (rounds - 1 or None)
  assert _round(store, 0, rounds, 78) == 77


def test_the_mark_is_empty_while_the_state_is_written(store, monkeypatch):
  _round(store, 0, 0, 1)
  _round(store, 0, 1, 2)
  loaded = _load(store, 0, 2)
  place = loaded.other_place.numpy().decode()
  assert place == _last_place(store, 0, 1)

  def killed(*args, **kwargs):
    del args, kwargs
    raise KeyboardInterrupt

  monkeypatch.setattr(tf.raw_ops, "SaveV2", killed)
  with pytest.raises(KeyboardInterrupt):
    store.save(loaded.other_place, tf.constant(3), _state(3))
  assert os.path.getsize(place + ".round") == 0
  monkeypatch.undo()
  assert _number(_load(store, 0, 2).state) == 2


def test_a_write_that_fails_in_a_graph_leaves_the_mark_empty(store):
  _round(store, 0, 0, 1)
  _round(store, 0, 1, 2)
  place = _last_place(store, 0, 1)
  # Where the data should go is something that can't be replaced.
  data = place + ".data-00000-of-00001"
  os.remove(data)
  os.makedirs(os.path.join(data, "full"))

  @tf.function
  def save():
    store.save(tf.constant(place), tf.constant(3), _state(3))

  with pytest.raises(tf.errors.OpError):
    save()
  assert os.path.getsize(place + ".round") == 0
  assert _number(_load(store, 0, 2).state) == 2


def test_a_state_of_another_shape_is_an_error(store):
  _round(store, 0, 0, 1)
  with pytest.raises(tf.errors.InvalidArgumentError):
    store.load(tf.constant(0), tf.constant(1), _specs(rows=4))


@pytest.mark.parametrize("character", "*?[\\")
def test_a_directory_that_is_a_pattern_is_refused(tmp_path, character):
  directory = tmp_path / f"a{character}b"
  with pytest.raises(ValueError, match="directory.*wildcards"):
    client_store.ClientStore(directory)
  assert not directory.exists()


def test_a_relative_directory_is_that_of_the_process(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  store = client_store.ClientStore("states")
  assert store.directory == str(tmp_path / "states")


_DATA = tff.SequenceType(np.int32)


@pytest.fixture(scope="module")
def counting(tff_runtime, tmp_path_factory):
  """Clients that add their datum to a sum of their own, round by round."""
  store = client_store.ClientStore(tmp_path_factory.mktemp("store"))
  specs = {
    "sum": tf.TensorSpec([2], tf.float32),
    "step": tf.TensorSpec([], tf.int64),
  }

  @tff.tensorflow.computation(np.int32, _DATA)
  def work(rounds_done, dataset):
    client = dataset.get_single_element()
    loaded = store.load(client, rounds_done, specs)
    own = tf.cast(client, tf.float32) * tf.constant([1.0, 0.5])
    state = {
      "sum": loaded.state["sum"] + own,
      "step": loaded.state["step"] + 1,
    }
    saved = store.save(loaded.other_place, rounds_done + 1, state)
    with tf.control_dependencies([saved]):
      return tf.identity(state["sum"]), tf.identity(state["step"]), loaded.found

  @tff.federated_computation(
    tff.FederatedType(np.int32, tff.SERVER),
    tff.FederatedType(_DATA, tff.CLIENTS),
  )
  def run(rounds_done, data):
    return tff.federated_map(work, (tff.federated_broadcast(rounds_done), data))

  return run


def _count(counting, rounds_done, clients):
  data = [tf.data.Dataset.from_tensors(np.int32(c)) for c in clients]
  return [
    (list(total), int(step), bool(found))
    for total, step, found in counting(rounds_done, data)
  ]


def test_clients_of_tff_keep_their_states(counting):
  assert _count(counting, 0, [1, 2]) == [
    ([1, 0.5], 1, False),
    ([2, 1], 1, False),
  ]
  assert _count(counting, 1, [2, 3]) == [
    ([4, 2], 2, True),
    ([3, 1.5], 1, False),
  ]
  # Broken off and redone, then on.
  for _ in range(2):
    assert _count(counting, 2, [1, 2]) == [
      ([2, 1], 2, True),
      ([6, 3], 3, True),
    ]
  assert _count(counting, 3, [2]) == [([8, 4], 4, True)]
  with pytest.raises(Exception, match="checkpointed after every round"):
    _count(counting, 1, [2])
