"""Tests that a file is either old or new, never half-written."""

import os
import stat

import pytest

from tff_gen_debug import files


def test_writes_and_replaces(tmp_path):
  path = tmp_path / "a.txt"
  files.write_atomically(path, b"one")
  files.write_atomically(str(path), b"two")
  assert path.read_bytes() == b"two"
  assert os.listdir(tmp_path) == ["a.txt"]


def test_mode_follows_the_umask(tmp_path):
  previous = os.umask(0o027)
  try:
    files.write_atomically(tmp_path / "a.txt", b"")
  finally:
    os.umask(previous)
  assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def test_a_failed_write_leaves_the_old_file_alone(tmp_path, monkeypatch):
  path = tmp_path / "a.txt"
  files.write_atomically(path, b"old")

  def fail(*_):
    raise OSError("disk full")

  monkeypatch.setattr(os, "fsync", fail)
  with pytest.raises(OSError, match="disk full"):
    files.write_atomically(path, b"new")
  assert path.read_bytes() == b"old"
  assert os.listdir(tmp_path) == ["a.txt"]


def test_a_missing_directory_is_an_error(tmp_path):
  with pytest.raises(FileNotFoundError):
    files.write_atomically(tmp_path / "no" / "a.txt", b"")
