"""TFF's default way to compute, and the restoring of the one before."""

import atexit
import contextlib
import os
from typing import Callable, Optional, TypeVar

import tensorflow_federated as tff

from tff_gen_debug.runtime import awaitable_context
from tff_gen_debug.runtime import compat


class Runtime:
  """A way to compute that is TFF's default until it is closed.

  Made by `use_local_runtime` and `use_remote_runtime`. Also a context manager
  that closes itself.
  """

  def __init__(
    self, context: tff.framework.SyncContext, resources: contextlib.ExitStack
  ):
    """Becomes the default.

    Args:
      context: What computes.
      resources: What is closed at the end.
    """
    self._context = context
    self._resources = resources
    self._owner = os.getpid()
    self._closed = False
    self._resources.enter_context(compat.context_of_other_threads(context))
    self._previous: Optional[tff.framework.SyncContext] = (
      tff.framework.get_context_stack().current
    )
    tff.framework.set_default_context(context)

  @property
  def context(self) -> tff.framework.SyncContext:
    """The context of ordinary calls: they return when they are computed."""
    return self._context

  @property
  def async_context(self) -> tff.framework.AsyncContext:
    """A context whose calls are awaited, on the same workers.

    For `tff.program.NativeFederatedContext`; the event loop goes on meanwhile.
    """
    return awaitable_context.AwaitableContext(self._context)

  @property
  def closed(self) -> bool:
    """Whether `close` has been called."""
    return self._closed

  def close(self) -> None:
    """Ends it and restores the default context that was there before.

    Does nothing the second time, and nothing to the worker of a parent process.
    Each thread has a default of its own: called from another thread than the
    one that made it, it leaves that one's default to a second call there.
    """
    self._end()
    if self._previous is not None:
      if tff.framework.get_context_stack().current is self._context:
        tff.framework.set_default_context(self._previous)
        self._previous = None

  def _end(self) -> None:
    if os.getpid() == self._owner:
      self._closed = True
      self._resources.close()

  def __enter__(self):
    return self

  def __exit__(self, *unused_error) -> None:
    self.close()


_RuntimeT = TypeVar("_RuntimeT", bound=Runtime)

_current: Optional[Runtime] = None


def replace(make: Callable[[], _RuntimeT]) -> _RuntimeT:
  """Closes the present runtime, if there is one, and makes the next."""
  global _current
  if _current is not None:
    _current.close()
    _current = None
  runtime = make()
  _current = runtime
  return runtime


def _at_exit() -> None:
  global _current
  runtime, _current = _current, None
  if runtime is not None:
    runtime._end()
    runtime._previous = None


atexit.register(_at_exit)
