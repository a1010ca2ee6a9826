"""The worker's process: who can reach it, how its end is told, what is left."""

import json
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import sys
import time

import psutil
import pytest

from tff_gen_debug.runtime import worker_process

_MODULE = pathlib.Path(worker_process.__file__)


def _gone(pid, seconds=5.0):
  deadline = time.monotonic() + seconds
  while True:
    try:
      if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
        return True
    except psutil.NoSuchProcess:
      return True
    if time.monotonic() > deadline:
      return False
    time.sleep(0.02)


def _options(**changes):
  return worker_process.WorkerOptions(
    max_concurrent_clients=2, threads_per_client=1, **changes
  )


@pytest.fixture
def scratch():
  directory = worker_process.Scratch()
  yield directory
  # Whole, unlike `remove`, which spares the log of a worker that died.
  shutil.rmtree(directory.path, ignore_errors=True)


@pytest.fixture
def private_worker(scratch):
  worker = worker_process.WorkerProcess(_options(), scratch)
  if not worker.is_private:
    worker.stop()
    pytest.skip("this kernel forbids private networks")
  yield worker
  worker.stop()


@pytest.fixture
def tcp_worker(scratch):
  worker = worker_process.WorkerProcess(_options(private=False), scratch)
  yield worker
  worker.stop()


def _listening_ports(process_table_entry="self"):
  """Ports of TCP listeners in the network of a process, from the kernel."""
  ports = set()
  for name in ("tcp", "tcp6"):
    table = pathlib.Path("/proc", process_table_entry, "net", name)
    for line in table.read_text().splitlines()[1:]:
      fields = line.split()
      # 0A is TCP_LISTEN of the kernel's include/net/tcp_states.h.
      if fields[3] == "0A":
        ports.add(int(fields[1].rpartition(":")[2], 16))
  return ports


def _listeners_of(worker):
  pids = {worker.pid, psutil.Process(worker.pid).ppid()}
  return [
    connection
    for connection in psutil.net_connections("tcp")
    if connection.status == psutil.CONN_LISTEN and connection.pid in pids
  ]


def test_tcp_worker_listens_on_the_host(tcp_worker):
  """What TFF does, and proof that the next test would see it."""
  host, port = tcp_worker.target.split(":")
  assert not tcp_worker.is_private
  assert int(port) in _listening_ports()
  listeners = _listeners_of(tcp_worker)
  assert [listener.laddr.port for listener in listeners] == [int(port)]
  with socket.create_connection((host, int(port)), timeout=5):
    pass


def test_private_worker_adds_no_listener_to_the_host(private_worker):
  inside = _listening_ports(str(private_worker.pid))
  assert len(inside) == 1
  assert not _listeners_of(private_worker)
  assert os.readlink(f"/proc/{private_worker.pid}/ns/net") != os.readlink(
    "/proc/self/ns/net"
  )


def test_port_of_a_private_worker_is_not_connectable(private_worker):
  (port,) = _listening_ports(str(private_worker.pid))
  if port in _listening_ports():
    pytest.skip(f"somebody else listens on port {port} of this machine")
  for family, address in (
    (socket.AF_INET, "127.0.0.1"),
    (socket.AF_INET6, "::1"),
  ):
    with socket.socket(family) as s:
      s.settimeout(5)
      with pytest.raises(OSError):
        s.connect((address, port))


def test_private_worker_has_no_network_but_a_loopback(private_worker):
  table = pathlib.Path(f"/proc/{private_worker.pid}/net/dev").read_text()
  interfaces = [line.split(":")[0].strip() for line in table.splitlines()[2:]]
  assert interfaces == ["lo"]


def test_socket_is_for_its_user_alone(private_worker, scratch):
  path = private_worker.target.replace("unix:", "", 1)
  assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
  assert os.path.dirname(path) == str(scratch.path)
  assert stat.S_IMODE(os.stat(scratch.path).st_mode) == 0o700


def test_forwarder_passes_bytes_both_ways(private_worker):
  # The first bytes of any HTTP/2 connection (RFC 9113, 3.4): preface and an
  # empty SETTINGS frame, which a server answers by SETTINGS of its own.
  preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
  settings = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
  with socket.socket(socket.AF_UNIX) as s:
    s.settimeout(5)
    s.connect(private_worker.target.replace("unix:", "", 1))
    s.sendall(preface + settings)
    header = s.recv(9)
  assert header[3] == 4


def test_stop_leaves_no_process_and_no_file(scratch):
  worker = worker_process.WorkerProcess(_options(), scratch)
  launcher = psutil.Process(worker.pid).ppid()
  assert psutil.Process(launcher).ppid() == os.getpid()
  worker.stop()
  assert _gone(worker.pid, 0.0)
  assert _gone(launcher, 0.0)
  assert worker.ended() == "was stopped"
  scratch.remove()
  assert not scratch.path.exists()


def test_end_by_a_signal_is_told_and_keeps_the_log(scratch):
  worker = worker_process.WorkerProcess(_options(), scratch)
  assert worker.ended() is None
  os.kill(worker.pid, 9)
  assert worker.ended(within=5.0) == "was ended by signal 9 (SIGKILL)"
  worker.stop()
  scratch.remove()
  assert os.listdir(scratch.path) == ["worker.log"]


def test_worker_goes_with_its_launcher(scratch):
  worker = worker_process.WorkerProcess(_options(), scratch)
  os.kill(psutil.Process(worker.pid).ppid(), 9)
  assert _gone(worker.pid)
  assert worker.ended(within=5.0) == "was ended with its launcher"


def test_missing_worker_is_named(scratch, monkeypatch):
  nowhere = pathlib.Path("/nonexistent/worker_binary")
  monkeypatch.setattr(worker_process, "worker_binary_path", lambda: nowhere)
  with pytest.raises(
    worker_process.WorkerStartError, match="/nonexistent/worker_binary"
  ):
    worker_process.WorkerProcess(_options(), scratch)


def test_worker_that_ends_at_once_shows_its_log(scratch, monkeypatch, tmp_path):
  script = tmp_path / "worker_binary"
  script.write_text("#!/bin/sh\necho no such instruction >&2\nexit 7\n")
  script.chmod(0o755)
  monkeypatch.setattr(worker_process, "worker_binary_path", lambda: script)
  with pytest.raises(worker_process.WorkerStartError) as raised:
    worker_process.WorkerProcess(_options(), scratch)
  assert "exited with code 7" in str(raised.value)
  assert "no such instruction" in str(raised.value)
  assert str(scratch.log_file) in str(raised.value)


def test_log_is_appended_to_and_the_tail_is_the_workers_own(tmp_path):
  log_file = tmp_path / "worker.log"
  log_file.write_text("a line of an earlier run\n")
  scratch = worker_process.Scratch(log_file)
  worker = worker_process.WorkerProcess(_options(), scratch)
  try:
    assert "earlier run" not in worker.log_tail()
    with open(log_file, "a") as f:
      f.writelines(f"line {i}\n" for i in range(30))
    tail = worker.log_tail(lines=3).splitlines()
  finally:
    worker.stop()
    scratch.remove()
  assert [line.strip() for line in tail[1:]] == [
    "line 27",
    "line 28",
    "line 29",
  ]
  assert log_file.read_text().startswith("a line of an earlier run\n")


def test_socket_path_fits_where_the_temporary_directory_is_deep(
  tmp_path, monkeypatch
):
  deep = tmp_path / ("d" * 120)
  deep.mkdir()
  monkeypatch.setattr(worker_process.tempfile, "tempdir", str(deep))
  scratch = worker_process.Scratch()
  worker = worker_process.WorkerProcess(_options(), scratch)
  try:
    assert worker.ended() is None
  finally:
    worker.stop()
    scratch.remove()


@pytest.mark.parametrize(
  "given, expected", [(None, "1"), ("0", "0"), ("1", "1"), ("3", "1")]
)
def test_worker_logs_at_least_its_errors(monkeypatch, given, expected):
  if given is None:
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
  else:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", given)
  environment = _options().environment()
  assert environment["TF_CPP_MIN_LOG_LEVEL"] == expected


def test_worker_gets_its_threads(private_worker):
  environment = psutil.Process(private_worker.pid).environ()
  command = psutil.Process(private_worker.pid).cmdline()
  assert environment["TF_NUM_INTRAOP_THREADS"] == "1"
  assert environment["TF_NUM_INTEROP_THREADS"] == "2"
  assert "--max_concurrent_computation_calls=2" in command


def _run_alone(preamble, python=sys.executable, **options):
  """Starts a worker in a Python of its own, without TFF in it."""
  program = f"""
import ctypes, importlib.util, json, os, sys
{preamble}
spec = importlib.util.spec_from_file_location("wp", {str(_MODULE)!r})
wp = importlib.util.module_from_spec(spec)
sys.modules["wp"] = wp
spec.loader.exec_module(wp)
scratch = wp.Scratch()
options = wp.WorkerOptions(max_concurrent_clients=1, threads_per_client=1)
worker = wp.WorkerProcess(options, scratch)
print(json.dumps(dict(
  private=worker.is_private, target=worker.target, alive=worker.ended() is None,
  uid=os.stat(f"/proc/{{worker.pid}}").st_uid)))
worker.stop()
scratch.remove()
"""
  return subprocess.run(
    [python, "-c", program],
    capture_output=True,
    text=True,
    timeout=60,
    **options,
  )


# A user namespace in which no other namespace may be made: the limits of
# namespaces(7) are per user namespace, so this needs no privilege.
_NO_NAMESPACES = """
uid, gid = os.getuid(), os.getgid()
if ctypes.CDLL(None).unshare(0x10000000) != 0:
  sys.exit(77)
for name, text in (
    ("self/setgroups", "deny"), ("self/uid_map", f"0 {uid} 1"),
    ("self/gid_map", f"0 {gid} 1"), ("sys/user/max_net_namespaces", "0"),
    ("sys/user/max_user_namespaces", "0")):
  with open("/proc/" + name, "w") as f:
    f.write(text)
"""


def test_refusing_kernel_gives_one_warning_and_a_worker_on_tcp():
  result = _run_alone(_NO_NAMESPACES)
  if result.returncode == 77:
    pytest.skip("this kernel forbids user namespaces")
  assert result.returncode == 0, result.stderr
  report = json.loads(result.stdout)
  assert report["alive"] and not report["private"]
  assert report["target"].startswith("127.0.0.1:")
  assert result.stderr.count("private network") == 1
  assert "all interfaces" in result.stderr
  assert len(result.stderr.strip().splitlines()) == 1


def _python_of_another_user(user):
  """A Python that `user` can run; ours may be in root's closed home."""
  for python in (sys.executable, "/usr/bin/python3"):
    try:
      subprocess.run([python, "-c", "import json"], user=user, check=True)
      return python
    except (OSError, subprocess.CalledProcessError):
      pass
  pytest.skip(f"there is no Python that user {user} may run")


@pytest.mark.skipif(os.getuid() != 0, reason="all tests run as such a user")
def test_unprivileged_user_gets_a_private_worker():
  nobody = 65534
  site_packages = worker_process.worker_binary_path().parents[2]
  result = _run_alone(
    "",
    python=_python_of_another_user(nobody),
    env={"PYTHONPATH": str(site_packages)},
    user=nobody,
    group=nobody,
    extra_groups=[],
  )
  assert result.returncode == 0, result.stderr
  report = json.loads(result.stdout)
  if not report["private"]:
    pytest.skip("this kernel forbids user namespaces to users")
  assert report["alive"]
  assert report["uid"] == nobody


def test_importing_the_launchers_owner_takes_no_tensorflow():
  result = _run_alone("sys.modules['tensorflow'] = None")
  assert result.returncode == 0, result.stderr
