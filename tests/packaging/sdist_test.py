"""Checks `make dist`: both distributions are whole, alike, and can be used."""

import pathlib
import re
import subprocess
import sys
import tarfile
import zipfile

import pytest

from tools import build_dist

pytestmark = pytest.mark.slow

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_ROOMS = (
  "aggregators",
  "datasets",
  "debugging",
  "evaluation",
  "learning",
  "models",
  "privacy",
  "runtime",
)
_USE = """
import pathlib, sys

import tff_gen_debug
from tff_gen_debug import {rooms}
from tasks.preprocessing_bug import config

folder = pathlib.Path(sys.argv[1]).resolve()
for name, module in list(sys.modules.items()):
  if name.split(".")[0] in ("tff_gen_debug", "tasks"):
    file = pathlib.Path(module.__file__ or next(iter(module.__path__)))
    assert folder in file.resolve().parents, (name, file)
users, _ = datasets.handwriting.load_data()
print("users", len(users.client_ids))
privacy_plan = privacy.PrivacyPlan(1000, 10, 5, 1.0)
debugging.write_report(sys.argv[2], debugging.Report(
  title="From a wheel",
  question="Is the template there?",
  findings=[debugging.Finding("works", True, "It works.", "It ran.")],
  sections=[],
  privacy=privacy_plan.to_dict(),
  privacy_statement=privacy_plan.statement(),
  releases=[],
  config={{}},
  metrics={{}},
  wall_seconds=1.0,
))
print("version", tff_gen_debug.__version__)
""".format(rooms=", ".join(_ROOMS))


def _environment():
  """Variables that let nothing of the caller's into a child."""
  return {"PATH": "/usr/bin:/bin", "TF_CPP_MIN_LOG_LEVEL": "2"}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
  """The folder of both distributions, and their paths."""
  out = tmp_path_factory.mktemp("dist")
  done = subprocess.run(
    [sys.executable, str(_ROOT / "tools/build_dist.py"), "--out", str(out)],
    cwd=str(out),
    stdin=subprocess.DEVNULL,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  (sdist,) = out.glob("*.tar.gz")
  (wheel,) = out.glob("*.whl")
  assert sorted(out.iterdir()) == sorted([sdist, wheel])
  return sdist, wheel


def _declared_version():
  (line,) = [
    line
    for line in (_ROOT / "tff_gen_debug/__init__.py").read_text().splitlines()
    if line.startswith("__version__")
  ]
  return line.split('"')[1]


def test_the_version_is_said_in_one_place(built):
  version = _declared_version()
  sdist, wheel = built
  assert sdist.name == f"tff_gen_debug-{version}.tar.gz"
  assert wheel.name == f"tff_gen_debug-{version}-py3-none-any.whl"
  # The only other place where one could be said.
  project = (_ROOT / "pyproject.toml").read_text("utf-8")
  assert re.findall(r"^version\s*=.*", project, re.M) == [
    'version = { attr = "tff_gen_debug.__version__" }'
  ]


def test_the_sdist_holds_the_sources_and_nothing_else(built):
  sdist, _ = built
  with tarfile.open(str(sdist)) as archive:
    members = archive.getmembers()
  top = sdist.name[: -len(".tar.gz")] + "/"
  files = {m.name[len(top) :] for m in members if m.isfile()}
  assert all(m.name.startswith(top) or m.name == top[:-1] for m in members)
  written_by_setuptools = {
    name for name in files if name.split("/")[0] == "tff_gen_debug.egg-info"
  } | {"PKG-INFO", "setup.cfg"}
  expected = {"README.md", "pyproject.toml"} | {
    path.relative_to(_ROOT).as_posix()
    for package in ("tff_gen_debug", "tasks")
    for path in (_ROOT / package).rglob("*")
    if path.is_file() and path.suffix in (".py", ".npz", ".jinja", ".typed")
    if "__pycache__" not in path.parts
    if not any(p.startswith(".") for p in path.relative_to(_ROOT).parts)
  }
  assert "tff_gen_debug/datasets/handwriting_blocks.npz" in expected
  assert "tff_gen_debug/debugging/report.html.jinja" in expected
  assert "tff_gen_debug/py.typed" in expected
  assert files - written_by_setuptools == expected


def _contents(wheel):
  with zipfile.ZipFile(str(wheel)) as archive:
    # A wheel built anew may list its files in another order.
    return {
      name: sorted(archive.read(name).splitlines())
      if name.endswith(".dist-info/RECORD")
      else archive.read(name)
      for name in archive.namelist()
    }


def test_the_tree_gives_the_wheel_that_the_sdist_gives(built, tmp_path):
  """By pip this time, from the repository's files and not from the sdist."""
  sdist, wheel = built
  for kind, tree in (
    ("sdist", build_dist.unpacked(sdist, tmp_path / "sdist")),
    ("tree", build_dist.copied(_ROOT, tmp_path / "tree")),
  ):
    out = tmp_path / f"wheel_of_{kind}"
    done = subprocess.run(
      [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index"]
      + ["--no-build-isolation", "--quiet", "--wheel-dir", str(out), str(tree)],
      env=_environment(),
      stdin=subprocess.DEVNULL,
      capture_output=True,
      text=True,
    )
    assert done.returncode == 0, done.stderr
    (other,) = out.glob("*.whl")
    assert other.name == wheel.name
    assert _contents(other) == _contents(wheel), kind


def test_the_wheel_works_in_a_folder_of_its_own(built, tmp_path):
  """Installed beside the pinned packages, away from the repository."""
  _, wheel = built
  target = tmp_path / "installed"
  done = subprocess.run(
    [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index"]
    + ["--quiet", "--target", str(target), str(wheel)],
    env=_environment(),
    stdin=subprocess.DEVNULL,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  done = subprocess.run(
    [sys.executable, "-W", "ignore", "-c", _USE]
    + [str(target), str(tmp_path / "report")],
    cwd=str(tmp_path),
    # Before what the environment's .pth file adds, which is the repository.
    env=dict(_environment(), PYTHONPATH=str(target)),
    stdin=subprocess.DEVNULL,
    capture_output=True,
    text=True,
    timeout=300,
  )
  assert done.returncode == 0, done.stderr
  # 165 blocks of embedded handwriting, as the README says.
  assert done.stdout.splitlines() == [
    "users 165",
    f"version {_declared_version()}",
  ]
  page = (tmp_path / "report" / "report.html").read_text("utf-8")
  assert "Is the template there?" in page


def test_leftovers_do_not_get_in(tmp_path):
  """A module of an earlier build, caches, and files that lie about."""
  tree = build_dist.copied(_ROOT, tmp_path / "tree")
  for name in (
    "build/lib/tff_gen_debug/removed.py",
    "tff_gen_debug.egg-info/SOURCES.txt",
    "tff_gen_debug/__pycache__/removed.py",
    "tff_gen_debug/.scratch/notes.py",
    "notes.py",
  ):
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("tff_gen_debug/removed.py\n")
  for path in build_dist.build(tree, tmp_path / "out"):
    if path.suffix == ".whl":
      with zipfile.ZipFile(str(path)) as wheel:
        names = wheel.namelist()
    else:
      with tarfile.open(str(path)) as archive:
        names = archive.getnames()
    assert any(name.endswith("tff_gen_debug/arguments.py") for name in names)
    found = [n for n in names if "removed" in n or "notes" in n]
    assert found == []


def test_what_setuptools_says_is_passed_on(tmp_path):
  tree = build_dist.copied(_ROOT, tmp_path / "tree")
  (tree / "pyproject.toml").write_text("[project]\nname = 3\n")
  with pytest.raises(RuntimeError, match="build_sdist failed"):
    build_dist.build(tree, tmp_path / "out")
