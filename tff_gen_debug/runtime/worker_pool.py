"""Several remote workers as one context: whoever is free and alive computes."""

import dataclasses
import logging
import math
import os
import threading
import time
from typing import Any, Optional, Sequence

import grpc
import tensorflow_federated as tff

from tff_gen_debug.runtime import remote_worker
from tff_gen_debug.runtime import worker_stub

_logger = logging.getLogger(__name__)

# How long a worker that could not be reached is left alone, at first and at
# most; twice as long each time.
_RETRY_SECONDS = 2.0
_MAX_RETRY_SECONDS = 30.0


class NoWorkerError(RuntimeError):
  """No remote worker could be reached for as long as was allowed."""


@dataclasses.dataclass
class _Member:
  """A worker and what is known of it.

  Attributes:
    worker: The worker.
    busy: Whether a thread computes on it, or asks whether it is there.
    lost: Why it can't be used at present, or None if it can.
    pause: How long it is left alone when it doesn't answer.
    retry_at: When it may be asked again.
    asked_at: When it last failed to answer.
  """

  worker: remote_worker.RemoteWorker
  busy: bool = False
  lost: Optional[str] = "was never reached"
  pause: float = 0.0
  retry_at: float = 0.0
  asked_at: float = -math.inf


class WorkerPool(tff.framework.SyncContext):
  """Gives each computation to a free worker, and to another if that is lost.

  May be called by many threads; those for which no worker is free wait. A lost
  worker is asked from time to time, in the background, whether it is back.
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
      patience: Seconds to wait while none of the workers can be reached; each
        is asked once at least.
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
    worker_stub.check_owner(self._owner, "use_remote_runtime")
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

  def wait_for_one(self) -> None:
    """Waits until some worker answers, or patience ends.

    Raises:
      NoWorkerError: If none does.
    """
    self._give_back(self._take(), None)

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
    began = time.monotonic()
    with self._changed:
      while True:
        if self._closed:
          raise RuntimeError(
            "This runtime is closed. Call tff_gen_debug.runtime."
            "use_remote_runtime() for another one."
          )
        for member in self._members:
          if member.lost is None and not member.busy:
            member.busy = True
            return member
        self._ask_who_is_due()
        if any(member.lost is None for member in self._members):
          began = time.monotonic()
        self._raise_if_nobody_is_there(began)
        self._changed.wait(_RETRY_SECONDS / 4)

  def _raise_if_nobody_is_there(self, began: float) -> None:
    asked = min(member.asked_at for member in self._members)
    if asked >= began and time.monotonic() >= began + self._patience:
      raise NoWorkerError(
        f"No worker could be reached for {self._patience:.0f} s:\n"
        + "\n".join(
          f"  {member.worker.address} {member.lost}" for member in self._members
        )
      )

  def _ask_who_is_due(self) -> None:
    """Asks lost workers whether they are there; each waits for itself."""
    for member in self._members:
      is_due = member.retry_at <= time.monotonic()
      if member.lost is not None and not member.busy and is_due:
        member.busy = True
        threading.Thread(target=self._ask, args=(member,), daemon=True).start()

  def _ask(self, member: _Member) -> None:
    lost: Optional[str] = "could not be asked"
    try:
      member.worker.check()
      _logger.info("TFF's worker at %s answers.", member.worker.address)
      lost = None
    except grpc.RpcError as error:
      lost = f"does not answer ({_brief(error)})"
    finally:
      self._give_back(member, lost)

  def _give_back(self, member: _Member, lost: Optional[str]) -> None:
    with self._changed:
      member.busy = False
      member.lost = lost
      if lost is None:
        member.pause = 0.0
      else:
        member.asked_at = time.monotonic()
        member.retry_at = member.asked_at + member.pause
        member.pause = min(
          max(2 * member.pause, _RETRY_SECONDS), _MAX_RETRY_SECONDS
        )
      self._changed.notify_all()


def _brief(error: grpc.RpcError) -> str:
  if isinstance(error, grpc.Call):
    return f"{error.code().name}: {error.details()}"
  return str(error)
