"""What every room's tests share.

TensorFlow takes several seconds to import, and the privacy room must work
without it, so nothing here imports it before a test asks for `tff_runtime`.
"""

import os

# Read when TensorFlow is loaded, so before any test module imports it.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Tests give the same result on every machine; also, looking for GPUs is noisy.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import pytest  # noqa: E402


@pytest.fixture(scope="session")
def tff_runtime():
  """TFF computations run, on one worker for the whole session.

  A test (or, by `pytestmark = pytest.mark.usefixtures("tff_runtime")`, a
  module) that computes with TFF asks for it. Yields the `LocalRuntime`.
  """
  from tff_gen_debug import runtime

  with runtime.use_local_runtime() as local_runtime:
    yield local_runtime
