"""From OOV shares by position to the finding that one position stands out.

Positions differ without any bug: sentences start with common words. What a bug
at the start of sentences does is to lift position 1 out of the range of these
differences, which is a question to a prediction interval.
"""

from typing import Any, Optional

import numpy as np
from scipy import stats

from tff_gen_debug.debugging import findings as findings_lib
from tff_gen_debug.debugging import oov_positions

_SIGNIFICANT = 1e-3

# A position counts as long as this share of the sentences that have the first
# word reach it; few long sentences, and the noise, make later ones erratic.
_LEAST_PRESENT = 0.25

# Of the other positions. The quantile of the t distribution that p < 0.001
# takes is 7.2 with four of them, and hopeless with fewer.
_LEAST_OTHERS = 4


def find_oov_at_start(
  measured: oov_positions.OovPositions,
  control: Optional[oov_positions.OovPositions] = None,
) -> findings_lib.Finding:
  """Asks whether OOV words are unusually frequent at the start of sentences.

  The shares of the other positions are taken as a sample of how shares differ
  between positions, noise included, and the share at position 1 as one more
  draw: t = (r1 - mean) / sqrt(v1 + v / n), with the mean and the variance v of
  the n others and n - 1 degrees of freedom. v is not let below the mean square
  of the others' standard errors, and v1 is the larger of v and the square of
  position 1's, so that few users or much noise find nothing. The finding holds
  if the one-sided p-value is below 0.001. With a control, all of this is about
  the differences to it, so that positions that always differ cancel, and the
  share must be above the control's as well (normal approximation, p < 0.001).

  Undecided with fewer than four other positions that at least a quarter as many
  sentences reach as position 1.

  Args:
    measured: The metric.
    control: The same of a run without the bug, of the same length.

  Returns:
    The finding "oov_at_start".

  Raises:
    ValueError: If the control has another length.
  """
  shares = measured.shares
  variances = measured.standard_errors**2
  is_used = _is_reached(measured)
  numbers: dict[str, Any] = {"measured": measured.to_dict()}
  if control is not None:
    if control.length != measured.length:
      raise ValueError(
        f"control must have {measured.length} positions, got {control.length}"
      )
    shares = shares - control.shares
    variances = variances + control.standard_errors**2
    is_used = is_used & _is_reached(control)
    numbers["control"] = control.to_dict()
  others = is_used[1:]
  decided = bool(is_used[0]) and int(others.sum()) >= _LEAST_OTHERS
  what = "words outside the vocabulary at the start of sentences"
  if not decided:
    return findings_lib.Finding(
      name="oov_at_start",
      holds=False,
      claim=f"too few positions to say whether there are unusually many {what}",
      evidence=(
        f"{int(others.sum())} positions after the first could be compared with "
        f"it; it takes {_LEAST_OTHERS}."
      ),
      numbers=numbers,
      decided=False,
    )

  p_value = _p_value_of_first(shares, variances, others)
  numbers["p_value"] = p_value
  holds = p_value < _SIGNIFICANT
  if control is not None:
    # A standard deviation of 0 makes any difference certain.
    numbers["p_value_to_control"] = float(
      stats.norm.sf(shares[0], scale=max(np.sqrt(variances[0]), 1e-12))
    )
    holds = holds and numbers["p_value_to_control"] < _SIGNIFICANT
  elsewhere = measured.shares[1:][others]
  numbers_text = (
    f"{_percent(measured.shares[0])} of first words against "
    f"{_percent(elsewhere.mean())} of later ones"
  )
  if control is not None:
    numbers_text += f" and {_percent(control.shares[0])} of the control's first"
  claim = f"unusually many {what}: {numbers_text}"
  if not holds:
    claim = f"not unusually many {what}: {numbers_text}"
  return findings_lib.Finding(
    name="oov_at_start",
    holds=bool(holds),
    claim=claim,
    evidence=_evidence(measured, control, numbers, int(others.sum())),
    numbers=numbers,
  )


def _is_reached(measured: oov_positions.OovPositions) -> np.ndarray:
  """`[length]`: whether enough sentences reach each position."""
  first = max(measured.present[0], 0.0)
  return (measured.present > 0) & (measured.present >= _LEAST_PRESENT * first)


def _p_value_of_first(
  shares: np.ndarray, variances: np.ndarray, others: np.ndarray
) -> float:
  """One-sided p-value that the first share is drawn like the others."""
  rest = shares[1:][others]
  spread = max(np.var(rest, ddof=1), np.mean(variances[1:][others]))
  scale = max(spread, variances[0]) + spread / len(rest)
  excess = shares[0] - np.mean(rest)
  if excess <= 0 or scale == 0:
    # Without any spread there is nothing to measure an excess with.
    return 1.0
  return float(stats.t.sf(excess / np.sqrt(scale), df=len(rest) - 1))


def _evidence(
  measured: oov_positions.OovPositions,
  control: Optional[oov_positions.OovPositions],
  numbers: dict[str, Any],
  num_others: int,
) -> str:
  compared = "shares" if control is None else "differences to the control"
  sentences = [
    f"The {compared} at {num_others} later positions predict the range of one "
    "more; that position 1 lies so far above it has "
    f"{findings_lib.p_text(numbers['p_value'])} (one-sided, t distribution)."
  ]
  if control is None:
    sentences.append("There was no control run to compare with.")
  else:
    sentences.append(
      "Position 1 against the control: "
      f"{findings_lib.p_text(numbers['p_value_to_control'])} (one-sided)."
    )
  if measured.noise_multiplier:
    sentences.append(
      "The standard error of the share at position 1, from the noise and an "
      f"upper bound for the choice of {measured.num_users} users, is "
      f"{100 * measured.standard_errors[0]:.2g} percentage points."
    )
  return " ".join(sentences)


def _percent(value: float) -> str:
  return f"{100 * value:.1f} %"
