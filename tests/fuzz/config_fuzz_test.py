"""Hostile values in the configs of tasks, on their flags and in their folder.

A value is refused at construction, by the name of its field, or it is one that
a run can be made of.
"""

import dataclasses
import json
import math
import os
import typing

from absl import flags
import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from tasks import configuration
from tasks.datalens import config as datalens
from tasks.preprocessing_bug import config as preprocessing_bug
from tasks.tokenization_bug import config as tokenization_bug
from tasks.topagg_fedavg import config as topagg_fedavg
from tff_gen_debug import learning
from tff_gen_debug import run_folder
from tff_gen_debug.privacy import accounting

_SETTINGS = hypothesis.settings(
  deadline=None, derandomize=True, max_examples=150, database=None
)
_FEW = hypothesis.settings(
  _SETTINGS,
  max_examples=60,
  # The folder is a new one for each example all the same.
  suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
_TASKS = (datalens, preprocessing_bug, tokenization_bug, topagg_fedavg)
_FIELDS = [
  (task, field.name)
  for task in _TASKS
  for field in dataclasses.fields(task.Config)
]
_PRESETS = [(task, preset) for task in _TASKS for preset in task.PRESETS]

_OF_OTHER_TYPES = [None, b"x", [], (1,), {}, 1j, object(), np.int64(3)]
_TEXTS = [
  "",
  " ",
  "\0",
  "é\u202e😀",
  "\ud800",
  "x" * 10_000,
  "-1",
  "nan",
  "1,,",
]
_NUMBERS = [
  *(math.nan, math.inf, -math.inf, -1.0, -0.0, 1.5, 1e308, 5e-324),
  *(-1, 10**30, -(10**5000), 10**5000, np.float64("nan"), np.float32(1)),
]
_HOSTILE = [*_OF_OTHER_TYPES, *_TEXTS, *_NUMBERS, True, False]


def _config_or_error(make, name):
  """The config, or None if an error has named the field."""
  try:
    return make()
  except (TypeError, ValueError) as error:
    message = str(error)
    assert name in message
    assert len(message) < 600
    return None


def _assert_usable(config):
  """That a config can be kept, and has no number that nothing is made of."""
  types = typing.get_type_hints(type(config))
  for name, value in dataclasses.asdict(config).items():
    if types[name] is float:
      assert type(value) in (int, float, np.float64)
      assert value >= 0 or name == "threshold"
      assert math.isfinite(value) or name in (
        "alpha",
        "detail_epsilon",
        "epsilon",
      )
    else:
      assert type(value) is types[name]
    if types[name] is int:
      assert 0 <= value <= 2**53
    if types[name] is str:
      assert "\0" not in value
  kept = json.loads(json.dumps(dataclasses.asdict(config)))
  assert type(config)(**kept) == config
  assert config.accountant in accounting.ACCOUNTANTS
  assert 0 <= config.delta < 1


@pytest.mark.parametrize(
  ("task", "name"),
  _FIELDS,
  ids=[f"{t.__name__.split('.')[1]}-{n}" for t, n in _FIELDS],
)
def test_every_field_with_every_hostile_value(task, name):
  for preset in ("demo", "paper"):
    config = task.PRESETS[preset]
    for value in _HOSTILE:
      changed = _config_or_error(
        lambda c=config, v=value: dataclasses.replace(c, **{name: v}), name
      )
      if changed is not None:
        _assert_usable(changed)


@_SETTINGS
@hypothesis.given(
  st.sampled_from(_FIELDS),
  st.one_of(st.integers(), st.floats(), st.text(), st.binary(), st.booleans()),
)
def test_any_field_with_any_value(field, value):
  task, name = field
  config = _config_or_error(lambda: task.Config(**{name: value}), name)
  if config is not None:
    _assert_usable(config)


_LISTS = [
  field.name
  for field in dataclasses.fields(topagg_fedavg.Config)
  if "," in str(field.default)
]


@_SETTINGS
@hypothesis.given(
  st.sampled_from(_LISTS),
  st.lists(
    st.sampled_from(
      ["1", "2", "3", "0", "-1", "nan", "inf", "1e999", "1e-999", "", " ", "x"]
      + ["9" * 5000, "٣", "1_0", "0x1", "votes", "1.5", "\n"]
    ),
    max_size=4,
  ),
)
def test_lists_are_named_or_can_be_parsed(name, items):
  text = ",".join(items)
  values: dict[str, typing.Any] = {name: text}
  config = _config_or_error(lambda: topagg_fedavg.Config(**values), name)
  if config is None:
    return
  _assert_usable(config)
  if name == "questions":
    assert set(topagg_fedavg.strings(text)) <= set(topagg_fedavg.QUESTIONS)
  elif name in ("seeds", "conv_widths"):
    assert 0 <= min(topagg_fedavg.integers(text))
  else:
    found = topagg_fedavg.numbers(text)
    least = 0 if name in ("thresholds", "coordinate_clips") else 5e-324
    assert found and min(found) >= least
    assert name == "epsilons" or max(found) < math.inf


@pytest.mark.parametrize(
  ("task", "preset"),
  _PRESETS,
  ids=[f"{t.__name__.split('.')[1]}-{p}" for t, p in _PRESETS],
)
def test_presets_are_usable(task, preset):
  _assert_usable(task.PRESETS[preset])


def test_client_metrics_are_those_of_the_processes():
  assert preprocessing_bug.CLIENT_METRICS == learning.CLIENT_METRICS
  assert tokenization_bug.CLIENT_METRICS == learning.FED_AVG_CLIENT_METRICS


def _defining_in(values, definer):
  """One of `flags.DEFINE_*` whose flags go to `values`."""
  return lambda *a, **kw: definer(*a, flag_values=values, **kw)


@pytest.fixture(name="parse")
def _parse(monkeypatch):
  """From a task and arguments to the config that the command line makes."""

  def parse(task, arguments):
    values = flags.FlagValues()
    with monkeypatch.context() as patch:
      patch.setattr(flags, "FLAGS", values)
      for kind, definer in list(configuration._DEFINERS.items()):
        patch.setitem(
          configuration._DEFINERS, kind, _defining_in(values, definer)
        )
      for name in ("DEFINE_enum", "DEFINE_string"):
        patch.setattr(flags, name, _defining_in(values, getattr(flags, name)))
      configuration.define_flags(task.PRESETS)
      values(["task", "--out=x", *arguments])
      return configuration.config_from_flags(task.PRESETS)

  return parse


@_FEW
@hypothesis.given(
  field=st.sampled_from(_FIELDS),
  text=st.one_of(
    st.text(max_size=8),
    st.floats().map(str),
    st.integers().map(str),
    st.sampled_from(_TEXTS),
    st.sampled_from(["1e999", "1_0", "0x10", "true", "yes", "1.0", "9" * 5000]),
  ),
)
def test_flags_are_named_or_make_a_usable_config(parse, field, text):
  task, name = field
  try:
    config = parse(task, [f"--{name}={text}"])
  except flags.Error as error:
    assert f"--{name}" in str(error)
  except (TypeError, ValueError) as error:
    assert name in str(error)
  else:
    _assert_usable(config)


@pytest.mark.parametrize("preset", ["", "Demo", "\0", "demo,smoke", "é"])
def test_unknown_presets_are_named(parse, preset):
  with pytest.raises(flags.IllegalFlagValueError, match="--preset="):
    parse(datalens, [f"--preset={preset}"])


_CONFIG = preprocessing_bug.PRESETS["smoke"]
_KEPT = (json.dumps(dataclasses.asdict(_CONFIG), indent=2) + "\n").encode()


def _claim(folder, content):
  """Claims a folder that holds a `config.json`; the error's message, or ''."""
  path = os.path.join(folder, "config.json")
  with open(path, "wb") as file:
    file.write(content)
  try:
    run_folder.claim(str(folder), dataclasses.asdict(_CONFIG))
  except run_folder.DamagedFileError as error:
    assert path in str(error)
    return str(error)
  except run_folder.DifferentRunError as error:
    assert str(folder) in str(error)
    return str(error)
  finally:
    # What is in a folder is never replaced.
    with open(path, "rb") as file:
      assert file.read() == content
  return ""


@_FEW
@hypothesis.given(
  position=st.integers(0, len(_KEPT) - 1), change=st.integers(1, 255)
)
def test_a_changed_byte_in_a_kept_config_is_noticed(tmp_path, position, change):
  data = bytearray(_KEPT)
  data[position] ^= change
  message = _claim(tmp_path, bytes(data))
  try:
    same = json.loads(bytes(data)) == dataclasses.asdict(_CONFIG)
  except ValueError:
    same = False
  assert bool(message) != same


@_FEW
@hypothesis.given(length=st.integers(0, len(_KEPT) - 3))
def test_half_a_kept_config_is_damaged(tmp_path, length):
  assert "is damaged" in _claim(tmp_path, _KEPT[:length])


@pytest.mark.parametrize(
  "content",
  [b"null", b"[]", b"3", b'"a"', b"\xff\xfe", b"\0" * 9, b"[" * 100_000],
)
def test_another_file_is_a_damaged_config(tmp_path, content):
  assert "is damaged" in _claim(tmp_path, content)


@pytest.mark.parametrize("value", ["9" * 5000, '"' + "x" * 9999 + '"', "NaN"])
def test_differences_are_named_however_long(tmp_path, value):
  content = _KEPT.replace(b'"seed": 1', b'"seed": ' + value.encode())
  message = _claim(tmp_path, content)
  assert message and len(message) < 800


def test_files_and_folders_that_are_the_other_are_named(tmp_path):
  (tmp_path / "run").write_text("")
  with pytest.raises(FileExistsError, match="run"):
    run_folder.claim(str(tmp_path / "run"), dataclasses.asdict(_CONFIG))
  (tmp_path / "config.json").mkdir()
  with pytest.raises(IsADirectoryError, match="config.json"):
    run_folder.claim(str(tmp_path), dataclasses.asdict(_CONFIG))
