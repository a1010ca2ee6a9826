"""Command line and output folder of a task, from one frozen dataclass.

A task's config is a frozen dataclass with a preset for each way to run it. All
its fields are flags; what is not given on the command line is the preset's.
"""

from collections.abc import Collection, Mapping, Sequence
import dataclasses
import math
import os
import typing
from typing import Any, TypeVar

from absl import flags

from tff_gen_debug import arguments

_T = TypeVar("_T")

# What reads `config.json` may take its numbers for float64.
_MAX_INTEGER = 2**53

_DEFINERS = {
  bool: flags.DEFINE_bool,
  float: flags.DEFINE_float,
  int: flags.DEFINE_integer,
  str: flags.DEFINE_string,
}


def field(default: Any, help_text: str) -> Any:
  """A field of a config with what `--help` says of it."""
  return dataclasses.field(default=default, metadata={"help": help_text})


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
  """Raises ValueError unless a field's value is one of `choices`."""
  if value not in choices:
    raise ValueError(
      f"{name} must be one of {choices}, got {arguments.shown(value)}"
    )


def check_least(name: str, value: float, least: float) -> None:
  """Raises ValueError unless a field's value is at least `least`."""
  # Not `value < least`: NaN must fail too.
  if not value >= least:
    raise ValueError(
      f"{name} must be at least {least}, got {arguments.shown(value)}"
    )


def check_unit(name: str, value: float) -> None:
  """Raises ValueError unless a field's value is in [0, 1]."""
  if not 0 <= value <= 1:
    raise ValueError(f"{name} must be in [0, 1], got {value}")


def check_names(name: str, text: str, known: Sequence[str]) -> None:
  """Raises ValueError unless a comma-separated list has but `known` names."""
  for item in text.split(","):
    if item and item not in known:
      raise ValueError(
        f"{name} must be a comma-separated list of {known}, got"
        f" {arguments.shown(item)}"
      )


def check_types(config: Any) -> None:
  """Checks that each field has a value of its type.

  Args:
    config: A config dataclass whose fields are of type bool, float, int or str.

  Raises:
    TypeError: If a value is of another type. An int passes for a float, a bool
      for no number, and a NumPy integer, which `config.json` can't hold, for
      nothing.
    ValueError: If an integer is above 2**53 in magnitude, or text has a NUL,
      which no name of a file can hold.
  """
  types = typing.get_type_hints(type(config))
  for field in dataclasses.fields(config):
    value = getattr(config, field.name)
    wanted = types[field.name]
    allowed = (float, int) if wanted is float else (wanted,)
    is_bool = isinstance(value, bool)
    if not isinstance(value, allowed) or is_bool != (wanted is bool):
      raise TypeError(
        f"{field.name} must be of type {wanted.__name__}, got"
        f" {arguments.shown(value)}"
      )
    if isinstance(value, int) and abs(value) > _MAX_INTEGER:
      raise ValueError(
        f"{field.name} must be at most 2**53, got {arguments.shown(value)}"
      )
    if isinstance(value, str) and "\0" in value:
      raise ValueError(
        f"{field.name} must not have a NUL, got {arguments.shown(value)}"
      )


def check_numbers(
  config: Any,
  *,
  positive: Collection[str] = (),
  infinite: Collection[str] = (),
  signed: Collection[str] = (),
) -> None:
  """Checks that the numbers of a config are some that can be computed with.

  Args:
    config: A config dataclass that has passed `check_types`.
    positive: Fields that must not be 0.
    infinite: Fields that may be infinite.
    signed: Fields that may be negative.

  Raises:
    ValueError: If a number is NaN, or infinite, negative or 0 where it must not
      be.
  """
  for field in dataclasses.fields(config):
    value = getattr(config, field.name)
    if isinstance(value, (str, bool)):
      continue
    shown = arguments.shown(value)
    if math.isnan(value) or (math.isinf(value) and field.name not in infinite):
      raise ValueError(f"{field.name} must be positive and finite, got {shown}")
    if field.name in positive and value <= 0:
      raise ValueError(f"{field.name} must be positive, got {shown}")
    if field.name not in signed:
      check_least(field.name, value, 0)


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


def output_folder() -> str:
  """The folder that `--out` names, as an absolute path."""
  return os.path.abspath(os.path.expanduser(flags.FLAGS.out))
