"""Charts for the report, as PNG files that read in light and dark mode."""

from collections.abc import Mapping, Sequence
import io
from typing import Optional

import numpy as np

# Okabe and Ito (2008), Color universal design: told apart by colour-blind
# readers; yellow, which is too light for a line on white, is left out.
_COLORS = (
  "#0072b2",
  "#d55e00",
  "#009e73",
  "#cc79a7",
  "#56b4e9",
  "#e69f00",
  "#000000",
)
# So that a print without colours tells them apart as well.
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")

_INCHES = (7.0, 4.0)
_DOTS_PER_INCH = 150


def line_chart(
  series: Mapping[str, Sequence[float]],
  *,
  x_label: str,
  y_label: str,
  x: Optional[Sequence[float]] = None,
  x_names: Optional[Sequence[str]] = None,
  errors: Optional[Mapping[str, Sequence[float]]] = None,
  as_percent: bool = False,
  log_x: bool = False,
  log_y: bool = False,
) -> bytes:
  """Draws lines with markers, a legend and labelled axes.

  The background is opaque white: a page in dark mode shows the chart as it is.
  The value axis starts at zero unless a value is below. A value that is NaN or
  infinite leaves a gap, an error that is leaves out the bar.

  Args:
    series: Name -> n values, 1 to 7 series, n >= 1.
    x_label: What the horizontal axis shows.
    y_label: What the vertical axis shows.
    x: n positions; by default 1, 2, ..., n.
    x_names: n names of the positions, shown in place of numbers.
    errors: Name -> n half lengths of error bars, >= 0, for some of the series.
    as_percent: Whether to show shares as percentages.
    log_x: Whether positions are on a logarithmic scale; they must be positive.
    log_y: Whether values are; those that are not positive leave a gap.

  Returns:
    The bytes of a PNG file of 1050 x 600 pixels.

  Raises:
    ValueError: If there are too few or too many series, lengths differ,
      `errors` has another key or a negative number, or a position on a
      logarithmic scale is not positive.
  """
  if not 1 <= len(series) <= len(_COLORS):
    raise ValueError(
      f"series must be 1 to {len(_COLORS)} series, got {len(series)}"
    )
  lengths = {name: len(values) for name, values in series.items()}
  length = next(iter(lengths.values()))
  if length < 1 or set(lengths.values()) != {length}:
    raise ValueError(f"series must be equally long, got lengths {lengths}")
  positions = np.arange(1, length + 1) if x is None else np.asarray(x)
  if positions.shape != (length,):
    raise ValueError(f"x must have {length} positions, got {len(positions)}")
  if x_names is not None and len(x_names) != length:
    raise ValueError(f"x_names must be {length} names, got {len(x_names)}")
  if log_x and np.any(positions <= 0):
    raise ValueError(f"x must be positive with log_x, got {min(positions)}")
  bar_lengths = _check_errors(errors or {}, series, length)

  # Most who import this room draw no chart, and this takes 0.4 s.
  import matplotlib.backends.backend_agg
  import matplotlib.figure
  import matplotlib.ticker

  figure = matplotlib.figure.Figure(
    figsize=_INCHES, dpi=_DOTS_PER_INCH, facecolor="white", layout="tight"
  )
  # Without pyplot, whose state is global and whose back end may need a screen.
  canvas = matplotlib.backends.backend_agg.FigureCanvasAgg(figure)
  axes = figure.add_subplot()
  lines, lowest = [], 0.0
  for index, (name, values) in enumerate(series.items()):
    heights = _finite(values)
    bars = bar_lengths.get(name, np.zeros(length))
    lowest = min(lowest, *np.nan_to_num(heights - np.nan_to_num(bars)))
    lines.append(
      axes.errorbar(
        positions,
        heights,
        yerr=bar_lengths.get(name),
        color=_COLORS[index],
        marker=_MARKERS[index],
        markersize=4.5,
        linewidth=1.6,
        capsize=2.5,
      )
    )
  if log_x:
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
  if log_x or x_names is not None:
    # On a logarithmic scale the positions themselves, not powers of ten.
    axes.set_xticks(
      positions,
      [f"{p:g}" for p in positions] if x_names is None else x_names,
      parse_math=False,
    )
  if log_y:
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(
      matplotlib.ticker.StrMethodFormatter("{x:g}")
    )
    axes.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
  elif lowest >= 0:
    axes.set_ylim(bottom=0)
  # Names and labels may be data: a dollar sign must not start a formula, nor
  # an underscore hide a name from the legend, which a hair space prevents.
  axes.set_xlabel(x_label, parse_math=False)
  axes.set_ylabel(y_label, parse_math=False)
  legend = axes.legend(lines, ["\u200a" + name for name in series])
  for text in legend.get_texts():
    text.set_parse_math(False)
  if as_percent:
    axes.yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1.0))
  if x is None and x_names is None:
    axes.xaxis.set_major_locator(
      matplotlib.ticker.MaxNLocator(integer=True, min_n_ticks=1)
    )
  axes.grid(axis="y", color="#dddddd", linewidth=0.8)
  axes.set_axisbelow(True)
  axes.spines[["top", "right"]].set_visible(False)
  buffer = io.BytesIO()
  canvas.print_png(buffer)
  return buffer.getvalue()


def _finite(values: Sequence[float]) -> np.ndarray:
  """The values with NaN, which leaves a gap, for infinities."""
  array = np.asarray(values, np.float64)
  return np.where(np.isfinite(array), array, np.nan)


def _check_errors(
  errors: Mapping[str, Sequence[float]],
  series: Mapping[str, Sequence[float]],
  length: int,
) -> dict[str, np.ndarray]:
  unknown = set(errors) - set(series)
  if unknown:
    raise ValueError(
      f"errors must have names of series as keys, got {sorted(unknown)}"
    )
  checked = {name: _finite(values) for name, values in errors.items()}
  for name, values in checked.items():
    if values.shape != (length,):
      raise ValueError(
        f"errors of {name!r} must have {length} values, got {len(values)}"
      )
    if np.any(values < 0):
      raise ValueError(
        f"errors of {name!r} must not be negative, got {np.nanmin(values)}"
      )
  return checked
