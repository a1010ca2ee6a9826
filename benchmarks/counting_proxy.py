"""What travels to a worker and back, counted on the wire."""

import contextlib
import socket
import threading

_BUFFER_BYTES = 1 << 20


class CountingProxy:
  """Hands connections on to a worker and counts their bytes.

  Attributes:
    address: Where it listens, as a driver is given it.
    sent: Bytes from the driver to the worker so far.
    received: Bytes from the worker to the driver so far.
  """

  def __init__(self, host: str, port: int):
    """Listens on a free loopback port.

    Args:
      host: The worker's.
      port: The worker's.
    """
    self._worker = (host, port)
    self._listener = socket.create_server(("127.0.0.1", 0))
    self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
    self.sent = self.received = 0
    threading.Thread(target=self._accept, daemon=True).start()

  def close(self) -> None:
    """Takes no more connections."""
    self._listener.close()

  def _accept(self) -> None:
    with contextlib.suppress(OSError):
      while True:
        driver, _ = self._listener.accept()
        worker = socket.create_connection(self._worker)
        for ends in ((driver, worker, "sent"), (worker, driver, "received")):
          ends[0].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
          threading.Thread(target=self._pump, args=ends, daemon=True).start()

  def _pump(self, source, sink, counter: str) -> None:
    with contextlib.suppress(OSError):
      while True:
        data = source.recv(_BUFFER_BYTES)
        if not data:
          break
        setattr(self, counter, getattr(self, counter) + len(data))
        sink.sendall(data)
    for end in (source, sink):
      with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
