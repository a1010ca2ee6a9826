"""Says what is right and wrong with an environment, and what to do about it.

    python -m tff_gen_debug.doctor [--json]

One line a check: `ok`, `warn` (works, with a limit) or `fail`, and under the
last two a remedy. Exits with 1 if anything failed.

Uses the standard library alone until it knows that the rest is there, so it
runs in the environments that need it most.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import logging
import multiprocessing
import os
import pathlib
import re
import shutil
import signal
import sys
import tempfile
import time
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple
import warnings

_REQUIREMENTS = pathlib.Path(__file__).parents[1] / "requirements.txt"
_INSTALL = (
  "install the pinned environment: `make venv`, or "
  "`pip install --no-deps -r requirements.txt`"
)
_PYTHONS = ((3, 9), (3, 12))
# Named because they are the ones that go wrong: see pyproject.toml.
_PACKAGES = (
  "tensorflow-federated",
  "tensorflow",
  "tensorflow-privacy",
  "jaxlib",
  "numpy",
  "dp-accounting",
)
_GIB = 1 << 30
# A small run of the main job takes 1.8 GiB (1.5 in Python, 0.3 in the worker).
_MEMORY = (1 * _GIB, 3 * _GIB)
# Checkpoints, pictures and logs of the demo, then room for EMNIST, unpacked.
_DISK = (_GIB // 4, 2 * _GIB)


class Check(NamedTuple):
  """The outcome of one check.

  Attributes:
    name: What was looked at.
    status: "ok", "warn" or "fail".
    detail: What was found.
    remedy: What to do; empty if the status is "ok".
  """

  name: str
  status: str
  detail: str
  remedy: str = ""


def check_python(version: Tuple[int, ...] = sys.version_info[:3]) -> Check:
  """Whether TFF's last release runs on this Python."""
  lowest, above = _PYTHONS
  found = ".".join(str(part) for part in version)
  if lowest <= version[:2] < above:
    return Check("Python", "ok", found)
  return Check(
    "Python",
    "fail",
    f"{found}; TensorFlow Federated 0.87 needs 3.9, 3.10 or 3.11",
    "install one of them and run `make venv PYTHON=python3.11`",
  )


def pinned_versions() -> Dict[str, str]:
  """The versions that this package was tested with, by package.

  Returns:
    Those of requirements.txt in a source tree, else those that the installed
    package's own metadata fix.
  """
  if _REQUIREMENTS.exists():
    lines = _REQUIREMENTS.read_text("utf-8").splitlines()
  else:
    try:
      lines = importlib.metadata.requires("tff-gen-debug") or []
    except importlib.metadata.PackageNotFoundError:
      lines = []
  pins = (re.match(r"([A-Za-z0-9._-]+)==([^\s;]+)", line) for line in lines)
  return {pin[1].lower(): pin[2] for pin in pins if pin}


def check_package(name: str, pin: Optional[str]) -> Check:
  """Whether a package is installed, in the tested version."""
  try:
    found = importlib.metadata.version(name)
  except importlib.metadata.PackageNotFoundError:
    return Check(name, "fail", "not installed", _INSTALL)
  if pin is None or found == pin:
    return Check(name, "ok", found)
  return Check(name, "warn", f"{found}; tested with {pin}", _INSTALL)


def check_worker_binary() -> Check:
  """Whether TFF's C++ worker is there and may be run."""
  name = "worker binary"
  spec = importlib.util.find_spec("tensorflow_federated")
  if spec is None or spec.origin is None:
    return Check(
      name, "fail", "tensorflow_federated is not installed", _INSTALL
    )
  path = pathlib.Path(spec.origin).parent / "data" / "worker_binary"
  if not path.is_file():
    return Check(
      name,
      "fail",
      f"{path} is missing",
      "reinstall tensorflow-federated; its wheels are for Linux (x86-64) and "
      "macOS only",
    )
  if not os.access(path, os.X_OK):
    return Check(
      name, "fail", f"{path} is not executable", f"run `chmod +x {path}`"
    )
  return Check(name, "ok", f"{path.stat().st_size >> 20} MB, executable")


def _limits(name: str, free: int, limits: Tuple[int, int], remedy: str):
  fail, warn = limits
  status = "fail" if free < fail else "warn" if free < warn else "ok"
  detail = f"{free / _GIB:.1f} GiB free"
  if status == "ok":
    return Check(name, status, detail)
  return Check(name, status, f"{detail}, {warn / _GIB:.0f} wanted", remedy)


def free_memory() -> Optional[int]:
  """Bytes that new processes may use, or None where nobody says."""
  free = []
  try:
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
      if line.startswith("MemAvailable:"):
        free.append(int(line.split()[1]) * 1024)
    # A container's own limit, cgroup version 2.
    group = pathlib.Path("/sys/fs/cgroup")
    limit = (group / "memory.max").read_text().strip()
    if limit != "max":
      used = int((group / "memory.current").read_text())
      # The kernel gives up cached files for whoever needs the memory.
      statistics = (group / "memory.stat").read_text().split()
      cached = int(statistics[statistics.index("inactive_file") + 1])
      free.append(int(limit) - used + cached)
  except (OSError, ValueError):
    pass
  return min(free) if free else None


def check_memory() -> Check:
  """Whether the demo fits into memory."""
  free = free_memory()
  if free is None:
    return Check(
      "memory", "warn", "unknown here", "see to it that 3 GiB are free"
    )
  return _limits(
    "memory",
    free,
    _MEMORY,
    "close other programs, or pass a smaller max_concurrent_clients",
  )


def check_disk(directory: pathlib.Path, name: str) -> Check:
  """Whether there is room for results in `directory`."""
  return _limits(
    name,
    shutil.disk_usage(directory).free,
    _DISK,
    f"make room in {directory}, or use another directory",
  )


def check_data_cache() -> Check:
  """Whether EMNIST, which only the paper's preset needs, is there."""
  cache = pathlib.Path("~/.tff").expanduser()
  name = "EMNIST cache"
  found = sorted(path.name for path in cache.glob("emnist_all.sqlite*"))
  if found:
    return Check(name, "ok", f"{cache / found[0]}")
  return Check(
    name,
    "warn",
    f"nothing in {cache}; only `--preset paper` needs it",
    "it is downloaded at first use; without network, put "
    f"emnist_all.sqlite.lzma into {cache}",
  )


def check_import() -> Check:
  """Whether TensorFlow Federated can be imported."""
  begin = time.monotonic()
  try:
    import tensorflow_federated as tff
  except Exception as error:  # Whatever a broken environment raises.
    return Check(
      "import of TFF", "fail", f"{type(error).__name__}: {error}", _INSTALL
    )
  seconds = time.monotonic() - begin
  return Check("import of TFF", "ok", f"{tff.__version__}, {seconds:.0f} s")


def check_computation() -> Iterator[Check]:
  """Whether a worker starts, is private, and computes a federated sum."""
  import numpy as np
  import tensorflow_federated as tff

  from tff_gen_debug import runtime

  logging.getLogger("tff_gen_debug").setLevel(logging.ERROR)
  begin = time.monotonic()
  try:
    local_runtime = runtime.use_local_runtime()
  except Exception as error:
    yield Check("worker", "fail", str(error), "reinstall tensorflow-federated")
    return
  with local_runtime:
    if local_runtime.is_private:
      seconds = time.monotonic() - begin
      yield Check("worker", "ok", f"starts privately in {seconds:.1f} s")
    else:
      yield Check(
        "worker",
        "warn",
        "starts, but listens on all interfaces while it runs",
        "allow user namespaces (docs/sharp_edges.md), or keep the machine "
        "behind a firewall",
      )
    value_type = tff.FederatedType(tff.TensorType(np.float32), tff.CLIENTS)

    @tff.federated_computation(value_type)
    def total(values):
      return tff.federated_sum(values)

    begin = time.monotonic()
    try:
      result = total([1.0, 2.0, 4.0])
    except Exception as error:
      yield Check("computation", "fail", str(error), _INSTALL)
      return
    seconds = time.monotonic() - begin
    if result == 7.0:
      yield Check("computation", "ok", f"a federated sum in {seconds:.1f} s")
    else:
      yield Check(
        "computation", "fail", f"1 + 2 + 4 came out as {result}", _INSTALL
      )


def check_embedded_data() -> Check:
  """Whether the digits that come with the package are whole."""
  try:
    from tff_gen_debug.datasets import handwriting

    train, test = handwriting.load_data()
  except Exception as error:
    return Check(
      "embedded digits",
      "fail",
      f"{type(error).__name__}: {error}",
      "install this package again",
    )
  return Check(
    "embedded digits",
    "ok",
    f"{len(train.client_ids)} clients to train, {len(test.client_ids)} to test",
  )


def _with_tensorflow(send: Callable[[Check], None]) -> None:
  # Those of TensorFlow's dependencies tell the user nothing.
  warnings.simplefilter("ignore")
  imported = check_import()
  send(imported)
  if imported.status == "ok":
    for check in check_computation():
      send(check)
    send(check_embedded_data())
  else:
    for check in not_tried():
      send(check)


def not_tried() -> Iterator[Check]:
  """What takes the place of the checks that need TensorFlow Federated."""
  for name in ("worker", "computation", "embedded digits"):
    yield Check(
      name,
      "fail",
      "not tried: it needs TensorFlow Federated",
      "mend the failures above first",
    )


def checks_with_tensorflow() -> Iterator[Check]:
  """Runs what needs TensorFlow in a process that may die of it."""
  context = multiprocessing.get_context("fork")
  receiver, sender = context.Pipe(duplex=False)
  process = context.Process(target=_with_tensorflow, args=(sender.send,))
  sys.stdout.flush()
  process.start()
  sender.close()
  try:
    while True:
      yield receiver.recv()
  except EOFError:
    process.join()
  if process.exitcode:
    if process.exitcode < 0:
      end = f"ended by {signal.Signals(-process.exitcode).name}"
    else:
      end = f"ended with code {process.exitcode}"
    yield Check(
      "TensorFlow",
      "fail",
      f"Python was {end} in it",
      "SIGILL: this CPU lacks AVX, which TensorFlow needs; SIGKILL: memory ran "
      "out; else " + _INSTALL,
    )


def run_checks() -> Iterator[Check]:
  """All checks, each as soon as it is done."""
  yield check_python()
  pins = pinned_versions()
  for name in _PACKAGES:
    yield check_package(name, pins.get(name))
  yield check_worker_binary()
  yield check_memory()
  yield check_disk(pathlib.Path.cwd(), "disk, working directory")
  yield check_disk(pathlib.Path(tempfile.gettempdir()), "disk, temporary files")
  yield check_data_cache()
  if importlib.util.find_spec("tensorflow_federated") is None:
    yield from not_tried()
  else:
    yield from checks_with_tensorflow()


def main(arguments: Optional[List[str]] = None) -> int:
  """Prints the checks; returns the exit code."""
  parser = argparse.ArgumentParser(
    prog="python -m tff_gen_debug.doctor",
    description="Says what is right and wrong with this environment.",
  )
  parser.add_argument(
    "--json", action="store_true", help="print one JSON object instead"
  )
  options = parser.parse_args(arguments)
  # Read by TensorFlow when it is loaded; its chatter is no diagnosis.
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
  checks = []
  for check in run_checks():
    checks.append(check)
    if not options.json:
      print(f"{check.status:<5} {check.name}: {check.detail}", flush=True)
      if check.remedy:
        print(f"      remedy: {check.remedy}", flush=True)
  failed = any(check.status == "fail" for check in checks)
  if options.json:
    report = {"ok": not failed, "checks": [c._asdict() for c in checks]}
    print(json.dumps(report, indent=2))
  return int(failed)


if __name__ == "__main__":
  sys.exit(main())
