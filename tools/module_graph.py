"""Finds the repository's Python modules and what they import of each other.

Read from the source by `ast`, so nothing is imported and a module that another
one only names in a string, to start it as a process, can be found too.
"""

import ast
import dataclasses
import pathlib
import re
from typing import Dict, Iterator, List, Optional, Set

# Directories at the root that hold Python and belong to the project.
TOP_LEVEL = ("tff_gen_debug", "tasks", "tests", "tools", "benchmarks", "colabs")
_IMPORT_LINE = re.compile(r"^\s*(?:from\s+[\w.]+\s+)?import\s+[\w., ]+", re.M)


@dataclasses.dataclass(frozen=True)
class Module:
  """A Python file of the repository.

  Attributes:
    path: Its path, relative to the root.
    name: Its dotted name; a package's `__init__.py` has the package's name.
    imports: Dotted names of the in-repository modules that it imports. A
      package that is only passed through on the way to a module is left out.
    starts: Dotted names of the in-repository modules that it has no import of
      but names in a string, to run them: a dotted name in full, the file name
      of a neighbour, and in a test also a line of code that imports.
    has_main: Whether it does something when run as a script.
  """

  path: pathlib.PurePosixPath
  name: str
  imports: frozenset
  starts: frozenset
  has_main: bool

  @property
  def is_package(self) -> bool:
    return self.path.name == "__init__.py"

  @property
  def is_test(self) -> bool:
    return self.path.name.endswith("_test.py")


def _dotted_name(path: pathlib.PurePosixPath) -> str:
  parts = path.with_suffix("").parts
  return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def python_files(root: pathlib.Path) -> List[pathlib.PurePosixPath]:
  """Paths of the project's Python files, relative to `root`, sorted."""
  found = []
  for top in TOP_LEVEL:
    for path in (root / top).rglob("*.py"):
      relative = path.relative_to(root)
      if not any(p.startswith((".", "__pycache__")) for p in relative.parts):
        found.append(pathlib.PurePosixPath(relative.as_posix()))
  return sorted(found)


def _resolve(name: str, known: Dict[str, pathlib.PurePosixPath]) -> str:
  """The longest prefix of a dotted name that is a module, or nothing."""
  while name and name not in known:
    name = name.rpartition(".")[0]
  return name


def _base_of_relative_import(
  path: pathlib.PurePosixPath, node: ast.ImportFrom
) -> str:
  package = path.parent.parts
  kept = package[: len(package) - (node.level - 1)]
  return ".".join(kept + ((node.module,) if node.module else ()))


def _imported_names(
  tree: ast.AST,
  path: pathlib.PurePosixPath,
  known: Dict[str, pathlib.PurePosixPath],
) -> Iterator[str]:
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      for alias in node.names:
        yield alias.name
    elif isinstance(node, ast.ImportFrom):
      base = node.module or ""
      if node.level:
        base = _base_of_relative_import(path, node)
      for alias in node.names:
        full = f"{base}.{alias.name}"
        yield full if full in known else base


def _started_names(
  tree: ast.AST,
  path: pathlib.PurePosixPath,
  known: Dict[str, pathlib.PurePosixPath],
) -> Iterator[str]:
  neighbours = {
    other.name: name
    for name, other in known.items()
    if other.parent == path.parent and other.stem != "__init__"
  }
  for node in ast.walk(tree):
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
      continue
    if "." in node.value and node.value in known:
      yield node.value
    elif node.value in neighbours:
      yield neighbours[node.value]
    elif path.name.endswith("_test.py"):
      for line in _IMPORT_LINE.findall(node.value):
        try:
          yield from _imported_names(ast.parse(line.strip()), path, known)
        except SyntaxError:
          continue  # Prose that begins with "import".


def _is_main_guard(node: ast.stmt) -> bool:
  return (
    isinstance(node, ast.If)
    and isinstance(node.test, ast.Compare)
    and isinstance(node.test.left, ast.Name)
    and node.test.left.id == "__name__"
  )


def load(root: pathlib.Path) -> Dict[str, Module]:
  """Reads every Python file of the project under `root`.

  Args:
    root: The root of the repository.

  Returns:
    The modules by dotted name, in the order of their paths.

  Raises:
    SyntaxError: If a file is not valid Python.
    ValueError: If two files have one dotted name.
  """
  known: Dict[str, pathlib.PurePosixPath] = {}
  for path in python_files(root):
    name = _dotted_name(path)
    if name in known:
      raise ValueError(f"{path} and {known[name]} are both the module {name}")
    known[name] = path
  modules = {}
  for name, path in known.items():
    tree = ast.parse((root / path).read_text(encoding="utf-8"), str(path))
    imports = {
      target
      for imported in _imported_names(tree, path, known)
      for target in [_resolve(imported, known)]
      if target and target != name
    }
    starts: Set[str] = set()
    for started in _started_names(tree, path, known):
      target = _resolve(started, known)
      if target and target != name:
        starts.add(target)
        if f"{target}.__main__" in known:
          starts.add(f"{target}.__main__")
    modules[name] = Module(
      path=path,
      name=name,
      imports=frozenset(imports),
      starts=frozenset(starts - imports),
      has_main=path.name == "__main__.py"
      or any(_is_main_guard(node) for node in tree.body),
    )
  return modules


def find_cycle(modules: Dict[str, Module]) -> Optional[List[str]]:
  """Returns the names along one circle of imports, or None."""
  done: Set[str] = set()

  def visit(name: str, trail: List[str]) -> Optional[List[str]]:
    if name in trail:
      return trail[trail.index(name) :] + [name]
    if name in done:
      return None
    for target in sorted(modules[name].imports):
      cycle = visit(target, trail + [name])
      if cycle:
        return cycle
    done.add(name)
    return None

  for name in modules:
    cycle = visit(name, [])
    if cycle:
      return cycle
  return None
