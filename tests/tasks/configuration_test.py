"""Tests of how a task's config becomes flags and an output folder."""

import dataclasses

from absl import flags
import pytest

from tasks import configuration
from tasks.preprocessing_bug import config as config_lib


@dataclasses.dataclass(frozen=True)
class _Config:
  rounds: int = 3
  rate: float = 0.5
  name: str = "a"


@pytest.fixture
def fresh_flags(monkeypatch):
  values = flags.FlagValues()
  monkeypatch.setattr(flags, "FLAGS", values)
  for name, definer in list(configuration._DEFINERS.items()):
    monkeypatch.setitem(
      configuration._DEFINERS,
      name,
      lambda *args, _definer=definer: _definer(*args, flag_values=values),
    )
  for name in ("DEFINE_enum", "DEFINE_string"):
    definer = getattr(flags, name)
    monkeypatch.setattr(
      flags,
      name,
      lambda *args, _definer=definer, **kw: _definer(
        *args, flag_values=values, **kw
      ),
    )
  return values


def test_flags_replace_what_the_preset_says(fresh_flags):
  presets = {"demo": _Config(), "smoke": _Config(rounds=1, name="b")}
  configuration.define_flags(presets)
  fresh_flags(["task", "--preset=smoke", "--out=x", "--rate=0.125"])
  assert configuration.config_from_flags(presets) == _Config(1, 0.125, "b")


def test_unknown_flags_are_errors(fresh_flags):
  configuration.define_flags({"demo": _Config()})
  with pytest.raises(flags.UnrecognizedFlagError, match="rats"):
    fresh_flags(["task", "--out=x", "--rats=3"])


def test_fields_of_other_types_are_refused(fresh_flags):
  @dataclasses.dataclass(frozen=True)
  class Bad:
    sizes: tuple = ()

  with pytest.raises(TypeError, match="type of sizes must be"):
    configuration.define_flags({"demo": Bad()})


@pytest.mark.parametrize(
  ("overrides", "message"),
  [
    ({"dataset": "cifar"}, "dataset must be one of"),
    ({"bug": "blur"}, "bug must be one of"),
    ({"bug_probability": 1.5}, r"bug_probability must be in \[0, 1\]"),
    ({"low_percentile": 0.0}, r"must be in \(0, 100\)"),
    ({"rounds": 0}, "rounds must be at least 1, got 0"),
    ({"noise_multiplier": -1.0}, "noise_multiplier must be at least 0"),
  ],
)
def test_bad_configs_are_named(overrides, message):
  with pytest.raises(ValueError, match=message):
    dataclasses.replace(config_lib.PRESETS["demo"], **overrides)
