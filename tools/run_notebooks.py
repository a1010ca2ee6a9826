"""Executes the notebooks of colabs/ and writes their outputs into them.

  python -m tools.run_notebooks                          all of them, in full
  python -m tools.run_notebooks colabs/1_*.ipynb         some
  python -m tools.run_notebooks --smoke --check          quickly, writes nothing

`make notebooks` does the first. A notebook is written only if every cell ran
and nothing in the outputs is unfit to be read by others; see `problems`.
"""

import argparse
import os
import pathlib
import re
import sys
import tempfile
import time
from typing import List, Optional, Sequence

from jupyter_client import kernelspec
from jupyter_client import manager
import nbclient
import nbformat

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "colabs"

# What a notebook reads to run on few rounds.
SMOKE_VARIABLE = "TFF_GEN_DEBUG_SMOKE"

# GitHub shows no notebook that is much larger.
MAX_BYTES = 500_000

# Cells whose assertions say that the notebook keeps its promises.
_CHECK_TAG = "check"

# tqdm redraws a bar after a carriage return: "  5%|...| 4/80 [00:01<00:20".
_PROGRESS = re.compile(r"^[^\n\r|]*\d+%\|[^\n\r]*\[[^\n\r]*\]\s*$")
_MACHINE_PATH = re.compile(r"(?<![\w.:/-])/(?:home|root|tmp|Users|var)/\w+")
_ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,}")
_LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)")
_ASSERTS = re.compile(r"^\s*assert\b", re.M)


def find(names: Sequence[str] = ()) -> List[pathlib.Path]:
  """The notebooks with these paths, or all, in the order of their numbers."""
  if names:
    return [pathlib.Path(name).resolve() for name in names]
  return sorted(NOTEBOOKS.glob("*.ipynb"))


def execute(
  path: pathlib.Path, *, smoke: bool, timeout: int = 1800
) -> nbformat.NotebookNode:
  """Executes a copy of a notebook from top to bottom.

  The kernel is this Python with this checkout; its working directory is an
  empty temporary one.

  Args:
    path: The notebook. It is not changed.
    smoke: Whether to set `TFF_GEN_DEBUG_SMOKE`.
    timeout: Seconds that a cell may take.

  Returns:
    The notebook with new outputs, without what changes from run to run:
    progress bars, times and the version of Python.

  Raises:
    nbclient.exceptions.CellExecutionError: If a cell fails; the message has the
      cell and its traceback.
    nbclient.exceptions.CellTimeoutError: If a cell takes longer.
  """
  notebook = nbformat.read(path, as_version=4)
  for cell in notebook.cells:
    if cell.cell_type == "code":
      cell.outputs, cell.execution_count = [], None
  env = {**os.environ, "PYTHONPATH": str(ROOT)}
  env.pop(SMOKE_VARIABLE, None)
  if smoke:
    env[SMOKE_VARIABLE] = "1"
  with tempfile.TemporaryDirectory() as scratch:
    folder = pathlib.Path(scratch)
    (folder / "cwd").mkdir()
    # Temporary files of the notebook go where they are removed afterwards.
    env["TMPDIR"] = str(folder)
    nbclient.NotebookClient(
      notebook,
      timeout=timeout,
      km=_kernel_manager(folder / "kernels"),
      resources={"metadata": {"path": str(folder / "cwd")}},
      record_timing=False,
    ).execute(env=env)
  for cell in notebook.cells:
    if cell.cell_type == "code":
      cell.outputs = [o for o in map(_without_progress, cell.outputs) if o]
  notebook.metadata = nbformat.from_dict(
    {
      "kernelspec": {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
      },
      "language_info": {"name": "python"},
    }
  )
  return notebook


def problems(path: pathlib.Path, notebook: nbformat.NotebookNode) -> List[str]:
  """What keeps an executed notebook from being committed.

  Args:
    path: Where it is or will be; its links are relative to that.
    notebook: The notebook.

  Returns:
    One line for each: a cell that was not executed in order, or failed, or
    wrote to stderr; a path of this machine or an address in memory; a link to a
    file that is not there; a check that asserts nothing; no checks; too large.
  """
  found = []
  code = [c for c in notebook.cells if c.cell_type == "code"]
  checks = [c for c in code if _CHECK_TAG in c.metadata.get("tags", [])]
  if notebook.cells[0].cell_type != "markdown":
    found.append("the first cell is not text")
  if not any(c.outputs for c in code):
    found.append("there are no outputs")
  counts = [c.execution_count for c in code]
  if counts != list(range(1, len(code) + 1)):
    found.append(f"cells were not executed in order: {counts}")
  for number, cell in enumerate(code, 1):
    for output in cell.outputs:
      if output.output_type == "error":
        found.append(f"code cell {number} failed: {output.ename}")
      if output.output_type == "stream" and output.name == "stderr":
        found.append(f"code cell {number} wrote to stderr: {output.text[:80]}")
    for text in [cell.source, *map(_text, cell.outputs)]:
      place = _machine_path(text)
      if place:
        found.append(f"code cell {number} has a path of a machine: {place}")
      address = _ADDRESS.search(text)
      if address:
        found.append(f"code cell {number} has an address: {address.group()}")
  if not checks:
    found.append("no cell has the tag check")
  for cell in checks:
    if not _ASSERTS.search(cell.source):
      found.append(f"a check asserts nothing: {cell.source[:60]!r}")
  for cell in notebook.cells:
    if cell.cell_type == "markdown":
      for target in _LINK.findall(cell.source):
        if "://" not in target and not (path.parent / target).exists():
          found.append(f"a link leads nowhere: {target}")
  size = len(nbformat.writes(notebook).encode())
  if size > MAX_BYTES:
    found.append(f"it has {size:,} bytes, more than {MAX_BYTES:,}")
  return found


def main(argv: Optional[Sequence[str]] = None) -> int:
  """Executes what the command line names; returns the exit code."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("notebooks", nargs="*", help="paths; all by default")
  parser.add_argument("--smoke", action="store_true", help="few rounds")
  parser.add_argument("--check", action="store_true", help="write nothing")
  args = parser.parse_args(argv)
  if args.smoke and not args.check:
    parser.error("--smoke needs --check: outputs are those of full runs")
  failed = False
  for path in find(args.notebooks):
    start = time.monotonic()
    try:
      notebook = execute(path, smoke=args.smoke)
    except nbclient.exceptions.CellControlSignal as error:
      print(f"{path.name}: failed\n{error}", file=sys.stderr)
      failed = True
      continue
    minutes = (time.monotonic() - start) / 60
    wrong = problems(path, notebook)
    print(f"{path.name}: {minutes:.1f} minutes, {len(wrong)} problems")
    for line in wrong:
      print(f"  {line}", file=sys.stderr)
    failed = failed or bool(wrong)
    if not (args.check or wrong):
      replacement = path.with_suffix(".new")
      nbformat.write(notebook, str(replacement))
      replacement.replace(path)
  return int(failed)


def _kernel_manager(folder: pathlib.Path) -> manager.AsyncKernelManager:
  """A kernel of this Python, whatever else is registered on this machine."""
  (folder / "python3").mkdir(parents=True)
  (folder / "python3" / "kernel.json").write_text(
    kernelspec.KernelSpec(
      argv=[
        sys.executable,
        # Else the debugger, which nobody uses here, complains of them.
        "-Xfrozen_modules=off",
        "-m",
        "ipykernel_launcher",
        "-f",
        "{connection_file}",
      ],
      display_name="Python 3",
      language="python",
    ).to_json()
  )
  specs = kernelspec.KernelSpecManager(
    kernel_dirs=[str(folder)], ensure_native_kernel=False
  )
  return manager.AsyncKernelManager(
    kernel_name="python3", kernel_spec_manager=specs
  )


def _without_progress(
  output: nbformat.NotebookNode,
) -> Optional[nbformat.NotebookNode]:
  """An output without progress bars; None if nothing else was in it."""
  if output.output_type != "stream" or output.name != "stderr":
    return output
  lines = re.split(r"[\r\n]+", output.text)
  kept = [line for line in lines if line.strip() and not _PROGRESS.match(line)]
  if not kept:
    return None
  return nbformat.from_dict({**output, "text": "\n".join(kept) + "\n"})


def _machine_path(text: str) -> Optional[str]:
  """A path of this or another machine in a text, if there is one."""
  match = _MACHINE_PATH.search(text)
  if match:
    return match.group()
  for place in (str(ROOT), os.path.expanduser("~"), sys.prefix):
    if len(place) > 1 and place in text:
      return place
  return None


def _text(output: nbformat.NotebookNode) -> str:
  """What a reader reads of an output: no pictures."""
  if output.output_type == "stream":
    return output.text
  if output.output_type == "error":
    return "\n".join(output.traceback)
  return "\n".join(
    str(content)
    for kind, content in output.get("data", {}).items()
    if kind.startswith("text/")
  )


if __name__ == "__main__":
  sys.exit(main())
