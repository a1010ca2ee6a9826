"""Tests of `make venv`'s two scripts, on an index of one tiny package.

Each environment here is a real one, made by a real venv and pip; only what is
installed into it is small.
"""

import base64
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

_TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
_SETUP = _TOOLS / "setup_venv.py"
_FIND = _TOOLS / "find_python.sh"


def _write_wheel(folder, version):
  """Writes the wheel of a package `tiny` with one module."""
  info = f"tiny-{version}.dist-info"
  files = {
    "tiny.py": f"VERSION = '{version}'\n",
    f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tiny\n"
    f"Version: {version}\n",
    f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\n"
    "Root-Is-Purelib: true\nTag: py3-none-any\n",
  }
  record = ""
  for name, text in files.items():
    digest = hashlib.sha256(text.encode()).digest()
    encoded = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    record += f"{name},sha256={encoded},{len(text)}\n"
  files[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
  path = folder / f"tiny-{version}-py3-none-any.whl"
  with zipfile.ZipFile(path, "w") as wheel:
    for name, text in files.items():
      wheel.writestr(name, text)


class _Project:
  """A folder with requirements, wheels and an environment."""

  def __init__(self, path):
    self.path = path
    self.venv = path / ".venv"
    self.requirements = path / "requirements.txt"
    self.stamp = self.venv / "setup-complete.json"

  @property
  def packages(self):
    return next(self.venv.glob("lib/python3.*/site-packages"))

  def start(self, *args):
    env = dict(
      os.environ,
      PIP_NO_INDEX="1",
      PIP_FIND_LINKS=str(self.path),
      PIP_USER="1",  # The script must not let this through.
    )
    env.pop("PYTHONPATH", None)
    command = [sys.executable, str(_SETUP), "--venv", str(self.venv)]
    command += ["--requirements", str(self.requirements), *args]
    return subprocess.Popen(
      command,
      env=env,
      stdin=subprocess.DEVNULL,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
    )

  def set_up(self, *args):
    process = self.start(*args)
    output, _ = process.communicate(timeout=120)
    return process.returncode, output

  def incomplete(self):
    """What the script says of this environment's packages."""
    return subprocess.run(
      [str(self.venv / "bin" / "python"), str(_SETUP), "--list-incomplete"]
      + ["--requirements", str(self.requirements)],
      capture_output=True,
      text=True,
      check=True,
    ).stdout

  def installed(self):
    """The version of `tiny` that the environment imports."""
    command = "import tiny; print(tiny.VERSION)"
    return subprocess.run(
      [str(self.venv / "bin" / "python"), "-c", command],
      capture_output=True,
      text=True,
      cwd=str(self.path),
    ).stdout.strip()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
  """A project whose environment was just set up from nothing."""
  project = _Project(tmp_path_factory.mktemp("finished"))
  _write_wheel(project.path, "1.0")
  _write_wheel(project.path, "2.0")
  project.requirements.write_text(
    "# A comment.\ntiny==1.0\n    # via nothing\n"
    "tiny==9.9 ; python_version < '3'\n"
  )
  code, output = project.set_up()
  assert code == 0, output
  assert "Installing" in output
  return project


@pytest.fixture
def project(finished, tmp_path):
  """A copy of the finished project, marked to tell whether it is rebuilt."""
  shutil.copytree(finished.path, tmp_path / "p", symlinks=True)
  copy = _Project(tmp_path / "p")
  (copy.packages / "was_here.txt").touch()
  return copy


def _was_rebuilt(project):
  return not (project.packages / "was_here.txt").exists()


def test_from_nothing_it_installs_the_pins_and_the_repository(finished):
  assert finished.installed() == "1.0"
  assert json.loads(finished.stamp.read_text())["python"] == list(
    sys.version_info[:3]
  )
  found = subprocess.run(
    [str(finished.venv / "bin" / "python"), "-c", "import tff_gen_debug"],
    cwd=str(finished.path),
  )
  assert found.returncode == 0


def test_a_finished_environment_is_left_alone_without_a_word(project):
  before = (project.packages / "tiny.py").stat().st_mtime_ns
  assert project.set_up() == (0, "")
  assert (project.packages / "tiny.py").stat().st_mtime_ns == before
  assert not _was_rebuilt(project)


def test_an_environment_made_by_other_means_is_kept(project):
  project.stamp.unlink()
  assert project.set_up() == (0, "")
  assert project.stamp.exists()
  assert not _was_rebuilt(project)


@pytest.mark.parametrize(
  "damage",
  [
    lambda packages: (packages / "tiny.py").unlink(),
    lambda packages: (packages / "tiny.py").write_text("VERSION = '1"),
    lambda packages: (packages / "tiny-1.0.dist-info" / "RECORD").unlink(),
    lambda packages: shutil.rmtree(packages / "tiny-1.0.dist-info"),
  ],
  ids=["file_missing", "file_cut_short", "no_record", "no_metadata"],
)
def test_a_package_that_is_not_whole_is_named(project, damage):
  assert project.incomplete() == ""
  damage(project.packages)
  assert project.incomplete().startswith("tiny==1.0: ")


@pytest.mark.slow
def test_an_interrupted_installation_is_made_anew(project):
  project.stamp.unlink()
  (project.packages / "tiny.py").unlink()
  code, output = project.set_up()
  assert code == 0, output
  assert "Installing" in output
  assert project.installed() == "1.0"
  assert _was_rebuilt(project)


def test_new_requirements_upgrade_a_finished_environment(project):
  project.requirements.write_text("tiny==2.0\n")
  code, output = project.set_up()
  assert code == 0, output
  assert "Upgrading" in output
  assert project.installed() == "2.0"
  assert not _was_rebuilt(project)
  assert project.set_up() == (0, "")


@pytest.mark.slow
def test_an_environment_whose_python_is_gone_is_made_anew(project):
  for link in (project.venv / "bin").glob("python*"):
    link.unlink()
    link.symlink_to("/nowhere/python")
  code, output = project.set_up()
  assert code == 0, output
  assert project.installed() == "1.0"
  assert _was_rebuilt(project)


@pytest.mark.slow
def test_a_failure_is_one_error_and_the_next_try_succeeds(project):
  project.requirements.write_text("tiny==3.0\n")
  code, output = project.set_up()
  assert code == 1
  assert "could not be set up" in output.splitlines()[-1]
  assert not project.stamp.exists()
  _write_wheel(project.path, "3.0")
  code, output = project.set_up()
  assert code == 0, output
  assert project.installed() == "3.0"


@pytest.mark.slow
def test_two_at_once_take_turns(project):
  shutil.rmtree(project.venv)
  first, second = project.start(), project.start()
  outputs = [p.communicate(timeout=120)[0] for p in (first, second)]
  assert (first.returncode, second.returncode) == (0, 0), outputs
  installing = [output for output in outputs if "Installing" in output]
  waiting = [output for output in outputs if "waiting" in output]
  assert len(installing) == 1 and len(waiting) == 1
  assert project.installed() == "1.0"


def _write_program(folder, name, body):
  folder.mkdir(exist_ok=True)
  path = folder / name
  path.write_text(f"#!/bin/sh\n{body}\n")
  path.chmod(0o755)


def _find(path, *args):
  return subprocess.run(
    ["/bin/sh", str(_FIND), *args],
    env={"PATH": str(path)},
    capture_output=True,
    text=True,
    stdin=subprocess.DEVNULL,
  )


# What a Python of that kind answers when the script asks it about itself.
_TOO_NEW = 'echo "version 3.12"'
_NO_VENV = 'echo "venv 3.11"'
_DEAD_SHIM = 'echo "pyenv: command not found" >&2; exit 127'


def test_a_dead_shim_is_passed_over_for_a_python_that_runs(tmp_path):
  _write_program(tmp_path / "bin", "python3.11", _DEAD_SHIM)
  _write_program(tmp_path / "bin", "python3.10", _TOO_NEW)
  real = f'exec "{sys.executable}" "$@"'
  _write_program(tmp_path / "bin", "python3", real)
  answer = _find(tmp_path / "bin")
  assert answer.returncode == 0, answer.stderr
  chosen = answer.stdout.strip()
  version = "import sys; print(sys.version_info[:2])"
  said = subprocess.run([chosen, "-c", version], capture_output=True, text=True)
  assert said.stdout.strip() == str(sys.version_info[:2])
  # A virtual environment can't be rebuilt by the Python inside it.
  inside = "import sys; print(sys.prefix != sys.base_prefix)"
  said = subprocess.run([chosen, "-c", inside], capture_output=True, text=True)
  assert said.stdout.strip() == "False"


@pytest.mark.parametrize(
  "programs, args, message",
  [
    ({}, (), "none of python3.11, python3.10, python3.9 and python3 starts"),
    ({"python3": _TOO_NEW}, (), "python3 is Python 3.12"),
    (
      {"python3.11": _NO_VENV, "python3": _TOO_NEW},
      (),
      "python3.11 has no venv module: install it (Debian, Ubuntu: apt install"
      " python3.11-venv)",
    ),
    ({"python3.9": _DEAD_SHIM}, ("python3.9",), "python3.9 does not start"),
    ({"py": _TOO_NEW}, ("py",), "py is Python 3.12"),
  ],
  ids=["none", "too_new", "no_venv", "named_dead", "named_too_new"],
)
def test_no_fitting_python_gets_one_line(tmp_path, programs, args, message):
  (tmp_path / "bin").mkdir()
  for name, body in programs.items():
    _write_program(tmp_path / "bin", name, body)
  answer = _find(tmp_path / "bin", *args)
  assert answer.returncode == 1
  assert answer.stdout == ""
  assert len(answer.stderr.splitlines()) == 1
  assert message in answer.stderr
