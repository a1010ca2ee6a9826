"""Docstrings of the installed packages: where the text comes from.

The packages are those that this library runs on (what `requirements.txt` pins,
without the tools for its development). Their text is real, written by thousands
of people over two decades, and there wherever the library is installed. What
`extract` finds follows from the packages' versions, the version of Python
(which decides what can be parsed) and the rules; `environment` names all three.

This module needs neither TensorFlow nor TensorFlow Federated.
"""

import ast
import gc
import hashlib
from importlib import metadata
import json
import os
import sys
from typing import Any, Dict, Iterator, List, Sequence, Tuple
import warnings

import tqdm

from tff_gen_debug.datasets import docstring_sentences
from tff_gen_debug.datasets import docstrings_file

# Raise it when a rule changes, here, in docstring_sentences or in
# docstring_paragraphs: caches that other rules made are then not read.
RULES_VERSION = 2

# Those with at least one module of MIN_SENTENCES. All of them are run-time
# requirements, so the text is the same with and without the test tools.
PACKAGES = (
  "absl-py",
  "array-record",
  "attrs",
  "cachetools",
  "cffi",
  "charset-normalizer",
  "click",
  "cloudpickle",
  "contourpy",
  "cryptography",
  "cycler",
  "decorator",
  "dm-tree",
  "dp-accounting",
  "etils",
  "flatbuffers",
  "fonttools",
  "fsspec",
  "gast",
  "google-auth",
  "google-auth-oauthlib",
  "google-pasta",
  "google-vizier",
  "grpcio",
  "h5py",
  "importlib-resources",
  "jax",
  "jaxlib",
  "jinja2",
  "joblib",
  "keras",
  "markdown",
  "matplotlib",
  "mpmath",
  "numpy",
  "oauthlib",
  "opt-einsum",
  "packaging",
  "pillow",
  "protobuf",
  "pyasn1",
  "pycparser",
  "pygments",
  "pyparsing",
  "python-dateutil",
  "requests",
  "requests-oauthlib",
  "scikit-learn",
  "scipy",
  "setuptools",
  "six",
  "sqlalchemy",
  "tensorboard",
  "tensorflow",
  "tensorflow-datasets",
  "tensorflow-estimator",
  "tensorflow-federated",
  "tensorflow-metadata",
  "tensorflow-model-optimization",
  "tensorflow-privacy",
  "tensorflow-probability",
  "toml",
  "tqdm",
  "typing-extensions",
  "urllib3",
  "werkzeug",
  "wheel",
  "wrapt",
)

# Tests have 2 % of the text and 15 % of the bytes to parse, and name what they
# test instead of describing it.
_TEST_DIRECTORIES = frozenset(["test", "tests"])

# Larger files are generated tables.
_MAX_FILE_BYTES = 4 << 20


def installed_versions(packages: Sequence[str]) -> Dict[str, str]:
  """Finds the packages that are installed.

  Args:
    packages: Names of distributions.

  Returns:
    The version of each that is there, by name.
  """
  versions = {}
  for package in sorted(packages):
    try:
      versions[package] = metadata.version(package)
    except metadata.PackageNotFoundError:
      continue
  return versions


def environment(versions: Dict[str, str]) -> Dict[str, Any]:
  """Names all that the extracted text depends on.

  Args:
    versions: The packages' versions by name.

  Returns:
    A description that JSON can hold.
  """
  return {
    "packages": versions,
    "python": ".".join(map(str, sys.version_info[:2])),
    "rules": RULES_VERSION,
  }


def digest(description: Dict[str, Any]) -> str:
  """Returns 16 hexadecimal digits that stand for an environment."""
  text = json.dumps(description, sort_keys=True).encode("utf-8")
  return hashlib.sha256(text).hexdigest()[:16]


def extract(
  packages: Sequence[str], min_sentences: int
) -> List[docstrings_file.ModuleText]:
  """Extracts the distinct sentences of the packages' docstrings.

  A sentence that occurs more than once, in one module or in several, counts for
  the first module in the order of their packages' and their own names. Files
  that can't be read or parsed are passed over. Shows a progress bar.

  Args:
    packages: Names of installed distributions.
    min_sentences: Modules with fewer distinct sentences are left out.

  Returns:
    The modules in the order of their packages' and their own names.
  """
  sources = [
    (package, module, path)
    for package in sorted(packages)
    for module, path in source_files(metadata.distribution(package))
  ]
  seen_docstrings = set()
  seen = set()
  texts: Dict[str, docstrings_file.ModuleText] = {}
  # Collecting garbage doubles the time of parsing: a syntax tree is a million
  # objects, and none of them is in a cycle.
  collects_garbage = gc.isenabled()
  gc.disable()
  try:
    for package, module, path in tqdm.tqdm(
      sources, desc="Extracting docstrings", unit="file", disable=None
    ):
      for docstring in read_docstrings(path):
        if docstring in seen_docstrings:
          continue
        seen_docstrings.add(docstring)
        text = texts.setdefault(
          module, docstrings_file.ModuleText(module, package, [])
        )
        for sentence in docstring_sentences.from_docstring(docstring):
          if sentence not in seen:
            seen.add(sentence)
            text.sentences.append(sentence)
  finally:
    if collects_garbage:
      gc.enable()
  return [t for t in texts.values() if len(t.sentences) >= min_sentences]


def source_files(
  distribution: metadata.Distribution,
) -> List[Tuple[str, str]]:
  """Lists a distribution's Python modules.

  Args:
    distribution: An installed one.

  Returns:
    Dotted names and paths, in order of the names. Tests and files outside of
    packages, such as scripts, are left out.
  """
  found = []
  for file in distribution.files or ():
    *directories, name = file.parts
    stem, extension = os.path.splitext(name)
    parts = directories + ([] if stem == "__init__" else [stem])
    if (
      extension == ".py"
      and parts
      and all(part.isidentifier() for part in parts)
      and not _is_test(directories, stem)
    ):
      found.append((".".join(parts), str(distribution.locate_file(file))))
  return sorted(found)


def read_docstrings(path: str) -> List[str]:
  """Reads the docstrings of a module, its classes and its functions.

  Args:
    path: A Python file.

  Returns:
    The docstrings in the order of the source, without their indentation; none
    if the file can't be read or parsed, or is larger than 4 MB.
  """
  try:
    if os.path.getsize(path) > _MAX_FILE_BYTES:
      return []
    with open(path, "rb") as file:
      source = file.read()
    with warnings.catch_warnings():
      warnings.simplefilter("ignore")
      tree = ast.parse(source)
    return [
      docstring
      for docstring in map(ast.get_docstring, _documented(tree))
      if docstring
    ]
  except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
    # ValueError is for null bytes, MemoryError for nesting that is too deep.
    return []


def _documented(node: Any) -> Iterator[Any]:
  """Yields the nodes in and below `node` that can have a docstring."""
  if isinstance(
    node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
  ):
    yield node
  # Expressions hold most of a tree's nodes and no docstrings.
  for field in ("body", "handlers", "orelse", "finalbody"):
    children = getattr(node, field, None)
    if isinstance(children, list):
      for child in children:
        yield from _documented(child)


def _is_test(directories: Sequence[str], stem: str) -> bool:
  return (
    not _TEST_DIRECTORIES.isdisjoint(directories)
    or stem == "conftest"
    or stem.startswith("test_")
    or stem.endswith("_test")
  )
