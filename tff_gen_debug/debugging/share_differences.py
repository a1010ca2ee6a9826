"""When the shares of two sets of samples differ by more than chance.

The rule by which `image_differences` and `word_differences` call something a
finding. Samples can be had in any number, so chance in drawing them is easily
ruled out; that two models trained on the same data draw different shares is
not, and so a difference has to be large, too.
"""

from collections.abc import Iterable
import dataclasses
from typing import Any, Optional, Union

from scipy import stats

from tff_gen_debug.debugging import findings

# Of all questions together: each gets its part (Bonferroni).
_SIGNIFICANT = 1e-3

_EVIDENCE = (
  "It compares what was drawn: samples of one generator are not independent "
  "evidence about users. Two generators never agree exactly, even if trained "
  "on the same data, and p is about the drawing of samples alone, not about "
  "training; therefore only a difference of at least {least:.0f} percentage "
  "points is called one."
)


@dataclasses.dataclass(frozen=True)
class Question:
  """What is counted, and which difference of shares matters.

  Attributes:
    name: What the finding is called, after the name of the suspect.
    phrase: What such samples do, as in "5 % of samples are blank".
    least_difference: Of the two shares, in (0, 1].
    fewer: Whether it is the suspect that should have fewer.
    unit: What is counted, in the plural.
  """

  name: str
  phrase: str
  least_difference: float
  fewer: bool = False
  unit: str = "samples"


def compare_shares(
  question: Question,
  suspect: findings.Share,
  reference: Union[findings.Share, float],
  *,
  num_questions: int,
  undecided: Optional[str] = None,
  suspect_name: str = "suspect",
  reference_name: str = "reference",
  rejected: Optional[str] = None,
) -> findings.Finding:
  """Decides whether two shares differ by more than chance and training.

  They do if the exact 95 % intervals do not overlap, Fisher's exact test gives
  p < 0.001 / `num_questions` (Bonferroni), and the difference is at least that
  of the question. A fixed reference takes the place of the other interval, and
  the exact binomial test that of Fisher's.

  Args:
    question: What was counted.
    suspect: The suspect's share.
    reference: The reference's, or a fixed one in [0, 1] that samples without
      the bug are known to stay below.
    num_questions: How many questions are asked at once, >= 1.
    undecided: Why the samples can't answer, if they can't.
    suspect_name: What to call the suspect, such as "version 2.1".
    reference_name: What to call the reference; not used for a fixed one.
    rejected: Why a clear difference would be no finding, if something else
      that is asked for is missing.

  Returns:
    The finding, called after the suspect and the question, such as
    "version_2_1_inverted". Its numbers have both shares, the difference and the
    p-value.
  """
  of_suspect = f"{suspect} of {readable(suspect_name)} {question.unit}"
  if isinstance(reference, findings.Share):
    reference_value = reference.value
    p_value = suspect.p_value(reference)
    test = "Fisher's exact test"
    of_reference = f"{reference} of {readable(reference_name)} {question.unit}"
    counted = f"{suspect.counted()} against {reference.counted()}"
    reference_numbers: Any = reference.to_dict()
    is_apart = (
      reference.clearly_above(suspect)
      if question.fewer
      else suspect.clearly_above(reference)
    )
  else:
    reference_value = float(reference)
    p_value = float(
      stats.binomtest(suspect.count, suspect.total, reference_value).pvalue
    )
    test = "Exact binomial test"
    of_reference = f"a fixed share of {100 * reference_value:g} %"
    counted = f"{suspect.counted()} against {of_reference}"
    reference_numbers = reference_value
    low, high = suspect.interval
    is_apart = (
      high < reference_value if question.fewer else low > reference_value
    )
  difference = suspect.value - reference_value
  if question.fewer:
    difference = -difference
  significance = _SIGNIFICANT / num_questions
  is_large = difference >= question.least_difference
  is_sure = is_apart and p_value < significance
  points = f"{100 * question.least_difference:g} percentage points"
  claim = (
    f"{of_suspect} {question.phrase} against {of_reference} "
    f"({findings.p_text(p_value)})"
  )
  if undecided is not None:
    claim = (
      f"too early to say whether {readable(suspect_name)} {question.unit} "
      f"{question.phrase}: {undecided}"
    )
  elif not is_large:
    claim += f", not {points} {'fewer' if question.fewer else 'more'}"
  elif not is_sure:
    claim += ", too few samples to rule out chance"
  elif rejected is not None:
    claim += f", {rejected}"
  evidence = (
    f"{counted}; {test}, two-sided, {findings.p_text(p_value)}, to be below "
    f"{significance:.2g} because {num_questions} questions were asked. "
    + _EVIDENCE.format(least=100 * question.least_difference)
  )
  return findings.Finding(
    name=f"{findings.name_part(suspect_name)}_{question.name}",
    holds=is_large and is_sure and undecided is None and rejected is None,
    claim=claim,
    evidence=evidence,
    numbers={
      "suspect": suspect.to_dict(),
      "reference": reference_numbers,
      "difference": difference,
      "least_difference": question.least_difference,
      "p_value": p_value,
      "significance": significance,
    },
    decided=undecided is None,
  )


def in_order(found: Iterable[findings.Finding]) -> list[findings.Finding]:
  """Sorts findings of `compare_shares`.

  Args:
    found: The findings.

  Returns:
    Those that hold, then the undecided ones, then the rest; in each group by
    the difference of the shares, largest first.
  """
  return sorted(
    found,
    key=lambda f: (not f.holds, f.decided, -f.numbers["difference"]),
  )


def readable(name: str) -> str:
  """The name of a slice as text."""
  return name.replace("_", " ")
