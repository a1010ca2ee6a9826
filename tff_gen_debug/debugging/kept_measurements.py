"""Noised measurements that a run makes once, however often it is started."""

from collections.abc import Callable
import dataclasses
from typing import Any, TypeVar

import numpy as np

from tff_gen_debug import run_folder

_T = TypeVar("_T")


def keep(path: str, kind: type[_T], measure: Callable[[], _T]) -> _T:
  """Measures, or reads what was measured before; see `run_folder.keep`.

  Args:
    path: The JSON file where the measurement is kept.
    kind: Its class: a dataclass whose fields are arrays and JSON types.
    measure: Makes it; called only if there is no such file.

  Returns:
    The measurement as it was read back from the file.

  Raises:
    run_folder.DamagedFileError: If the file holds something else.
    OSError: If the file can't be read or written.
  """
  names = [
    field.name
    for field in dataclasses.fields(kind)  # type: ignore[arg-type]
  ]

  def make() -> dict[str, Any]:
    measured = measure()
    return {name: _to_json(getattr(measured, name)) for name in names}

  content = run_folder.keep(path, make, names)
  return kind(**{name: _from_json(content[name]) for name in names})


def _to_json(value: Any) -> Any:
  return value.tolist() if isinstance(value, np.ndarray) else value


def _from_json(value: Any) -> Any:
  return np.array(value) if isinstance(value, list) else value
