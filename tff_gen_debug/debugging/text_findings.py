"""From the words that a language model generates to findings.

The question of the out-of-vocabulary (OOV) experiment of Augenstein et al.
(2020, arXiv 1911.06679): a character model is trained only on words that the
primary model's vocabulary lacks; do the words that it then generates show what
is wrong with the tokens? The authors read its most probable words; here they
are counted, and the share of all draws has an exact interval and an exact test.
"""

import collections
from collections.abc import Callable, Sequence
import dataclasses
import math
import statistics
from typing import Any, Optional, Protocol

import numpy as np

from tff_gen_debug import token_ids
from tff_gen_debug.debugging import findings as findings_lib
from tff_gen_debug.debugging import readable_words

_NUM_TOP = 10

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
_LEAST_GAIN = 100.0

_LEAST_FINISHED = 0.5


class Vocabulary(Protocol):
  """What the primary model knows: a `Vocabulary`, a set of words."""

  def __contains__(self, word: Any, /) -> bool:
    """Whether it knows a word."""


@dataclasses.dataclass(frozen=True)
class GeneratedWords:
  """What a character model generates.

  Attributes:
    draws: The words that independent draws from the model gave, of those that
      ended within the length limit.
    top_words: Distinct words with the probability that the model gives to the
      whole word and its end, most probable first.
    num_unfinished: Number of draws that had not ended at the length limit.

  Raises:
    ValueError: If there is no draw, or `top_words` holds a word twice, is not
      in order, or its probabilities are not in [0, 1] or sum to more than 1.
  """

  draws: Sequence[str]
  top_words: Sequence[tuple[str, float]]
  num_unfinished: int = 0

  def __post_init__(self):
    object.__setattr__(self, "draws", tuple(self.draws))
    object.__setattr__(self, "top_words", tuple(map(tuple, self.top_words)))
    if self.num_unfinished < 0 or self.num_draws < 1:
      raise ValueError(
        "draws and num_unfinished must make at least one draw, got "
        f"{len(self.draws)} and {self.num_unfinished}"
      )
    words = [word for word, _ in self.top_words]
    if len(set(words)) < len(words):
      raise ValueError("top_words must be distinct, but a word occurs twice")
    probabilities = [probability for _, probability in self.top_words]
    if not all(0 <= p <= 1 for p in probabilities):
      raise ValueError(
        f"top_words must have probabilities in [0, 1], got {probabilities}"
      )
    # What float32 sums of log probabilities may be off by.
    if sum(probabilities) > 1 + 1e-3:
      raise ValueError(
        "top_words must have probabilities that sum to at most 1, got "
        f"{sum(probabilities)}"
      )
    if probabilities != sorted(probabilities, reverse=True):
      raise ValueError("top_words must have the most probable word first")

  @classmethod
  def from_ids(
    cls,
    decode: Callable[[np.ndarray], Sequence[str]],
    draws: np.ndarray,
    top_draws: np.ndarray,
    top_log_probabilities: np.ndarray,
  ) -> "GeneratedWords":
    """Reads the sequences that `models.text.generation` makes.

    Args:
      decode: From ids `[n, length]` to n words, such as `Alphabet.decode`.
      draws: Ids `[n, length]` of independent draws.
      top_draws: Ids `[k, length]` of the distinct draws that are most probable,
        best first.
      top_log_probabilities: Floats `[k]`, their log probabilities.

    Returns:
      The words; those of `top_draws` that don't end are left out.
    """
    finished = np.any(np.equal(draws, token_ids.END), axis=1)
    top_finished = np.any(np.equal(top_draws, token_ids.END), axis=1)
    # Distinct sequences are one word where decoding drops what it can't show.
    probabilities: dict[str, float] = collections.defaultdict(float)
    top_probabilities = np.exp(np.asarray(top_log_probabilities, np.float64))
    for word, probability in zip(
      decode(top_draws[top_finished]), top_probabilities[top_finished]
    ):
      probabilities[word] += float(min(probability, 1.0))
    return cls(
      draws=decode(draws[finished]),
      top_words=sorted(probabilities.items(), key=lambda item: -item[1]),
      num_unfinished=int(np.sum(~finished)),
    )

  @property
  def num_draws(self) -> int:
    """Number of draws, finished or not."""
    return len(self.draws) + self.num_unfinished

  @property
  def finished(self) -> findings_lib.Share:
    """The share of draws that ended within the length limit."""
    return findings_lib.Share(len(self.draws), self.num_draws)

  def share_of_draws(
    self, condition: Callable[[str], bool]
  ) -> findings_lib.Share:
    """The share of draws that are words with this property.

    Draws are independent, so it estimates, with an exact interval, how much
    probability the model gives to all such words together.

    Args:
      condition: Whether a word has the property.

    Returns:
      The share; draws that did not end don't have the property.
    """
    return findings_lib.Share(sum(map(condition, self.draws)), self.num_draws)

  def gain_over_characters(self, num_top: int = _NUM_TOP) -> float:
    """How much more probable top words are than their characters alone.

    Compares the model with one that draws each character, and the end of the
    word, independently with the frequencies in `draws`. A model that has not
    learned words yet, only which characters are common, is that model.

    Args:
      num_top: How many of `top_words` to look at, >= 1.

    Returns:
      The median over the words of the ratio of the probabilities; 0 without
      words.
    """
    if not self.top_words:
      return 0.0
    counts = collections.Counter(c for word in self.draws for c in word)
    # One for the end of each word, half a draw more of whatever was not drawn.
    kinds = len(counts) + 2
    total = sum(counts.values()) + len(self.draws) + kinds / 2

    def log_probability(word: str) -> float:
      of_characters = sum(math.log((counts[c] + 0.5) / total) for c in word)
      return of_characters + math.log((len(self.draws) + 0.5) / total)

    log_gains = [
      math.log(max(probability, 1e-300)) - log_probability(word)
      for word, probability in self.top_words[:num_top]
    ]
    # A gain beyond this says no more, and must not overflow.
    return math.exp(min(statistics.median(log_gains), 700.0))


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
  words: GeneratedWords,
  vocabulary: Vocabulary,
  control: Optional[GeneratedWords] = None,
  at_start: Optional[findings_lib.Finding] = None,
  *,
  num_top: int = _NUM_TOP,
) -> findings_lib.Finding:
  """Asks whether out-of-vocabulary words are vocabulary words joined.

  They are if at least 30 % of the most probable words are words of the
  vocabulary joined by spaces, the exact 95 % interval of the share of such
  draws lies above 1 % and, where there is a control, above that of the control,
  with p < 0.001 in Fisher's exact test.

  The words decide nothing until at least half of the draws end and the median
  of the most probable words is at least 100 times as probable as its characters
  would be in independent draws: before that, the model has not learned words.

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

  enough = (
    len(joined) >= max(1.0, _LEAST_TOP_SHARE * len(top_words))
    and share.interval[0] > _LEAST_DRAWN_SHARE
  )
  unlike_control = control_share is None or (
    share.clearly_above(control_share) and numbers["p_value"] < _SIGNIFICANT
  )
  decided = _has_learned(words, num_top)
  of_top = f"{len(joined)} of the {len(top_words)} most probable words"
  if not decided:
    claim = (
      f"too early to say whether words are joined: {words.finished} of draws "
      "end, and the most probable words are only "
      f"{gain:.2g} times as probable as their characters by themselves"
    )
    if words.finished.value < _LEAST_FINISHED:
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
    holds=decided and enough and unlike_control,
    claim=claim,
    evidence=_evidence(share, control_share, numbers),
    numbers=numbers,
    decided=decided,
  )


def _has_learned(words: GeneratedWords, num_top: int) -> bool:
  return (
    words.finished.value >= _LEAST_FINISHED
    and words.gain_over_characters(num_top) >= _LEAST_GAIN
  )


def _evidence(
  share: findings_lib.Share,
  control: Optional[findings_lib.Share],
  numbers: dict[str, Any],
) -> str:
  """One paragraph: the shares, the test, and what the test is about."""

  def counted(one: findings_lib.Share) -> str:
    low, high = one.interval
    return (
      f"{one.count} of {one.total} draws (95 % interval {100 * low:.1f} to "
      f"{100 * high:.1f} %)"
    )

  sentences = [f"Joined from vocabulary words are {counted(share)}."]
  if control is None:
    sentences.append("There was no control run to compare with.")
  else:
    sentences.append(
      f"In the control: {counted(control)}; Fisher's exact test, two-sided, "
      f"p = {numbers['p_value']:.2g}."
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
