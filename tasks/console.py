"""What a task says while it runs: its own progress, not its libraries'."""

import logging

from absl import flags
from absl import logging as absl_logging
import tensorflow as tf
import tqdm

_PACKAGES = ("tasks", "tff_gen_debug")


class _Handler(logging.Handler):
  """Writes whole lines above a progress bar."""

  def emit(self, record: logging.LogRecord) -> None:
    tqdm.tqdm.write(self.format(record))


def set_up() -> None:
  """Shows messages of this project, and of its libraries only warnings.

  `--verbosity` of absl, where given, brings the libraries' messages back.
  """
  if not flags.FLAGS["verbosity"].present:
    absl_logging.set_verbosity(absl_logging.WARNING)
    tf.get_logger().setLevel(logging.ERROR)
  handler = _Handler()
  handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
  for name in _PACKAGES:
    logger = logging.getLogger(name)
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    logger.propagate = False
