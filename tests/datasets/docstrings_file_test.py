"""Tests for docstrings_file."""

import json

import pytest

from tff_gen_debug.datasets import docstrings_file

_TEXTS = [
  docstrings_file.ModuleText("a.b", "toy-a", ["it is one .", "it is two ."]),
  docstrings_file.ModuleText("c", "toy-c", ["it is three ."]),
]


def _write(path, texts=_TEXTS):
  docstrings_file.write(str(path), texts, {"packages": {"toy-a": "1.0"}})


def test_index_says_where_the_text_is(tmp_path):
  path = tmp_path / "text"
  _write(path)

  index = docstrings_file.read_index(str(path))

  content = path.read_bytes()
  assert index.path == str(path)
  assert index.size == len(content)
  assert index.modules == ["a.b", "c"]
  assert index.packages == ["toy-a", "toy-c"]
  assert [
    content[offset : offset + size]
    for offset, size in zip(index.offsets, index.sizes)
  ] == [b"it is one .\nit is two .", b"it is three ."]


def test_file_is_readable_as_text(tmp_path):
  path = tmp_path / "text"
  _write(path)

  lines = path.read_text("ascii").splitlines()

  assert len(lines[0]) == 64
  assert json.loads(lines[1])["origin"] == {"packages": {"toy-a": "1.0"}}
  assert lines[2:] == ["it is one .", "it is two .", "it is three ."]


def test_no_modules(tmp_path):
  _write(tmp_path / "text", [])

  assert docstrings_file.read_index(str(tmp_path / "text")).modules == []


def test_damage_anywhere_is_found(tmp_path):
  path = tmp_path / "text"
  _write(path)
  whole = path.read_bytes()

  damaged = [b"", b"\n", whole[:-1], whole + b"\n", whole[: len(whole) // 2]]
  for position in range(len(whole)):
    one_bit = bytearray(whole)
    one_bit[position] ^= 1
    damaged.append(bytes(one_bit))
  for content in damaged:
    path.write_bytes(content)
    with pytest.raises(docstrings_file.DocstringsFileError, match="damaged"):
      docstrings_file.read_index(str(path))


def test_missing_file(tmp_path):
  with pytest.raises(FileNotFoundError):
    docstrings_file.read_index(str(tmp_path / "none"))
