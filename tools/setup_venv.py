"""Makes the environment of requirements.txt, or finds that it is there.

  python tools/setup_venv.py --venv .venv --requirements requirements.txt

Run by `make`, with the standard library only, by a Python that
`tools/find_python.sh` chose. Started again, it does the least that leads to a
whole environment:

* nothing, if a finished environment for these requirements is there;
* an upgrade, if a finished environment for older requirements is there;
* a new environment, if the old one was interrupted, damaged, or made by a
  Python that is gone.

An environment made by other means, say by uv, is kept if every pinned package
lies in it complete. The root of the repository is put on the environment's path
by a .pth file, so that notebooks find the package too; nothing is built.
"""

import argparse
import fcntl
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import sysconfig
from typing import List, Optional

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_STAMP = "setup-complete.json"
_OLDEST = (3, 9)
_NEWEST = (3, 11)

# These settings of a user's pip would install somewhere else.
_MISLEADING = (
  "PIP_TARGET",
  "PIP_PREFIX",
  "PIP_USER",
  "PIP_REQUIREMENT",
  "PYTHONHOME",
  "PYTHONPATH",
)


def incomplete_packages(requirements: pathlib.Path) -> List[str]:
  """Names the pinned packages that are not whole in *this* environment.

  A package is whole if its pinned version is installed and every file that its
  installer listed is there with the listed size; an installation that was
  killed fails that.

  Args:
    requirements: Path of a file of `name==version ; marker` lines.

  Returns:
    One `name==version: what is wrong` line for each package that is not whole.
  """
  from importlib import metadata

  try:
    from packaging import requirements as requirements_lib
  except ImportError:
    from pip._vendor.packaging import requirements as requirements_lib

  broken = []
  for line in requirements.read_text().splitlines():
    line = line.split("#", 1)[0].strip()
    if not line:
      continue
    pin = requirements_lib.Requirement(line)
    if pin.marker is not None and not pin.marker.evaluate():
      continue
    name = f"{pin.name}{pin.specifier}"
    try:
      distribution = metadata.distribution(pin.name)
    except metadata.PackageNotFoundError:
      broken.append(f"{name}: not installed")
      continue
    if not pin.specifier.contains(distribution.version, prereleases=True):
      broken.append(f"{name}: {distribution.version} is installed")
      continue
    if distribution.read_text("METADATA") is None:
      continue  # setup.py put it there: no list of its files was kept.
    if distribution.read_text("RECORD") is None:
      broken.append(f"{name}: no list of its files")
      continue
    for file in distribution.files or ():
      try:
        size = os.stat(distribution.locate_file(file)).st_size
      except FileNotFoundError:
        broken.append(f"{name}: {file} is missing")
        break
      if file.size is not None and file.size != size:
        broken.append(f"{name}: {file} has {size} bytes, not {file.size}")
        break
  return broken


class _Environment:
  """The environment directory, looked at from outside."""

  def __init__(self, path: pathlib.Path, requirements: pathlib.Path, lock: int):
    self.path = path
    self.requirements = requirements
    self.python = path / "bin" / "python"
    self._stamp = path / _STAMP
    self._lock = lock

  def run(self, *args: str, **kwargs) -> subprocess.CompletedProcess:
    """Runs the environment's Python; the child keeps the lock if we die."""
    env = {k: v for k, v in os.environ.items() if k not in _MISLEADING}
    return subprocess.run(
      [str(self.python), *args],
      stdin=subprocess.DEVNULL,
      pass_fds=(self._lock,),
      env=env,
      **kwargs,
    )

  def version(self) -> Optional[List[int]]:
    """The version of the environment's Python; None if it does not run."""
    code = "import sys; print(*sys.version_info[:3])"
    try:
      answer = self.run("-c", code, capture_output=True, text=True)
      return [int(word) for word in answer.stdout.split()] or None
    except (OSError, ValueError):
      return None

  def stamp(self) -> dict:
    try:
      return json.loads(self._stamp.read_text())
    except (OSError, ValueError):
      return {}

  def state(self) -> dict:
    digest = hashlib.sha256(self.requirements.read_bytes()).hexdigest()
    return {"requirements": digest, "python": self.version()}

  def mark_finished(self) -> None:
    new = self._stamp.with_suffix(".new")
    new.write_text(json.dumps(self.state()) + "\n")
    new.replace(self._stamp)

  def mark_unfinished(self) -> None:
    self._stamp.unlink(missing_ok=True)

  def problems(self) -> List[str]:
    """What `incomplete_packages` finds, run by the environment's Python."""
    answer = self.run(
      str(pathlib.Path(__file__).resolve()),
      "--list-incomplete",
      f"--requirements={self.requirements}",
      capture_output=True,
      text=True,
    )
    if answer.returncode:
      return (answer.stderr.strip().splitlines() or ["it does not run"])[-1:]
    return answer.stdout.splitlines()

  def put_repository_on_path(self) -> None:
    version = ".".join(str(number) for number in self.version()[:2])
    packages = self.path / "lib" / f"python{version}" / "site-packages"
    pth = packages / "tff_gen_debug.pth"
    content = f"{_ROOT}\n"
    if not pth.exists() or pth.read_text() != content:
      pth.write_text(content)

  def install(self) -> None:
    """Installs the pins, with nothing unpinned taking part in a build."""
    pip = ["-m", "pip", "install", "--no-input", "--no-deps"]
    pip += ["--disable-pip-version-check"]
    if not sys.stdout.isatty():
      pip.append("--quiet")
    pins = str(self.requirements)
    # One old package comes as source. With the pinned setuptools in place first
    # it needs no build environment, which pip would fill with the newest.
    builders = [name for name in ("setuptools", "wheel") if self._pins(name)]
    if builders:
      self.run(*pip, "--constraint", pins, *builders, check=True)
    pip.append("--no-build-isolation")
    self.run(*pip, "--requirement", pins, check=True)

  def _pins(self, name: str) -> bool:
    lines = self.requirements.read_text().splitlines()
    return any(line.startswith(f"{name}==") for line in lines)


def set_up(
  path: pathlib.Path,
  requirements: pathlib.Path,
  python_was_named: bool,
  lock: int,
) -> None:
  """Brings the environment at `path` to what `requirements` say.

  Args:
    path: The environment's directory, there or not.
    requirements: The file of pins.
    python_was_named: Whether the user chose this Python, so that an
      environment made by another version has to go.
    lock: File descriptor of the held lock; children inherit it.

  Raises:
    subprocess.CalledProcessError: If pip or venv fails.
    RuntimeError: If pip succeeds and packages are incomplete all the same.
  """
  environment = _Environment(path, requirements, lock)
  version = environment.version()
  usable = version is not None and _OLDEST <= tuple(version[:2]) <= _NEWEST
  if python_was_named and version != list(sys.version_info[:3]):
    usable = False
  if usable:
    stamp = environment.stamp()
    if stamp == environment.state():
      environment.put_repository_on_path()
      return
    if not environment.problems():
      environment.put_repository_on_path()
      environment.mark_finished()
      return
    finished_once = stamp.get("python") == version
    has_pip = not environment.run("-c", "import pip").returncode
    usable = finished_once and has_pip
  if usable:
    print(f"Upgrading {path} to {requirements.name} ...", flush=True)
    environment.mark_unfinished()
  else:
    print(
      f"Installing {requirements.name} into {path} with Python"
      f" {sysconfig.get_python_version()}: 2.7 GB, some minutes ...",
      flush=True,
    )
    subprocess.run(
      [sys.executable, "-m", "venv", "--clear", str(path)],
      stdin=subprocess.DEVNULL,
      pass_fds=(lock,),
      check=True,
    )
  environment.install()
  problems = environment.problems()
  if problems:
    raise RuntimeError("incomplete: " + "; ".join(problems[:5]))
  environment.put_repository_on_path()
  environment.mark_finished()


def _locked(requirements: pathlib.Path) -> int:
  """Waits until no other set-up runs; the lock dies with its holders."""
  descriptor = os.open(requirements, os.O_RDONLY)
  try:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    print("Another set-up is running; waiting for it ...", flush=True)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
  return descriptor


def main() -> int:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--venv", type=pathlib.Path, default=_ROOT / ".venv")
  parser.add_argument(
    "--requirements", type=pathlib.Path, default=_ROOT / "requirements.txt"
  )
  parser.add_argument("--python_was_named", action="store_true")
  parser.add_argument("--list-incomplete", action="store_true")
  args = parser.parse_args()
  if args.list_incomplete:
    for problem in incomplete_packages(args.requirements):
      print(problem)
    return 0
  requirements = args.requirements.resolve()
  try:
    set_up(
      args.venv.absolute(),
      requirements,
      args.python_was_named,
      _locked(requirements),
    )
  except KeyboardInterrupt:
    print("\nInterrupted; the same command goes on from here.", file=sys.stderr)
    return 130
  except (subprocess.CalledProcessError, RuntimeError, OSError) as error:
    print(
      f"error: {args.venv} could not be set up ({error}). The lines above say"
      " why; it needs PyPI and 3 GB of disk. The same command tries again.",
      file=sys.stderr,
    )
    return 1
  return 0


if __name__ == "__main__":
  sys.exit(main())
