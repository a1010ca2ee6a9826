"""What one set of images shows more often than another.

The samples of a generator that was trained on suspect devices are compared with
those of one trained on others, as in Augenstein et al. (2020, arXiv 1911.06679,
section 5), or with real images of a public data set. `findings.find_inversion`
asks about the paper's bug alone; here all properties that can be counted are
asked about, so that a bug need not be guessed beforehand.
"""

from typing import Any, Optional

import numpy as np

from tff_gen_debug.debugging import findings
from tff_gen_debug.debugging import share_differences
from tff_gen_debug.evaluation import image_shapes

_LEAST_DRAWN = 0.5
_LEAST_SAMPLES = 50

# Next to no samples of a class, and a fair share of them, in parts of what each
# would have if all were alike: with ten classes 1 % and 7 %. A primary model
# that errs puts some images into any class, and a GAN of sound images may draw
# 2 % of one.
_MISSING_SHARE = 0.1
_FAIR_SHARE = 0.7

# Half of the samples have the property if half of the users whom the suspect
# stands for have the bug, so a quarter is asked for; more for what many good
# images show or what depends on how well a generator was trained.
_INVERTED = share_differences.Question("inverted", "are inverted", 0.25)
_BLANK = share_differences.Question("blank", "are blank", 0.25)
_FAINT = share_differences.Question("faint", "have faint strokes", 0.25)
_OFF_CENTRE = share_differences.Question("off_centre", "are off centre", 0.25)
_HALF_EMPTY = share_differences.Question(
  "half_empty", "have one half empty", 0.25
)
_ROTATED = share_differences.Question("rotated", "are wider than tall", 0.35)
_NEAR_COPIES = share_differences.Question(
  "near_copies", "nearly copy another one", 0.35
)
_ONE_CLASS = 0.35

# Of samples that are taken for one class, whatever the number of classes.
_PROMINENT_SHARE = 1 / 3


def compare_images(
  suspect: np.ndarray,
  reference: np.ndarray,
  scorer: Optional[findings.Scorer] = None,
  *,
  suspect_name: str = "suspect",
  reference_name: str = "reference",
  is_reference_generated: bool = True,
) -> list[findings.Finding]:
  """Asks what the suspect's samples show far more often than the reference's.

  The questions are whether samples are inverted (`evaluation.ink_polarity`),
  blank, faint, off centre, half empty, wider than tall as rotated characters
  are, or near copies of each other (all `evaluation.image_shapes`), and, with a
  scorer, whether one class makes up a third or more of them or one has next to
  none. Each is answered by the rule of `share_differences.compare_shares`.

  Where fewer than half of either's samples show strokes (`Share.drawn`), only
  blank and faint samples can be told, and the rest is undecided. Against real
  images so is whether a class is missing: weak generators leave some out.

  Args:
    suspect: Samples, floats `[n, height, width, 1]` in [-1, 1], n >= 50, in
      random order.
    reference: The same of what is in order: samples of another slice, or of a
      run without the bug, or real images of a public data set. Real images are
      drawn more sharply than samples, which none of the questions turns on.
    scorer: The primary model, whose classes are counted. Without one, nothing
      is said about classes.
    suspect_name: What to call the suspect, such as "version 2.1".
    reference_name: What to call the reference.
    is_reference_generated: Whether the reference are a generator's samples too.

  Returns:
    One finding for each question, always all of them: "inverted", "blank",
    "faint", "off_centre", "half_empty", "rotated" and "near_copies", with a
    scorer also "one_class" and "missing_class", each after the
    suspect's name, as in "version_2_1_inverted". What holds comes first, larger
    differences before smaller.

  Raises:
    TypeError: If images do not hold floats.
    ValueError: If there are fewer than 50 images, or they have another shape or
      range.
  """
  samples = {"suspect": np.asarray(suspect), "reference": np.asarray(reference)}
  for name, images in samples.items():
    if images.ndim != 4 or len(images) < _LEAST_SAMPLES:
      raise ValueError(
        f"{name} must have shape [n, height, width, 1] with n at least "
        f"{_LEAST_SAMPLES}, got {list(images.shape)}"
      )
  undecided = too_few_strokes(
    suspect,
    reference,
    suspect_name=suspect_name,
    reference_name=reference_name,
  )
  # As many others for each image of both sets: more would be nearer by chance.
  num_others = min(map(len, samples.values())) - 1

  def near_copies(images: np.ndarray) -> np.ndarray:
    return image_shapes.is_near_copy(images, num_others=num_others)

  counted: list[tuple[share_differences.Question, Any]] = [
    (_BLANK, image_shapes.is_blank),
    (_FAINT, image_shapes.is_faint),
    (_OFF_CENTRE, image_shapes.is_off_centre),
    (_HALF_EMPTY, image_shapes.is_half_empty),
    (_ROTATED, image_shapes.is_wider_than_tall),
    (_NEAR_COPIES, near_copies),
  ]
  shares = [
    (question, [_share(flag(images)) for images in samples.values()])
    for question, flag in counted
  ]
  inverted = [findings.Share.inverted(images) for images in samples.values()]
  shares.insert(0, (_INVERTED, inverted))
  # Each class is asked about twice.
  classes = None
  num_questions = len(shares)
  if scorer is not None:
    classes = [class_counts(scorer, images) for images in samples.values()]
    num_questions += 2 * len(classes[0])

  found = [
    share_differences.compare_shares(
      question,
      of_suspect,
      of_reference,
      num_questions=num_questions,
      undecided=None if question in (_BLANK, _FAINT) else undecided,
      suspect_name=suspect_name,
      reference_name=reference_name,
    )
    for question, (of_suspect, of_reference) in shares
  ]
  if classes is not None:
    found += _compare_classes(
      classes[0],
      classes[1],
      num_questions,
      undecided,
      is_reference_generated,
      suspect_name,
      reference_name,
    )
  return share_differences.in_order(found)


def too_few_strokes(
  suspect: np.ndarray,
  reference: np.ndarray,
  *,
  suspect_name: str = "suspect",
  reference_name: str = "reference",
) -> Optional[str]:
  """Why samples say nothing about what is drawn, if they don't.

  Args:
    suspect: As for `compare_images`.
    reference: As for `compare_images`.
    suspect_name: What to call the suspect.
    reference_name: What to call the reference.

  Returns:
    The reason, that fewer than half of either's samples show strokes
    (`Share.drawn`), or None.
  """
  drawn = [findings.Share.drawn(images) for images in (suspect, reference)]
  if min(share.value for share in drawn) >= _LEAST_DRAWN:
    return None
  one, other = map(share_differences.readable, (suspect_name, reference_name))
  return (
    f"{drawn[0]} of {one} and {drawn[1]} of {other} samples show strokes on a"
    " background"
  )


def _compare_classes(
  suspect: np.ndarray,
  reference: np.ndarray,
  num_questions: int,
  undecided: Optional[str],
  is_reference_generated: bool,
  suspect_name: str,
  reference_name: str,
) -> list[findings.Finding]:
  """The findings "one_class" and "missing_class".

  Args:
    suspect: How many samples are of each class, int64 `[num_classes]`.
    reference: The same of the reference.
    num_questions: How many are asked in all.
    undecided: Why the samples can't answer, if they can't.
    is_reference_generated: As for `compare_images`.
    suspect_name: What to call the suspect.
    reference_name: What to call the reference.

  Returns:
    Two findings, with "class" in their numbers.
  """
  uniform = 1 / len(suspect)
  of_suspect = suspect / suspect.sum()
  of_reference = reference / reference.sum()
  most = int((of_suspect - of_reference).argmax())
  lost = of_reference - of_suspect
  is_missing = (of_suspect <= _MISSING_SHARE * uniform) & (
    of_reference >= _FAIR_SHARE * uniform
  )
  # Of those that are missing, the one that is missed most.
  least = int(np.where(is_missing, lost + 1, lost).argmax())
  incomparable = undecided
  if incomparable is None and not is_reference_generated:
    incomparable = (
      "generators leave classes out by themselves, and only another one's "
      "samples would tell"
    )
  questions = (
    (
      most,
      undecided,
      None
      if of_suspect[most] >= _PROMINENT_SHARE and of_reference[most] < 0.5
      else "yet it does not stand out",
      share_differences.Question(
        "one_class", f"are taken for class {most}", _ONE_CLASS
      ),
    ),
    (
      least,
      incomparable,
      None if is_missing[least] else "yet the class is not missing",
      share_differences.Question(
        "missing_class",
        f"are taken for class {least}",
        (_FAIR_SHARE - _MISSING_SHARE) * uniform,
        fewer=True,
      ),
    ),
  )
  found = []
  for label, unanswered, rejected, question in questions:
    finding = share_differences.compare_shares(
      question,
      findings.Share(int(suspect[label]), int(suspect.sum())),
      findings.Share(int(reference[label]), int(reference.sum())),
      num_questions=num_questions,
      undecided=unanswered,
      rejected=rejected,
      suspect_name=suspect_name,
      reference_name=reference_name,
    )
    finding.numbers["class"] = label
    found.append(finding)
  return found


def class_counts(scorer: findings.Scorer, images: np.ndarray) -> np.ndarray:
  """How many images the scorer takes for each class; int64 `[num_classes]`."""
  probabilities = np.asarray(scorer.probabilities(images))
  return np.bincount(
    probabilities.argmax(axis=1), minlength=probabilities.shape[1]
  )


def _share(flags: np.ndarray) -> findings.Share:
  return findings.Share(int(flags.sum()), len(flags))
