"""What every task's `python -m tasks.NAME` does around its run."""

from collections.abc import Callable, Mapping
import logging
import os
import sys
from typing import Any

from absl import app

from tasks import console

# The imports below load TensorFlow.
console.set_native_level(sys.argv)

from tasks import computing  # noqa: E402
from tasks import configuration  # noqa: E402
from tff_gen_debug import runtime  # noqa: E402

_logger = logging.getLogger(__name__)


def main(
  presets: Mapping[str, Any],
  run: Callable[[Any, str], str],
  expected_errors: tuple[type[Exception], ...] = (),
) -> None:
  """Runs a task with the config that the command line asks for, and exits.

  Args:
    presets: Configs by name, as `configuration.define_flags` takes them.
    run: From a config and the output folder to the path of the report.
    expected_errors: Errors of the task whose messages say what the user can do;
      they end the run without a traceback, as `ValueError`, `OSError` and those
      of the runtime do.
  """
  configuration.define_flags(presets)
  computing.define_flags()
  expected: tuple[type[Exception], ...] = (
    ValueError,
    OSError,
    runtime.CheckpointError,
    runtime.NoWorkerError,
    runtime.WorkerDiedError,
    runtime.WorkerStartError,
    *expected_errors,
  )

  def with_flags(argv):
    if len(argv) > 1:
      raise app.UsageError(f"Unknown arguments: {' '.join(argv[1:])}")
    console.set_up()
    try:
      config = configuration.config_from_flags(presets)
      folder = configuration.output_folder()
      with computing.runtime_from_flags(os.path.join(folder, "worker.log")):
        path = run(config, folder)
    except expected as error:
      _logger.debug("The run ended by:", exc_info=True)
      sys.exit(f"{type(error).__name__}: {error}")
    print(f"Report: {path}")

  app.run(with_flags)
