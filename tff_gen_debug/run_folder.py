"""What a run keeps in its output folder, so that it can go on there."""

from collections.abc import Callable, Collection, Mapping
import json
import os
from typing import Any

from tff_gen_debug import arguments
from tff_gen_debug import files


class DamagedFileError(ValueError):
  """A file of the output folder is not what the run has written."""


class DifferentRunError(ValueError):
  """The output folder holds a run with another config."""


def read_json(path: str, names: Collection[str] = ()) -> dict[str, Any]:
  """Reads a JSON object that a run has kept in its folder.

  Args:
    path: The file.
    names: Keys that the object must have.

  Returns:
    The object.

  Raises:
    DamagedFileError: If the file holds something else; the message names it.
    OSError: If the file can't be read.
  """
  with open(path, "rb") as file:
    data = file.read()
  try:
    content = json.loads(data)
  except (RecursionError, ValueError) as error:
    raise DamagedFileError(
      f"{path} is damaged ({error}). Delete it, or use another output folder"
    ) from error
  if not isinstance(content, dict) or not content.keys() >= set(names):
    raise DamagedFileError(
      f"{path} is damaged (it must be a JSON object with {sorted(names)}, got"
      f" {arguments.shown(content)}). Delete it, or use another output folder"
    )
  return content


def keep(
  path: str, make: Callable[[], Mapping[str, Any]], names: Collection[str] = ()
) -> dict[str, Any]:
  """Makes a JSON object once in a run, however often the run is started.

  For what must not be drawn a second time, such as the noise on a release: two
  draws of it tell more than one.

  Args:
    path: Where the object is kept.
    make: Makes the object; called only if there is no such file.
    names: Keys that the object must have.

  Returns:
    The object as it was read back from the file.

  Raises:
    DamagedFileError: If the file holds something else.
    OSError: If the file can't be read or written.
  """
  if not os.path.exists(path):
    files.write_atomically(path, (json.dumps(make()) + "\n").encode())
  return read_json(path, names)


def claim(folder: str, config: Mapping[str, Any]) -> None:
  """Makes `folder` the output of a run with `config`, or checks that it is.

  Args:
    folder: The output folder; made if missing.
    config: What the run is, of JSON types.

  Raises:
    DamagedFileError: If the `config.json` that is there can't be read.
    DifferentRunError: If the folder holds a run with another config. The
      message says what differs.
    OSError: If the folder can't be made or written to.
  """
  os.makedirs(folder, exist_ok=True)
  path = os.path.join(folder, "config.json")
  if not os.path.exists(path):
    content = json.dumps(config, indent=2) + "\n"
    files.write_atomically(path, content.encode())
    return
  theirs = read_json(path)
  differences = [
    f"{key}: {arguments.shown(theirs.get(key))} there,"
    f" {arguments.shown(config.get(key))} here"
    for key in sorted(config.keys() | theirs.keys())
    if theirs.get(key) != config.get(key)
  ]
  if differences:
    raise DifferentRunError(
      f"{folder} holds a run with another config ({'; '.join(differences)}). "
      "Use another output folder, or the same config to go on with that run."
    )
