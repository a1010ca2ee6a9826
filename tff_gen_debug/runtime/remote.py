"""TFF's default execution on workers of other machines."""

import contextlib
import functools
import threading
from typing import Any, Optional, Sequence, Tuple

import grpc

from tff_gen_debug import arguments
from tff_gen_debug.runtime import channels
from tff_gen_debug.runtime import compilation
from tff_gen_debug.runtime import default_runtime
from tff_gen_debug.runtime import remote_worker
from tff_gen_debug.runtime import subrounds
from tff_gen_debug.runtime import worker_pool

# A day. gRPC can't count to infinity.
_MAX_SECONDS = 86400


class RemoteRuntime(default_runtime.Runtime):
  """Workers of other machines, and the TFF contexts that compute on them.

  Made by `use_remote_runtime`. Also a context manager that closes itself.
  """

  def __init__(
    self,
    workers: Sequence[remote_worker.RemoteWorker],
    num_subrounds: int,
    max_repeats: int,
    patience: float,
  ):
    self._workers = tuple(workers)
    self._pool = worker_pool.WorkerPool(
      workers, max_repeats=max_repeats, patience=patience
    )
    with contextlib.ExitStack() as resources:
      resources.callback(self._pool.close)
      self._pool.wait_for_one()
      context = subrounds.in_subrounds(
        self._pool, parallel=len(workers), num_subrounds=num_subrounds
      )
      super().__init__(context, resources.pop_all())

  @property
  def addresses(self) -> Tuple[str, ...]:
    """The workers' addresses."""
    return tuple(worker.address for worker in self._workers)

  @property
  def losses(self) -> int:
    """How often a worker was lost while it computed."""
    return self._pool.losses


def use_remote_runtime(
  addresses: Sequence[str],
  *,
  num_subrounds: Optional[int] = None,
  credentials: Optional[grpc.ChannelCredentials] = None,
  plaintext: bool = False,
  timeout: float = 60.0,
  patience: float = 300.0,
  max_repeats: int = 3,
) -> RemoteRuntime:
  """Makes workers on other machines TFF's default way to compute.

  On each of them runs `python -m tff_gen_debug.runtime.worker --port N`:

      import tff_gen_debug.runtime as runtime
      runtime.use_remote_runtime(["10.0.0.5:8000", "10.0.0.6:8000"],
                                 credentials=runtime.tls_credentials("ca.pem"))

  A round's cohort is cut into parts; each part is computed by a worker that is
  free, and their sums are merged. Noise is drawn once, on the merged sum.
  Computations without clients, such as `process.initialize()`, and those that
  can't be cut run whole on one of the workers. What the server draws at random
  *before* the sum has to be a function of the state, as in all processes of
  this package and of TFF: each part computes it anew.

  A worker that is lost (its process ended, its machine or network is gone, or
  it gives no sign of life for `timeout` seconds) is replaced by another one for
  what it computed, and is used again once it answers. What it was computing is
  repeated, which releases nothing: noise that was drawn there never arrived.

  Workers keep clients' data and models in memory, and compute whatever they are
  sent, file operations included. Read docs/distributed.md before you open a
  port.

  Args:
    addresses: The workers', "host:port" each, at least one, all different.
    num_subrounds: Into how many parts a cohort is cut, at least 1; None means
      one a worker. More bound the memory of each worker, and even out workers
      of different speed.
    credentials: From `tls_credentials`, or any other of gRPC's; None for plain
      connections.
    plaintext: Whether plain connections may leave this machine.
    timeout: Seconds without a sign of life after which a worker is lost, more
      than 0 and at most a day.
    patience: Seconds to wait for the first worker, and later on while none can
      be reached, at least 0 and at most a day.
    max_repeats: How often one computation is repeated because its worker was
      lost, at least 0.

  Returns:
    The runtime. Close it (or use it as a context manager) to restore TFF's
    former default context; otherwise it is closed when Python exits. The
    workers run on.

  Raises:
    TypeError: If an argument has the wrong type.
    ValueError: If one is out of its range, or an address has the wrong form.
    PlaintextError: If a plain connection would leave this machine.
    NoWorkerError: If no worker answers.
  """
  if isinstance(addresses, str):
    raise TypeError(
      f"addresses must be a list of addresses, got the string {addresses!r}"
    )
  addresses = list(addresses)
  if not addresses:
    raise ValueError("addresses must name at least one worker, got none")
  if len(set(addresses)) != len(addresses):
    raise ValueError(f"addresses must be different, got {addresses!r}")
  if not isinstance(plaintext, bool):
    raise TypeError(f"plaintext must be a bool, got {plaintext!r}")
  if credentials is not None:
    if not isinstance(credentials, grpc.ChannelCredentials):
      raise TypeError(
        "credentials must be grpc.ChannelCredentials, got "
        f"{type(credentials).__name__}"
      )
    if plaintext:
      raise ValueError("plaintext is of connections without credentials")
  for address in addresses:
    channels.parse_address(address)
    if credentials is None:
      channels.check_plaintext(address, plaintext)
  if num_subrounds is None:
    num_subrounds = len(addresses)
  parts = arguments.integer("num_subrounds", num_subrounds, 1)
  max_repeats = arguments.integer("max_repeats", max_repeats, 0)
  timeout = arguments.real("timeout", timeout)
  if not 0 < timeout <= _MAX_SECONDS:
    raise ValueError(f"timeout must be in (0, {_MAX_SECONDS}], got {timeout}")
  patience = arguments.real("patience", patience)
  if not 0 <= patience <= _MAX_SECONDS:
    raise ValueError(f"patience must be in [0, {_MAX_SECONDS}], got {patience}")
  compiler = _SharedCompiler()
  workers = [
    remote_worker.RemoteWorker(address, credentials, timeout, compiler)
    for address in addresses
  ]
  return default_runtime.replace(
    lambda: RemoteRuntime(workers, parts, max_repeats, patience)
  )


class _SharedCompiler:
  """Compiles a computation once for all workers, which take the same."""

  def __init__(self):
    self._lock = threading.Lock()
    self._compile = functools.lru_cache(maxsize=128)(compilation.to_native)

  def __call__(self, comp: Any) -> Any:
    with self._lock:
      return self._compile(comp)
