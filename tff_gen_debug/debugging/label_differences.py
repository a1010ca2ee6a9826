"""Whether the samples of a slice show what the slice's labels say.

Slices that were chosen by label have other classes than the rest, whatever is
wrong, so that counting classes (`image_differences.compare_images`) says
nothing of them. That the samples of a class are taken for another one does: so
do images whose labels are wrong.
"""

from collections.abc import Collection

import numpy as np

from tff_gen_debug.debugging import findings
from tff_gen_debug.debugging import image_differences
from tff_gen_debug.debugging import share_differences

# If half of the users give one class the label of another, a third of what has
# that label is mislabelled, where both are as frequent.
_LEAST_DIFFERENCE = 0.2


def compare_labels(
  suspect: np.ndarray,
  reference: np.ndarray,
  scorer: findings.Scorer,
  labels: Collection[int],
  *,
  suspect_name: str = "suspect",
  reference_name: str = "reference",
) -> findings.Finding:
  """Asks whether samples of some labels are taken for a class without them.

  The suspect's share is that of the one class, of all that are not in `labels`,
  which most of its samples are taken for; the reference's that of the one class
  in `labels`. How well generators draw is in both. They are compared by the
  rule of `share_differences.compare_shares`, a difference being at least 20
  percentage points.

  Args:
    suspect: Samples of examples with these labels, floats
      `[n, height, width, 1]` in [-1, 1], in random order.
    reference: The same of examples with other labels.
    scorer: The primary model.
    labels: Labels of the suspect's examples; at least one of the scorer's
      classes, and not all of them.
    suspect_name: What to call the suspect, such as "class 3".
    reference_name: What to call the reference.

  Returns:
    The finding, called after the suspect, as in "class_3_another_class". Its
    numbers have the class that the suspect's samples are taken for, "class".

  Raises:
    ValueError: If `labels` are none or all of the classes.
  """
  of_suspect = image_differences.class_counts(scorer, suspect)
  of_reference = image_differences.class_counts(scorer, reference)
  num_classes = len(of_suspect)
  own = sorted(set(labels) & set(range(num_classes)))
  others = sorted(set(range(num_classes)) - set(own))
  if not own or not others:
    raise ValueError(
      f"labels must be some of the {num_classes} classes and not all, got "
      f"{sorted(labels)}"
    )
  label = others[int(of_suspect[others].argmax())]
  finding = share_differences.compare_shares(
    share_differences.Question(
      "another_class",
      f"are taken for one class of the other slice (here {label})",
      _LEAST_DIFFERENCE,
    ),
    findings.Share(int(of_suspect[label]), len(suspect)),
    findings.Share(int(of_reference[own].max()), len(reference)),
    num_questions=len(others),
    undecided=image_differences.too_few_strokes(
      suspect,
      reference,
      suspect_name=suspect_name,
      reference_name=reference_name,
    ),
    suspect_name=suspect_name,
    reference_name=reference_name,
  )
  finding.numbers["class"] = label
  return finding
