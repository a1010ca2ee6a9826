"""Which runtime a task's flags ask for."""

import os
import pathlib
import subprocess
import sys

from absl import flags
import pytest

from tasks import computing
from tests.runtime import worker_programs

_ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def asked(monkeypatch):
  """From flags to the runtime that is asked for, and with what."""
  monkeypatch.setattr(computing.flags, "FLAGS", flags.FlagValues())
  for name in ("DEFINE_list", "DEFINE_string", "DEFINE_bool", "DEFINE_integer"):
    define = getattr(flags, name)
    monkeypatch.setattr(
      computing.flags,
      name,
      lambda *args, define=define: define(
        *args, flag_values=computing.flags.FLAGS
      ),
    )
  computing.define_flags()
  monkeypatch.setattr(
    computing.runtime,
    "use_local_runtime",
    lambda **options: ("local", options),
  )
  monkeypatch.setattr(
    computing.runtime,
    "use_remote_runtime",
    lambda workers, **options: (workers, options),
  )
  monkeypatch.setattr(
    computing.runtime, "tls_credentials", lambda *files: files
  )

  def ask(*arguments):
    computing.flags.FLAGS(["program", *arguments])
    return computing.runtime_from_flags("worker.log")

  return ask


def test_a_worker_of_its_own_by_default(asked):
  assert asked() == ("local", {"log_file": "worker.log", "num_subrounds": 1})
  assert asked("--num_subrounds=4")[1]["num_subrounds"] == 4
  # Refused by the runtime, by name.
  assert asked("--num_subrounds=0")[1]["num_subrounds"] == 0


def test_remote_workers(asked):
  workers, options = asked("--remote_workers=a:1,b:2", "--plaintext")
  assert workers == ["a:1", "b:2"]
  assert options == {
    "num_subrounds": None,
    "credentials": None,
    "plaintext": True,
  }


def test_certificates(asked):
  _, options = asked(
    "--remote_workers=a:1",
    "--tls_ca_file=ca",
    "--tls_certificate_file=mine",
    "--tls_key_file=key",
  )
  assert options["credentials"] == ("ca", "mine", "key")


@pytest.mark.parametrize("argument", ["--plaintext", "--tls_ca_file=ca"])
def test_flags_of_workers_that_are_not_there(asked, argument):
  with pytest.raises(ValueError, match="need --remote_workers"):
    asked(argument)


@pytest.mark.slow
def test_a_task_runs_on_remote_workers(tmp_path):
  with worker_programs.running() as one, worker_programs.running() as other:
    finished = subprocess.run(
      [
        sys.executable,
        "-m",
        "tasks.preprocessing_bug",
        "--preset=smoke",
        f"--out={tmp_path}",
        f"--remote_workers={one.address},{other.address}",
      ],
      cwd=_ROOT,
      env=dict(os.environ, CUDA_VISIBLE_DEVICES="-1"),
      capture_output=True,
      text=True,
      timeout=500,
      check=False,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    used = [sum(program.worker.cpu_times()[:2]) for program in (one, other)]
  assert (tmp_path / "report.html").exists()
  assert not (tmp_path / "worker.log").exists()
  assert min(used) > 0.2 * max(used)
