"""Command line and output folder of a task, from one frozen dataclass.

A task's config is a frozen dataclass with a preset for each way to run it. All
its fields are flags; what is not given on the command line is the preset's.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import json
import os
import typing
from typing import Any, TypeVar

from absl import flags

from tff_gen_debug import files

_T = TypeVar("_T")

_DEFINERS = {
  bool: flags.DEFINE_bool,
  float: flags.DEFINE_float,
  int: flags.DEFINE_integer,
  str: flags.DEFINE_string,
}


class DifferentRunError(ValueError):
  """The output folder holds a run with another config."""


def field(default: Any, help_text: str) -> Any:
  """A field of a config with what `--help` says of it."""
  return dataclasses.field(default=default, metadata={"help": help_text})


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
  """Raises ValueError unless a field's value is one of `choices`."""
  if value not in choices:
    raise ValueError(f"{name} must be one of {choices}, got {value!r}")


def check_least(name: str, value: float, least: float) -> None:
  """Raises ValueError unless a field's value is at least `least`."""
  # Not `value < least`: NaN must fail too.
  if not value >= least:
    raise ValueError(f"{name} must be at least {least}, got {value}")


def define_flags(presets: Mapping[str, Any]) -> None:
  """Defines `--preset`, `--out` and a flag for each field of the config.

  Args:
    presets: Configs by name, all of one dataclass whose fields are of type
      bool, float, int or str. A field's help is its `metadata["help"]`.

  Raises:
    TypeError: If a field is of another type.
  """
  flags.DEFINE_enum(
    "preset", "demo", sorted(presets), "Where values come from by default."
  )
  flags.DEFINE_string(
    "out",
    None,
    "The output folder. An unfinished run in it goes on.",
    required=True,
  )
  config_class = type(next(iter(presets.values())))
  types = typing.get_type_hints(config_class)
  for field in dataclasses.fields(config_class):
    if types[field.name] not in _DEFINERS:
      raise TypeError(
        f"the type of {field.name} must be bool, float, int or str, got "
        f"{types[field.name]}"
      )
    _DEFINERS[types[field.name]](
      field.name, None, field.metadata.get("help", "Replaces the preset's.")
    )


def config_from_flags(presets: Mapping[str, _T]) -> _T:
  """The preset that was asked for, with the fields that were given."""
  config = presets[flags.FLAGS.preset]
  given = {
    field.name: flags.FLAGS[field.name].value
    for field in dataclasses.fields(config)  # type: ignore[arg-type]
    if flags.FLAGS[field.name].value is not None
  }
  return dataclasses.replace(config, **given)  # type: ignore[type-var]


def claim_folder(folder: str, config: Any) -> None:
  """Makes `folder` the output of a run with `config`, or checks that it is.

  Args:
    folder: The output folder; made if missing.
    config: A config dataclass.

  Raises:
    DifferentRunError: If the folder holds a run with another config. The
      message says what differs.
  """
  os.makedirs(folder, exist_ok=True)
  path = os.path.join(folder, "config.json")
  mine = dataclasses.asdict(config)
  if not os.path.exists(path):
    content = json.dumps(mine, indent=2) + "\n"
    files.write_atomically(path, content.encode())
    return
  with open(path, encoding="utf-8") as file:
    theirs = json.load(file)
  differences = [
    f"{key}: {theirs.get(key)!r} there, {mine.get(key)!r} here"
    for key in sorted(mine.keys() | theirs.keys())
    if theirs.get(key) != mine.get(key)
  ]
  if differences:
    raise DifferentRunError(
      f"{folder} holds a run with another config ({'; '.join(differences)}). "
      "Give another folder as --out, or the same config to go on with that run."
    )


def output_folder() -> str:
  """The folder that `--out` names, as an absolute path."""
  return os.path.abspath(os.path.expanduser(flags.FLAGS.out))
