"""What a run says while it lasts: its own progress, not its libraries'.

TensorFlow, Keras and TFF say much that tells a user nothing: that plugins for
GPUs are registered twice, that Grappler left a graph as it was. All of it is
silent unless absl's `--verbosity` is on the command line, which takes two
moments. TensorFlow's native code reads its level from the environment while it
is loaded: `set_native_level`. Python's loggers take theirs from absl, which
reads the flags only when the program begins: `set_up`, `hide_library_messages`.
"""

from collections.abc import Sequence
import logging
import os
import pathlib
from typing import Optional

from absl import flags
from absl import logging as absl_logging
import tqdm

_PACKAGES = ("tasks", "tff_gen_debug")
_NATIVE_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_SILENCE = "3"

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_FOLDERS = tuple(
  os.path.join(_ROOT, name, "") for name in (*_PACKAGES, "benchmarks")
)


class _Handler(logging.Handler):
  """Writes whole lines above a progress bar."""

  def emit(self, record: logging.LogRecord) -> None:
    tqdm.tqdm.write(self.format(record))


def set_native_level(arguments: Sequence[str]) -> None:
  """Has TensorFlow's native code say as much as `--verbosity` asks for.

  Call it before TensorFlow is loaded. It does nothing where `--verbosity` is
  not given, nor where the user has set `TF_CPP_MIN_LOG_LEVEL` to less than the
  silence that importing `tasks` asks for.

  Args:
    arguments: The command line, the program's name first. absl reads it later,
      and complains then of what is wrong in it.
  """
  verbosity = _verbosity(arguments[1:])
  level = os.environ.get(_NATIVE_LEVEL, _SILENCE)
  # Who has asked for silence in the environment cannot be told from `tasks`,
  # and now asks for something else.
  if verbosity is not None and level == _SILENCE:
    # absl counts from -3, fatal errors only, to 0, all, and on to debugging.
    os.environ[_NATIVE_LEVEL] = str(min(max(-verbosity, 0), 3))


def set_up() -> None:
  """Shows messages of this project, and of its libraries only warnings.

  `--verbosity` of absl, where given, brings the libraries' messages back. Call
  it when absl has read the flags.
  """
  # Loads what TensorFlow is, so not at the top: `set_native_level` is first.
  import tensorflow as tf

  if not _verbosity_is_given():
    absl_logging.set_verbosity(absl_logging.WARNING)
    tf.get_logger().setLevel(logging.ERROR)
  handler = _Handler()
  handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
  for name in _PACKAGES:
    logger = logging.getLogger(name)
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    logger.propagate = False


def hide_library_messages() -> None:
  """Has absl show, of what is less than a warning, only this project's.

  For programs that report their own progress with absl's logging. Undone by
  `--verbosity`, as in `set_up`.
  """
  absl_logging.get_absl_handler().addFilter(_is_shown)


def _is_shown(record: logging.LogRecord) -> bool:
  return (
    record.levelno >= logging.WARNING
    or record.pathname.startswith(_FOLDERS)
    or _verbosity_is_given()
  )


def _verbosity_is_given() -> bool:
  return bool(flags.FLAGS["verbosity"].present)


def _verbosity(arguments: Sequence[str]) -> Optional[int]:
  """The last `--verbosity` (or -v) among the arguments; None without one."""
  found = None
  for argument, following in zip(arguments, [*arguments[1:], ""]):
    if argument == "--":
      break
    name, equals, value = argument.partition("=")
    if name in ("-v", "--v", "-verbosity", "--verbosity"):
      try:
        found = int(value if equals else following)
      except ValueError:
        continue
  return found
