"""Tests for docstrings_source, on distributions made for them."""

from importlib import metadata
import sys

import pytest

from tff_gen_debug.datasets import docstrings_source as source


@pytest.fixture(name="site")
def _site(tmp_path, monkeypatch):
  """An empty directory of installed distributions."""
  monkeypatch.syspath_prepend(str(tmp_path))
  return tmp_path


def _install(site, name, version="1.0", **files):
  """Installs a distribution; `a__b` is the content of the file a/b.py."""
  record = []
  for key, content in files.items():
    path = site / (key.replace("__", "/") + ".py")
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
      content = content.encode("utf-8")
    path.write_bytes(content)
    record.append(str(path.relative_to(site)))
  info = site / f"{name.replace('-', '_')}-{version}.dist-info"
  info.mkdir()
  (info / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
  (info / "RECORD").write_text("".join(f"{file},,\n" for file in record))


def _found(packages, min_sentences=1):
  return {
    text.module: (text.package, text.sentences)
    for text in source.extract(packages, min_sentences)
  }


def test_installed_versions(site):
  _install(site, "toy-b", "2.1")
  _install(site, "toy-a", "1.0")

  versions = source.installed_versions(["toy-b", "toy-none", "toy-a"])

  assert list(versions.items()) == [("toy-a", "1.0"), ("toy-b", "2.1")]


def test_digest_depends_on_all_that_the_text_depends_on(monkeypatch):
  def digest(versions):
    return source.digest(source.environment(versions))

  digests = {digest({"a": "1"}), digest({"a": "2"}), digest({"b": "1"})}
  monkeypatch.setattr(source, "RULES_VERSION", 1000)
  digests.add(digest({"a": "1"}))
  monkeypatch.setattr(sys, "version_info", (3, 99, 0))
  digests.add(digest({"a": "1"}))

  assert len(digests) == 5
  assert digest({"a": "1", "b": "2"}) == digest({"b": "2", "a": "1"})


def test_modules_have_dotted_names_and_tests_are_left_out(site):
  _install(
    site,
    "toy",
    toy="",
    pkg__init="",
    pkg__sub__deep="",
    pkg__tests__helpers="",
    pkg__test_sub="",
    pkg__sub_test="",
    pkg__conftest="",
    pkg__testing__tools="",
  )
  record = site / "toy-1.0.dist-info" / "RECORD"
  record.write_text(
    record.read_text()
    + "pkg/__init__.py,,\n__init__.py,,\n../../bin/run.py,,\npkg/not-a-name.py"
    ",,\npkg/data.txt,,\n"
  )

  files = source.source_files(metadata.distribution("toy"))

  assert [name for name, _ in files] == [
    "pkg",
    "pkg.init",
    "pkg.sub.deep",
    "pkg.testing.tools",
    "toy",
  ]
  assert dict(files)["pkg.sub.deep"] == str(site / "pkg" / "sub" / "deep.py")


_EVERY_PLACE = '''
"""Of the module."""
import math

class One:
  """Of a class.

  More of it.
  """
  x = 1
  """Of nothing that counts."""

  async def run(self):
    "Of a coroutine."

if math:
  try:
    def fast():
      """Of a function in a try."""
      def inner():
        """Of an inner function."""
  except ImportError:
    def slow():
      """Of a function in a handler."""
  finally:
    pass
else:
  def other():
    """Of a function in an else."""
'''


def test_docstrings_of_every_place_in_order(tmp_path):
  path = tmp_path / "m.py"
  path.write_text(_EVERY_PLACE)

  assert source.read_docstrings(str(path)) == [
    "Of the module.",
    "Of a class.\n\nMore of it.",
    "Of a coroutine.",
    "Of a function in a try.",
    "Of an inner function.",
    "Of a function in a handler.",
    "Of a function in an else.",
  ]


@pytest.mark.parametrize(
  "content",
  [
    b'"""Good text."""\ndef broken(:\n',
    b'"""Bad \xff bytes."""\n',
    b'"""Null \x00 byte."""\n',
    b'# coding: no-such-coding\n"""Good text."""\n',
    b'"""Good text."""\nx = ' + 5000 * b"(" + 5000 * b")",
    b'"""Good text."""\n' + b"#" * (4 << 20),
    b"",
    b"x = 1\n",
  ],
)
def test_hostile_files_have_no_docstrings(tmp_path, content):
  path = tmp_path / "m.py"
  path.write_bytes(content)

  assert source.read_docstrings(str(path)) == []


def test_missing_file(tmp_path):
  assert source.read_docstrings(str(tmp_path / "none.py")) == []


def test_other_codings_and_bad_escapes(tmp_path, recwarn):
  path = tmp_path / "m.py"
  path.write_bytes(b'# coding: latin-1\n"""Of caf\xe9s \\d."""\n')

  assert source.read_docstrings(str(path)) == ["Of caf\u00e9s \\d."]
  assert not recwarn.list


def test_sentences_are_distinct_over_all_packages(site):
  _install(
    site,
    "toy-a",
    a_one='"""It is one. It is two. It is one."""\n',
    a_two='"""It is two. It is three."""\n',
  )
  _install(site, "toy-b", b='"""It is three. It is four."""\n')

  expected = {
    "a_one": ("toy-a", ["it is one .", "it is two ."]),
    "a_two": ("toy-a", ["it is three ."]),
    "b": ("toy-b", ["it is four ."]),
  }
  assert _found(["toy-a", "toy-b"]) == expected
  assert _found(["toy-b", "toy-a"]) == expected
  assert list(_found(["toy-a"], min_sentences=2)) == ["a_one"]


def test_hostile_files_do_not_stop_extraction(site):
  _install(
    site,
    "toy",
    broken='"""It is one."""\ndef (',
    good='"""It is two."""\n',
    gone="",
  )
  (site / "gone.py").unlink()

  assert _found(["toy"]) == {"good": ("toy", ["it is two ."])}


def test_module_and_package_of_one_name_are_one_client(site):
  _install(site, "toy", pkg='"""It is one."""\n')
  (site / "pkg").mkdir()
  (site / "pkg" / "__init__.py").write_text('"""It is two."""\n')
  record = site / "toy-1.0.dist-info" / "RECORD"
  record.write_text(record.read_text() + "pkg/__init__.py,,\n")

  assert list(_found(["toy"])) == ["pkg"]
  assert sorted(_found(["toy"])["pkg"][1]) == ["it is one .", "it is two ."]
