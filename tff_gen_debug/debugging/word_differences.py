"""What one model's words show more often than another's.

As `image_differences` does with images: the words that a character model draws
after it was trained on suspect devices are compared with those of another
model, or with what ordinary text stays below. `text_findings.find_joined_words`
asks about the tokenizer of Augenstein et al. (2020, arXiv 1911.06679) alone;
here all faults of a token that can be counted are asked about.

A model can only show what its alphabet spells. `Alphabet`'s default has the
space and all of ASCII but capitals, so spaces, lost apostrophes, copies and
markup come out; what UTF-8 becomes if read as Latin-1 does not, nor does the
apostrophe U+2019. Such characters are drawn as U+FFFD, and where they are
frequent, the question about them is left undecided.
"""

import collections
from collections.abc import Callable, Iterable
import re
from typing import Optional

from tff_gen_debug.debugging import findings
from tff_gen_debug.debugging import generated_words
from tff_gen_debug.debugging import readable_words
from tff_gen_debug.debugging import share_differences
from tff_gen_debug.debugging import text_findings

# Without a reference: more than ordinary text has of any of them.
_FIXED_SHARE = 0.01
# Of draws that hold characters outside the alphabet.
_MANY_UNKNOWN = 0.01

_NUM_EXAMPLES = 2

_APOSTROPHES = re.compile("['\N{RIGHT SINGLE QUOTATION MARK}]")
_POSSESSIVE = re.compile("['\N{RIGHT SINGLE QUOTATION MARK}]s?$")
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"
_LETTER = re.compile(r"[^\W\d_]")
# Two characters at least: "ii" and "ll" are numerals and abbreviations.
_COPIES = re.compile(r"(..+?) ?\1", re.DOTALL)
# A lead byte of UTF-8, also if lower-cased after it was read wrongly, and a
# continuation byte.
_MISREAD = re.compile("[\u00c2-\u00f4][\u0080-\u00bf]")
_ENTITY = re.compile(r"&(?:#\d+|#x[0-9a-f]+|[a-z][a-z0-9]*);", re.IGNORECASE)
# A tokenizer's own, such as "<URL>". The default alphabet has no capitals.
_PLACEHOLDER = re.compile(f"<[A-Z{_UNKNOWN}]+>")

# A bug in 10 % of the sentences that spoils one word of each makes about 5 % of
# the words that a vocabulary lacks; apostrophes are rarer.
_WITH_SPACE = share_differences.Question(
  "with_space", "hold a space between other characters", 0.02, unit="draws"
)
_APOSTROPHE_LOST = share_differences.Question(
  "apostrophe_lost",
  "are vocabulary words without their apostrophe",
  0.01,
  unit="draws",
)
_DOUBLED = share_differences.Question(
  "doubled", "are a word twice", 0.02, unit="draws"
)
_MISREAD_BYTES = share_differences.Question(
  "misread_bytes", "hold UTF-8 read as Latin-1", 0.02, unit="draws"
)
_MARKUP = share_differences.Question(
  "markup", "hold markup", 0.02, unit="draws"
)


def has_inner_space(word: str) -> bool:
  """Whether a space stands between other characters: tokens were joined."""
  return " " in word.strip()


def is_doubled(word: str) -> bool:
  """Whether it is one word twice, as "thethe" or "the the".

  Args:
    word: Any text.

  Returns:
    Whether it is; the copy must have two characters and the word a letter.
  """
  return bool(_COPIES.fullmatch(word) and _LETTER.search(word))


def has_misread_bytes(word: str) -> bool:
  """Whether it holds two characters that UTF-8 makes if read as Latin-1.

  Args:
    word: Any text.

  Returns:
    Whether one of U+00C2 to U+00F4 is followed by one of U+0080 to U+00BF, as
    in "cafÃ©". A quotation mark after a foreign letter is taken for it, too.
  """
  return bool(_MISREAD.search(word))


def has_markup(word: str) -> bool:
  """Whether it holds an entity, or an angle bracket beside a letter.

  Args:
    word: Any text.

  Returns:
    Whether it does. Operators such as "->" have no letter; placeholders in
    capitals, such as "<URL>", come from a tokenizer.
  """
  if _PLACEHOLDER.fullmatch(word):
    return False
  has_bracket = "<" in word or ">" in word
  has_entity = _ENTITY.search(word) is not None
  return has_entity or (has_bracket and _LETTER.search(word) is not None)


def lost_apostrophes(vocabulary: Iterable[str]) -> frozenset[str]:
  """The words that a vocabulary's would be without their apostrophes.

  Args:
    vocabulary: Words, such as `Vocabulary.words`.

  Returns:
    The words, such as "dont" for "don't", of two characters or more. Left out
    are those that are words of the vocabulary themselves, as "well" for
    "we'll", and what comes of words in "'s", which looks like a plural.
  """
  known = set(vocabulary)
  lost = {
    _APOSTROPHES.sub("", word)
    for word in known
    if _APOSTROPHES.search(word) and not _POSSESSIVE.search(word)
  }
  return frozenset(word for word in lost - known if len(word) > 1)


def compare_words(
  suspect: generated_words.GeneratedWords,
  reference: Optional[generated_words.GeneratedWords] = None,
  vocabulary: Optional[Iterable[str]] = None,
  *,
  suspect_name: str = "suspect",
  reference_name: str = "reference",
  num_top: int = generated_words.NUM_TOP,
) -> list[findings.Finding]:
  """Asks which faults the suspect's draws have more often than the reference's.

  The questions are whether words hold an inner space, lost their apostrophe,
  are doubled, hold UTF-8 read as Latin-1, or hold markup. Each is answered by
  the rule of `share_differences.compare_shares`, on all independent draws.

  All are undecided until, as in `find_joined_words`, both models have learned
  words: at least half of the draws end, and the median of the most probable
  words is at least 100 times as probable as its characters alone. The question
  about Latin-1 is, too, if at least 1 % of either's draws hold U+FFFD, which
  stands for what the alphabet lacks.

  Args:
    suspect: What the model of the suspect devices generates.
    reference: What that of others, or of a run without the bug, generates. If
      None, a share is held against 1 %, more than ordinary text has of any of
      the faults.
    vocabulary: The words that the primary model knows, such as
      `Vocabulary.words`. Without it, nothing is asked about apostrophes.
    suspect_name: What to call the suspect, such as "version 2.1".
    reference_name: What to call the reference.
    num_top: How many of the most probable words to look at, >= 1.

  Returns:
    One finding for each question, always all of them: "with_space", "doubled",
    "misread_bytes" and "markup", with a vocabulary also "apostrophe_lost", each
    after the suspect's name, as in "version_2_1_markup". What holds comes
    first, larger differences before smaller. Their numbers hold up to two
    "examples" of the suspect's draws, most frequent first.

  Raises:
    ValueError: If `num_top` is below 1.
  """
  if num_top < 1:
    raise ValueError(f"num_top must be at least 1, got {num_top}")
  counted: list[tuple[share_differences.Question, Callable[[str], bool]]] = [
    (_WITH_SPACE, has_inner_space),
    (_DOUBLED, is_doubled),
    (_MISREAD_BYTES, has_misread_bytes),
    (_MARKUP, has_markup),
  ]
  if vocabulary is not None:
    counted.append(
      (_APOSTROPHE_LOST, lost_apostrophes(vocabulary).__contains__)
    )
  sets = [(suspect_name, suspect)]
  if reference is not None:
    sets.append((reference_name, reference))
  not_learned = _not_learned(sets, num_top)
  not_spelled = not_learned or _not_spelled(sets)
  found = []
  for question, condition in counted:
    finding = share_differences.compare_shares(
      question,
      suspect.share_of_draws(condition),
      _FIXED_SHARE
      if reference is None
      else reference.share_of_draws(condition),
      num_questions=len(counted),
      undecided=not_spelled if question is _MISREAD_BYTES else not_learned,
      suspect_name=suspect_name,
      reference_name=reference_name,
    )
    finding.numbers["examples"] = _examples(suspect, condition)
    found.append(finding)
  return share_differences.in_order(found)


def _not_learned(
  sets: list[tuple[str, generated_words.GeneratedWords]], num_top: int
) -> Optional[str]:
  """Which model has not learned words yet and why; None if both have."""
  for name, words in sets:
    shown = share_differences.readable(name)
    if words.finished.value < text_findings.LEAST_FINISHED:
      return f"only {words.finished} of {shown} draws end"
    gain = words.gain_over_characters(num_top)
    if gain < text_findings.LEAST_GAIN:
      return (
        f"the most probable of {shown} words are only {gain:.2g} times as "
        "probable as their characters by themselves"
      )
  return None


def _not_spelled(
  sets: list[tuple[str, generated_words.GeneratedWords]],
) -> Optional[str]:
  """Which model lacks characters that it was taught; None if neither."""
  for name, words in sets:
    share = words.share_of_draws(lambda word: _UNKNOWN in word)
    if share.value >= _MANY_UNKNOWN:
      return (
        f"{share} of {share_differences.readable(name)} draws hold characters "
        "that the alphabet lacks; it would need U+0080 to U+00FF"
      )
  return None


def _examples(
  words: generated_words.GeneratedWords, condition: Callable[[str], bool]
) -> list[str]:
  """The most frequent draws with a property, printable."""
  counts = collections.Counter(filter(condition, words.draws))
  return [
    readable_words.printable(word)
    for word, _ in counts.most_common(_NUM_EXAMPLES)
  ]
