"""However Python ends, its worker ends too: looked up in the process table."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.runtime import worker_programs

_PROGRAM = pathlib.Path(__file__).with_name("endings.py")
_ROOT = pathlib.Path(__file__).parents[2]
_START_SECONDS = 180.0
_END_SECONDS = 20.0

# Name of the ending: what the program does, the signal that it is sent, and its
# exit status (negative: the signal that ended it). Those that keep a core busy
# until they are sent it come first.
_ENDINGS = {
  "sigint_computing": ("computing", signal.SIGINT, -signal.SIGINT),
  "sigterm_computing": ("computing", signal.SIGTERM, -signal.SIGTERM),
  "sigkill_computing": ("computing", signal.SIGKILL, -signal.SIGKILL),
  "normal": ("normal", None, 0),
  "exception": ("exception", None, 1),
  "sys_exit": ("sys_exit", None, 3),
  "forked_child_exits": ("forked_child_exits", None, 0),
  "sigint": ("sleeping", signal.SIGINT, -signal.SIGINT),
  "sigterm": ("sleeping", signal.SIGTERM, -signal.SIGTERM),
  "sigkill_with_forked_child": ("survivor", signal.SIGKILL, -signal.SIGKILL),
}


def _wait(condition, seconds):
  deadline = time.monotonic() + seconds
  while not condition():
    if time.monotonic() > deadline:
      return False
    time.sleep(0.02)
  return True


def _start(arguments, **options):
  environment = dict(os.environ, PYTHONPATH=str(_ROOT))
  return subprocess.Popen(
    [sys.executable, str(_PROGRAM), *map(str, arguments)],
    env=environment,
    **options,
  )


def _check_ending(directory, signal_number, computes=False):
  """Sends the signal; asserts that the worker and its files are gone."""
  pids_file = directory / "pids"
  assert _wait(pids_file.exists, _START_SECONDS), "the program did not start"
  pids = json.loads(pids_file.read_text())
  watched = [pids["worker"]]
  if signal_number is not None:
    worker = psutil.Process(pids["worker"])
    assert worker.name() == "worker_binary"
    assert worker.status() != psutil.STATUS_ZOMBIE
    watched.append(worker.ppid())
    if computes:
      busy = worker.cpu_times().user + 0.5
      assert _wait(lambda: worker.cpu_times().user > busy, _START_SECONDS)
    else:
      time.sleep(0.3)
    os.kill(pids["python"], signal_number)
  assert _wait(lambda: worker_programs.is_gone(pids["python"]), _END_SECONDS)
  for pid in watched:
    # What outlives Python does so for an instant, not for the time a loaded
    # machine may need.
    assert _wait(lambda pid=pid: worker_programs.is_gone(pid), 5.0), (
      f"{pid} runs on"
    )
  assert _wait(lambda: not os.path.exists(pids["scratch"]), 5.0)


@pytest.fixture(scope="module")
def endings(tmp_path_factory):
  """All endings at once, in processes forked from one that imported TFF."""
  directories = {name: tmp_path_factory.mktemp(name) for name in _ENDINGS}
  arguments = []
  for name, (way, _, _) in _ENDINGS.items():
    arguments += [way, directories[name]]
  log = tmp_path_factory.mktemp("log") / "log"
  with open(log, "wb") as f:
    process = _start(arguments, stdout=f, stderr=f)
  yield process, directories
  process.kill()
  process.wait()
  for directory in directories.values():
    for pid_file in directory.glob("survivor"):
      with contextlib.suppress(ProcessLookupError):
        os.kill(int(pid_file.read_text()), signal.SIGKILL)


@pytest.mark.parametrize("name", _ENDINGS)
def test_no_ending_leaves_a_worker(endings, name):
  _, directories = endings
  _check_ending(
    directories[name], _ENDINGS[name][1], computes=name.endswith("computing")
  )


def test_exit_statuses_are_those_of_the_endings(endings):
  process, directories = endings
  process.wait(_END_SECONDS)
  statuses = {
    name: int((directory / "status").read_text())
    for name, directory in directories.items()
  }
  assert statuses == {name: ending[2] for name, ending in _ENDINGS.items()}


def test_worker_outlives_the_exit_of_a_forked_child(endings):
  _, directories = endings
  marker = directories["forked_child_exits"] / "computed_after_child"
  assert _wait(marker.exists, _START_SECONDS)


def test_pipe_of_a_script_closes_with_the_script(tmp_path):
  python = _start(
    ["normal", tmp_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE
  )
  cat = subprocess.Popen(
    ["cat"], stdin=python.stdout, stdout=subprocess.PIPE, text=True
  )
  python.stdout.close()
  # Both streams are read to their end, which an heir of them would hold off.
  output, _ = cat.communicate(timeout=_START_SECONDS)
  errors = python.stderr.read().decode()
  assert python.wait(_END_SECONDS) == 0
  assert output == "the last line of normal\n"
  assert "Exception ignored" not in errors
  assert "Traceback" not in errors


@pytest.mark.slow
@pytest.mark.parametrize(
  "name", ["exception", "sigint_computing", "sigterm", "sigkill_computing"]
)
def test_no_ending_leaves_a_worker_of_a_program_of_its_own(name, tmp_path):
  way, signal_number, status = _ENDINGS[name]
  process = _start([way, tmp_path], stderr=subprocess.DEVNULL)
  _check_ending(tmp_path, signal_number, computes=way == "computing")
  assert process.wait(_END_SECONDS) == status
