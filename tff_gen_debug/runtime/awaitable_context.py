"""Computations whose results are awaited."""

import asyncio
import concurrent.futures
import threading
from typing import Any

import tensorflow_federated as tff


class AwaitableContext(tff.framework.AsyncContext):
  """Runs computations without blocking the caller's event loop.

  For `tff.program.NativeFederatedContext` and for `await process.next(...)`.
  TFF's own asynchronous context blocks it: its requests to a worker return when
  they are answered, so that two of them never wait for two workers at a time.
  """

  def __init__(self, context: tff.framework.SyncContext):
    self._context = context

  async def invoke(self, comp: Any, arg: Any) -> Any:
    """See base class; raises what the given context raises."""
    if asyncio.iscoroutine(arg):
      arg = await arg
    future: concurrent.futures.Future = concurrent.futures.Future()
    # Past this the future can't be cancelled, as the worker can't be.
    future.set_running_or_notify_cancel()

    def run():
      try:
        future.set_result(self._context.invoke(comp, arg))
      except StopIteration as error:
        # asyncio refuses to raise it, and who awaits the future would hang.
        ended = RuntimeError(f"StopIteration during a computation: {error}")
        ended.__cause__ = error
        future.set_exception(ended)
      except BaseException as error:  # Reaches whoever awaits the future.
        future.set_exception(error)

    # A daemon, unlike the threads of `asyncio.to_thread`: an interrupted script
    # must not wait for the round that it gives up.
    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(future)
