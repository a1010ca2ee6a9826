"""The page's certificates and nginx, in front of a worker on this machine."""

import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time
from typing import Iterator, Tuple

import pytest

from tests.runtime import worker_programs

_ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = _ROOT / "docs" / "distributed.md"
_START_SECONDS = 30.0


def block(language: str) -> str:
  """The page's one block in a language."""
  (text,) = re.findall(
    rf"^```{language}\n(.*?)^```", PAGE.read_text("utf-8"), re.S | re.M
  )
  return text


def replaced(text: str, *pairs: Tuple[str, str]) -> str:
  """`text` with other words, each of which has to be there."""
  for old, new in pairs:
    assert old in text, f"{old!r} is not in the page's block"
    text = text.replace(old, new)
  return text


def nginx() -> str:
  """nginx's path; skips the test where it, or a part of it, is missing."""
  # Which is not in the path of every user.
  path = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
  if path is None:
    pytest.skip("nginx is not installed")
  return path


def make_certificates(directory: pathlib.Path) -> pathlib.Path:
  """Runs the page's openssl commands in `directory`; returns it."""
  if shutil.which("openssl") is None:
    pytest.skip("openssl is not installed")
  script = replaced(block("sh"), ("IP:10.0.0.5", "IP:127.0.0.1"))
  result = subprocess.run(
    ["sh", "-e", "-c", script],
    cwd=directory,
    capture_output=True,
    text=True,
    check=False,
  )
  assert result.returncode == 0, result.stderr
  return directory


@contextlib.contextmanager
def proxy(
  certificates: pathlib.Path, worker_port: int, directory: pathlib.Path
) -> Iterator[str]:
  """nginx as on the page; yields the address on which it listens."""
  port = worker_programs.free_port()
  configuration = directory / "nginx.conf"
  configuration.write_text(
    replaced(
      block("nginx"),
      ("listen 0.0.0.0:8443", f"listen 127.0.0.1:{port}"),
      ("proxy_pass 127.0.0.1:8000", f"proxy_pass 127.0.0.1:{worker_port}"),
      ("/etc/tff_worker/", f"{certificates}/"),
    )
  )
  log = directory / "nginx.log"
  command = [
    *(nginx(), "-c", str(configuration), "-e", str(log), "-g"),
    f"daemon off; pid {directory}/nginx.pid; error_log {log} info;",
  ]
  check = subprocess.run([*command, "-t"], capture_output=True, check=False)
  if b'unknown directive "stream"' in check.stderr:
    pytest.skip("nginx has no stream module (libnginx-mod-stream)")
  if b'unknown directive "ssl_alpn"' in check.stderr:
    pytest.skip("nginx is older than 1.21.4")
  assert check.returncode == 0, check.stderr
  process = subprocess.Popen(command)
  try:
    deadline = time.monotonic() + _START_SECONDS
    while not _listens(port):
      assert process.poll() is None, log.read_text()
      assert time.monotonic() < deadline, log.read_text()
      time.sleep(0.02)
    yield f"127.0.0.1:{port}"
  finally:
    process.terminate()
    process.wait(_START_SECONDS)


def _listens(port: int) -> bool:
  try:
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    return True
  except OSError:
    return False
