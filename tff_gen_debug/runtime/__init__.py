"""Where computations run: execution contexts that clean up after themselves.

What a worker's machine needs, `worker` and `health`, imports no TensorFlow, so
neither does this module until a name of the others is asked for.
"""

import importlib
import typing
from typing import Any

from tff_gen_debug.runtime import exit_hook as _exit_hook  # noqa: F401

if typing.TYPE_CHECKING:
  from tff_gen_debug.runtime.channels import PlaintextError
  from tff_gen_debug.runtime.channels import tls_credentials
  from tff_gen_debug.runtime.checkpoints import CheckpointError
  from tff_gen_debug.runtime.checkpoints import CheckpointWriteError
  from tff_gen_debug.runtime.local import LocalRuntime
  from tff_gen_debug.runtime.local import use_local_runtime
  from tff_gen_debug.runtime.remote import RemoteRuntime
  from tff_gen_debug.runtime.remote import use_remote_runtime
  from tff_gen_debug.runtime.worker_pool import NoWorkerError
  from tff_gen_debug.runtime.worker_process import WorkerStartError
  from tff_gen_debug.runtime.worker_stub import WorkerDiedError

_MODULES = {
  "CheckpointError": "checkpoints",
  "CheckpointWriteError": "checkpoints",
  "LocalRuntime": "local",
  "NoWorkerError": "worker_pool",
  "PlaintextError": "channels",
  "RemoteRuntime": "remote",
  "WorkerDiedError": "worker_stub",
  "WorkerStartError": "worker_process",
  "tls_credentials": "channels",
  "use_local_runtime": "local",
  "use_remote_runtime": "remote",
}

__all__ = [
  "CheckpointError",
  "CheckpointWriteError",
  "LocalRuntime",
  "NoWorkerError",
  "PlaintextError",
  "RemoteRuntime",
  "WorkerDiedError",
  "WorkerStartError",
  "tls_credentials",
  "use_local_runtime",
  "use_remote_runtime",
]


def __getattr__(name: str) -> Any:
  if name not in _MODULES:
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
  module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
  return getattr(module, name)
