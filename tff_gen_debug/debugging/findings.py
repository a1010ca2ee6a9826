"""From samples of the auxiliary models to a finding that can be tested.

The question of Augenstein et al. (2020, arXiv 1911.06679, section 5): do the
samples of the low-accuracy slice show something that those of the high-accuracy
slice, and of a run without the bug, do not? The authors answer it by eye; here
it is a share of samples with an exact interval and an exact test.
"""

from collections.abc import Mapping
import dataclasses
import re
from typing import Any, Optional, Protocol

import numpy as np
from scipy import stats

from tff_gen_debug.evaluation import image_statistics
from tff_gen_debug.evaluation import scores

_CONFIDENCE = 0.95
_SIGNIFICANT = 1e-3


@dataclasses.dataclass(frozen=True)
class Share:
  """`count` of `total` samples.

  Attributes:
    count: Number of samples that show something, in [0, total].
    total: Number of samples, >= 1.
  """

  count: int
  total: int

  def __post_init__(self):
    if self.total < 1 or not 0 <= self.count <= self.total:
      raise ValueError(
        "count must be in [0, total] and total at least 1, got "
        f"{self.count} of {self.total}"
      )

  @classmethod
  def inverted(cls, images: np.ndarray) -> "Share":
    """The share of inverted images; see `evaluation.ink_polarity`."""
    flags = image_statistics.ink_polarity(images)
    return cls(int(flags.sum()), len(flags))

  @classmethod
  def drawn(cls, images: np.ndarray) -> "Share":
    """The share of images with strokes on a background, of either polarity.

    A generator that has not learned yet, or learned from blank images, draws
    none, and then its samples say nothing about polarity.

    Args:
      images: As for `evaluation.ink_polarity`.

    Returns:
      The share.
    """
    images = np.asarray(images)
    flags = image_statistics.ink_polarity(images)
    flags = flags | image_statistics.ink_polarity(-images)
    return cls(int(flags.sum()), len(flags))

  @property
  def value(self) -> float:
    return self.count / self.total

  @property
  def interval(self) -> tuple[float, float]:
    """The exact 95 % interval of Clopper and Pearson (1934)."""
    test = stats.binomtest(self.count, self.total)
    interval = test.proportion_ci(_CONFIDENCE, method="exact")
    return float(interval.low), float(interval.high)

  def clearly_above(self, other: "Share") -> bool:
    """Whether the two intervals do not overlap, this one being higher."""
    return self.interval[0] > other.interval[1]

  def p_value(self, other: "Share") -> float:
    """Two-sided p-value of Fisher's exact test that both shares are equal."""
    table = [
      [self.count, self.total - self.count],
      [other.count, other.total - other.count],
    ]
    return float(stats.fisher_exact(table)[1])

  def counted(self, unit: str = "") -> str:
    """Count, total and interval, for a sentence.

    Args:
      unit: What is counted, in the plural; nothing by default.

    Returns:
      Such as "3 of 40 samples (95 % interval 1.6 to 20.4 %)".
    """
    low, high = self.interval
    total = f"{self.total} {unit}".rstrip()
    return (
      f"{self.count} of {total} (95 % interval {100 * low:.1f} to"
      f" {100 * high:.1f} %)"
    )

  def to_dict(self) -> dict[str, Any]:
    """The numbers, for report.json."""
    return {
      "count": self.count,
      "total": self.total,
      "share": self.value,
      "interval_95": list(self.interval),
    }

  def __str__(self):
    return f"{_percent(self.value)} %"


@dataclasses.dataclass(frozen=True)
class Finding:
  """What a run found, or looked for and did not find.

  Attributes:
    name: A short stable key, such as "low_slice_inverted".
    holds: Whether what `name` says was found.
    claim: One true sentence with the numbers, whether or not it holds.
    evidence: Which test was made, on what, and what it cannot say.
    numbers: What the claim rests on, ready for JSON.
    decided: Whether the samples could answer at all; if False, `holds` is
      False and the claim says what is missing.
  """

  name: str
  holds: bool
  claim: str
  evidence: str
  numbers: dict[str, Any] = dataclasses.field(default_factory=dict)
  decided: bool = True

  @property
  def verdict(self) -> str:
    """One of "found", "not found" and "undecided"."""
    if not self.decided:
      return "undecided"
    return "found" if self.holds else "not found"

  def to_dict(self) -> dict[str, Any]:
    return dataclasses.asdict(self)


def find_inversion(
  low: np.ndarray,
  high: np.ndarray,
  control_low: Optional[np.ndarray] = None,
  control_high: Optional[np.ndarray] = None,
) -> list[Finding]:
  """Asks whether the low-accuracy slice, and only it, is inverted.

  It is if at least half of its samples are inverted and fewer than half of the
  high-accuracy slice's, the exact 95 % intervals of the two do not overlap,
  Fisher's test gives p < 0.001, and its interval lies above that of every slice
  of the control.

  Args:
    low: Samples for the low-accuracy slice, floats `[n, height, width, 1]` in
      [-1, 1], n >= 1.
    high: The same for the high-accuracy slice.
    control_low: The low-accuracy slice of a run without the bug, if there is
      one.
    control_high: The high-accuracy slice of that run.

  Returns:
    "low_slice_inverted" first, undecided if fewer than half of a slice's
    samples show strokes and the slices do not differ; then, only where they
    hold, "high_slice_inverted" (the other way round) or "both_slices_inverted".

  Raises:
    ValueError: If a slice is empty or holds something else.
  """
  samples = {
    name: images
    for name, images in (
      ("low", low),
      ("high", high),
      ("control_low", control_low),
      ("control_high", control_high),
    )
    if images is not None
  }
  return compare_inversion(
    {name: Share.inverted(images) for name, images in samples.items()},
    {name: Share.drawn(images) for name, images in samples.items()},
  )


def compare_inversion(
  shares: Mapping[str, Share], drawn: Optional[Mapping[str, Share]] = None
) -> list[Finding]:
  """`find_inversion` on shares of inverted samples that are counted already.

  Args:
    shares: With the keys "low", "high" and, where there is a control,
      "control_low" and "control_high".
    drawn: `Share.drawn` of the same samples. Without it, samples that show
      nothing yet can't be told from samples that are not inverted.

  Returns:
    As `find_inversion`.
  """
  low, high = shares["low"], shares["high"]
  controls = [s for name, s in shares.items() if name.startswith("control")]
  p_value = low.p_value(high)
  evidence = _evidence(shares, p_value)
  numbers: dict[str, Any] = {"p_value": p_value}
  numbers.update((name, share.to_dict()) for name, share in shares.items())

  if drawn is not None:
    numbers["drawn"] = {name: share.to_dict() for name, share in drawn.items()}

  def finding(name: str, holds: bool, claim: str, decided=True) -> Finding:
    return Finding(name, holds, claim, evidence, numbers, decided)

  def is_inverted_against(one: Share, other: Share) -> bool:
    return (
      one.value >= 0.5 > other.value
      and one.clearly_above(other)
      and p_value < _SIGNIFICANT
    )

  def is_unlike_control(one: Share) -> bool:
    return all(one.clearly_above(control) for control in controls)

  numbers_text = f"{low} of samples against {high} ({p_text(p_value)})"
  low_differs = is_inverted_against(low, high)
  holds = low_differs and is_unlike_control(low)
  decided = (
    low_differs
    or drawn is None
    or min(drawn["low"].value, drawn["high"].value) >= 0.5
  )
  if not decided and drawn is not None:
    claim = (
      "too early to say whether the low-accuracy slice is inverted: "
      f"{drawn['low']} of its samples and {drawn['high']} of the high-accuracy "
      "slice's show strokes on a background"
    )
  elif holds:
    claim = f"the low-accuracy slice is inverted: {numbers_text}"
  elif low_differs:
    most = max(controls, key=lambda share: share.value)
    claim = (
      f"the low-accuracy slice is inverted: {numbers_text}, but so is a slice "
      f"of the control: {most} of samples"
    )
  elif low.value < 0.5:
    claim = f"the low-accuracy slice is not inverted: {numbers_text}"
  elif high.value < 0.5:
    claim = (
      f"too few samples to call the low-accuracy slice inverted: {numbers_text}"
    )
  else:
    claim = (
      f"the low-accuracy slice does not stand out: {numbers_text} inverted"
    )
  found = [finding("low_slice_inverted", holds, claim, decided)]
  if is_inverted_against(high, low) and is_unlike_control(high):
    claim = (
      f"the high-accuracy slice is inverted: {high} of samples against {low} "
      f"({p_text(p_value)})"
    )
    found.append(finding("high_slice_inverted", True, claim))
  elif min(low.interval[0], high.interval[0]) >= 0.5:
    claim = (
      "both slices are inverted: not a difference between slices "
      f"({low} and {high} of samples)"
    )
    found.append(finding("both_slices_inverted", True, claim))
  return found


def name_part(text: str) -> str:
  """A part of a finding's name, such as "class_3_4" for "Class 3, 4"."""
  return re.sub(r"\W+", "_", text.lower()).strip("_")


class Scorer(Protocol):
  """What `slice_numbers` needs of a primary model, e.g. a `Classifier`."""

  def features(self, images: np.ndarray) -> np.ndarray:
    """Features `[n, d]` of images."""

  def probabilities(self, images: np.ndarray) -> np.ndarray:
    """Class probabilities `[n, classes]` of images."""


def slice_numbers(
  images: np.ndarray,
  scorer: Scorer,
  reference: Optional[np.ndarray] = None,
) -> dict[str, Any]:
  """The numbers of one slice's samples for the report's table.

  Args:
    images: Samples, floats `[n, 28, 28, 1]` in [-1, 1], n >= 2.
    scorer: The primary model.
    reference: Images `[m, 28, 28, 1]`, m >= 2, to which the Frechet distance is
      taken. In a private run these are another slice's samples; real examples
      only when simulating.

  Returns:
    `num_samples`, `border_intensity` (mean, in [-1, 1]), `inverted` (a share
    with its interval), `classifier_score` and, with a reference,
    `frechet_distance`.
  """
  images = np.asarray(images)
  border = image_statistics.border_intensity(images)
  numbers = {
    "num_samples": len(images),
    "border_intensity": float(np.mean(border)),
    "inverted": Share.inverted(images).to_dict(),
    "classifier_score": scores.classifier_score(scorer.probabilities(images)),
  }
  if reference is not None:
    numbers["frechet_distance"] = scores.frechet_distance(
      scorer.features(images), scorer.features(reference)
    )
  return numbers


def _percent(value: float) -> str:
  """Whole percents, except that only none is 0 and only all is 100."""
  percent = 100 * value
  if 0 < percent < 1:
    return "< 1"
  if 99 < percent < 100:
    return "> 99"
  return f"{percent:.0f}"


def p_text(p_value: float) -> str:
  """A p-value for a sentence; below 1e-12 no digits, which mean nothing."""
  if p_value < 1e-12:
    return "p < 1e-12"
  return f"p = {p_value:.2g}"


def _evidence(shares: Mapping[str, Share], p_value: float) -> str:
  """One paragraph: the shares, the test, and what the test is about."""

  def counted(name: str) -> str:
    return shares[name].counted("samples")

  sentences = [
    f"Inverted are {counted('low')} of the low-accuracy slice and "
    f"{counted('high')} of the high-accuracy slice."
  ]
  controls = [counted(name) for name in shares if name.startswith("control")]
  if controls:
    sentences.append(f"In the control: {' and '.join(controls)}.")
  else:
    sentences.append("There was no control run to compare with.")
  sentences.append(
    "Low against high slice: Fisher's exact test, two-sided, "
    f"{p_text(p_value)}. It compares what the trained generators draw: "
    "samples of one generator are not independent evidence about users, and a "
    "second training run could draw another share."
  )
  return " ".join(sentences)
