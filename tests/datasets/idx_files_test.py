"""Tests for idx_files, on small files."""

import gzip
import socket
import time

import pytest

from tests.datasets import small_idx_files as small
from tff_gen_debug.datasets import idx_files


class _BadFileError(Exception):
  pass


def _bad_file(path, reason):
  return _BadFileError(f"{path}: {reason}")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
  small.forget_proxies(monkeypatch)


@pytest.mark.parametrize("packed", [True, False])
def test_files_of_a_half(tmp_path, packed):
  small.put(tmp_path, packed, leave_out=small.NAMES[:2])

  assert idx_files.are_in(str(tmp_path), small.TEST)
  half = idx_files.read(str(tmp_path), small.TEST, _bad_file)

  small.assert_is(half, small.TEST)


def test_plain_file_comes_before_a_compressed_one(tmp_path):
  small.put(tmp_path, packed=False)
  small.put_rubbish(tmp_path, ".gz")

  half = idx_files.read(str(tmp_path), small.TRAIN, _bad_file)

  small.assert_is(half, small.TRAIN)


@pytest.mark.parametrize("missing", small.NAMES)
def test_one_file_is_missing(tmp_path, missing):
  small.put(tmp_path, leave_out=[missing])

  for files in (small.TRAIN, small.TEST):
    complete = missing not in [file.name for file in files]
    assert idx_files.are_in(str(tmp_path), files) == complete
    if not complete:
      with pytest.raises(_BadFileError, match=f"{missing}: .*No such file"):
        idx_files.read(str(tmp_path), files, _bad_file)


def test_directory_is_no_file(tmp_path):
  small.put(tmp_path, leave_out=small.NAMES[:1])
  (tmp_path / small.NAMES[0]).mkdir()

  assert not idx_files.are_in(str(tmp_path), small.TRAIN)


@pytest.mark.parametrize("name", small.NAMES)
@pytest.mark.parametrize(
  "damage, reason",
  [
    (lambda content: b"", "4 bytes of magic"),
    (lambda content: b"\1" + content[1:], "magic number"),
    (lambda content: content[:-1], "must have .* bytes"),
    (lambda content: content + b"\0", "must have .* bytes, got more"),
    (small.flip_last, "must have sha256"),
  ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_damaged_file(tmp_path, name, damage, reason, packed):
  small.put(tmp_path, packed)
  path = tmp_path / (f"{name}.gz" if packed else name)
  damaged = damage(small.content(name))
  path.write_bytes(gzip.compress(damaged) if packed else damaged)
  files = small.TRAIN if name in small.NAMES[:2] else small.TEST

  with pytest.raises(_BadFileError, match=f"{path}: .*{reason}"):
    idx_files.read(str(tmp_path), files, _bad_file)


@pytest.mark.parametrize(
  "damage",
  [
    lambda packed: b"",
    lambda packed: b"not gzip",
    lambda packed: packed[: len(packed) // 2],
    lambda packed: packed[:-4],
    lambda packed: packed[:100] + bytes(50) + packed[150:],
    small.flip_last,  # The uncompressed size at the file's end.
  ],
)
def test_damaged_compression(tmp_path, damage):
  small.put(tmp_path)
  path = tmp_path / f"{small.NAMES[0]}.gz"
  path.write_bytes(damage(path.read_bytes()))

  with pytest.raises(_BadFileError, match=f"{path}: "):
    idx_files.read(str(tmp_path), small.TRAIN, _bad_file)


def test_file_of_another_shape(tmp_path):
  small.put(tmp_path, packed=False)
  (tmp_path / small.NAMES[1]).write_bytes(small.content(small.NAMES[3]))

  with pytest.raises(_BadFileError, match=r"shape must be \[60\], got \[10\]"):
    idx_files.read(str(tmp_path), small.TRAIN, _bad_file)


def test_content_without_a_file():
  content = small.content(small.NAMES[3])

  assert idx_files.parse(content, small.TEST.labels).tolist() == [*range(10)]
  with pytest.raises(ValueError, match="must have sha256 .*, got "):
    idx_files.parse(small.flip_last(content), small.TEST.labels)


def _files(directory):
  return sorted(path.name for path in directory.iterdir())


def test_download(tmp_path):
  small.put(tmp_path / "server")
  goal = tmp_path / "new" / "goal"

  with small.serve(tmp_path / "server") as url:
    train, test = idx_files.download(
      url, [small.TRAIN, small.TEST], str(goal), _bad_file
    )

  small.assert_is(train, small.TRAIN)
  small.assert_is(test, small.TEST)
  assert _files(goal) == sorted(f"{name}.gz" for name in small.NAMES)
  assert idx_files.are_in(str(goal), small.TRAIN)


def test_download_of_one_half(tmp_path):
  small.put(tmp_path / "server", leave_out=small.NAMES[2:])

  with small.serve(tmp_path / "server") as url:
    (train,) = idx_files.download(
      url, [small.TRAIN], str(tmp_path / "goal"), _bad_file
    )

  small.assert_is(train, small.TRAIN)
  expected = sorted(f"{name}.gz" for name in small.NAMES[:2])
  assert _files(tmp_path / "goal") == expected


@pytest.mark.parametrize("spoil", ["missing", "damaged"])
def test_nothing_is_left_of_a_failed_download(tmp_path, spoil):
  small.put(tmp_path / "server")
  last = tmp_path / "server" / f"{small.NAMES[3]}.gz"
  if spoil == "missing":
    last.unlink()
    expected = pytest.raises(Exception, match="404")
  else:
    last.write_bytes(b"rubbish")
    expected = pytest.raises(_BadFileError, match=last.name)

  with small.serve(tmp_path / "server") as url, expected:
    idx_files.download(
      url, [small.TRAIN, small.TEST], str(tmp_path / "goal"), _bad_file
    )

  assert _files(tmp_path / "goal") == []


def test_nobody_answers(tmp_path):
  started = time.monotonic()

  with pytest.raises(ConnectionRefusedError):
    idx_files.download(
      "http://127.0.0.1:9/", [small.TRAIN], str(tmp_path), _bad_file
    )

  assert time.monotonic() - started < 5
  assert _files(tmp_path) == []


@pytest.mark.parametrize(
  "url, port",
  [
    ("http://example.org/a", 80),
    ("https://example.org/a", 443),
    ("https://example.org:8080/a", 8080),
  ],
)
def test_port_of_the_server(monkeypatch, url, port):
  asked = []

  def connect(address, timeout):
    asked.append((address, timeout))
    return socket.socket()

  monkeypatch.setattr(socket, "create_connection", connect)
  idx_files.check_connection(url)

  assert asked == [(("example.org", port), 10)]


def test_proxy_is_left_to_say_whether_there_is_a_network(monkeypatch):
  monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")

  idx_files.check_connection("http://127.0.0.1:9/")
