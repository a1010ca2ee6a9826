"""Files that are never seen half-written."""

import os
import tempfile
from typing import Union


def write_atomically(path: Union[str, os.PathLike], content: bytes) -> None:
  """Writes `content` to `path`, or leaves what was there.

  The bytes go to a temporary file in the same directory, which then takes the
  name: a reader, or a run that is killed in the middle, sees the old file or
  the new one.

  Args:
    path: The file to write; its directory must exist.
    content: All of its bytes.

  Raises:
    OSError: If the directory does not exist or can't be written.
  """
  path = os.fspath(path)
  directory, name = os.path.split(os.path.abspath(path))
  descriptor, temporary = tempfile.mkstemp(dir=directory, prefix=f".{name}.")
  try:
    with os.fdopen(descriptor, "wb") as file:
      file.write(content)
      file.flush()
      os.fsync(file.fileno())
    # mkstemp makes files that only their owner may read.
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(temporary, 0o666 & ~umask)
    os.replace(temporary, path)
  except BaseException:
    os.remove(temporary)
    raise
