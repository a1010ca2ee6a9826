"""The text file that holds each module's sentences, and its checksum.

The first line is the sha256 of all that follows. The second is JSON: where the
text is from, and for each module its name, its package and how many bytes of
text it has. Then comes the text, module by module, one sentence a line.

This module needs neither TensorFlow nor TensorFlow Federated.
"""

import hashlib
import json
import os
from typing import Any, Dict, List, NamedTuple, Sequence

from tff_gen_debug import files


class DocstringsFileError(ValueError):
  """A file of docstrings is damaged."""


class ModuleText(NamedTuple):
  """The sentences of one Python module.

  Attributes:
    module: Its dotted name.
    package: The distribution it is from.
    sentences: Tokens joined by single spaces, in the order of the source.
  """

  module: str
  package: str
  sentences: List[str]


class Index(NamedTuple):
  """Where each module's text is in a file.

  Attributes:
    path: The file.
    size: Its length in bytes.
    modules: The modules' dotted names.
    packages: The distribution of each.
    offsets: Where in the file the text of each begins.
    sizes: How many bytes it has: sentences joined by line feeds, without one at
      the end.
  """

  path: str
  size: int
  modules: List[str]
  packages: List[str]
  offsets: List[int]
  sizes: List[int]


def write(
  path: str, texts: Sequence[ModuleText], origin: Dict[str, Any]
) -> None:
  """Writes a file; equal arguments give equal bytes.

  Args:
    path: The file, in an existing directory. It appears when it is complete.
    texts: The modules in the order in which the file shall have them.
    origin: Where they are from, as JSON can hold it.
  """
  bodies = ["\n".join(text.sentences).encode("ascii") for text in texts]
  header = {
    "origin": origin,
    "modules": [
      [text.module, text.package, len(body)]
      for text, body in zip(texts, bodies)
    ],
  }
  content = b"".join(
    [json.dumps(header, sort_keys=True).encode("ascii"), b"\n"]
    + [body + b"\n" for body in bodies]
  )
  digest = hashlib.sha256(content).hexdigest().encode("ascii")
  files.write_atomically(path, digest + b"\n" + content)


def read_index(path: str) -> Index:
  """Reads where the modules are, and verifies the whole file.

  Args:
    path: The file.

  Returns:
    The index; offsets count from the beginning of the file.

  Raises:
    DocstringsFileError: If the file is damaged.
    FileNotFoundError: If there is none.
  """
  with open(path, "rb") as file:
    data = file.read()
  digest, _, content = data.partition(b"\n")
  if hashlib.sha256(content).hexdigest().encode("ascii") != digest:
    raise DocstringsFileError(f"{path} is damaged: its checksum is wrong")
  header, _, _ = content.partition(b"\n")
  entries = json.loads(header)["modules"]
  offsets = []
  offset = len(digest) + 1 + len(header) + 1
  for _, _, size in entries:
    offsets.append(offset)
    offset += size + 1
  return Index(
    path=os.path.abspath(path),
    size=len(data),
    modules=[module for module, _, _ in entries],
    packages=[package for _, package, _ in entries],
    offsets=offsets,
    sizes=[size for _, _, size in entries],
  )
