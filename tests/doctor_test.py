"""The doctor, on environments in health, without TFF and with a broken one."""

import collections
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys

import pytest

from tff_gen_debug import doctor

_ROOT = pathlib.Path(__file__).parents[1]
_Usage = collections.namedtuple("_Usage", "total used free")
_GIB = 1024**3


def _run(*arguments, python_flags=(), path=()):
  environment = dict(os.environ)
  environment["PYTHONPATH"] = os.pathsep.join(map(str, [*path, _ROOT]))
  return subprocess.run(
    [sys.executable, *python_flags, "-m", "tff_gen_debug.doctor", *arguments],
    capture_output=True,
    text=True,
    timeout=180,
    env=environment,
  )


def _by_name(report):
  return {check["name"]: check for check in report["checks"]}


def test_this_environment_is_in_health():
  result = _run("--json")
  report = json.loads(result.stdout)
  failures = [c for c in report["checks"] if c["status"] == "fail"]
  assert failures == []
  assert report["ok"] is True
  assert result.returncode == 0
  checks = _by_name(report)
  assert checks["tensorflow-federated"]["detail"] == "0.87.0"
  assert checks["jaxlib"]["detail"] == "0.4.13"
  for name in (
    "Python",
    "worker binary",
    "import of TFF",
    "worker",
    "computation",
    "embedded digits",
    "memory",
    "EMNIST cache",
  ):
    assert checks[name]["status"] in ("ok", "warn"), checks[name]
  for check in report["checks"]:
    assert bool(check["remedy"]) == (check["status"] != "ok"), check


def test_an_empty_environment_gets_remedies_and_no_traceback():
  # Without `site` there is nothing but the standard library and this package.
  result = _run(python_flags=["-S"])
  assert result.returncode == 1
  assert result.stderr == ""
  lines = result.stdout.splitlines()
  assert "fail  tensorflow-federated: not installed" in lines
  assert "fail  dp-accounting: not installed" in lines
  assert any(line.startswith("fail  computation: not tried") for line in lines)
  for line, following in zip(lines, lines[1:] + [""]):
    status = line.split()[0]
    assert status in ("ok", "warn", "fail", "remedy:"), line
    if status in ("warn", "fail"):
      assert following.startswith("      remedy: "), line


def test_json_of_an_empty_environment():
  result = _run("--json", python_flags=["-S"])
  report = json.loads(result.stdout)
  assert result.returncode == 1
  assert report["ok"] is False
  assert _by_name(report)["tensorflow"]["status"] == "fail"


def test_tensorflow_that_ends_python_is_a_failed_check(tmp_path):
  # What TensorFlow's own library does on a CPU without AVX.
  (tmp_path / "tensorflow_federated.py").write_text(
    "import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n"
  )
  result = _run(python_flags=["-S"], path=[tmp_path])
  assert result.returncode == 1
  assert "fail  TensorFlow: Python was ended by SIGILL" in result.stdout
  assert "AVX" in result.stdout


def test_tensorflow_that_cannot_be_imported_is_a_failed_check(tmp_path):
  (tmp_path / "tensorflow_federated.py").write_text(
    "raise AttributeError('np.bool8 went away')\n"
  )
  result = _run(python_flags=["-S"], path=[tmp_path])
  assert result.returncode == 1
  assert (
    "fail  import of TFF: AttributeError: np.bool8 went away" in result.stdout
  )
  assert "fail  worker: not tried" in result.stdout


@pytest.mark.parametrize(
  "version, status",
  [
    ((3, 8, 18), "fail"),
    ((3, 9, 0), "ok"),
    ((3, 11, 9), "ok"),
    ((3, 12, 0), "fail"),
    ((4, 0, 0), "fail"),
  ],
)
def test_python_versions(version, status):
  assert doctor.check_python(version).status == status


def test_other_version_than_the_pinned_one_is_told():
  found = importlib.metadata.version("numpy")
  assert doctor.check_package("numpy", found).status == "ok"
  check = doctor.check_package("numpy", "0.1")
  assert check.status == "warn"
  assert check.detail == f"{found}; tested with 0.1"
  assert doctor.check_package("no-such-package", "1.0").status == "fail"


def test_pins_are_those_of_the_requirements():
  pins = doctor.pinned_versions()
  assert pins["tensorflow-federated"] == "0.87.0"
  assert pins["jaxlib"] == "0.4.13"


def test_pins_of_an_installation_without_source(monkeypatch, tmp_path):
  monkeypatch.setattr(doctor, "_REQUIREMENTS", tmp_path / "requirements.txt")
  monkeypatch.setattr(
    importlib.metadata,
    "requires",
    lambda name: ["numpy", "tensorflow==2.14.1", 'ruff==1.0; extra == "dev"'],
  )
  pins = doctor.pinned_versions()
  assert pins["tensorflow"] == "2.14.1"
  assert "numpy" not in pins


@pytest.mark.parametrize(
  "free, status", [(0.1, "fail"), (1.0, "warn"), (50.0, "ok")]
)
def test_disk_limits(monkeypatch, tmp_path, free, status):
  usage = _Usage(total=100 * _GIB, used=0, free=int(free * _GIB))
  monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage)
  assert doctor.check_disk(tmp_path, "disk").status == status


@pytest.mark.parametrize(
  "free, status", [(0.5, "fail"), (2.0, "warn"), (8.0, "ok")]
)
def test_memory_limits(monkeypatch, free, status):
  monkeypatch.setattr(doctor, "free_memory", lambda: int(free * _GIB))
  assert doctor.check_memory().status == status


def test_free_memory_is_at_most_what_the_machine_has():
  free = doctor.free_memory()
  total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
  assert 0 < free < total


@pytest.mark.parametrize("executable, status", [(True, "ok"), (False, "fail")])
def test_worker_binary(monkeypatch, tmp_path, executable, status):
  binary = tmp_path / "data" / "worker_binary"
  binary.parent.mkdir()
  binary.write_bytes(b"")
  binary.chmod(0o755 if executable else 0o644)
  spec = collections.namedtuple("Spec", "origin")(str(tmp_path / "__init__.py"))
  monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: spec)
  assert doctor.check_worker_binary().status == status
  binary.unlink()
  assert doctor.check_worker_binary().status == "fail"


def test_emnist_brought_by_hand_is_found(monkeypatch, tmp_path):
  monkeypatch.setenv("HOME", str(tmp_path))
  assert doctor.check_data_cache().status == "warn"
  cache = tmp_path / ".tff"
  cache.mkdir()
  (cache / "emnist_all.sqlite.lzma").write_bytes(b"")
  assert doctor.check_data_cache().status == "ok"
