"""Tests of charts, by the colours of their pixels."""

import io
import warnings

import matplotlib.image
import numpy as np
import pytest

from tff_gen_debug.debugging import charts
from tff_gen_debug.debugging import report as report_lib

_BLUE, _ORANGE, _GREEN = (0, 114, 178), (213, 94, 0), (0, 158, 115)


def _chart(series, **kwargs):
  """The picture as integers `[600, 1050, 4]`."""
  kwargs = {"x_label": "position", "y_label": "share", **kwargs}
  with warnings.catch_warnings():
    warnings.simplefilter("error")
    png = charts.line_chart(series, **kwargs)
  report_lib.Figure("a chart", png)  # Takes nothing but a PNG file.
  picture = matplotlib.image.imread(io.BytesIO(png))
  return np.rint(255 * picture).astype(int)


def _pixels(picture, color):
  """Rows and columns of the pixels of a colour."""
  return np.nonzero((picture[..., :3] == color).all(axis=-1))


def _line(picture, color):
  """The row of a level line: it is longer than its sample in the legend."""
  return int(np.bincount(_pixels(picture, color)[0]).argmax())


def test_the_background_is_opaque_white():
  picture = _chart({"a": [1.0, 2.0]})
  assert picture.shape == (600, 1050, 4)
  assert (picture[..., 3] == 255).all()
  assert (picture[[0, 0, -1, -1], [0, -1, 0, -1], :3] == 255).all()
  assert ((picture[..., :3] == 255).all(axis=-1)).mean() > 0.8


def test_each_series_is_drawn_where_its_values_are():
  picture = _chart({"nine": [9.0] * 5, "one": [1.0] * 5, "two": [2.0] * 5})
  nine, one, two = (_line(picture, c) for c in (_BLUE, _ORANGE, _GREEN))
  assert nine < 100
  assert (one - nine) / (one - two) == pytest.approx(8.0, rel=0.05)
  # Where zero must be is where the axis is, above its numbers and label.
  assert 500 < one + (one - two) < 530
  # Nor does it start elsewhere if all values are large.
  picture = _chart({"high": [9.0] * 5, "low": [8.0] * 5})
  assert _line(picture, _ORANGE) < 150


def test_error_bars_are_drawn_and_infinite_ones_left_out():
  series = {"a": [1.0, 1.0, 1.0]}
  plain = _pixels(_chart(series), _BLUE)[0].size
  bars = _chart(series, errors={"a": [0.5, 0.5, 0.5]})
  assert _pixels(bars, _BLUE)[0].size > plain + 300
  _chart(series, errors={"a": [0.5, np.inf, np.nan]})


def test_what_is_not_finite_leaves_a_gap():
  def line(values):
    rows, columns = _pixels(_chart({"a": values}), _BLUE)
    return np.unique(columns[rows == np.bincount(rows).argmax()]).size

  whole, gap = line([1.0] * 6), line([1.0, 1.0, np.nan, np.inf, 1.0, 1.0])
  assert gap < 0.6 * whole
  _chart({"a": [np.nan]})


def test_values_below_zero_are_shown():
  picture = _chart({"a": [-9.0] * 5, "b": [9.0] * 5})
  assert 0 < _line(picture, _ORANGE) < _line(picture, _BLUE) < 560


def test_labels_may_be_data():
  name = "_$x^{$ \\frac <b>"
  picture = _chart({name: [1, 2]}, x_label=name, y_label=name, as_percent=True)
  # The name is in the legend, which is as wide as it.
  other = _chart({"a": [1, 2]}, x_label=name, y_label=name, as_percent=True)
  assert (picture != other).any()


def test_positions_are_the_callers():
  def has_marker_between(x):
    picture = _chart({"a": [1.0] * 4}, x=x)
    rows, columns = _pixels(picture, _BLUE)
    # Markers reach further from the line than it is thick.
    columns = columns[rows == _line(picture, _BLUE) - 4]
    assert columns.min() < 200 and columns.max() > 900
    return bool(((columns > 250) & (columns < 850)).any())

  assert has_marker_between(None)
  assert not has_marker_between([0, 1, 2, 100])


def test_positions_may_have_names():
  def names(**kwargs):
    """What is written below the axis, but for its label."""
    picture = _chart({"a": [1.0, 2.0, 1.0]}, **kwargs)
    return picture[525:555]

  plain = names(x=[1, 2, 4])
  named = names(x=[1, 2, 4], x_names=["", "", "$no_noise$"])
  dark = [(part[..., :3] < 100).all(axis=-1) for part in (plain, named)]
  assert dark[0][:, :300].any() and not dark[1][:, :300].any()
  assert dark[1][:, 850:].sum() > dark[0][:, 850:].sum()
  assert (names(x=[1, 2, 4], log_x=True, x_names=list("abc")) != named).any()


def test_a_logarithmic_scale_has_equal_factors_equally_far_apart():
  def markers(x, **kwargs):
    picture = _chart({"a": [1.0] * len(x)}, x=x, **kwargs)
    rows, columns = _pixels(picture, _BLUE)
    columns = np.unique(columns[rows == _line(picture, _BLUE) - 4])
    starts = columns[np.diff(columns, prepend=-9) > 1]
    # The legend's own marker is to the right of, or on, the last one.
    return starts[: len(x)]

  distances = np.diff(markers([1, 10, 100], log_x=True))
  assert distances[0] == pytest.approx(distances[1], abs=3)
  linear = np.diff(markers([1, 10, 100]))
  assert linear[1] > 5 * linear[0]


def test_factors_of_values_can_be_shown():
  series = {"a": [1.0] * 5, "b": [10.0] * 5, "c": [100.0] * 5}
  picture = _chart(series, log_y=True)
  one, ten, hundred = (_line(picture, c) for c in (_BLUE, _ORANGE, _GREEN))
  assert one - ten == pytest.approx(ten - hundred, abs=3)
  _chart({"a": [0.0, 1.0, -1.0, 2.0]}, log_y=True)


@pytest.mark.parametrize(
  "series, kwargs, message",
  [
    ({}, {}, "1 to 7 series, got 0"),
    ({str(i): [1] for i in range(8)}, {}, "got 8"),
    ({"a": []}, {}, "equally long"),
    ({"a": [1, 2], "b": [1]}, {}, "equally long"),
    ({"a": [1, 2]}, dict(x=[1]), "x must have 2"),
    ({"a": [1, 2]}, dict(x_names=["one"]), "x_names must be 2 names, got 1"),
    ({"a": [1]}, dict(errors={"b": [1]}), "'b'"),
    ({"a": [1]}, dict(errors={"a": [1, 2]}), "1 values, got 2"),
    ({"a": [1]}, dict(errors={"a": [-1]}), "negative"),
    ({"a": [1, 2]}, dict(x=[0, 1], log_x=True), "x must be positive"),
  ],
)
def test_bad_charts_are_named(series, kwargs, message):
  with pytest.raises(ValueError, match=message):
    charts.line_chart(series, x_label="x", y_label="y", **kwargs)
