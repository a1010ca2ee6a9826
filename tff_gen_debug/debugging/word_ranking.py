"""How well a list of words finds the most frequent ones, when simulating."""

import collections
from collections.abc import Mapping, Sequence
import dataclasses

from tff_gen_debug.privacy import validation


@dataclasses.dataclass(frozen=True)
class PrecisionRecall:
  """How many of the words found are right, and of the right ones found.

  Attributes:
    num_right: Number of words that are both found and true.
    num_found: Number of words found, at most k.
    num_true: Number of words to find, at most k.
  """

  num_right: int
  num_found: int
  num_true: int

  @property
  def precision(self) -> float:
    """Right among the found; 1 if nothing was found, as nothing is wrong."""
    return self.num_right / self.num_found if self.num_found else 1.0

  @property
  def recall(self) -> float:
    """Right among the true; 1 if there was nothing to find."""
    return self.num_right / self.num_true if self.num_true else 1.0


def precision_recall(
  found: Sequence[str], truth: Mapping[str, int], k: int
) -> PrecisionRecall:
  """Compares the first k words found with the k most frequent ones.

  As Chen et al. (2019, arXiv 1903.10635) score out-of-vocabulary words. A found
  word is right if its true count is above zero and not below the k-th largest:
  of words with the same count as the k-th, any is as good as another.

  Args:
    found: Distinct words, best first; those after the first k don't count.
    truth: Word -> true count, such as the number of users that have it.
    k: >= 1.

  Returns:
    The numbers, with at most k words found, and as many to find as k or, if
    that is less, as there are words in `truth` with a count above zero.

  Raises:
    TypeError: If `k` is not an integer.
    ValueError: If `k` is below 1 or `found` holds a word twice.
  """
  k = validation.integer("k", k, 1)
  twice = [word for word, n in collections.Counter(found).items() if n > 1]
  if twice:
    raise ValueError(f"found must be distinct, but holds {twice[0]!r} twice")
  counts = sorted((n for n in truth.values() if n > 0), reverse=True)[:k]
  least = counts[-1] if counts else 1
  right = [word for word in found[:k] if truth.get(word, 0) >= least]
  return PrecisionRecall(len(right), len(found[:k]), len(counts))
