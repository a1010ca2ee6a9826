"""Compiles computations for a worker that knows no cryptography."""

import functools
import logging
from typing import Any, Callable

import tensorflow_federated as tff

# How TFF's protocol buffers name `tff.federated_secure_sum` and its kin.
_SECURE_INTRINSICS = (
  b"federated_secure_sum",
  b"federated_secure_modular_sum",
  b"federated_secure_select",
)


def to_native(comp: Any) -> Any:
  """Compiles for TFF's native backend, with secure sums as plain ones.

  TFF's local workers refuse the intrinsics of secure aggregation, which need a
  cryptographic protocol between devices. In a simulation all clients are on
  this machine anyway, so here the same numbers are added in the clear, as in
  TFF's own tests. The first time a warning says so: the results are those of a
  deployment, its protection is not.

  Args:
    comp: The `tff.Computation` to compile.

  Returns:
    The compiled computation.
  """
  return tff.backends.native.desugar_and_transform_to_native(
    without_secure_intrinsics(comp)
  )


def without_secure_intrinsics(comp: Any) -> Any:
  """Replaces secure sums by plain ones, as `to_native` says.

  Args:
    comp: A `tff.Computation`.

  Returns:
    A `tff.Computation`, the same one if there is nothing to replace.
  """
  serialized = tff.framework.serialize_computation(comp).SerializeToString()
  if any(name in serialized for name in _SECURE_INTRINSICS):
    _warn_once()
    plain = tff.backends.test.replace_secure_intrinsics_with_bodies(comp)
    # It forgets the result's Python containers, such as a process's output.
    return type(plain).with_type(plain, comp.type_signature)
  return comp


def native_context(
  factory: tff.framework.ExecutorFactory,
  compiler: Callable[[Any], Any] = to_native,
) -> tff.framework.SyncExecutionContext:
  """A context that compiles for TFF's workers and computes on `factory`'s.

  Args:
    factory: Makes the executors.
    compiler: Compiles a `tff.Computation`.

  Returns:
    The context.
  """
  return tff.framework.SyncExecutionContext(
    executor_fn=factory,
    compiler_fn=compiler,
    transform_args=tff.tensorflow.transform_args,
    transform_result=tff.tensorflow.transform_result,
  )


@functools.cache
def _warn_once() -> None:
  logging.getLogger(__name__).warning(
    "Simulating secure aggregation: this runtime adds the clients' values in "
    "the clear, without cryptography. Results are those of a deployment, but "
    "whoever can read this process can read every client's value."
  )
