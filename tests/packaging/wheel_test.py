"""Checks that what pip would install is the package, whole and alone."""

import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_SHIPPED = ("tff_gen_debug", "tasks")
# Read by people and by Bazel, not by the code.
_NOT_SHIPPED = {"BUILD", ".md", ".pyc"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
  """The open wheel, built from a copy of the tree."""
  folder = tmp_path_factory.mktemp("wheel")
  copy = folder / "tree"
  copy.mkdir()
  ignore = shutil.ignore_patterns("__pycache__", ".*", "*.egg-info")
  for name in (*_SHIPPED, "tests", "tools"):
    shutil.copytree(_ROOT / name, copy / name, ignore=ignore)
  for path in _ROOT.iterdir():
    if path.is_file() and not path.name.startswith("."):
      shutil.copy(path, copy)
  # The environment's own setuptools: no network, no build environment.
  code = "from setuptools import build_meta; build_meta.build_wheel('..')"
  built = subprocess.run(
    [sys.executable, "-W", "ignore", "-c", code],
    cwd=str(copy),
    stdin=subprocess.DEVNULL,
    capture_output=True,
    text=True,
  )
  assert built.returncode == 0, built.stderr
  with zipfile.ZipFile(next(folder.glob("*.whl"))) as opened:
    yield opened


def test_it_holds_every_module_and_data_file_and_nothing_else(wheel):
  expected = {
    path.relative_to(_ROOT).as_posix()
    for name in _SHIPPED
    for path in (_ROOT / name).rglob("*")
    if path.is_file()
    and not {path.name, path.suffix} & _NOT_SHIPPED
    and not any(part.startswith(".") for part in path.relative_to(_ROOT).parts)
  }
  assert "tff_gen_debug/py.typed" in expected
  present = {n for n in wheel.namelist() if ".dist-info/" not in n}
  assert present == expected


def test_its_metadata_name_the_project_and_its_python(wheel):
  name = next(n for n in wheel.namelist() if n.endswith("/METADATA"))
  lines = wheel.read(name).decode().splitlines()
  assert "Name: tff-gen-debug" in lines
  python = next(line for line in lines if line.startswith("Requires-Python"))
  assert sorted(python.split(": ")[1].split(",")) == ["<3.12", ">=3.9"]
  version = next(line for line in lines if line.startswith("Version: "))
  source = (_ROOT / "tff_gen_debug" / "__init__.py").read_text("utf-8")
  assert f'__version__ = "{version.split(": ")[1]}"' in source
