"""Tests of the reading of imports, on sources with every form of import."""

import pytest

from tools import module_graph


def _load(tmp_path, files):
  for name, text in files.items():
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
  return module_graph.load(tmp_path)


_PACKAGE = {
  "tasks/__init__.py": "",
  "tasks/walk/__init__.py": "",
  "tasks/walk/__main__.py": "",
  "tasks/walk/step.py": "",
  "tasks/walk/shoe.py": "",
}


@pytest.mark.parametrize(
  "source, expected",
  [
    ("import numpy, os.path", []),
    ("import tasks.walk.step", ["tasks.walk.step"]),
    ("import tasks.walk.step as s", ["tasks.walk.step"]),
    ("from tasks.walk import step", ["tasks.walk.step"]),
    ("from tasks.walk import step as s, shoe", ["tasks.walk.*"]),
    ("from tasks.walk.step import left", ["tasks.walk.step"]),
    ("from tasks.walk import left", ["tasks.walk"]),
    ("from tasks import walk", ["tasks.walk"]),
    ("import tasks.walk", ["tasks.walk"]),
    ("def f():\n  from tasks.walk import shoe", ["tasks.walk.shoe"]),
    ("if X:\n  import tasks.walk.shoe", ["tasks.walk.shoe"]),
    ("from . import other", ["tasks.run.other"]),
    ("from ..walk import step", ["tasks.walk.step"]),
    ("from ..walk.step import left", ["tasks.walk.step"]),
  ],
)
def test_imports_of_every_form(tmp_path, source, expected):
  files = dict(_PACKAGE)
  files["tasks/run/__init__.py"] = ""
  files["tasks/run/other.py"] = ""
  files["tasks/run/fast.py"] = source
  found = _load(tmp_path, files)["tasks.run.fast"].imports
  if expected == ["tasks.walk.*"]:
    expected = ["tasks.walk.step", "tasks.walk.shoe"]
  assert found == set(expected)


def test_names_in_strings_are_what_a_module_starts(tmp_path):
  files = dict(_PACKAGE)
  files["tests/walk_test.py"] = (
    "run('-m', 'tasks.walk')\n"
    "run('-c', '''\n"
    "import time\n"
    "  from tasks.walk import shoe\n"
    "''')\n"
    "'''import what you like'''\n"
  )
  files["tasks/walk/march.py"] = '"""from tasks.walk import shoe"""\n"step.py"'
  modules = _load(tmp_path, files)
  assert modules["tests.walk_test"].imports == set()
  assert modules["tests.walk_test"].starts == {
    "tasks.walk",
    "tasks.walk.__main__",
    "tasks.walk.shoe",
  }
  # The example in a docstring is no dependency; the neighbour's file is.
  assert modules["tasks.walk.march"].starts == {"tasks.walk.step"}


def test_scripts_are_known_by_their_guard_or_their_name(tmp_path):
  files = dict(_PACKAGE)
  files["tools/go.py"] = "if __name__ == '__main__':\n  go()\n"
  modules = _load(tmp_path, files)
  scripts = [name for name, module in modules.items() if module.has_main]
  assert sorted(scripts) == ["tasks.walk.__main__", "tools.go"]


def test_a_circle_of_imports_is_found(tmp_path):
  files = dict(_PACKAGE)
  assert module_graph.find_cycle(_load(tmp_path, files)) is None
  files["tasks/walk/step.py"] = "from tasks.walk import shoe"
  files["tasks/walk/shoe.py"] = "import tasks.walk.lace"
  files["tasks/walk/lace.py"] = "def f():\n  from tasks.walk import step"
  cycle = module_graph.find_cycle(_load(tmp_path, files))
  assert cycle[0] == cycle[-1]
  assert set(cycle) == {
    "tasks.walk.step",
    "tasks.walk.shoe",
    "tasks.walk.lace",
  }


def test_a_module_and_a_package_of_one_name_are_refused(tmp_path):
  files = dict(_PACKAGE)
  files["tasks/walk.py"] = ""
  with pytest.raises(ValueError, match="tasks.walk"):
    _load(tmp_path, files)
