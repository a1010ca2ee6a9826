"""Checks the BUILD files: every module has its target, every label leads home.

The files are read here as the Python expressions that they are, apart from the
code that writes them.
"""

import ast
import collections
import pathlib

import pytest

from tools import build_files
from tools import module_graph

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_RULES = ("py_library", "py_test", "py_binary", "filegroup")
_TOPS = [top for top in module_graph.TOP_LEVEL if (_ROOT / top).is_dir()]

_Target = collections.namedtuple("_Target", "rule srcs deps data testonly")


def _absolute(label, package):
  if label.startswith(":"):
    return f"//{package}{label}"
  if ":" not in label:
    return f"{label}:{label.rsplit('/', 1)[-1]}"
  return label


def _read_targets(root):
  """All targets of the BUILD files below `root`'s folders, by full label."""
  targets = {}
  for top in module_graph.TOP_LEVEL:
    for path in sorted((root / top).rglob("BUILD")):
      package = path.parent.relative_to(root).as_posix()
      for node in ast.parse(path.read_text()).body:
        call = node.value
        if call.func.id not in _RULES:
          assert call.func.id in (
            "load",
            "package",
            "licenses",
            "exports_files",
          )
          continue
        given = {k.arg: ast.literal_eval(k.value) for k in call.keywords}
        label = f"//{package}:{given['name']}"
        assert label not in targets, f"{label} is there twice"
        targets[label] = _Target(
          rule=call.func.id,
          srcs=[f"{package}/{name}" for name in given.get("srcs", ())],
          deps=[_absolute(dep, package) for dep in given.get("deps", ())],
          data=[f"{package}/{name}" for name in given.get("data", ())],
          testonly=given.get("testonly", False),
        )
  return targets


@pytest.fixture(scope="module")
def targets():
  return _read_targets(_ROOT)


@pytest.fixture(scope="module")
def modules():
  return module_graph.load(_ROOT)


def test_the_files_are_what_the_sources_say():
  stale = build_files.differences(_ROOT)
  assert not stale, "run `make build-files`"


def test_every_module_and_test_is_in_exactly_one_target(targets):
  owners = collections.Counter(
    source
    for target in targets.values()
    for source in target.srcs
    if source.endswith(".py")
  )
  present = {
    path.relative_to(_ROOT).as_posix()
    for top in _TOPS
    for path in (_ROOT / top).rglob("*.py")
    if "__pycache__" not in path.parts
  }
  assert set(owners) == present
  assert {source for source, count in owners.items() if count > 1} == set()


def test_every_python_file_of_the_repository_is_in_a_known_folder():
  strange = [
    path
    for path in _ROOT.glob("*/**/*.py")
    if not path.relative_to(_ROOT).parts[0].startswith(".")
    and path.relative_to(_ROOT).parts[0] not in ("build", "dist", "out")
    and path.relative_to(_ROOT).parts[0] not in module_graph.TOP_LEVEL
  ]
  assert not strange + list(_ROOT.glob("*.py"))


def test_tests_are_py_tests_and_nothing_else_is(targets):
  for label, target in targets.items():
    is_test = [source.endswith("_test.py") for source in target.srcs]
    assert (target.rule == "py_test") == any(is_test), label
    if target.rule != "filegroup":
      assert len(target.srcs) == 1, label


def test_every_label_leads_to_a_target(targets):
  unknown = {
    (label, dep)
    for label, target in targets.items()
    for dep in target.deps
    if dep not in targets
  }
  assert unknown == set()


def test_nothing_but_tests_depends_on_test_code(targets):
  for label, target in targets.items():
    for dep in target.deps:
      if targets[dep].testonly:
        assert target.testonly or target.rule == "py_test", (label, dep)


def test_deps_are_the_imports(targets, modules):
  """Neither one too few nor one too many; tests also get their conftest."""
  by_source = {t.srcs[0]: t for t in targets.values() if t.srcs}
  for module in modules.values():
    target = by_source[str(module.path)]
    given = {targets[dep].srcs[0] for dep in target.deps}
    imported = {str(modules[name].path) for name in module.imports}
    allowed = imported | {str(modules[name].path) for name in module.starts}
    if module.path.name.endswith("_test.py"):
      allowed |= {
        f"{folder}/conftest.py"
        for folder in module.path.parents
        if (_ROOT / folder / "conftest.py").exists()
      }
    assert given >= imported, (module.path, imported - given)
    assert given <= allowed, (module.path, given - allowed)


def test_every_data_file_is_there_and_claimed(targets):
  claimed = set()
  for label, target in targets.items():
    for file in target.data + target.srcs:
      assert (_ROOT / file).is_file(), (label, file)
      claimed.add(file)
  left_out = (".py", ".pyc", ".md", ".bzl")
  present = {
    path.relative_to(_ROOT).as_posix()
    for top in _TOPS
    for path in (_ROOT / top).rglob("*")
    if path.is_file() and path.name != "BUILD" and path.suffix not in left_out
  }
  assert {p for p in present - claimed if "/." not in p} == set()


def _write(root, files):
  for name, text in files.items():
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_small_tree_becomes_these_targets(tmp_path):
  _write(
    tmp_path,
    {
      "tff_gen_debug/__init__.py": "",
      "tff_gen_debug/py.typed": "",
      "tff_gen_debug/room/__init__.py": "from tff_gen_debug.room import door",
      "tff_gen_debug/room/door.py": "DATA = 'key.npz'",
      "tff_gen_debug/room/window.py": "from tff_gen_debug.room import door",
      "tff_gen_debug/room/files/key.npz": "",
      "tasks/walk/__main__.py": "import tff_gen_debug.room as room_lib\n",
      "tests/conftest.py": "",
      "tests/room/door_test.py": (
        "from tff_gen_debug.room import door\n"
        "import pytest\n"
        "@pytest.mark.slow\n"
        "def test_walk(): run('-m', 'tasks.walk.__main__')\n"
      ),
    },
  )
  texts = build_files.render(tmp_path)
  assert sorted(texts) == [
    "tasks/walk/BUILD",
    "tests/BUILD",
    "tests/room/BUILD",
    "tff_gen_debug/BUILD",
    "tff_gen_debug/room/BUILD",
  ]
  _write(tmp_path, texts)
  assert _read_targets(tmp_path) == {
    "//tff_gen_debug:tff_gen_debug": _Target(
      "py_library",
      ["tff_gen_debug/__init__.py"],
      [],
      ["tff_gen_debug/py.typed"],
      False,
    ),
    "//tff_gen_debug/room:room": _Target(
      "py_library",
      ["tff_gen_debug/room/__init__.py"],
      ["//tff_gen_debug/room:door"],
      [],
      False,
    ),
    "//tff_gen_debug/room:door": _Target(
      "py_library",
      ["tff_gen_debug/room/door.py"],
      [],
      ["tff_gen_debug/room/files/key.npz"],
      False,
    ),
    "//tff_gen_debug/room:window": _Target(
      "py_library",
      ["tff_gen_debug/room/window.py"],
      ["//tff_gen_debug/room:door"],
      [],
      False,
    ),
    "//tasks/walk:__main__": _Target(
      "py_binary",
      ["tasks/walk/__main__.py"],
      ["//tff_gen_debug/room:room"],
      [],
      False,
    ),
    "//tests:conftest": _Target(
      "py_library", ["tests/conftest.py"], [], [], True
    ),
    "//tests/room:door_test": _Target(
      "py_test",
      ["tests/room/door_test.py"],
      [
        "//tasks/walk:__main__",
        "//tests:conftest",
        "//tff_gen_debug/room:door",
      ],
      [],
      False,
    ),
  }
  assert 'size = "large"' in texts["tests/room/BUILD"]
  assert build_files.differences(tmp_path) == []


def test_missing_stale_and_leftover_files_are_named(tmp_path):
  _write(tmp_path, {"tasks/a/a.py": "", "tasks/b/b.py": ""})
  _write(tmp_path, build_files.render(tmp_path))
  (tmp_path / "tasks/a/BUILD").unlink()
  (tmp_path / "tasks/b/new.py").touch()
  _write(tmp_path, {"tasks/c/BUILD": ""})
  assert build_files.differences(tmp_path) == [
    "tasks/a/BUILD",
    "tasks/b/BUILD",
    "tasks/c/BUILD",
  ]
