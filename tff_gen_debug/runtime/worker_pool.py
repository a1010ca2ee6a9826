"""Several remote workers as one context: whoever is free and alive computes."""

import dataclasses
import logging
import os
import threading
import time
from typing import Any, Optional, Sequence

import grpc
import tensorflow_federated as tff

from tff_gen_debug.runtime import remote_worker
from tff_gen_debug.runtime import worker_stub

_logger = logging.getLogger(__name__)

# How long a worker that could not be reached is left alone.
_RETRY_SECONDS = 2.0


class NoWorkerError(RuntimeError):
  """No remote worker could be reached for as long as was allowed."""


@dataclasses.dataclass
class _Member:
  """A worker and what is known of it.

  Attributes:
    worker: The worker.
    busy: Whether a thread has it.
    lost: Why it can't be used at present, or None if it can.
    retry_at: When it may be tried again.
  """

  worker: remote_worker.RemoteWorker
  busy: bool = False
  lost: Optional[str] = "was never reached"
  retry_at: float = 0.0


class WorkerPool(tff.framework.SyncContext):
  """Gives each computation to a free worker, and to another if that is lost.

  May be called by many threads; those for which no worker is free wait. A lost
  worker is tried again from time to time, and works on once it answers.
  """

  def __init__(
    self,
    workers: Sequence[remote_worker.RemoteWorker],
    *,
    max_repeats: int,
    patience: float,
  ):
    """Creates a pool.

    Args:
      workers: The workers, at least one.
      max_repeats: How often one computation is repeated because the worker that
        computed it was lost.
      patience: Seconds to wait while none of the workers can be reached.
    """
    self._members = [_Member(worker) for worker in workers]
    self._max_repeats = max_repeats
    self._patience = patience
    self._changed = threading.Condition()
    self._owner = os.getpid()
    self._closed = False
    self.losses = 0

  def invoke(self, comp: Any, arg: Any) -> Any:
    """See base class.

    Raises:
      NoWorkerError: If no worker can be reached.
      WorkerDiedError: If every repeat lost its worker.
      RuntimeError: If the runtime is closed or belongs to a parent process.
      grpc.RpcError: If the computation itself fails.
    """
    if os.getpid() != self._owner:
      raise RuntimeError(
        f"This runtime belongs to process {self._owner}; a process forked from "
        "it can't share its connections. Call tff_gen_debug.runtime."
        "use_remote_runtime() here, or start processes with the 'spawn' method."
      )
    repeats = 0
    while True:
      member = self._take()
      lost: Optional[str] = None
      try:
        return member.worker.invoke(comp, arg)
      except worker_stub.WorkerDiedError as error:
        lost = str(error)
        self.losses += 1
        if self._closed:
          raise RuntimeError(
            "The runtime was closed during this computation."
          ) from error
        if repeats == self._max_repeats:
          raise worker_stub.WorkerDiedError(
            f"{error}\nThis computation lost {repeats + 1} worker(s) and is "
            "given up. If memory ran out there, raise num_subrounds."
          ) from error
        repeats += 1
        _logger.warning("%s. Repeating what it computed.", lost)
      finally:
        self._give_back(member, lost)

  def check(self) -> None:
    """Waits until each worker has answered, or patience ends.

    Raises:
      NoWorkerError: If none of them did.
    """
    member = self._take()
    self._give_back(member, None)

  def close(self) -> None:
    """Disconnects from all workers; computations that run there fail."""
    with self._changed:
      self._closed = True
      self._changed.notify_all()
    for member in self._members:
      if member.busy:
        member.worker.disconnect()
      else:
        member.worker.free()

  def _take(self) -> _Member:
    """Waits for a free worker that answers."""
    give_up_at = time.monotonic() + self._patience
    while True:
      with self._changed:
        member = self._choose(give_up_at)
        if member is None:
          give_up_at = self._wait(give_up_at)
          continue
        member.busy = True
      if member.lost is None:
        return member
      try:
        member.worker.check()
        _logger.info("TFF's worker at %s answers.", member.worker.address)
        member.lost = None
        return member
      except grpc.RpcError as error:
        self._give_back(member, f"does not answer ({_brief(error)})")

  def _choose(self, give_up_at: float) -> Optional[_Member]:
    if self._closed:
      raise RuntimeError(
        "This runtime is closed. Call tff_gen_debug.runtime."
        "use_remote_runtime() for another one."
      )
    now = time.monotonic()
    free = [member for member in self._members if not member.busy]
    for member in free:
      if member.lost is None:
        return member
    if now > give_up_at and len(free) == len(self._members):
      raise NoWorkerError(
        f"No worker could be reached for {self._patience:.0f} s:\n"
        + "\n".join(
          f"  {member.worker.address} {member.lost}" for member in free
        )
      )
    due = [member for member in free if member.retry_at <= now]
    if not due:
      return None
    return min(due, key=lambda member: member.retry_at)

  def _wait(self, give_up_at: float) -> float:
    """Waits for a change; returns when to give up, later if somebody works."""
    self._changed.wait(_RETRY_SECONDS / 4)
    if any(member.busy and member.lost is None for member in self._members):
      return time.monotonic() + self._patience
    return give_up_at

  def _give_back(self, member: _Member, lost: Optional[str]) -> None:
    with self._changed:
      member.busy = False
      member.lost = lost
      if lost is not None:
        member.retry_at = time.monotonic() + _RETRY_SECONDS
      self._changed.notify_all()


def _brief(error: grpc.RpcError) -> str:
  if isinstance(error, grpc.Call):
    return f"{error.code().name}: {error.details()}"
  return str(error)
