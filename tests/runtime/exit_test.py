"""Tests of what importing the runtime does when Python exits."""

import subprocess
import sys

import psutil
import pytest

_STOCK_WORKER = """
import os
import psutil
import numpy as np
import tensorflow_federated as tff
import tff_gen_debug.runtime

@tff.tensorflow.computation(np.int32)
def increment(x):
  return x + 1

increment(1)
workers = [
  child.pid
  for child in psutil.Process().children()
  if child.name().startswith("worker_binary")
]
print(*workers)
"""


def _run(script):
  return subprocess.run(
    [sys.executable, "-W", "ignore", "-c", script],
    capture_output=True,
    text=True,
    timeout=120,
    check=True,
  )


def test_a_runtime_that_was_never_used_ends_without_a_word():
  result = _run("import tff_gen_debug.runtime")
  assert "Exception ignored" not in result.stderr


@pytest.mark.slow
def test_a_worker_of_tffs_own_context_ends_too():
  # A pipe that the worker keeps open would make this wait for ever.
  (pid,) = map(int, _run(_STOCK_WORKER).stdout.split())
  assert not psutil.pid_exists(pid)
