"""Four small files in the form of MNIST's, and a server for them."""

import contextlib
import errno
import functools
import gzip
import hashlib
import http.server
import math
import os
import struct
import threading

import numpy as np

from tff_gen_debug.datasets import idx_files

NAMES = (
  "train-images-idx3-ubyte",
  "train-labels-idx1-ubyte",
  "t10k-images-idx3-ubyte",
  "t10k-labels-idx1-ubyte",
)
# The name of a file and the shape of what is in it, 60 and 10 images.
SHAPES = dict(zip(NAMES, [(60, 28, 28), (60,), (10, 28, 28), (10,)]))


# What Python says when nobody answers.
REFUSED = f"[Errno {errno.ECONNREFUSED}] {os.strerror(errno.ECONNREFUSED)}"


def values(name):
  """Bytes of every value, or the labels 0, 1, ..., 9, 0, 1, ..."""
  count = math.prod(SHAPES[name])
  if "labels" in name:
    return bytes(k % 10 for k in range(count))
  return bytes((k * k + len(name)) * 31 % 256 for k in range(count))


def content(name):
  shape = SHAPES[name]
  magic = b"\0\0\x08" + bytes([len(shape)])
  return magic + struct.pack(f">{len(shape)}I", *shape) + values(name)


def flip_last(data):
  return data[:-1] + bytes([data[-1] ^ 1])


TRAIN, TEST = (
  idx_files.Files(
    *(
      idx_files.ArrayFile(
        name, SHAPES[name], hashlib.sha256(values(name)).hexdigest()
      )
      for name in names
    )
  )
  for names in (NAMES[:2], NAMES[2:])
)


def put(directory, packed=True, leave_out=()):
  """Writes the files."""
  directory.mkdir(parents=True, exist_ok=True)
  for name in set(NAMES) - set(leave_out):
    if packed:
      (directory / f"{name}.gz").write_bytes(gzip.compress(content(name)))
    else:
      (directory / name).write_bytes(content(name))


def put_rubbish(directory, end=""):
  directory.mkdir(parents=True, exist_ok=True)
  for name in NAMES:
    (directory / f"{name}{end}").write_bytes(b"rubbish")


def assert_is(half, files):
  """Checks that `half` is what `put` has written of `files`."""
  for array, file in zip(half, files):
    assert array.dtype == np.uint8
    assert array.shape == file.shape
    assert array.tobytes() == values(file.name)
    assert not array.flags.writeable


def forget_proxies(monkeypatch):
  for name in ("http_proxy", "https_proxy", "all_proxy"):
    monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv(name.upper(), raising=False)


@contextlib.contextmanager
def serve(directory):
  """Serves a directory; yields its URL."""

  class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
      del args

  handler = functools.partial(Handler, directory=str(directory))
  with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
      yield f"http://127.0.0.1:{server.server_port}/"
    finally:
      server.shutdown()
      thread.join()
