"""The worker program: what it opens, what ends it, what it leaves."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys

import psutil
import pytest

from tests.runtime import worker_programs

_ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def program():
  """One that the tests only look at."""
  with worker_programs.running() as running:
    yield running


@pytest.fixture
def mortal():
  """One that a test may end."""
  with worker_programs.running() as running:
    yield running


def _scratch_directory(program):
  (log_file,) = re.findall(r"its log is (\S+)", program.output)
  return pathlib.Path(log_file).parent


def test_check_of_a_worker(program):
  result = worker_programs.run("--check", program.address)
  assert result.returncode == 0, result.stderr
  assert result.stdout == f"{program.address} answers\n"
  assert result.stderr == ""


def test_check_where_nobody_listens():
  address = f"127.0.0.1:{worker_programs.free_port()}"
  result = worker_programs.run("--check", address)
  assert result.returncode == 1
  assert result.stdout == ""
  assert f"{address} does not answer" in result.stderr
  assert "UNAVAILABLE" in result.stderr
  assert "Traceback" not in result.stderr


def test_check_of_a_listener_that_says_nothing():
  """A port that takes connections is no proof of a worker behind it."""
  with socket.socket() as listener:
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    result = worker_programs.run("--check", address, "--timeout", "0.5")
  assert result.returncode == 1
  assert f"{address} does not answer" in result.stderr


def test_the_program_takes_no_tensorflow(program):
  modules = subprocess.run(
    [
      *(sys.executable, "-X", "importtime"),
      *worker_programs.command("--check", program.address)[1:],
    ],
    cwd=_ROOT,
    capture_output=True,
    text=True,
    check=True,
  ).stderr
  assert "tff_gen_debug.runtime.worker_process" in modules
  assert "grpc" in modules
  assert "tensorflow" not in modules
  # TensorFlow alone takes 300 MB.
  assert psutil.Process(program.process.pid).memory_info().rss < 100e6


def test_output_says_where_it_listens(program):
  assert f"process {program.worker.pid}" in program.output
  assert f"listens on {program.address};" in program.output
  assert "WARNING" not in program.output or "private" in program.output


def _listeners(pids):
  return [
    (connection.laddr.ip, connection.laddr.port)
    for connection in psutil.net_connections("tcp")
    if connection.status == psutil.CONN_LISTEN and connection.pid in pids
  ]


def _is_private(program):
  return os.readlink(f"/proc/{program.worker.pid}/ns/net") != os.readlink(
    "/proc/self/ns/net"
  )


def test_only_the_port_that_was_asked_for_is_open(program):
  if not _is_private(program):
    pytest.skip("this kernel forbids private networks")
  pids = {program.process.pid, program.launcher.pid, program.worker.pid}
  assert _listeners(pids) == [("127.0.0.1", program.port)]


def test_other_addresses_of_this_machine_are_closed(program):
  # All of 127.0.0.0/8 is this machine; the default is one address of it.
  with socket.create_connection(("127.0.0.1", program.port), timeout=5):
    pass
  with pytest.raises(ConnectionRefusedError):
    socket.create_connection(("127.0.0.2", program.port), timeout=5)


def test_the_worker_is_in_a_network_with_a_loopback_alone(program):
  if not _is_private(program):
    pytest.skip("this kernel forbids private networks")
  table = pathlib.Path(f"/proc/{program.worker.pid}/net/dev").read_text()
  interfaces = [line.split(":")[0].strip() for line in table.splitlines()[2:]]
  assert interfaces == ["lo"]


def test_host_opens_all_interfaces_with_a_warning():
  with worker_programs.running(host="0.0.0.0") as program:
    with socket.create_connection(("127.0.0.2", program.port), timeout=5):
      pass
    assert "WARNING" in program.output
    assert "whoever can connect can run any code" in program.output
    assert "docs/distributed.md" in program.output


@pytest.mark.skipif(not socket.has_ipv6, reason="this Python has no IPv6")
def test_host_may_be_an_ipv6_address():
  try:
    with socket.socket(socket.AF_INET6) as s:
      s.bind(("::1", 0))
      port = s.getsockname()[1]
  except OSError as error:
    pytest.skip(f"this machine has no IPv6 loopback ({error})")
  program = worker_programs.Program(host="::1", port=port)
  program.host = "[::1]"
  try:
    program.wait_until_up()
    assert f"listens on [::1]:{port};" in program.output
  finally:
    program.close()


def test_flags_reach_the_worker():
  with worker_programs.running(
    "--max_concurrent_clients=3", "--threads_per_client=2"
  ) as program:
    environment = program.worker.environ()
    assert environment["TF_NUM_INTEROP_THREADS"] == "3"
    assert environment["TF_NUM_INTRAOP_THREADS"] == "2"
    assert "--max_concurrent_computation_calls=3" in program.worker.cmdline()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_order_to_stop_ends_all_of_it(mortal, number):
  worker, launcher = mortal.worker.pid, mortal.launcher.pid
  scratch = _scratch_directory(mortal)
  assert scratch.is_dir()
  assert mortal.end(number) == 0
  # No wait: the program says that it ended when the worker has.
  assert worker_programs.is_gone(worker)
  assert worker_programs.is_gone(launcher)
  assert not scratch.exists()
  assert f"Stopping, by {number.name}" in mortal.output


def test_an_order_to_all_processes_is_no_failure(mortal):
  """What systemd sends to a unit's processes by default."""
  worker, launcher = mortal.worker, mortal.launcher
  mortal.process.terminate()
  launcher.terminate()
  assert mortal.process.wait(30) == 0
  assert worker_programs.wait_until_gone(worker.pid)


def test_an_order_to_stop_while_it_starts_is_obeyed():
  program = worker_programs.Program()
  try:
    # The launcher is the first child; the signal handlers are there by then.
    while not psutil.Process(program.process.pid).children():
      assert program.process.poll() is None, program.output
    children = psutil.Process(program.process.pid).children(recursive=True)
    assert program.end(signal.SIGTERM) == 0
    assert all(worker_programs.is_gone(child.pid) for child in children)
    assert not worker_programs.answers(program.address)
  finally:
    program.close()


def test_the_end_of_the_worker_is_told_by_exit_code_and_reason(mortal):
  launcher = mortal.launcher.pid
  mortal.worker.kill()
  assert mortal.process.wait(30) == 1
  assert "was ended by signal 9 (SIGKILL)" in mortal.output
  assert worker_programs.is_gone(launcher)
  # Somebody was told to read the log.
  assert os.listdir(_scratch_directory(mortal)) == ["worker.log"]


def test_kill_9_of_the_program_leaves_nothing(mortal):
  worker, launcher = mortal.worker.pid, mortal.launcher.pid
  scratch = _scratch_directory(mortal)
  assert mortal.end(signal.SIGKILL) == -signal.SIGKILL
  assert worker_programs.wait_until_gone(worker)
  assert worker_programs.wait_until_gone(launcher)
  assert not worker_programs.answers(mortal.address)
  assert not scratch.exists()


def test_the_port_of_one_that_was_stopped_is_free_at_once(mortal):
  assert mortal.end(signal.SIGTERM) == 0
  with worker_programs.running(port=mortal.port) as another:
    assert another.address == mortal.address


def test_a_port_in_use_is_told(program):
  result = worker_programs.run("--port", str(program.port))
  assert result.returncode == 1
  assert f"cannot listen on 127.0.0.1 port {program.port}" in result.stderr
  assert "Address already in use" in result.stderr
  assert "Traceback" not in result.stderr
  assert worker_programs.answers(program.address)


def test_an_address_that_is_not_this_machines_is_told():
  # Of TEST-NET-1 (RFC 5737), which nobody has.
  port = worker_programs.free_port()
  result = worker_programs.run("--port", str(port), "--host", "192.0.2.1")
  assert result.returncode == 1
  assert f"cannot listen on 192.0.2.1 port {port}" in result.stderr
  assert "Traceback" not in result.stderr


def test_output_of_the_worker_is_appended_to_the_log_file(tmp_path):
  log_file = tmp_path / "worker.log"
  log_file.write_text("a line of an earlier run\n")
  with worker_programs.running("--log_file", str(log_file)) as program:
    assert f"its log is {log_file}" in program.output
  assert log_file.read_text().startswith("a line of an earlier run\n")


@pytest.mark.parametrize("missing", [True, False])
def test_a_log_file_that_cannot_be_written_is_told(tmp_path, missing):
  log_file = tmp_path / "missing" / "worker.log" if missing else tmp_path
  result = worker_programs.run(
    "--port", str(worker_programs.free_port()), "--log_file", str(log_file)
  )
  assert result.returncode == 1
  assert str(log_file) in result.stderr
  assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
  "flags, complaint",
  [
    ([], "--port"),
    (["--port", "0"], "from 1 to 65535"),
    (["--port", "65536"], "from 1 to 65535"),
    (["--port", "http"], "invalid"),
    (["--port", "8000", "--check", "127.0.0.1:8000"], "not allowed with"),
    (["--port", "8000", "--max_concurrent_clients", "0"], "at least 1"),
    (["--port", "8000", "--threads_per_client", "0"], "at least 1"),
    (["--check", "worker"], "host:port"),
    (["--check", "127.0.0.1:8000", "--timeout", "0"], "more than 0"),
    (["--check", "127.0.0.1:8000", "--timeout", "nan"], "more than 0"),
    (["--port", "8000", "--hots", "0.0.0.0"], "unrecognized"),
  ],
)
def test_bad_flags(flags, complaint):
  result = worker_programs.run(*flags)
  assert result.returncode == 2
  assert complaint in result.stderr
  assert "Traceback" not in result.stderr
