"""Runtimes beside that of the test session, which they leave alone."""

import contextlib
from typing import Iterator, Sequence

from tff_gen_debug import runtime
from tff_gen_debug.runtime import default_runtime


@contextlib.contextmanager
def _session_left_open() -> Iterator[None]:
  session, default_runtime._current = default_runtime._current, None
  try:
    yield
  finally:
    default_runtime._current = session


@contextlib.contextmanager
def local(**options) -> Iterator[runtime.LocalRuntime]:
  """A local runtime, as a program that was restarted has."""
  with _session_left_open(), runtime.use_local_runtime(**options) as another:
    yield another


@contextlib.contextmanager
def remote(
  addresses: Sequence[str], **options
) -> Iterator[runtime.RemoteRuntime]:
  """A remote runtime on running workers."""
  with _session_left_open():
    with runtime.use_remote_runtime(addresses, **options) as another:
      yield another
