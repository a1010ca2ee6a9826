"""Checks that requirements.txt is a whole, exact answer to pyproject.toml."""

import collections
from importlib import metadata
import pathlib
import re

from packaging import requirements as requirements_lib
from packaging import specifiers
from packaging import utils
import pytest

try:
  import tomllib
except ImportError:  # Before Python 3.11.
  import tomli as tomllib

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_PYTHONS = ("3.9", "3.10", "3.11")


def _project():
  return tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))


def _pins():
  lines = (_ROOT / "requirements.txt").read_text("utf-8").splitlines()
  lines = (line.split("#", 1)[0].strip() for line in lines)
  return [requirements_lib.Requirement(line) for line in lines if line]


def _pinned_version(pin):
  return str(pin.specifier)[len("==") :]


def _applies(requirement, python):
  return requirement.marker is None or requirement.marker.evaluate(
    {"python_version": python, "python_full_version": f"{python}.5"}
  )


def _pinned_versions(python):
  """Pinned versions by canonical name, on Linux under that Python."""
  return {
    utils.canonicalize_name(pin.name): _pinned_version(pin)
    for pin in _pins()
    if _applies(pin, python)
  }


def _direct_requirements():
  project = _project()
  texts = list(project["project"]["dependencies"])
  for extra in project["project"]["optional-dependencies"].values():
    texts += extra
  texts += project["tool"]["uv"]["override-dependencies"]
  return [requirements_lib.Requirement(text) for text in texts]


def test_every_pin_is_exact():
  for pin in _pins():
    assert re.fullmatch(r"==[0-9][0-9a-z.]*", str(pin.specifier)), str(pin)
    assert pin.url is None and not pin.extras, str(pin)


@pytest.mark.parametrize("python", _PYTHONS)
def test_no_package_is_pinned_twice(python):
  names = [
    utils.canonicalize_name(pin.name)
    for pin in _pins()
    if _applies(pin, python)
  ]
  assert [n for n, c in collections.Counter(names).items() if c > 1] == []


@pytest.mark.parametrize("python", _PYTHONS)
def test_every_direct_requirement_is_pinned_within_its_range(python):
  pinned = _pinned_versions(python)
  # An override says what to take if the package is needed at all.
  overridden = {
    utils.canonicalize_name(requirements_lib.Requirement(text).name)
    for text in _project()["tool"]["uv"]["override-dependencies"]
  }
  for requirement in _direct_requirements():
    name = utils.canonicalize_name(requirement.name)
    if not _applies(requirement, python):
      continue
    if name in overridden and name not in pinned:
      continue
    assert name in pinned, f"{requirement} has no pin"
    assert requirement.specifier.contains(pinned[name]), (
      f"{requirement} does not allow {pinned[name]}"
    )


def test_what_installed_packages_need_is_pinned_too():
  """`pip install --no-deps` adds nothing, so nothing may be missing."""
  overridden = {
    utils.canonicalize_name(requirements_lib.Requirement(text).name)
    for text in _project()["tool"]["uv"]["override-dependencies"]
  }
  pinned = {
    utils.canonicalize_name(pin.name): _pinned_version(pin)
    for pin in _pins()
    if pin.marker is None or pin.marker.evaluate()
  }
  for name in pinned:
    for text in metadata.requires(name) or ():
      needed = requirements_lib.Requirement(text)
      needed_name = utils.canonicalize_name(needed.name)
      if needed.marker and not needed.marker.evaluate({"extra": ""}):
        continue
      if needed_name in overridden:
        continue
      assert needed_name in pinned, f"{name} needs {needed}, which has no pin"
      assert needed.specifier.contains(pinned[needed_name], True), (
        f"{name} needs {needed}, and {pinned[needed_name]} is pinned"
      )


def test_supported_pythons():
  wanted = specifiers.SpecifierSet(_project()["project"]["requires-python"])
  minors = [f"3.{minor}" for minor in range(6, 20)]
  assert [m for m in minors if wanted.contains(f"{m}.1")] == list(_PYTHONS)
  probe = (_ROOT / "tools" / "find_python.sh").read_text("utf-8")
  assert "(3, 9) <= sys.version_info[:2] <= (3, 11)" in probe
