"""Writes the BUILD files from the Python sources, or checks that they match.

  python -m tools.build_files            writes them
  python -m tools.build_files --check    says which ones differ; exit code 1

The files look like those of TensorFlow Federated: one target a module, each
with the modules that it imports as `deps`. A module that does something when
run is a `py_binary`, a test a `py_test`. Third-party packages come from the
interpreter's environment and so aren't named. The root's BUILD is written by
hand.
"""

import argparse
import pathlib
import sys
from typing import Dict, Iterable, List, Set, Tuple

from tools import module_graph

_HEADER = "# Written by `make build-files` from the imports; edit those.\n"
_VISIBILITY = {"tff_gen_debug": "//visibility:public"}
_DEFAULT_VISIBILITY = "//:__subpackages__"
# Lines that no Python file implies, by package.
_PRELUDE = {"tests": 'exports_files(["pytest_main.py"])\n'}
_NOT_DATA = {".py", ".pyc", ".md", ".bzl"}
_SLOW = ("mark.slow", "mark.notebook")
# These tests look at the whole repository, which no `data` could list.
_LOCAL_TESTS = "tests/packaging"

_Attributes = Dict[str, object]


def _labels_of(modules: Iterable[module_graph.Module]) -> Dict[str, str]:
  """Full label of each module's target, by the module's dotted name."""
  modules = list(modules)
  paths = {module.path for module in modules}
  labels = {}
  for module in modules:
    package = module.path.parent
    target = module.path.stem
    if module.is_package and package / f"{package.name}.py" not in paths:
      target = package.name
    labels[module.name] = f"//{package}:{target}"
  return labels


def _shortened(label: str, package: str) -> str:
  path, _, target = label[2:].partition(":")
  if path == package:
    return f":{target}"
  return f"//{path}" if path.rsplit("/", 1)[-1] == target else label


def _sorted_labels(labels: Iterable[str], package: str) -> List[str]:
  short = {_shortened(label, package) for label in labels}
  return sorted(short, key=lambda label: (not label.startswith(":"), label))


def _conftests(
  module: module_graph.Module, modules: Dict[str, module_graph.Module]
) -> Set[str]:
  """The conftest modules that pytest loads before a test module."""
  folders = module.path.parents
  return {
    other.name
    for other in modules.values()
    if other.path.name == "conftest.py" and other.path.parent in folders
  }


def dependencies(
  module: module_graph.Module, modules: Dict[str, module_graph.Module]
) -> Set[str]:
  """Dotted names of the modules that a module's target depends on."""
  names = set(module.imports | module.starts)
  if module.is_test:
    names |= _conftests(module, modules)
  return names


def data_files(root: pathlib.Path) -> Dict[str, List[str]]:
  """The files beside the modules that code reads, by package.

  Args:
    root: The root of the repository.

  Returns:
    Paths relative to the package, sorted. A folder without Python belongs to
    the nearest folder above that has some.
  """
  packages = {p.parent for p in module_graph.python_files(root)}
  packages |= {
    pathlib.PurePosixPath(top)
    for top in module_graph.TOP_LEVEL
    if (root / top).is_dir()
  }
  found: Dict[str, List[str]] = {}
  for top in module_graph.TOP_LEVEL:
    for path in (root / top).rglob("*"):
      relative = pathlib.PurePosixPath(path.relative_to(root).as_posix())
      parts = relative.parts
      if (
        not path.is_file()
        or path.suffix in _NOT_DATA
        or path.name == "BUILD"
        or any(p.startswith((".", "__pycache__")) for p in parts)
        or any(p.endswith(".egg-info") for p in parts)
      ):
        continue
      package = next(p for p in relative.parents if p in packages)
      found.setdefault(str(package), []).append(
        str(relative.relative_to(package))
      )
  return {package: sorted(files) for package, files in found.items()}


def _data_by_target(
  root: pathlib.Path,
  modules: List[module_graph.Module],
  files: List[str],
) -> Tuple[Dict[str, List[str]], List[str]]:
  """Gives each file to the modules that name it, else to the package.

  Args:
    root: The root of the repository.
    modules: The modules of one package.
    files: The data files of the package.

  Returns:
    The files by the dotted name of a module, and those that nobody takes.
  """
  sources = {m.name: (root / m.path).read_text("utf-8") for m in modules}
  init = [module.name for module in modules if module.is_package]
  taken: Dict[str, List[str]] = {}
  left = []
  for file in files:
    base = pathlib.PurePosixPath(file).name
    readers = [name for name, text in sources.items() if base in text] or init
    for name in readers:
      taken.setdefault(name, []).append(file)
    if not readers:
      left.append(file)
  return taken, left


def _render_value(value: object) -> str:
  if isinstance(value, bool):
    return str(value)
  if isinstance(value, str):
    return f'"{value}"'
  if isinstance(value, list) and len(value) == 1:
    return f'["{value[0]}"]'
  lines = "".join(f'        "{item}",\n' for item in value)
  return f"[\n{lines}    ]"


def _render_target(rule: str, attributes: _Attributes) -> str:
  lines = "".join(
    f"    {key} = {_render_value(value)},\n"
    for key, value in attributes.items()
    if value
  )
  return f"{rule}(\n{lines})\n"


def _render_module(
  module: module_graph.Module,
  modules: Dict[str, module_graph.Module],
  labels: Dict[str, str],
  data: List[str],
  source: str,
) -> str:
  package = str(module.path.parent)
  deps = {labels[name] for name in dependencies(module, modules)}
  attributes: _Attributes = {"name": labels[module.name].partition(":")[2]}
  if module.is_test:
    rule = "py_test"
    if any(marker in source for marker in _SLOW):
      attributes["size"] = "large"
  else:
    rule = "py_binary" if module.has_main else "py_library"
    attributes["testonly"] = module.path.parts[0] == "tests"
  attributes["srcs"] = [module.path.name]
  attributes["data"] = data
  if module.is_test and package == _LOCAL_TESTS:
    attributes["tags"] = ["local"]
  attributes["deps"] = _sorted_labels(deps, package)
  return _render_target(rule, attributes)


def render(root: pathlib.Path) -> Dict[str, str]:
  """The text of every BUILD file but the root's.

  Args:
    root: The root of the repository.

  Returns:
    The texts, by path relative to the root.
  """
  modules = module_graph.load(root)
  labels = _labels_of(modules.values())
  data = data_files(root)
  packages = {str(m.path.parent) for m in modules.values()} | set(data)
  texts = {}
  for package in sorted(packages):
    here = [m for m in modules.values() if str(m.path.parent) == package]
    here.sort(key=lambda module: (not module.is_package, module.path))
    taken, left = _data_by_target(root, here, data.get(package, []))
    blocks = [_HEADER]
    if any(module.is_test for module in here):
      blocks.append('load("//tests:pytest.bzl", "py_test")\n')
    top = package.split("/", 1)[0]
    visibility = _VISIBILITY.get(top, _DEFAULT_VISIBILITY)
    blocks.append(f'package(default_visibility = ["{visibility}"])\n')
    blocks.append('licenses(["notice"])\n')
    if package in _PRELUDE:
      blocks.append(_PRELUDE[package])
    for module in here:
      source = (root / module.path).read_text("utf-8")
      files = taken.get(module.name, [])
      blocks.append(_render_module(module, modules, labels, files, source))
    if left:
      blocks.append(
        _render_target("filegroup", {"name": "files", "srcs": left})
      )
    texts[f"{package}/BUILD"] = "\n".join(blocks)
  return texts


def differences(root: pathlib.Path) -> List[str]:
  """Paths of the BUILD files that are missing, stale or not wanted."""
  wanted = render(root)
  present = {
    path.relative_to(root).as_posix()
    for top in module_graph.TOP_LEVEL
    for path in (root / top).rglob("BUILD")
  }
  return sorted(
    path
    for path in present | set(wanted)
    if path not in present
    or path not in wanted
    or (root / path).read_text("utf-8") != wanted[path]
  )


def main() -> int:
  """Writes or checks, as the command line says; returns the exit code."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--check", action="store_true")
  root = pathlib.Path(__file__).resolve().parent.parent
  check_only = parser.parse_args().check
  changed = differences(root)
  if check_only:
    for path in changed:
      print(f"{path} does not match the sources: run `make build-files`")
    return 1 if changed else 0
  wanted = render(root)
  for path in changed:
    if path in wanted:
      (root / path).write_text(wanted[path], encoding="utf-8")
    else:
      (root / path).unlink()
    print(f"{'wrote' if path in wanted else 'removed'} {path}")
  return 0


if __name__ == "__main__":
  sys.exit(main())
