"""Tests that what docs/debugging.md shows is true."""

import pathlib
import re
import shlex
import subprocess
import sys

import pytest

from tasks.investigation import config as config_lib
from tff_gen_debug import debugging

_ROOT = pathlib.Path(__file__).parents[2]
_GUIDE = (_ROOT / "docs" / "debugging.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_example_finds_the_fault(tmp_path):
  (example,) = re.findall(r"```python\n(.*?)```", _GUIDE, re.DOTALL)
  # A process of its own, since it sets up a runtime for good.
  result = subprocess.run(
    [sys.executable, "-W", "ignore", "-c", example.replace("out/", "")],
    cwd=tmp_path,
    capture_output=True,
    text=True,
    timeout=600,
    check=False,
  )
  assert result.returncode == 0, result.stderr
  assert re.search(r"of low accuracy samples are inverted", result.stdout)
  assert (tmp_path / "users" / "report.html").exists()


def test_the_commands_are_of_the_task():
  commands = re.findall(r"`python -m tasks\.investigation (.*?)`", _GUIDE)
  criteria = set()
  for command in commands:
    words = shlex.split(command)
    given = {k[2:]: v for k, v in zip(words[::2], words[1::2])}
    preset = config_lib.PRESETS[given.pop("preset", "demo")]
    assert given.pop("out").startswith("out/")
    fields = {"criterion": preset.criterion, **given}
    criteria.add(config_lib.Config(**fields).criterion)
  assert criteria == set(config_lib.TASKS)


def test_named_criteria_exist():
  rows = re.findall(r"^\| T\d .*?\| `(\w+)` \|", _GUIDE, re.MULTILINE)
  assert len(rows) == 9
  assert [name for name in rows if not hasattr(debugging, name)] == []
