"""Where computations run: execution contexts that clean up after themselves."""

from tff_gen_debug.runtime.execution import WorkerDiedError
from tff_gen_debug.runtime.local import LocalRuntime
from tff_gen_debug.runtime.local import use_local_runtime
from tff_gen_debug.runtime.worker_process import WorkerStartError

__all__ = [
  "LocalRuntime",
  "WorkerDiedError",
  "WorkerStartError",
  "use_local_runtime",
]
