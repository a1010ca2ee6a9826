"""`python -m tasks.preprocessing_bug --preset demo --out DIR`."""

import logging
import os
import sys

from absl import app

from tasks import configuration
from tasks import console
from tasks.preprocessing_bug import config as config_lib
from tasks.preprocessing_bug import investigation
from tff_gen_debug import runtime
from tff_gen_debug.datasets import emnist

configuration.define_flags(config_lib.PRESETS)

# Errors whose messages say what the user can do.
_EXPECTED = (
  ValueError,
  OSError,
  emnist.EmnistDownloadError,
  emnist.EmnistFileError,
  runtime.WorkerDiedError,
  runtime.WorkerStartError,
)

_logger = logging.getLogger("tasks.preprocessing_bug")


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f"Unknown arguments: {' '.join(argv[1:])}")
  console.set_up()
  try:
    config = configuration.config_from_flags(config_lib.PRESETS)
    folder = configuration.output_folder()
    with runtime.use_local_runtime(log_file=os.path.join(folder, "worker.log")):
      path = investigation.run(config, folder)
  except _EXPECTED as error:
    _logger.debug("The run ended by:", exc_info=True)
    sys.exit(f"{type(error).__name__}: {error}")
  print(f"Report: {path}")


if __name__ == "__main__":
  app.run(main)
