"""What this package needs from TFF and can't have through its public API."""

import contextlib
import threading
from typing import Iterator, List

import tensorflow_federated as tff


def _fresh_thread_context():
  found: List[object] = []
  thread = threading.Thread(
    target=lambda: found.append(tff.framework.get_context_stack().current)
  )
  thread.start()
  thread.join()
  return found[0]


@contextlib.contextmanager
def context_of_other_threads(context: tff.framework.SyncContext) -> Iterator:
  """Lets threads other than the caller's compute, as long as it is entered.

  TFF keeps its default context in a `threading.local`: each new thread starts
  with one that raises "No default context installed", whatever the main thread
  has set, and `tff.framework.set_default_context` reaches only the thread that
  calls it. That starting context is one object for all threads, so handing its
  calls on reaches them all. A thread that sets its own default keeps it. Where
  one is entered within another, the outer one holds again afterwards.

  Args:
    context: What the other threads shall use.

  Yields:
    Nothing.
  """
  placeholder = _fresh_thread_context()
  if type(placeholder).__name__ != "RuntimeErrorContext":
    # Another TFF, with another way; then threads do as that TFF says.
    yield
    return
  outer = vars(placeholder).get("invoke")
  placeholder.invoke = context.invoke
  try:
    yield
  finally:
    if vars(placeholder).get("invoke") == context.invoke:
      if outer is None:
        del placeholder.invoke
      else:
        placeholder.invoke = outer
