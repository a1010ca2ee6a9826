"""Tests that what the README shows is true."""

import pathlib
import re
import subprocess
import sys

_ROOT = pathlib.Path(__file__).parents[2]
_README = (_ROOT / "README.md").read_text(encoding="utf-8")


def test_links_lead_somewhere():
  links = re.findall(r"\]\(([^)#]+)\)", _README)
  local = [link for link in links if not link.startswith("https://")]
  assert local
  assert [link for link in local if not (_ROOT / link).exists()] == []


def test_named_files_exist():
  names = re.findall(r"`([a-z_./]+/[a-z_]+\.[a-z]+)`", _README)
  # Made by the demo, and by `make docs`.
  names = [name for name in names if not name.startswith(("out/", "site/"))]
  assert names
  assert [name for name in names if not (_ROOT / name).exists()] == []


def test_the_example_runs_and_says_epsilon():
  (example,) = re.findall(r"```python\n(.*?)```", _README, re.DOTALL)
  # A process of its own, since it sets up a runtime for good.
  result = subprocess.run(
    [sys.executable, "-W", "ignore", "-c", example],
    cwd=_ROOT,
    capture_output=True,
    text=True,
    timeout=300,
    check=False,
  )
  assert result.returncode == 0, result.stderr
  assert re.fullmatch(r"epsilon is \d\.\d\d\n", result.stdout)
