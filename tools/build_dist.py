"""Builds the source distribution and the wheel of the package.

  python tools/build_dist.py --out dist

Both are built by the environment's own setuptools, without network and without
a build environment, from a copy of what they hold: neither leftovers of an
earlier build nor files that lie about can get in. The wheel is built from the
source distribution, so that who builds it anew gets the same one.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from typing import List

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_PACKAGES = ("tff_gen_debug", "tasks")
_FILES = ("pyproject.toml", "README.md")
_NOT_COPIED = ("__pycache__", ".*", "*.pyc", "*.egg-info")


def _build(kind: str, tree: pathlib.Path, out: pathlib.Path) -> pathlib.Path:
  """Runs a hook of PEP 517 in a folder; returns the file that it made.

  Raises:
    RuntimeError: If it fails.
  """
  code = (
    "import sys; from setuptools import build_meta;"
    f" print(build_meta.build_{kind}(sys.argv[1]))"
  )
  built = subprocess.run(
    [sys.executable, "-W", "ignore", "-c", code, str(out)],
    cwd=str(tree),
    stdin=subprocess.DEVNULL,
    capture_output=True,
    text=True,
  )
  if built.returncode:
    raise RuntimeError(f"build_{kind} failed:\n{built.stdout}{built.stderr}")
  return out / built.stdout.split()[-1]


def copied(root: pathlib.Path, tree: pathlib.Path) -> pathlib.Path:
  """Copies what the distributions are made of.

  Args:
    root: The root of the repository.
    tree: The folder to be made.

  Returns:
    `tree`.
  """
  ignore = shutil.ignore_patterns(*_NOT_COPIED)
  for name in _PACKAGES:
    shutil.copytree(str(root / name), str(tree / name), ignore=ignore)
  for name in _FILES:
    shutil.copy(str(root / name), str(tree))
  return tree


def unpacked(sdist: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
  """Unpacks a source distribution.

  Args:
    sdist: The file, one that this program has built.
    folder: Where its own folder is put.

  Returns:
    The folder that holds its pyproject.toml.
  """
  with tarfile.open(str(sdist)) as archive:
    archive.extractall(str(folder))
  return folder / sdist.name[: -len(".tar.gz")]


def build(root: pathlib.Path, out: pathlib.Path) -> List[pathlib.Path]:
  """Builds the source distribution, and from it the wheel.

  Args:
    root: The root of the repository.
    out: Where they are put; made if missing. Files of the same names are
      replaced.

  Returns:
    The paths of the source distribution and of the wheel.

  Raises:
    RuntimeError: If setuptools fails.
  """
  out = out.resolve()
  out.mkdir(parents=True, exist_ok=True)
  with tempfile.TemporaryDirectory() as scratch:
    tree = copied(root, pathlib.Path(scratch) / "tree")
    sdist = _build("sdist", tree, out)
    wheel = _build("wheel", unpacked(sdist, pathlib.Path(scratch)), out)
  return [sdist, wheel]


def main() -> int:
  """Builds both; returns the exit code."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--out", type=pathlib.Path, default=_ROOT / "dist")
  args = parser.parse_args()
  try:
    paths = build(_ROOT, args.out)
  except (OSError, RuntimeError) as error:
    print(f"error: {error}", file=sys.stderr)
    return 1
  for path in paths:
    print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")
  return 0


if __name__ == "__main__":
  sys.exit(main())
