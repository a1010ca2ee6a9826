"""What a model that generates words one character at a time says.

Its draws are independent, so that their shares have exact intervals; its most
probable words have exact probabilities. Both come from `models.text.generation`
and are kept here as plain text.
"""

import collections
from collections.abc import Callable, Sequence
import dataclasses
import math
import statistics

import numpy as np

from tff_gen_debug import token_ids
from tff_gen_debug.debugging import findings as findings_lib

# As many as the paper prints.
NUM_TOP = 10


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
    draws, top_draws = np.asarray(draws), np.asarray(top_draws)
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

  def gain_over_characters(self, num_top: int = NUM_TOP) -> float:
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
