"""State that stays where a client computes, between the rounds of a process.

TFF's clients keep nothing, and a state that travelled to the server and back
would cross its gRPC boundary, at some 60 MB/s, twice a round. Here a client
computation itself writes its state to files under the client's number, and
reads them in its next round: hundreds of clients in memory, in a directory of a
tmpfs such as /dev/shm, and thousands on a disk.

A client has two places, which it writes in turn, so that a round that was
broken off can be run again. A place has a mark, with the number of rounds that
its state has been through; it is empty while the state is being written.
"""

import os
from typing import Any, NamedTuple

import tensorflow as tf

_ROUND_DIGITS = 10
_NOTHING = -1


class StoredState(NamedTuple):
  """What a store has of a client.

  Attributes:
    state: A structure of tensors; zeros if there is none.
    found: bool scalar, whether there is one.
    other_place: string scalar, where the next state goes.
  """

  state: Any
  found: tf.Tensor
  other_place: tf.Tensor


class ClientStore:
  """The clients' states in a directory.

  All workers must see the directory, or a client always meet the same worker.
  A process with a store has to be checkpointed after *every* round: it goes
  back to the state before, but no further, and a round that is run again has to
  have the same clients. A state holds all of an optimizer's, its learning rate
  among it, so a run that goes on with another rate keeps the old one.
  """

  def __init__(self, directory: str):
    """Initializes the store.

    Args:
      directory: Where the files are; made if missing. It belongs to one run: a
        new run in it would start with what the old one left.

    Raises:
      ValueError: If the path has a wildcard, with which TensorFlow would look
        for other files.
    """
    self._directory = os.path.abspath(os.fspath(directory))
    if set(self._directory) & set("*?[\\"):
      raise ValueError(
        "directory must be without the wildcards *, ?, [ and \\, got"
        f" {self._directory}"
      )
    os.makedirs(self._directory, exist_ok=True)

  @property
  def directory(self) -> str:
    """The absolute path."""
    return self._directory

  def load(
    self, client: tf.Tensor, rounds_done: tf.Tensor, specs: Any
  ) -> StoredState:
    """Makes the ops that read a client's latest state.

    Args:
      client: int32 scalar, the client's number.
      rounds_done: int32 scalar, the rounds of the process before this one.
      specs: A structure of `tf.TensorSpec` of known shapes.

    Returns:
      The state. When it runs, a `tf.errors.InvalidArgumentError` if both places
      are of later rounds: the process went on without checkpoints in between.
    """
    number = tf.strings.as_string(client)
    places = tf.stack(
      [
        tf.strings.join([self._directory, "/", number, slot])
        for slot in (".a", ".b")
      ]
    )
    rounds = tf.stack([_read_mark(places[0]), _read_mark(places[1])])
    check = tf.debugging.Assert(
      tf.reduce_any(rounds <= rounds_done),
      [
        "A process with a store of clients' states has to be checkpointed after"
        " every round. Client, its rounds, those of the process:",
        client,
        rounds,
        rounds_done,
      ],
    )
    # In eager mode the check has run, and there is no operation to wait for.
    with tf.control_dependencies([check] if check is not None else []):
      usable = tf.where(rounds <= rounds_done, rounds, _NOTHING)
    place = tf.argmax(usable)
    found = tf.reduce_max(usable) > _NOTHING

    def restore():
      flat = tf.nest.flatten(specs)
      tensors = tf.raw_ops.RestoreV2(
        prefix=places[place],
        tensor_names=_names(flat),
        shape_and_slices=[""] * len(flat),
        dtypes=[spec.dtype for spec in flat],
      )
      shaped = [tf.ensure_shape(t, s.shape) for t, s in zip(tensors, flat)]
      return tf.nest.pack_sequence_as(specs, shaped)

    def nothing():
      return tf.nest.map_structure(lambda s: tf.zeros(s.shape, s.dtype), specs)

    state = tf.cond(found, restore, nothing)
    return StoredState(state, found, places[1 - place])

  def save(
    self, place: tf.Tensor, rounds_done: tf.Tensor, state: Any
  ) -> tf.Operation:
    """Makes the ops that write a client's state after its part in a round.

    Args:
      place: `StoredState.other_place`.
      rounds_done: int32 scalar, the rounds of the process with this one.
      state: A structure of tensors of known shapes.

    Returns:
      The last operation; what the client returns has to depend on it.
    """
    flat = tf.nest.flatten(state)
    mark = tf.strings.join([place, ".round"])
    with tf.control_dependencies(flat):
      begin = tf.io.write_file(mark, "")
    with tf.control_dependencies([begin] if begin is not None else []):
      written = tf.raw_ops.SaveV2(
        prefix=place,
        tensor_names=_names(flat),
        shape_and_slices=[""] * len(flat),
        tensors=flat,
      )
    with tf.control_dependencies([written] if written is not None else []):
      digits = tf.strings.as_string(rounds_done, width=_ROUND_DIGITS, fill="0")
      return tf.io.write_file(mark, digits)


def _names(flat) -> list[str]:
  return [f"state_{i}" for i in range(len(flat))]


def _read_mark(place: tf.Tensor) -> tf.Tensor:
  """The rounds of the state in a place; `_NOTHING` if there is no whole one."""
  path = tf.strings.join([place, ".round"])
  exists = tf.size(tf.io.matching_files(path)) > 0
  text = tf.cond(exists, lambda: tf.io.read_file(path), lambda: "")
  is_whole = tf.equal(tf.strings.length(text), _ROUND_DIGITS)
  number = tf.where(is_whole, text, str(_NOTHING))
  return tf.strings.to_number(number, tf.int32)
