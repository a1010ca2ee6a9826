"""Checks what MkDocs itself does not check of the built documentation.

  python -m tools.check_site site     exit code 1 if something is wrong

A page must load nothing from another host, so that it can be read offline and
tells nobody that it is read; links to elsewhere are fine. And every public name
of the package, what a package lists in its `__all__`, must have an entry.
"""

import argparse
import ast
from html import parser as html_parser
import pathlib
import re
import sys
from typing import Dict, List, Optional, Set, Tuple

from tools import rooms

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_FOREIGN = re.compile(r"^\s*(?:[a-z][a-z0-9+.-]*:)?//", re.I)
_CSS_LOADS = re.compile(
  r"""(?:url\(\s*|@import\s+)["']?\s*((?:https?:)?//[^"')\s]+)""", re.I
)
# Attributes that make a browser load something; a link to a page does not.
_LOADING = {
  ("audio", "src"),
  ("embed", "src"),
  ("iframe", "src"),
  ("image", "href"),
  ("img", "src"),
  ("img", "srcset"),
  ("input", "src"),
  ("link", "href"),
  ("object", "data"),
  ("script", "src"),
  ("source", "src"),
  ("source", "srcset"),
  ("track", "src"),
  ("use", "href"),
  ("video", "poster"),
  ("video", "src"),
}
# Material's script fetches a drawing library for these from another host.
_FETCHING_CLASSES = {"mermaid"}


class _Page(html_parser.HTMLParser):
  """Collects the ids of a page and what it loads from other hosts."""

  def __init__(self):
    super().__init__()
    self.ids: Set[str] = set()
    self.loads: List[str] = []
    self._in_style = False

  def handle_starttag(
    self, tag: str, attrs: List[Tuple[str, Optional[str]]]
  ) -> None:
    self._in_style = tag == "style"
    for name, value in attrs:
      value = value or ""
      if name == "id":
        self.ids.add(value)
      elif name == "class" and _FETCHING_CLASSES & set(value.split()):
        self.loads.append(f"what draws class={value!r}")
      elif name == "style":
        self.loads += _CSS_LOADS.findall(value)
      elif (tag, name) in _LOADING:
        addresses = [value]
        if name == "srcset":
          addresses = value.split(",")
        self.loads += [a.strip() for a in addresses if _FOREIGN.match(a)]

  def handle_startendtag(
    self, tag: str, attrs: List[Tuple[str, Optional[str]]]
  ) -> None:
    self.handle_starttag(tag, attrs)
    self._in_style = False

  def handle_endtag(self, tag: str) -> None:
    self._in_style = False

  def handle_data(self, data: str) -> None:
    if self._in_style:
      self.loads += _CSS_LOADS.findall(data)


def _parsed(path: pathlib.Path) -> _Page:
  page = _Page()
  page.feed(path.read_text(encoding="utf-8"))
  page.close()
  return page


def foreign_loads(site: pathlib.Path) -> List[str]:
  """Finds what pages and style sheets load from other hosts.

  Args:
    site: The folder of the built site.

  Returns:
    A line "file loads address" for each.
  """
  found = []
  for path in sorted(site.rglob("*")):
    if path.suffix == ".html":
      loads = _parsed(path).loads
    elif path.suffix in (".css", ".svg"):
      loads = _CSS_LOADS.findall(path.read_text(encoding="utf-8"))
    else:
      continue
    relative = path.relative_to(site).as_posix()
    found += [f"{relative} loads {address}" for address in loads]
  return found


def public_names(root: pathlib.Path) -> Dict[str, List[str]]:
  """Reads which names the package offers.

  Args:
    root: The root of the repository.

  Returns:
    By room, the dotted names that the `__all__` of the room, and of packages
    within it, list.
  """
  names: Dict[str, List[str]] = {room: [] for room in rooms.ROOMS}
  for room, found in names.items():
    for path in sorted((root / rooms.PACKAGE / room).rglob("__init__.py")):
      package = ".".join(path.relative_to(root).parent.parts)
      for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(
          isinstance(target, ast.Name) and target.id == "__all__"
          for target in node.targets
        ):
          listed = ast.literal_eval(node.value)
          found += [f"{package}.{name}" for name in listed]
  return names


def missing_names(site: pathlib.Path, root: pathlib.Path) -> List[str]:
  """Finds public names without an entry on the page of their room.

  Args:
    site: The folder of the built site.
    root: The root of the repository.

  Returns:
    A line "page has no entry for name" for each.
  """
  missing = []
  for room, names in public_names(root).items():
    page = site / "api" / f"{room}.html"
    ids = _parsed(page).ids if page.exists() else set()
    missing += [
      f"api/{room}.html has no entry for {name}"
      for name in names
      if name not in ids
    ]
  return missing


def main() -> int:
  """Prints the problems; returns the exit code."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("site", type=pathlib.Path)
  args = parser.parse_args()
  if not (args.site / "index.html").exists():
    print(f"error: {args.site} holds no built site", file=sys.stderr)
    return 1
  problems = foreign_loads(args.site) + missing_names(args.site, _ROOT)
  for problem in problems:
    print(f"error: {problem}", file=sys.stderr)
  if not problems:
    print(f"{args.site}: every public name is there, nothing foreign is loaded")
  return 1 if problems else 0


if __name__ == "__main__":
  sys.exit(main())
