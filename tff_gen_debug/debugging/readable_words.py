"""Words of unknown content, shown so that every character can be seen.

A token may hold a space where none belongs, which is just what a bug looks
like, and a word out of user data or a generator may hold anything: line breaks,
or marks that reverse the text around them.
"""

import dataclasses
import html

_SPACE = '<span class="space"> </span>'


@dataclasses.dataclass(frozen=True)
class Word:
  """A cell of a report's table that holds one word.

  The page sets it in a typeface of fixed width with each space underlined, so
  that it can be seen, yet copied and searched for as the space that it is.
  """

  text: str

  def __str__(self):
    return quoted(self.text)

  def __html__(self) -> str:
    """The markup that templates put in place of the escaped text."""
    parts = [html.escape(part) for part in printable(self.text).split(" ")]
    return f'<code class="word">{_SPACE.join(parts)}</code>'


def printable(text: str) -> str:
  r"""Replaces what does not print by its Python escape, such as \u202e.

  Args:
    text: Any string, lone surrogates included.

  Returns:
    Printable text; only the plain space is kept of white space.
  """
  return "".join(
    character
    if character.isprintable()
    else character.encode("unicode_escape").decode("ascii")
    for character in text
  )


def quoted(text: str) -> str:
  """The same between quotation marks, for a sentence."""
  return f'"{printable(text)}"'
