"""The paragraphs of prose in a docstring, whichever style it is written in.

Docstrings are written in Google's style, in NumPy's, or with reStructuredText
fields, and mix prose with much else. The rules here, line by line:

*   Dropped: doctests, fenced and literal blocks, sections of examples and
    references, directives, tables, headings, and lines that look like Python
    statements.
*   Of parameters and the like, `name: description`, `:param name: description`,
    or NumPy's `name : type` with the description below, the description is
    kept and the rest dropped, as is a remark in parentheses in front of it.
*   The text of notes and warnings is kept; list items lose their bullets.
*   A blank line, a list item, a parameter and a change of indentation (other
    than a hanging indent) each begin a new paragraph.

This module needs neither TensorFlow nor TensorFlow Federated.
"""

import re
from typing import List, Optional

_FENCES = ("```", "~~~")
_RULE = re.compile(r"([=\-~^\"'`#*+_:.])\1{2,}(?P<columns>(\s+\1+)+)?")
_TABLE_ROW = re.compile(r"[|+].*|\S+(?:\s{3,}\S+){2,}")

_KEPT_DIRECTIVE = re.compile(
  r"\.\. (?:(?:note|warning|important|tip|hint|caution|attention|seealso)::"
  r"|(?:versionadded|versionchanged|deprecated)::\s*\S*)\s*(?P<text>.*)"
)
_TYPE_FIELD = re.compile(r"[:@](?:rtype|type|vartype)\b[^:]*:")
_FIELD = re.compile(r"[:@][a-z]+(?:\s[^:]*)?:\s*(?P<text>.*)")
_BULLET = re.compile(r"(?:[-*+\u2022]|\(?(?:\d{1,2}|[a-z])[.)])\s+(?P<text>.*)")

_NAME = r"[*`\"']*[\w.]+[`\"']*"
_NAMES = rf"{_NAME}(?:, ?{_NAME})*"
_TYPED_NAMES = re.compile(rf"{_NAMES} : ?\S.*")
_LABEL = re.compile(
  rf"{_NAMES}(?: ?\([^()]*\)| ?\[[^\[\]]*\])?:(?:\s+(?P<text>.*))?"
)
_REMARK = re.compile(r"\([^()]*\)[:,.]?\s*")
_DROPPED_SECTION = re.compile(
  r"(?:(?:for |sample |example )?(?:examples?|usage)|references?|see also"
  r"|signature)::?",
  re.IGNORECASE,
)
# NumPy's headings, with a rule below, of sections that have no prose.
_DROPPED_HEADING = re.compile(r"references?|see also", re.IGNORECASE)
_STATEMENT = re.compile(
  r"import \w|from \S+ import\b|def \w|class \w+ ?[(:]|[@#$%>\]})]"
  r"|(?:for|if|while|with|elif)\b.*:$|(?:else|try|finally):$"
  r"|return [^ ]+$|(?:assert|raise|del|print)\b[ (][^ ]*$"
  r"|[\w.]+(?:\[[^\]]*\])*\s?[-+*/|&]?=[^=]"
  r"|[\w.]+\([^ ]*$|[\w.]+\(.*\)[:,]?$|[\w'\"]+,$|['\"(\[{].*[,)\]}'\"]$"
)


def read(docstring: str) -> List[str]:
  """Finds the paragraphs that may be prose.

  Args:
    docstring: As `ast.get_docstring` returns it, with its indentation cleaned.

  Returns:
    Paragraphs in the order of the text, each on one line, with inline markup.
  """
  reader = _Reader()
  for line in docstring.expandtabs().splitlines():
    reader.add(line)
  return reader.finish()


class _Reader:
  """Takes a docstring's lines one by one."""

  def __init__(self):
    self._paragraphs: List[str] = []
    self._lines: List[str] = []
    # Of the current paragraph: where it began, and whether it is an item, whose
    # lines may be indented further.
    self._indent = 0
    self._is_item = False
    # What is being skipped: lines indented further, up to a blank, in a fence.
    self._skipped_indent: Optional[int] = None
    self._skips_to_blank = False
    self._in_fence = False
    self._in_dropped_section = False

  def finish(self) -> List[str]:
    self._flush()
    return self._paragraphs

  def add(self, line: str) -> None:
    text = line.strip()
    indent = len(line) - len(line.lstrip())
    if text.startswith(_FENCES):
      self._in_fence = not self._in_fence
      self._flush()
    elif self._in_fence:
      pass
    elif not text:
      self._skips_to_blank = False
      self._flush()
    elif not self._is_skipped(indent):
      self._add_text(text, indent)

  def _is_skipped(self, indent: int) -> bool:
    if self._skipped_indent is not None:
      if indent > self._skipped_indent:
        return True
      self._skipped_indent = None
    return self._skips_to_blank

  def _add_text(self, text: str, indent: int) -> None:
    opens_literal = text.endswith("::") and not text.startswith("..")
    if text[0].isalpha():
      item = self._named_item(text, indent)
    else:
      rule = _RULE.fullmatch(text)
      if rule:
        # A line with a rule below is a heading; one in columns opens a table.
        heading = self._lines.pop() if self._lines else ""
        self._flush()
        self._in_dropped_section = (
          _DROPPED_HEADING.fullmatch(heading) is not None
        )
        self._skips_to_blank = rule["columns"] is not None
        return
      item = self._marked_item(text, indent)
    if item is None and "   " in text and _TABLE_ROW.fullmatch(text):
      item = ""
    if item is not None:
      self._flush()
      if item.startswith("("):
        item = _REMARK.sub("", item, count=1)
      self._begin(item, indent, is_item=True)
    elif not self._lines or self._leaves_paragraph(indent):
      self._flush()
      if not _STATEMENT.match(text):
        self._begin(text, indent, is_item=False)
    else:
      self._lines.append(text)
    if opens_literal:
      self._skipped_indent = indent
      if self._lines:
        self._lines[-1] = self._lines[-1][:-1]

  def _named_item(self, text: str, indent: int) -> Optional[str]:
    """The description if a line begins with a parameter's name, else None."""
    if ":" not in text:
      return None
    if _DROPPED_SECTION.fullmatch(text):
      self._skipped_indent = indent
      return ""
    # Within a paragraph, what stands before a colon is part of a sentence.
    if self._lines and indent == self._indent and not self._is_item:
      return None
    if self._lines and indent > self._indent and self._is_item:
      return None
    if _TYPED_NAMES.fullmatch(text):
      return ""
    label = _LABEL.fullmatch(text)
    return (label["text"] or "") if label else None

  def _marked_item(self, text: str, indent: int) -> Optional[str]:
    """The text of a line that begins with markup, None if it begins with none.

    "" if the line is to be dropped; what else is dropped with it is noted.
    """
    if text.startswith(">>>"):
      self._skips_to_blank = True
      return ""
    if text.startswith("..") and not text.startswith("..."):
      kept = _KEPT_DIRECTIVE.fullmatch(text)
      if kept:
        return kept["text"]
      self._skipped_indent = indent
      return ""
    if text[0] in "|+" and _TABLE_ROW.fullmatch(text):
      return ""
    if text[0] in ":@":
      if _TYPE_FIELD.match(text):
        self._skipped_indent = indent
        return ""
      field = _FIELD.fullmatch(text)
      return field["text"] if field else None
    bullet = _BULLET.fullmatch(text)
    if bullet:
      label = _LABEL.fullmatch(bullet["text"])
      return (label["text"] or "") if label else bullet["text"]
    return self._named_item(text, indent)

  def _leaves_paragraph(self, indent: int) -> bool:
    if self._is_item:
      return indent < self._indent
    return indent != self._indent

  def _begin(self, text: str, indent: int, is_item: bool) -> None:
    self._lines = [text] if text else []
    self._indent = indent
    self._is_item = is_item

  def _flush(self) -> None:
    if self._lines and not self._in_dropped_section:
      self._paragraphs.append(" ".join(self._lines))
    self._lines = []
