"""Starts one TFF worker, watches it, and ends it when its owner ends.

A program of its own, run by path with the standard library only (no
TensorFlow, no site-packages: it is up in a few hundredths of a second), so that
a process exists which can outlive Python just long enough to clean up after it.

Why a launcher and not a child of Python:

*   Python may die without a word (kill -9, the out-of-memory killer). The
    launcher notices, because its standard input closes and because its parent
    changes, and ends the worker.
*   The launcher may die too. The worker is forked by the launcher's main thread
    with a parent-death signal (Linux `prctl(2)`), so it goes with it. Set by
    Python itself that signal would follow the *thread* that started the worker.
*   TFF's worker listens on all interfaces and asks nobody who they are. The
    launcher moves itself into a network namespace of its own first
    (`unshare(2)`), where the only interface is a loopback that nobody else can
    reach, and lets in only what arrives on a socket of its choice: a Unix
    socket, or one TCP port of one address for workers of other machines.

Usage: `python -I -S worker_launcher.py CONFIG`, CONFIG a JSON object with

*   `command`: the worker's argument list, without the port;
*   `log`: the file to which the worker's output is appended;
*   `owner`: the process whose end is the worker's end;
*   `private`: whether to move into a network of its own; if not, the worker is
    reachable by TCP;
*   `socket`: path of the Unix socket to serve on, or null;
*   `listen`: host and port of the TCP socket to serve on, or null;
*   `remove`: files, then directories, to remove when the owner died and so
    can't do it.

Standard output carries one JSON object a line: `{"ready": {"pid", "port"}}`,
`{"not_private": reason}`, `{"failed": reason}`, `{"ended": reason}`. A byte on
standard input is the order to stop; its end means that the owner died.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys
import threading
import time

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1

# Nothing else lives in the private namespace, so any fixed port is free there.
_PRIVATE_PORT = 10000
_START_TIMEOUT_SECONDS = 120.0
_POLL_SECONDS = 0.25
_BUFFER_BYTES = 1 << 20


class NotPrivateError(Exception):
  """The kernel refuses a private network."""


def _report(**event):
  # The owner may be gone already: the worker's end matters, not the report.
  with contextlib.suppress(OSError):
    os.write(1, (json.dumps(event) + "\n").encode())


def _libc():
  return ctypes.CDLL(None, use_errno=True)


def _unshare(flags):
  if _libc().unshare(flags) != 0:
    error = ctypes.get_errno()
    raise OSError(error, os.strerror(error))


def _map_own_ids(uid, gid):
  """Keeps the caller's ids inside a new user namespace (files stay theirs)."""
  for name, text in (
    ("setgroups", "deny"),
    ("uid_map", f"{uid} {uid} 1"),
    ("gid_map", f"{gid} {gid} 1"),
  ):
    with open(f"/proc/self/{name}", "w", encoding="ascii") as f:
      f.write(text)


def _raise_loopback():
  with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    request = struct.pack("16sh22x", b"lo", 0)
    request = fcntl.ioctl(s, _SIOCGIFFLAGS, request)
    (flags,) = struct.unpack_from("h", request, 16)
    request = struct.pack("16sh22x", b"lo", flags | _IFF_UP)
    fcntl.ioctl(s, _SIOCSIFFLAGS, request)


def enter_private_network():
  """Moves this process into a network namespace that holds only a loopback.

  Raises:
    NotPrivateError: If the kernel forbids it or has no such thing.
  """
  uid, gid = os.getuid(), os.getgid()
  try:
    try:
      # Enough where we are privileged, and unlike a user namespace it takes no
      # right to files away from us.
      _unshare(_CLONE_NEWNET)
    except OSError:
      _unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
      _map_own_ids(uid, gid)
    _raise_loopback()
  except (OSError, AttributeError) as error:
    raise NotPrivateError(str(error)) from error


def _die_with_parent(parent):
  prctl = getattr(_libc(), "prctl", None)
  if prctl is not None:
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
  if os.getppid() != parent:
    os._exit(1)


class _Worker:
  """The worker, from its fork until it is reaped."""

  def __init__(self, command, log):
    """Forks. Must run on the main thread, which lives to the end."""
    self._ended = None
    parent = os.getpid()
    self.pid = os.fork()
    if self.pid == 0:
      self._exec(command, log, parent)

  def _exec(self, command, log, parent):
    try:
      _die_with_parent(parent)
      null = os.open(os.devnull, os.O_RDONLY)
      out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
      os.dup2(null, 0)
      os.dup2(out, 1)
      os.dup2(out, 2)
      os.execv(command[0], command)
    except OSError as error:
      with contextlib.suppress(OSError):
        os.write(2, f"cannot run {command[0]}: {error}\n".encode())
    os._exit(127)

  def ended(self):
    """Returns None while the worker runs, then how it ended."""
    if self._ended is None:
      done, status = os.waitpid(self.pid, os.WNOHANG)
      if done:
        self._ended = _describe(status)
    return self._ended

  def kill(self):
    if self.ended() is None:
      os.kill(self.pid, signal.SIGKILL)
      os.waitpid(self.pid, 0)


def _describe(status):
  if os.WIFSIGNALED(status):
    number = os.WTERMSIG(status)
    return f"was ended by signal {number} ({signal.Signals(number).name})"
  return f"exited with code {os.WEXITSTATUS(status)}"


def _free_port():
  with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
    s.bind(("", 0))
    return s.getsockname()[1]


def _connect(port):
  connection = socket.create_connection(("127.0.0.1", port))
  connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
  return connection


def _wait_until_up(worker, port):
  """Returns None once the worker accepts connections, or why it does not."""
  deadline = time.monotonic() + _START_TIMEOUT_SECONDS
  while time.monotonic() < deadline:
    ended = worker.ended()
    if ended:
      return ended
    try:
      _connect(port).close()
      return None
    except OSError:
      time.sleep(0.01)
  return f"did not listen within {_START_TIMEOUT_SECONDS:.0f} s"


def _pump(source, sink):
  buffer = memoryview(bytearray(_BUFFER_BYTES))
  try:
    while True:
      count = source.recv_into(buffer)
      if not count:
        break
      sink.sendall(buffer[:count])
  except OSError:
    pass
  # Half a connection is of no use to gRPC: end both directions, which also
  # wakes the pump of the other one.
  for end in (source, sink):
    with contextlib.suppress(OSError):
      end.shutdown(socket.SHUT_RDWR)


def _forward(client, port):
  try:
    server = _connect(port)
  except OSError:
    client.close()
    return
  for ends in ((client, server), (server, client)):
    threading.Thread(target=_pump, args=ends, daemon=True).start()


def _listen(path):
  mask = os.umask(0o177)
  try:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(16)
  finally:
    os.umask(mask)
  return listener


def _listen_tcp(host, port):
  """Made before the host's network is left: a socket stays where it was."""
  family = socket.AF_INET6 if ":" in host else socket.AF_INET
  listener = socket.socket(family, socket.SOCK_STREAM)
  listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
  listener.bind((host, port))
  listener.listen(64)
  return listener


def _accept(listener):
  client, _ = listener.accept()
  if client.family != socket.AF_UNIX:
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A driver whose machine vanished closes nothing.
    client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
  return client


def _serve(worker, port, listeners, owner):
  """Forwards connections until the worker ends or the owner is done with it.

  Args:
    worker: The running worker.
    port: Where it listens.
    listeners: The sockets whose connections go there.
    owner: The process for which the worker works.

  Returns:
    How the worker ended (None if it runs) and whether the owner is gone.
  """
  woken, waker = os.pipe()
  os.set_blocking(waker, False)
  signal.signal(signal.SIGCHLD, lambda *_: None)
  signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
  sources = [0, woken, *listeners]
  while True:
    ended = worker.ended()
    if ended:
      return ended, False
    # A process forked from the owner holds the other end of our input open,
    # so its end alone would not tell that the owner died.
    if os.getppid() != owner:
      return None, True
    ready, _, _ = select.select(sources, [], [], _POLL_SECONDS)
    if 0 in ready:
      return None, not os.read(0, 1)
    if woken in ready:
      os.read(woken, 4096)
    for listener in listeners:
      if listener in ready:
        _forward(_accept(listener), port)


def _remove(paths):
  for path in paths:
    with contextlib.suppress(OSError):
      os.rmdir(path) if os.path.isdir(path) else os.unlink(path)


def main(config):
  """Runs one worker from start to end; returns the exit code."""
  listeners = []
  if config["listen"]:
    try:
      listeners.append(_listen_tcp(*config["listen"]))
    except OSError as error:
      host, port = config["listen"]
      _report(failed=f"cannot listen on {host} port {port}: {error}")
      return 1
  if config["private"]:
    try:
      enter_private_network()
    except NotPrivateError as error:
      _report(not_private=str(error))
      return 3
  if config["socket"]:
    listeners.append(_listen(config["socket"]))
  port = _PRIVATE_PORT if config["private"] else _free_port()
  worker = _Worker([*config["command"], f"--port={port}"], config["log"])
  orphaned = False
  try:
    failure = _wait_until_up(worker, port)
    if failure:
      _report(failed=failure)
      return 1
    _report(ready={"pid": worker.pid, "port": port})
    ended, orphaned = _serve(worker, port, listeners, config["owner"])
    if ended:
      _report(ended=ended)
      return 2
    return 0
  finally:
    worker.kill()
    if config["socket"]:
      _remove([config["socket"]])
    if orphaned:
      _remove(config["remove"])


if __name__ == "__main__":
  # Without waiting for the pumps, which may block on a peer for ever.
  os._exit(main(json.loads(sys.argv[1])))
