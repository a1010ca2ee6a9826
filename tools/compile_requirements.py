"""Compiles requirements.txt from pyproject.toml, or checks that they agree.

  python tools/compile_requirements.py             writes requirements.txt
  python tools/compile_requirements.py --upgrade   the same, to new releases
  python tools/compile_requirements.py --check     exit code 1 if they disagree

Run by `make`, with the standard library only. The compiler is a pinned uv in an
environment of its own, since another release may resolve or comment otherwise.
"""

import argparse
import difflib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_UV_HOME = _ROOT / "build" / "uv"
_UV_VERSION = "0.13.9"
_PINS = "requirements.txt"
# uv repeats these in the head of its output.
_COMMAND = (
  "pip compile pyproject.toml --all-extras --universal --python-version 3.9"
  f" --fork-strategy fewest -o {_PINS}"
).split()


def _uv() -> pathlib.Path:
  """Installs the pinned uv, unless it is there; returns its path."""
  uv = _UV_HOME / "bin" / "uv"
  try:
    answer = subprocess.run(
      [str(uv), "--version"], capture_output=True, text=True, check=True
    )
    if answer.stdout.split()[1] == _UV_VERSION:
      return uv
  except (OSError, subprocess.CalledProcessError, IndexError):
    pass
  python = _UV_HOME / "bin" / "python"
  make = [sys.executable, "-m", "venv", "--clear", str(_UV_HOME)]
  subprocess.run(make, stdin=subprocess.DEVNULL, check=True)
  pip = f"-m pip install --no-input --quiet uv=={_UV_VERSION}".split()
  subprocess.run([str(python), *pip], stdin=subprocess.DEVNULL, check=True)
  return uv


def compiled(upgrade: bool = False) -> str:
  """Returns what requirements.txt should hold.

  Args:
    upgrade: Whether to take the newest releases that fit. Otherwise the present
      pins stay as long as they fit, so that a release made elsewhere changes
      nothing here.

  Raises:
    subprocess.CalledProcessError: If uv can't be had or finds no solution.
  """
  uv = _uv()
  env = dict(os.environ, UV_PYTHON_DOWNLOADS="never", UV_PYTHON=sys.executable)
  with tempfile.TemporaryDirectory() as scratch:
    for name in ("pyproject.toml", _PINS):
      if (_ROOT / name).exists():
        shutil.copy(_ROOT / name, scratch)
    subprocess.run(
      [str(uv), *_COMMAND, "--quiet", *(["--upgrade"] if upgrade else [])],
      cwd=scratch,
      env=env,
      stdin=subprocess.DEVNULL,
      check=True,
    )
    return (pathlib.Path(scratch) / _PINS).read_text(encoding="utf-8")


def main() -> int:
  """Compiles or checks, as the command line says; returns the exit code."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  mode = parser.add_mutually_exclusive_group()
  mode.add_argument("--check", action="store_true")
  mode.add_argument("--upgrade", action="store_true")
  args = parser.parse_args()
  path = _ROOT / _PINS
  try:
    new = compiled(args.upgrade)
  except subprocess.CalledProcessError as error:
    print(f"error: {_PINS} could not be compiled: {error}", file=sys.stderr)
    return 1
  old = path.read_text(encoding="utf-8") if path.exists() else ""
  if new == old:
    print(f"{_PINS} follows from pyproject.toml")
    return 0
  names = (f"{_PINS} (present)", f"{_PINS} (compiled)")
  diff = difflib.unified_diff(
    old.splitlines(), new.splitlines(), *names, n=0, lineterm=""
  )
  print("\n".join(diff))
  if args.check:
    print(
      f"error: {_PINS} does not follow from pyproject.toml: run"
      " `make requirements` and commit the result",
      file=sys.stderr,
    )
    return 1
  replacement = path.with_suffix(".new")
  replacement.write_text(new, encoding="utf-8")
  replacement.replace(path)
  return 0


if __name__ == "__main__":
  sys.exit(main())
