"""Checks the notebooks of colabs/: what was committed, and that they run.

Those that execute whole notebooks have the mark `notebook`: `make
test-notebook`. The others read files, and test the tool with planted faults.
"""

import os
import pathlib
import re
import sys

import nbclient
import nbformat
from nbformat import v4
import pytest

from tools import run_notebooks

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_NAMES = (
  "1_find_a_preprocessing_bug.ipynb",
  "2_find_a_tokenization_bug.ipynb",
  "3_topagg_in_your_own_process.ipynb",
  "4_privacy_budgets.ipynb",
  "5_your_own_data_and_model.ipynb",
)
_CHECK = {"tags": ["hide-input", "check"], "jupyter": {"source_hidden": True}}


def _read(name):
  return nbformat.read(_ROOT / "colabs" / name, as_version=4)


def test_the_tool_finds_all_in_order():
  assert tuple(path.name for path in run_notebooks.find()) == _NAMES


@pytest.mark.parametrize("name", _NAMES)
def test_what_was_committed_can_be_read_by_others(name):
  path = _ROOT / "colabs" / name
  assert run_notebooks.problems(path, _read(name)) == []


@pytest.mark.parametrize("name", _NAMES)
def test_there_are_pictures_and_a_smoke_setting(name):
  notebook = _read(name)
  source = "\n".join(c.source for c in notebook.cells if c.cell_type == "code")
  assert 'os.environ.get("TFF_GEN_DEBUG_SMOKE")' in source
  kinds = {
    kind
    for cell in notebook.cells
    for output in cell.get("outputs", [])
    for kind in output.get("data", {})
  }
  assert "image/png" in kinds


def test_all_install_themselves_in_the_same_way():
  cells = set()
  for name in _NAMES:
    first, *_ = [c for c in _read(name).cells if c.cell_type == "code"]
    cells.add(first.source)
  (cell,) = cells
  assert "google.colab" in cell and "make venv" in cell


@pytest.mark.notebook
@pytest.mark.slow
@pytest.mark.parametrize("name", _NAMES)
def test_runs_from_top_to_bottom_in_the_smoke_setting(name):
  path = _ROOT / "colabs" / name
  notebook = run_notebooks.execute(path, smoke=True)
  assert run_notebooks.problems(path, notebook) == []


def _cell(source, *outputs, count=1, metadata=None):
  return v4.new_code_cell(
    source,
    outputs=list(outputs),
    execution_count=count,
    metadata=metadata or {},
  )


def _stream(text, name="stdout"):
  return v4.new_output("stream", name=name, text=text)


def _sound_cells():
  return [
    v4.new_markdown_cell("# Title\n\n[there](there.md), [web](https://x.org)"),
    _cell("print(1)", _stream("1\n")),
    _cell("assert 1 == 1", count=2, metadata=_CHECK),
  ]


def _problems(folder, cells):
  (folder / "there.md").write_text("")
  notebook = v4.new_notebook(cells=cells)
  return run_notebooks.problems(folder / "a.ipynb", notebook)


def test_a_sound_notebook_has_no_problems(tmp_path):
  assert _problems(tmp_path, _sound_cells()) == []


def _error():
  return v4.new_output("error", ename="KeyError", evalue="x", traceback=[])


@pytest.mark.parametrize(
  "cell, problem",
  [
    (_cell("1 / 0", _error(), count=3), "failed: KeyError"),
    (_cell("f()", _stream("W0000 no GPU\n", "stderr"), count=3), "to stderr"),
    (_cell("f()", _stream("in /home/jo/x\n"), count=3), "machine: /home/jo"),
    (_cell('open("/tmp/x")', count=3), "machine: /tmp/x"),
    (_cell("f()", _stream(f"{_ROOT}\n"), count=3), f"machine: {_ROOT}"),
    (
      _cell("f", _stream("<f at 0x7f88e6f325c0>"), count=3),
      "at 0x7f88e6f325c0",
    ),
    (_cell("1", count=4), r"not executed in order: \[1, 2, 4\]"),
    (_cell("1", count=None), r"not executed in order: \[1, 2, None\]"),
    (_cell("# ok", count=3, metadata=_CHECK), "a check asserts nothing"),
    (
      v4.new_markdown_cell("[a](../docs/gone.md#b)"),
      "nowhere: ../docs/gone.md",
    ),
    (_cell("f()", _stream("x" * 500_000), count=3), "more than 500,000"),
  ],
)
def test_a_planted_fault_is_named(tmp_path, cell, problem):
  (found,) = _problems(tmp_path, [*_sound_cells(), cell])
  assert re.search(problem, found), found


def test_a_result_is_searched_as_well_as_a_stream(tmp_path):
  result = v4.new_output(
    "execute_result", data={"text/plain": "'/home/a/b'"}, execution_count=3
  )
  (found,) = _problems(tmp_path, [*_sound_cells(), _cell("x", result, count=3)])
  assert "machine: /home/a" in found


def test_without_outputs_or_checks_it_is_not_fit(tmp_path):
  title, *_ = _sound_cells()
  assert _problems(tmp_path, [title, _cell("1")]) == [
    "there are no outputs",
    "no cell has the tag check",
  ]


def _write(folder, *sources):
  path = folder / "small.ipynb"
  cells = [v4.new_code_cell(source) for source in sources]
  nbformat.write(v4.new_notebook(cells=cells), str(path))
  return path


@pytest.mark.notebook
@pytest.mark.slow
def test_a_kernel_of_this_python_in_a_folder_of_its_own(tmp_path):
  path = _write(
    tmp_path,
    "import os, sys, tff_gen_debug\n"
    "print(sys.executable)\n"
    "print(tff_gen_debug.__file__)\n"
    "print(os.listdir())\n"
    "print(os.environ.get('TFF_GEN_DEBUG_SMOKE'))",
  )
  before = path.read_bytes()
  texts = [
    run_notebooks.execute(path, smoke=smoke).cells[0].outputs[0].text
    for smoke in (True, False)
  ]
  package = _ROOT / "tff_gen_debug" / "__init__.py"
  for text, smoke in zip(texts, ("1", "None")):
    assert text.splitlines() == [sys.executable, str(package), "[]", smoke]
  assert path.read_bytes() == before


@pytest.mark.notebook
@pytest.mark.slow
def test_progress_bars_go_and_other_lines_stay(tmp_path):
  bars = (
    "import sys, tqdm\n"
    "for _ in tqdm.trange(3, desc='slice', unit='round'): pass"
  )
  path = _write(tmp_path, bars, bars + "\nprint('a warning', file=sys.stderr)")
  bar_only, with_warning = run_notebooks.execute(path, smoke=True).cells
  assert bar_only.outputs == []
  assert [o.text for o in with_warning.outputs] == ["a warning\n"]


@pytest.mark.notebook
@pytest.mark.slow
def test_a_cell_that_fails_stops_it(tmp_path, capsys):
  path = _write(tmp_path, "raise ValueError('so it goes')")
  with pytest.raises(
    nbclient.exceptions.CellExecutionError, match="so it goes"
  ):
    run_notebooks.execute(path, smoke=True)
  before = path.read_bytes()
  assert run_notebooks.main([str(path)]) == 1
  assert "so it goes" in capsys.readouterr().err
  assert path.read_bytes() == before


@pytest.mark.notebook
@pytest.mark.slow
def test_only_a_fit_notebook_is_written(tmp_path, capsys):
  path = tmp_path / "small.ipynb"
  cells = [
    v4.new_markdown_cell("# Title"),
    v4.new_code_cell("print(6 * 7)"),
    v4.new_code_cell("assert 6 * 7 == 42", metadata=_CHECK),
  ]
  nbformat.write(v4.new_notebook(cells=cells), str(path))
  assert run_notebooks.main([str(path)]) == 0
  written = nbformat.read(path, as_version=4)
  assert written.cells[1].outputs[0].text == "42\n"
  assert "version" not in written.metadata.language_info
  cells[1].source = f"print({os.path.expanduser('~')!r})"
  nbformat.write(v4.new_notebook(cells=cells), str(path))
  before = path.read_bytes()
  assert run_notebooks.main([str(path)]) == 1
  assert "has a path of a machine" in capsys.readouterr().err
  assert path.read_bytes() == before


def test_outputs_of_the_smoke_setting_are_never_written(capsys):
  with pytest.raises(SystemExit):
    run_notebooks.main(["--smoke"])
  assert "--smoke needs --check" in capsys.readouterr().err
