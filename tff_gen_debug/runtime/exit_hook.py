"""Ends the worker of TFF's own default context when Python exits.

TFF ends it when that context is collected, which at the interpreter's exit is
too late: the worker stays, and TFF's finalizer fails loudly. Imports no TFF; if
nothing else did either, there is nothing to end.
"""

import atexit
import gc
import os
import sys

_importer = os.getpid()


def _drop_default_context() -> None:
  # To a forked process the worker is not its own.
  if "tensorflow_federated" not in sys.modules or os.getpid() != _importer:
    return
  import tensorflow_federated as tff

  class Exiting(tff.framework.SyncContext):
    """The default context while Python exits."""

    def invoke(self, comp, arg):
      raise RuntimeError("Python is exiting; nothing can be computed any more.")

  tff.framework.set_default_context(Exiting())
  gc.collect()


atexit.register(_drop_default_context)
