"""From the words that a language model generates to findings.

The question of the out-of-vocabulary (OOV) experiment of Augenstein et al.
(2020, arXiv 1911.06679): a character model is trained only on words that the
primary model's vocabulary lacks; do the words that it then generates show what
is wrong with the tokens? The authors read its most probable words; here they
are counted, and the share of all draws has an exact interval and an exact test.
"""

from typing import Any, Optional, Protocol

from tff_gen_debug.debugging import findings as findings_lib
from tff_gen_debug.debugging import generated_words
from tff_gen_debug.debugging import readable_words

# Of the most probable words. One or two may be names that really hold a space;
# the bug of the paper makes seven.
_LEAST_TOP_SHARE = 0.3

# Of all draws, the lower end of the interval: the top words alone may be the
# only ones of their kind.
_LEAST_DRAWN_SHARE = 0.01

_SIGNIFICANT = 1e-3

# How many times as probable the median top word must be as its characters in
# independent draws. A model of pairs of characters gives its favourite short
# words about 20, one that spells "i have" in 1 % of draws over a million.
LEAST_GAIN = 100.0

LEAST_FINISHED = 0.5


class Vocabulary(Protocol):
  """What the primary model knows: a `Vocabulary`, a set of words."""

  def __contains__(self, word: Any, /) -> bool:
    """Whether it knows a word."""


def joined_parts(word: str, vocabulary: Vocabulary) -> tuple[str, ...]:
  """The words of the vocabulary that a word is joined from by single spaces.

  Args:
    word: Any text.
    vocabulary: What the primary model knows.

  Returns:
    At least two words of the vocabulary, or nothing if `word` holds no space or
    something else beside them.
  """
  parts = tuple(word.split(" "))
  if len(parts) > 1 and all(part and part in vocabulary for part in parts):
    return parts
  return ()


def find_joined_words(
  words: generated_words.GeneratedWords,
  vocabulary: Vocabulary,
  control: Optional[generated_words.GeneratedWords] = None,
  at_start: Optional[findings_lib.Finding] = None,
  *,
  num_top: int = generated_words.NUM_TOP,
) -> findings_lib.Finding:
  """Asks whether out-of-vocabulary words are vocabulary words joined.

  They are if at least 30 % of the most probable words are words of the
  vocabulary joined by spaces, the exact 95 % interval of the share of such
  draws lies above 1 % and, where there is a control, above that of the control,
  with p < 0.001 in Fisher's exact test.

  The words decide nothing until at least half of the draws end and the median
  of the most probable words is at least 100 times as probable as its characters
  would be in independent draws: before that, the model has not learned words.
  Nor do joined words at the top that are too few among the draws: more rounds
  would show which of the two was right.

  Args:
    words: What the model trained on out-of-vocabulary words generates.
    vocabulary: What the primary model knows.
    control: The same of a run without the bug, if there is one.
    at_start: Whether such words are unusually frequent at the start of
      sentences, as `position_findings.find_oov_at_start` tells; the claim says
      so if it was found.
    num_top: How many of the most probable words to look at, >= 1.

  Returns:
    The finding "joined_words".

  Raises:
    ValueError: If `num_top` is below 1.
  """
  if num_top < 1:
    raise ValueError(f"num_top must be at least 1, got {num_top}")
  top_words = words.top_words[:num_top]
  parts = [joined_parts(word, vocabulary) for word, _ in top_words]
  joined = [word for (word, _), p in zip(top_words, parts) if p]
  spaced = [word for word, _ in top_words if " " in word]

  def is_joined(word: str) -> bool:
    return bool(joined_parts(word, vocabulary))

  share = words.share_of_draws(is_joined)
  gain = words.gain_over_characters(num_top)
  numbers: dict[str, Any] = {
    "top_words": [
      {
        "word": word,
        "probability": probability,
        "parts": word.split(" ") if " " in word else [],
        "joined": bool(p),
      }
      for (word, probability), p in zip(top_words, parts)
    ],
    "joined": share.to_dict(),
    "with_space": words.share_of_draws(lambda word: " " in word).to_dict(),
    "finished": words.finished.to_dict(),
    "gain_over_characters": gain,
  }
  control_share = None
  if control is not None:
    control_share = control.share_of_draws(is_joined)
    numbers["control_joined"] = control_share.to_dict()
    numbers["p_value"] = share.p_value(control_share)
    numbers["control_has_learned"] = _has_learned(control, num_top)

  at_the_top = len(joined) >= max(1.0, _LEAST_TOP_SHARE * len(top_words))
  enough = at_the_top and share.interval[0] > _LEAST_DRAWN_SHARE
  unlike_control = control_share is None or (
    share.clearly_above(control_share) and numbers["p_value"] < _SIGNIFICANT
  )
  has_learned = _has_learned(words, num_top)
  of_top = f"{len(joined)} of the {len(top_words)} most probable words"
  if not has_learned:
    claim = (
      f"too early to say whether words are joined: {words.finished} of draws "
      "end, and the most probable words are only "
      f"{gain:.2g} times as probable as their characters by themselves"
    )
    if words.finished.value < LEAST_FINISHED:
      claim = (
        "too early to say whether words are joined: only "
        f"{words.finished} of draws end"
      )
  elif enough:
    are_two = all(len(p) == 2 for p in parts if p)
    what = (
      "two vocabulary words joined by a space"
      if are_two
      else "vocabulary words joined by spaces"
    )
    examples = " and ".join(readable_words.quoted(word) for word in joined[:2])
    claim = f"{of_top} are {what}, such as {examples}"
    if at_start is not None and at_start.holds:
      claim += ", at the start of sentences"
    if control_share is not None and not unlike_control:
      claim += f", but so are {control_share} of the control's draws"
  elif at_the_top:
    claim = (
      f"too early to say whether words are joined: {of_top} are vocabulary "
      f"words joined, but only {share} of draws"
    )
  elif len(spaced) > len(joined):
    claim = (
      f"{len(spaced)} of the {len(top_words)} most probable words hold a space,"
      f" but only {len(joined)} are vocabulary words joined by it"
    )
  else:
    claim = f"words are not joined: {len(joined)} of the {len(top_words)} most "
    claim += f"probable words and {share} of draws are vocabulary words joined"
  return findings_lib.Finding(
    name="joined_words",
    holds=has_learned and enough and unlike_control,
    claim=claim,
    evidence=_evidence(share, control_share, numbers),
    numbers=numbers,
    decided=has_learned and (enough or not at_the_top),
  )


def _has_learned(words: generated_words.GeneratedWords, num_top: int) -> bool:
  return (
    words.finished.value >= LEAST_FINISHED
    and words.gain_over_characters(num_top) >= LEAST_GAIN
  )


def _evidence(
  share: findings_lib.Share,
  control: Optional[findings_lib.Share],
  numbers: dict[str, Any],
) -> str:
  """One paragraph: the shares, the test, and what the test is about."""
  sentences = [f"Joined from vocabulary words are {share.counted('draws')}."]
  if control is None:
    sentences.append("There was no control run to compare with.")
  else:
    sentences.append(
      f"In the control: {control.counted('draws')}; Fisher's exact test, "
      f"two-sided, {findings_lib.p_text(numbers['p_value'])}."
    )
    if not numbers["control_has_learned"]:
      sentences.append("The control's model has not learned words yet.")
  sentences.append(
    "The most probable words are "
    f"{numbers['gain_over_characters']:.2g} times (median) as probable as their"
    " characters in independent draws. All of this is about what the trained "
    "model generates: its draws are not independent evidence about users, and "
    "a second training run could give another share."
  )
  return " ".join(sentences)
