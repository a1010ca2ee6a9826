"""From a docstring to the sentences of its prose, tokenised as Stack Overflow.

A docstring mixes prose with code, tables and markup. `docstring_paragraphs`
finds the paragraphs; here they are stripped of inline markup, cut into
sentences and tokenised, and what is no prose after all is dropped.

Tokens are those of `tff.simulation.datasets.stackoverflow`: lower case ASCII,
each punctuation mark a token of its own, apostrophes and hyphens kept inside
words, URLs replaced with `<URL>`.

This module needs neither TensorFlow nor TensorFlow Federated.
"""

import re
from typing import Iterator, List, Sequence
import unicodedata

from tff_gen_debug.datasets import docstring_paragraphs

URL_TOKEN = "<URL>"

MIN_WORDS = 3
# What is longer is a list or a table that looked like prose.
MAX_TOKENS = 100
# Of all tokens, those that are words: 0.83 on average over the installed
# packages. Signatures and dumps fall below this.
MIN_WORD_SHARE = 0.6
# Digests and encoded data are longer.
MAX_TOKEN_CHARACTERS = 30
# Marks of formulas, code and grammars.
_NOT_PROSE = frozenset("=|\\{}^~$@")

_URL = re.compile(
  r"<?\b(?:https?://|ftp://|www\.)[^\s<>\"'`\])}]*[^\s<>\"'`\])}.,;:!?]>?"
)
_MARKDOWN_LINK = re.compile(r"\[([^\[\]]*)\] ?\([^()\s]*\)")
_LINK = re.compile(r"`([^`<]*[^`<\s])\s*<[^`>]*>`(?:__?)?")
_ROLE = re.compile(r":[a-z]+(?::[a-z]+)*:`[~!.]?([^`]*)`")
_CITATION = re.compile(r"\s*\[[\w#*-]+\]_")
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,2})(?=[^\s*])([^*]*[^\s*])\1(?![\w*])")
# With a short form's mark behind the opening ones (Sphinx's `.Figure`), or a
# link's behind the closing ones.
_BACKTICKS = re.compile(r"`+(?:[~.](?=[A-Za-z])|__?(?!\w))?")

_SENTENCE_END = re.compile(r"[.!?][\"')\]]*\s+(?=[\"'(\[]*[A-Z0-9<])")
# A capital letter or a digit after these begins no sentence.
_ABBREVIATION = re.compile(
  r"\W*(?:e\.g|i\.e|i\.i\.d|cf|vs|[Ff]igs?|[Ee]qs?|[Ss]ec|[Rr]ef|[Vv]ol|al|Dr"
  r"|Mr|St|resp|approx|[A-Z](?:\.[A-Z])*)\."
)

_TO_ASCII = str.maketrans(
  {
    "\u2018": "'",
    "\u2019": "'",
    "\u201c": '"',
    "\u201d": '"',
    "\u2010": "-",
    "\u2011": "-",
    "\u2013": " - ",
    "\u2014": " - ",
  }
)
_TOKEN = re.compile(r"[a-z0-9]+(?:['-][a-z0-9]+)*|[!-/:-@\[-`{-~]")
_WORD = re.compile(r"[a-z]+(?:['-][a-z]+)*|" + URL_TOKEN)


def from_docstring(docstring: str) -> Iterator[str]:
  """Yields the sentences of a docstring that are prose.

  Args:
    docstring: As `ast.get_docstring` returns it, with its indentation cleaned.

  Yields:
    Sentences in the order of the text: tokens joined by single spaces.
  """
  for paragraph in docstring_paragraphs.read(docstring):
    for sentence in split(strip_markup(paragraph)):
      tokens = tokenize(sentence)
      if is_prose(tokens):
        yield " ".join(tokens)


def strip_markup(text: str) -> str:
  """Removes inline markup and keeps what it marks.

  Args:
    text: A paragraph on one line.

  Returns:
    The text without links' targets, roles, citations, emphasis and backticks;
    URLs are replaced with `<URL>`.
  """
  if "`" in text:
    text = _LINK.sub(r"\1", text)
    text = _ROLE.sub(r"\1", text)
    text = _BACKTICKS.sub("", text)
  if "[" in text:
    text = _MARKDOWN_LINK.sub(r"\1", text)
    text = _CITATION.sub("", text)
  if "*" in text:
    text = _EMPHASIS.sub(r"\2", text)
  if "://" in text or "www." in text:
    text = _URL.sub(URL_TOKEN, text)
  return text


def split(text: str) -> Iterator[str]:
  """Cuts a paragraph into sentences.

  Args:
    text: The paragraph on one line, without markup.

  Yields:
    Its sentences. One ends at `.`, `!` or `?`, and the quotes and brackets that
    close behind it, if white space and then a capital letter or a digit follow;
    not after abbreviations such as `e.g.` and initials.
  """
  start = 0
  for match in _SENTENCE_END.finditer(text):
    last_word = text[start : match.start() + 1].rpartition(" ")[2]
    if not _ABBREVIATION.fullmatch(last_word):
      yield text[start : match.end()]
      start = match.end()
  yield text[start:]


def tokenize(sentence: str) -> List[str]:
  """Splits a sentence into tokens as TFF's Stack Overflow has them.

  Typographic quotes and dashes become ASCII's and letters lose their accents;
  other characters outside of ASCII are removed.

  Args:
    sentence: Any text without markup.

  Returns:
    Its tokens: words in lower case, with apostrophes and hyphens inside them,
    single punctuation marks, and `<URL>`.
  """
  if not sentence.isascii():
    sentence = unicodedata.normalize("NFKD", sentence.translate(_TO_ASCII))
    sentence = sentence.encode("ascii", "ignore").decode("ascii")
  tokens: List[str] = []
  for number, part in enumerate(sentence.split(URL_TOKEN)):
    if number:
      tokens.append(URL_TOKEN)
    tokens += _TOKEN.findall(part.lower())
  return tokens


def is_prose(tokens: Sequence[str]) -> bool:
  """Says whether a tokenised sentence is prose and not code, a name or a table.

  Args:
    tokens: The sentence's tokens.

  Returns:
    Whether it begins with a word that another word, a number or a comma
    follows; has 3 words or more, 100 tokens or fewer and at least 60 % words;
    has no token of more than 30 characters, and none of the marks that code and
    formulas need.
  """
  if not MIN_WORDS <= len(tokens) <= MAX_TOKENS:
    return False
  if not _WORD.fullmatch(tokens[0]):
    return False
  if not (tokens[1][0].isalnum() or tokens[1] in (",", URL_TOKEN)):
    return False
  if not _NOT_PROSE.isdisjoint(tokens):
    return False
  if max(map(len, tokens)) > MAX_TOKEN_CHARACTERS:
    return False
  words = len([token for token in tokens if _WORD.fullmatch(token)])
  return words >= max(MIN_WORDS, MIN_WORD_SHARE * len(tokens))
