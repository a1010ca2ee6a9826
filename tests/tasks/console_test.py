"""Tests that a run says what its user needs, its libraries only if asked."""

import logging
import os
import pathlib
import re
import subprocess
import sys

from absl import flags
from absl import logging as absl_logging
import pytest

import tasks
from tasks import console

_ROOT = pathlib.Path(__file__).resolve().parents[2]

# What a library says that tells a user nothing, one of each source: native code
# while it is loaded and while it runs, and Python's loggers.
_CHATTER = (
  "Unable to register cuDNN factory",
  "Failed to detect the fetch node",
  "Failed to import metagraph",
)

_TASK = """
import dataclasses
import logging

from tasks import command
import tensorflow_federated as tff


@dataclasses.dataclass(frozen=True)
class Config:
  number: int = dataclasses.field(default=3, metadata={"help": "A number."})


@tff.tensorflow.computation
def nothing():
  return ()  # Grappler complains of a graph that gives nothing.


def run(config, folder):
  logging.getLogger("tasks.example").info("our progress")
  logging.getLogger("tff_gen_debug.example").warning("our warning")
  logging.getLogger("tasks.example").error("our error")
  return f"{len(nothing())} results"


if __name__ == "__main__":
  command.main({"demo": Config()}, run)
"""

_BENCHMARK = """
from absl import app

import benchmarks
import tensorflow_federated as tff
from tff_gen_debug import runtime


@tff.tensorflow.computation
def nothing():
  return ()


def main(argv):
  with runtime.use_local_runtime():
    print(len(nothing()), "results")


app.run(main)
"""


def _native_level(monkeypatch, arguments, before):
  """The level in the environment after a program with these arguments began."""
  monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", before)
  console.set_native_level(["program", *arguments])
  return os.environ["TF_CPP_MIN_LOG_LEVEL"]


@pytest.mark.parametrize(
  "arguments, level",
  [
    ([], "3"),
    (["--verbosity=1"], "0"),
    (["--verbosity=0"], "0"),
    (["--verbosity=-1"], "1"),
    (["--verbosity", "-2"], "2"),
    (["--verbosity=-3"], "3"),
    (["--verbosity=-7"], "3"),
    (["-v", "0"], "0"),
    (["-v=-1"], "1"),
    (["--preset=smoke", "--verbosity=-2", "--verbosity=0", "--seed=1"], "0"),
    # Left to absl to complain of, or no flag of its at all.
    (["--verbosity"], "3"),
    (["--verbosity=much"], "3"),
    (["--", "--verbosity=1"], "3"),
    (["--other=--verbosity", "1"], "3"),
  ],
)
def test_native_code_says_what_verbosity_asks_for(
  monkeypatch, arguments, level
):
  # The silence that importing `tasks` asks for.
  assert _native_level(monkeypatch, arguments, "3") == level


@pytest.mark.parametrize("level", ["0", "1", "2"])
def test_the_level_that_the_user_has_set_stays(monkeypatch, level):
  for arguments in ([], ["--verbosity=1"], ["--verbosity=-3"]):
    assert _native_level(monkeypatch, arguments, level) == level


def _record(path, level):
  return logging.LogRecord("absl", level, str(path), 1, "text", (), None)


def test_only_messages_of_this_project_and_warnings_are_shown(monkeypatch):
  monkeypatch.setattr(console, "_verbosity_is_given", lambda: False)
  library = pathlib.Path(flags.__file__)
  ours = pathlib.Path(tasks.__file__)
  handler = absl_logging.get_absl_handler()
  before = list(handler.filters)
  try:
    console.hide_library_messages()
    shown = {
      (name, level): bool(handler.filter(_record(path, level)))
      for name, path in (("library", library), ("ours", ours))
      for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)
    }
    monkeypatch.setattr(console, "_verbosity_is_given", lambda: True)
    if_asked = bool(handler.filter(_record(library, logging.INFO)))
  finally:
    handler.filters[:] = before
  assert {key for key, is_shown in shown.items() if not is_shown} == {
    ("library", logging.DEBUG),
    ("library", logging.INFO),
  }
  assert if_asked


def _output(program, folder, *arguments, **environment):
  """Standard output and error, together, of a program in a new process."""
  script = folder / "program.py"
  script.write_text(program)
  inherited = {
    name: value
    for name, value in os.environ.items()
    if name not in ("TF_CPP_MIN_LOG_LEVEL", "PYTHONWARNINGS")
  }
  result = subprocess.run(
    [sys.executable, str(script), *arguments],
    cwd=folder,
    env={**inherited, "PYTHONPATH": str(_ROOT), **environment},
    stdin=subprocess.DEVNULL,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
    timeout=300,
    check=False,
  )
  assert result.returncode == 0, result.stdout
  return result.stdout


@pytest.mark.slow
def test_a_task_says_what_its_user_needs_and_its_libraries_nothing(tmp_path):
  output = _output(_TASK, tmp_path, "--preset=demo", f"--out={tmp_path}/out")
  lines = [
    re.sub(r"^\d\d:\d\d:\d\d ", "TIME ", line) for line in output.splitlines()
  ]
  assert lines == [
    "TIME our progress",
    "TIME our warning",
    "TIME our error",
    "Report: 0 results",
  ]


@pytest.mark.slow
def test_verbosity_brings_back_what_libraries_say(tmp_path):
  output = _output(
    _TASK, tmp_path, "--preset=demo", f"--out={tmp_path}/out", "--verbosity=1"
  )
  assert [text for text in _CHATTER if text not in output] == []
  assert "our warning" in output and "Report: 0 results" in output


@pytest.mark.slow
def test_benchmarks_are_as_quiet(tmp_path):
  assert _output(_BENCHMARK, tmp_path).splitlines() == ["0 results"]
  output = _output(_BENCHMARK, tmp_path, "--verbosity=1")
  assert [text for text in _CHATTER if text not in output] == []
