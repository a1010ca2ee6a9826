"""Turns the docstrings of this project into Markdown, for the API reference.

An extension of griffe, which reads the source for mkdocstrings. Code in our
docstrings is indented by two spaces, as code is, where Markdown wants four; and
"Formal guarantees:" and "Edge cases:" begin paragraphs that a reader looks for.
And what looks like HTML is text that speaks of HTML.
"""

import ast
import re
import textwrap
from typing import Any, List

import griffe

_LEAD_IN = re.compile(r"^(Formal guarantees|Edge cases|Not private):(?= |$)")
_SECTION = re.compile(
  r"^(Args|Arguments|Attributes|Raises|Returns|Yields|Warns):$"
)
_CODE_SPAN = re.compile(r"(`[^`]*`)")
_TAG_OR_ENTITY = re.compile(r"<(?=[a-zA-Z/!])|&(?=#?\w+;)")
_LIST_ITEM = re.compile(r"^([*+-]|\d+\.)\s")


def _fenced(block: List[str]) -> List[str]:
  """A block of indented lines as a fenced one, highlighted if it is Python."""
  code = textwrap.dedent("\n".join(block))
  try:
    ast.parse(code)
    language = "python"
  except SyntaxError:
    language = "text"
  return [f"```{language}", *code.split("\n"), "```"]


def _escaped(lines: List[str]) -> List[str]:
  """Lines of text where nothing outside of code spans is read as HTML."""
  parts = _CODE_SPAN.split("\n".join(lines))
  parts[::2] = [
    _TAG_OR_ENTITY.sub(lambda m: "&lt;" if m[0] == "<" else "&amp;", part)
    for part in parts[::2]
  ]
  return "".join(parts).split("\n")


def to_markdown(docstring: str) -> str:
  """Returns a docstring with fenced code and lead-ins in bold.

  Args:
    docstring: As `inspect.cleandoc` leaves it: text starts in the first column.

  Returns:
    The same, where blocks that are indented after a blank line are fenced,
    paragraphs that begin with "Formal guarantees:", "Edge cases:" or
    "Not private:" have that in bold, and tags and entities of HTML are escaped.
    Sections ("Args:" and so on), whose indentation has a meaning, and what
    belongs to a list item stay indented as they are.
  """
  lines = docstring.split("\n")
  result: List[str] = []
  text: List[str] = []
  keeps_indentation = False  # In a section, or in a list item.
  i = 0
  while i < len(lines):
    line = lines[i]
    after_blank = i > 0 and not lines[i - 1].strip()
    if line.startswith(" ") and after_blank and not keeps_indentation:
      end = i
      while end < len(lines) and (
        lines[end].startswith(" ") or not lines[end].strip()
      ):
        end += 1
      while not lines[end - 1].strip():
        end -= 1
      result += _escaped(text) + _fenced(lines[i:end])
      text = []
      i = end
      continue
    if line.strip() and not line.startswith(" "):
      starts_list = bool(_LIST_ITEM.match(line))
      is_section = bool(_SECTION.match(line))
      if starts_list or is_section or after_blank:
        keeps_indentation = starts_list or is_section
      line = _LEAD_IN.sub(r"**\1:**", line)
    text.append(line)
    i += 1
  if text:
    result += _escaped(text)
  return "\n".join(result)


class HouseStyle(griffe.Extension):
  """Applies `to_markdown` to every docstring that griffe reads."""

  def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
    """Rewrites the docstring of an object as soon as it was read."""
    del kwargs
    if obj.docstring is not None:
      obj.docstring.value = to_markdown(obj.docstring.value)
