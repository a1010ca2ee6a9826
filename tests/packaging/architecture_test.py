"""Checks of the whole tree that no single module can make of itself."""

import ast
import pathlib

import pytest

from tools import module_graph
from tools import rooms

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_PACKAGE = "tff_gen_debug"
_MOST_LINES = 450
_NOT_OURS = {"build", "dist", "out", "site"}


@pytest.fixture(scope="module")
def modules():
  return module_graph.load(_ROOT)


def _is_allowed(importer, imported):
  """Whether a room may import a room; None is what is in no room."""
  if None in (importer, imported) or importer == imported:
    return True
  return imported in rooms.ROOMS[importer]


def _files():
  """The text files of the repository, wherever a person would look."""
  for path in sorted(_ROOT.rglob("*")):
    parts = path.relative_to(_ROOT).parts
    hidden = parts[0].startswith(".") and parts[0] != ".ci"
    if hidden or parts[0] in _NOT_OURS or "__pycache__" in parts:
      continue
    if path.is_file() and not path.name.endswith((".pyc", ".new")):
      try:
        yield path, path.read_text("utf-8")
      except UnicodeDecodeError:
        continue


def _shipped(modules):
  return [m for m in modules.values() if m.path.parts[0] in (_PACKAGE, "tasks")]


def test_every_room_is_known():
  found = {path.parent.name for path in _ROOT.glob(f"{_PACKAGE}/*/__init__.py")}
  assert found == set(rooms.ROOMS)


def test_rooms_import_in_one_direction(modules):
  wrong = [
    f"{module.path} imports {target}"
    for module in modules.values()
    for target in module.imports | module.starts
    if not _is_allowed(rooms.room_of(module.name), rooms.room_of(target))
  ]
  assert wrong == []


def test_the_package_imports_nothing_that_uses_it(modules):
  wrong = [
    f"{module.path} imports {target}"
    for module in _shipped(modules)
    for target in module.imports | module.starts
    if target.split(".")[0] not in (_PACKAGE, module.path.parts[0])
  ]
  assert wrong == []


def test_what_every_room_may_use_uses_no_room(modules):
  """A helper beside the rooms is below them all; the root imports nothing."""
  assert modules[_PACKAGE].imports == set()
  helpers = {
    target
    for module in modules.values()
    for target in module.imports
    if rooms.room_of(module.name)
    and target.startswith(_PACKAGE)
    and not rooms.room_of(target)
  }
  for helper in helpers:
    above = [t for t in modules[helper].imports if rooms.room_of(t)]
    assert above == [], f"{helper} serves the rooms and imports {above}"


def test_imports_form_no_circle(modules):
  assert module_graph.find_cycle(modules) is None


def test_modules_are_imported_and_not_their_members(modules):
  """A package's `__init__` collects names; other modules import modules."""
  wrong = []
  for module in _shipped(modules):
    if module.is_package:
      continue
    tree = ast.parse((_ROOT / module.path).read_text("utf-8"))
    for node in ast.walk(tree):
      if not isinstance(node, ast.ImportFrom) or node.level:
        continue
      if (node.module or "").split(".")[0] not in (_PACKAGE, "tasks"):
        continue
      wrong += [
        f"{module.path}:{node.lineno} imports {node.module}.{alias.name}"
        for alias in node.names
        if f"{node.module}.{alias.name}" not in modules
      ]
  assert wrong == []


def test_packages_list_what_they_offer(modules):
  for module in _shipped(modules):
    if module.is_package and module.imports:
      tree = ast.parse((_ROOT / module.path).read_text("utf-8"))
      assigned = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
      }
      assert "__all__" in assigned, module.path


def test_files_are_short(modules):
  lengths = {
    str(module.path): len((_ROOT / module.path).read_text("utf-8").splitlines())
    for module in modules.values()
  }
  assert {p: n for p, n in lengths.items() if n > _MOST_LINES} == {}


def test_input_is_never_checked_by_assert(modules):
  """`python -O` drops asserts, and their errors name nothing."""
  for module in _shipped(modules):
    tree = ast.parse((_ROOT / module.path).read_text("utf-8"))
    lines = [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Assert)]
    assert lines == [], module.path


def test_no_word_of_the_machine_it_was_written_on():
  # Put together here, so that this file doesn't hold them.
  folders = ["/" + word + "/" for word in ("work", "root")]
  folders.append("../" + "shared")
  hosts = [
    ".".join(words)
    for words in (
      ("pypi", "org"),
      ("pythonhosted", "org"),
      ("npmjs", "org"),
      ("deb", "debian", "org"),
    )
  ]
  found = [
    (str(path.relative_to(_ROOT)), word)
    for path, text in _files()
    for word in folders + hosts
    if word in text
  ]
  assert found == []
