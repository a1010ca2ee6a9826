"""Checkpoints of a training program: written whole, checked when read.

State and ledger go together into one `tff.program.FileProgramStateManager`
version, which appears under its name when it is whole. A digest inside it tells
whether what is read is what was written.

A damaged one is set aside for the one before, as `damaged_INDEX_rounds_A_B`: it
had B rounds, the one before had A. What lies between has been released, and
will be run and released again, so each such folder stands for the cost of these
rounds. A checkpoint says how many of the folders its ledger knows of; the cost
of the others is still to be charged, whatever was damaged, killed and resumed
since. So they are never removed.
"""

import asyncio
from collections.abc import Coroutine
from concurrent import futures
import contextlib
import dataclasses
import hashlib
import logging
import os
import re
from typing import Any, Optional, TypeVar

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff
import tree

from tff_gen_debug.privacy import ledger as ledger_lib

_T = TypeVar("_T")

_logger = logging.getLogger(__name__)

_PREFIX = "round_"
_DAMAGED = re.compile("damaged_([0-9]+)_rounds_([0-9]+)_([0-9]+)")


class CheckpointError(RuntimeError):
  """There are checkpoints, but none that this run can go on from."""


class CheckpointWriteError(OSError):
  """A checkpoint could not be written; those before it are as they were."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
  """What a run goes on from.

  Attributes:
    state: The state of the process.
    ledger: What has been spent, but for `lost`.
    rounds: The number of rounds in `state`.
    lost: Rounds, counted from 0, that were released and then lost with a
      damaged checkpoint, and that `ledger` doesn't know of: a range for each.
  """

  state: Any
  ledger: ledger_lib.PrivacyLedger
  rounds: int
  lost: tuple[range, ...]


class Checkpoints:
  """The two latest checkpoints in a directory."""

  def __init__(self, directory: str):
    """Opens or makes the directory and clears it of half-written checkpoints.

    Args:
      directory: Where they are.

    Raises:
      CheckpointWriteError: If the directory can't be made.
    """
    self._directory = os.fspath(directory)
    try:
      self._manager = tff.program.FileProgramStateManager(
        self._directory, prefix=_PREFIX, keep_total=2, keep_first=False
      )
      self._remove_unfinished()
    except (OSError, tf.errors.OpError) as error:
      raise CheckpointWriteError(
        f"The folder of checkpoints {self._directory} can't be made: {error}"
      ) from error

  def save(
    self, state: Any, ledger: ledger_lib.PrivacyLedger, rounds: int
  ) -> None:
    """Writes a checkpoint to the disk, then removes all but the two latest.

    Args:
      state: The state of the process.
      ledger: What has been spent, with what `load_latest` said was lost.
      rounds: The number of rounds in `state`, more than in the last checkpoint.

    Raises:
      CheckpointWriteError: If it can't be written.
    """
    content = (state, ledger.to_json(), len(self._set_aside()))
    try:
      run_coroutine(self._manager.save((*content, _digest(content)), rounds))
      _sync(self._path(rounds))
    except (OSError, tf.errors.OpError) as error:
      self._remove_unfinished()
      raise CheckpointWriteError(
        f"The checkpoint of round {rounds} can't be written to "
        f"{self._directory}: {_first_line(error)}. Those before it are intact: "
        "make room or give access, and start again to go on from there."
      ) from error

  def load_latest(self, structure: Any) -> Optional[Checkpoint]:
    """Reads the latest checkpoint that is undamaged.

    Args:
      structure: A state of the process that goes on.

    Returns:
      The checkpoint; None if there never was one.

    Raises:
      CheckpointError: If it is of another process, or all are damaged.
    """
    versions = run_coroutine(self._manager.get_versions()) or []
    while versions:
      version = versions.pop()
      content = self._load(version, versions[-1] if versions else 0, structure)
      if content is None:
        continue
      state, text, known = content
      _check_same_tensors(structure, state, self._path(version))
      return Checkpoint(
        state=state,
        ledger=ledger_lib.PrivacyLedger.from_json(text),
        rounds=version,
        lost=tuple(self._set_aside()[known:]),
      )
    if self._set_aside():
      raise CheckpointError(
        f"All checkpoints in {self._directory} are damaged. A run in another "
        "folder starts anew, and spends its budget again: add up what both "
        "have spent."
      )
    return None

  def _load(
    self, version: int, before: int, structure
  ) -> Optional[tuple[Any, str, int]]:
    """Reads and checks one version; sets it aside and returns None if bad."""
    try:
      state, text, known, digest = run_coroutine(
        self._manager.load(version, (structure, "", 0, ""))
      )
      text, digest = _text(text), _text(digest)
      known = int(known)
      damage = None
      if digest != _digest((state, text, known)):
        damage = "its content is not what was written"
    except (TypeError, ValueError) as error:
      if _is_readable(self._path(version)):
        raise CheckpointError(
          f"The checkpoint {self._path(version)} is of another process or "
          f"another version of this one: {_first_line(error)}. Use another "
          "folder."
        ) from error
      damage = _first_line(error)
    # Protocol buffers, TensorFlow and the file system each have errors of
    # their own for bytes that are not theirs.
    except Exception as error:  # pylint: disable=broad-except
      damage = _first_line(error)
    if damage is None:
      return state, text, known
    index = len(self._set_aside())
    aside = os.path.join(
      self._directory, f"damaged_{index}_rounds_{before}_{version}"
    )
    tf.io.gfile.rename(self._path(version), aside)
    _logger.error(
      "The checkpoint of round %d is damaged (%s). It is set aside as %s; "
      "going back to the one before.",
      version,
      damage,
      aside,
    )
    return None

  def _path(self, version: int) -> str:
    return os.path.join(self._directory, f"{_PREFIX}{version}")

  def _names(self) -> list[str]:
    # Folders have a slash at their end where the file system has none.
    return [name.rstrip("/") for name in tf.io.gfile.listdir(self._directory)]

  def _set_aside(self) -> list[range]:
    """The rounds that each damaged checkpoint lost, in the order of damage."""
    found = [_DAMAGED.fullmatch(name) for name in self._names()]
    numbers = sorted(
      tuple(map(int, match.groups())) for match in found if match
    )
    return [range(before, version) for _, before, version in numbers]

  def _remove_unfinished(self) -> None:
    for name in self._names():
      if re.fullmatch(_PREFIX + "[0-9]+_temp[0-9]+", name):
        with contextlib.suppress(tf.errors.OpError):
          tf.io.gfile.rmtree(os.path.join(self._directory, name))


def run_coroutine(coroutine: Coroutine[Any, Any, _T]) -> _T:
  """Waits for `coroutine`, also where an event loop runs, as in notebooks."""
  with futures.ThreadPoolExecutor(max_workers=1) as executor:
    return executor.submit(lambda: asyncio.run(coroutine)).result()


def _sync(path: str) -> None:
  """Has a folder outlive a loss of power, where there is a local disk."""
  if not os.path.isdir(path):
    return
  paths = [os.path.dirname(path)]
  for folder, _, names in os.walk(path):
    paths += [folder, *(os.path.join(folder, name) for name in names)]
  for each in paths:
    descriptor = os.open(each, os.O_RDONLY)
    try:
      os.fsync(descriptor)
    finally:
      os.close(descriptor)


def _is_readable(path: str) -> bool:
  """Whether it is a SavedModel, so that only its structure can be wrong."""
  try:
    tf.saved_model.load(path)()
  except Exception:  # pylint: disable=broad-except
    return False
  return True


def _as_read(leaf) -> np.ndarray:
  """A leaf as it comes back: Python's numbers are of TensorFlow's types."""
  if isinstance(leaf, (bool, int, float)):
    return np.asarray(tf.constant(leaf).numpy())
  return np.asarray(leaf)


def _digest(content) -> str:
  """SHA-256 of the leaves' types, shapes and bytes, in order."""
  sha = hashlib.sha256()
  for leaf in tree.flatten(content):
    array = _as_read(leaf)
    if array.dtype.kind in "OSU":
      # As strings come back: objects, bytes or text, one as good as the other.
      values = [
        value if isinstance(value, bytes) else str(value).encode()
        for value in array.reshape(-1).tolist()
      ]
      sha.update(f"strings {array.shape} {[len(v) for v in values]}".encode())
      sha.update(b"".join(values))
    else:
      sha.update(f"{array.dtype.str} {array.shape}".encode())
      sha.update(np.ascontiguousarray(array).tobytes())
  return sha.hexdigest()


def _text(value) -> str:
  return value.decode() if isinstance(value, bytes) else str(value)


def _first_line(error: Exception) -> str:
  return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _check_same_tensors(expected, found, path: str) -> None:
  """Raises a CheckpointError that shows what differs in shape or type."""
  differences = []
  for (name, one), (_, other) in zip(
    tree.flatten_with_path(expected), tree.flatten_with_path(found)
  ):
    one, other = _as_read(one), _as_read(other)
    if one.dtype.kind in "OSU" and other.dtype.kind in "OSU":
      continue
    if (one.shape, one.dtype) != (other.shape, other.dtype):
      label = "/".join(map(str, name)) or "state"
      differences.append(
        f"{label}: {other.dtype}{list(other.shape)} there, "
        f"{one.dtype}{list(one.shape)} here"
      )
  if differences:
    shown = "\n  ".join(differences[:10])
    more = len(differences) - 10
    raise CheckpointError(
      f"The checkpoint {path} is of another process:\n  {shown}"
      + (f"\n  and {more} more" if more > 0 else "")
      + "\nUse another folder, or the settings that it was made with."
    )
