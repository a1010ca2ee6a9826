"""Tests of flags on drawn bars, fog and noise, and on real digits with bugs."""

import functools

import numpy as np
import pytest

from tff_gen_debug.datasets import handwriting
from tff_gen_debug.datasets import handwriting_file
from tff_gen_debug.evaluation import image_shapes

_FLAGS = {
  name: getattr(image_shapes, name)
  for name in (
    "is_blank",
    "is_faint",
    "is_off_centre",
    "is_half_empty",
    "is_wider_than_tall",
    "is_near_copy",
  )
}


def _bar(rows, columns):
  """Ink in a box, `[1, 28, 28, 1]`."""
  image = np.full((1, 28, 28, 1), -1.0, np.float32)
  image[:, rows[0] : rows[1], columns[0] : columns[1]] = 1.0
  return image


def _flagged(images):
  """The names of the flags of one image."""
  return {name for name, flag in _FLAGS.items() if flag(images).item()}


_UPRIGHT = _bar((6, 22), (12, 16))


@pytest.mark.parametrize(
  "image, expected",
  [
    (_UPRIGHT, set()),
    (_bar((12, 16), (6, 22)), {"is_wider_than_tall"}),
    # Centred at row 14 and column 20: 6 of 28 pixels away.
    (_bar((6, 22), (18, 22)), {"is_off_centre", "is_half_empty"}),
    # Moved so far that it touches the border: not a half that is missing.
    (_bar((6, 22), (20, 28)), {"is_off_centre"}),
    # Centred at column 16.5, 2.5 away; one of seven columns is on the left.
    (_bar((6, 22), (13, 20)), set()),
    # Ends at the middle, from the left and from above.
    (_bar((6, 22), (4, 14)), {"is_off_centre", "is_half_empty"}),
    (_bar((4, 14), (10, 18)), {"is_off_centre", "is_half_empty"}),
    # Of five columns one is in the right half.
    (_bar((4, 24), (10, 15)), set()),
    (0 * _UPRIGHT - 1, {"is_blank"}),
    (0 * _UPRIGHT + 1, {"is_blank"}),
    # Grey is what a generator draws that has learned nothing.
    (0 * _UPRIGHT, set()),
    (0.25 * (_UPRIGHT + 1) - 1, {"is_faint"}),
    (0.6 * (_UPRIGHT + 1) - 1, set()),
  ],
)
def test_bars(image, expected):
  assert _flagged(image) == expected
  # No flag is about which of the two is paper.
  assert _flagged(-image) == expected


def test_specks_are_not_ink():
  rng = np.random.default_rng(0)
  sheets = np.full((200, 28, 28, 1), -1.0, np.float32)
  bars = np.tile(_UPRIGHT, (200, 1, 1, 1))
  for i in range(200):
    # Far enough from each other and from the bar not to make a stroke.
    for row in range(1, 28, 6):
      row = row + rng.integers(0, 3)
      for column in (2, 24):
        column = column + rng.integers(0, 2)
        sheets[i, row, column] = 1.0
        bars[i, row, column] = 1.0 if column > 20 else -1.0
  assert image_shapes.is_blank(sheets).all()
  for flag in (image_shapes.is_off_centre, image_shapes.is_half_empty):
    assert not flag(bars).any()


@pytest.mark.parametrize("amplitude", [0.05, 0.3, 0.8])
def test_fog_and_noise_show_nothing(amplitude):
  rng = np.random.default_rng(1)
  noise = rng.normal(0, amplitude, (500, 28, 28, 1))
  coarse = rng.normal(0, amplitude, (500, 7, 7, 1))
  fog = np.kron(coarse[..., 0], np.ones((1, 4, 4)))[..., None]
  for images in (np.tanh(noise), np.tanh(fog)):
    assert image_shapes.has_strokes(images).mean() <= 0.02
    for name, flag in _FLAGS.items():
      assert flag(images).mean() <= 0.02, name


def test_median_filter_is_that_of_plain_medians():
  rng = np.random.default_rng(2)
  images = rng.uniform(-1, 1, (3, 9, 11))
  padded = np.pad(images, [[0, 0], [1, 1], [1, 1]], mode="edge")
  expected = np.empty_like(images)
  for row in range(9):
    for column in range(11):
      window = padded[:, row : row + 3, column : column + 3]
      expected[:, row, column] = np.median(window, axis=(1, 2))
  np.testing.assert_array_equal(image_shapes._median_filter(images), expected)


def test_near_copies():
  rng = np.random.default_rng(3)
  # Four images without a pixel in common, the first twice and faint.
  rows = [(1, 7), (7, 13), (14, 20), (20, 26)]
  images = np.concatenate([_bar(r, (8, 20)) for r in rows])
  copy = 0.5 * (images[:1] + 1) - 1
  noisy = np.clip(copy + rng.normal(0, 0.05, copy.shape), -1, 1)
  images = np.concatenate([images, noisy.astype(np.float32)])

  assert image_shapes.is_near_copy(images).tolist() == [True, 0, 0, 0, True]
  # Of the two next ones: the last is followed by the first.
  found = image_shapes.is_near_copy(images, num_others=2)
  assert found.tolist() == [False, 0, 0, 0, True]
  found = image_shapes.is_near_copy(images, num_others=4)
  assert found.tolist() == [True, 0, 0, 0, True]
  assert not image_shapes.is_near_copy(images[:4]).any()
  assert not image_shapes.is_near_copy(images[:1]).any()
  # Sheets of paper are alike, but show no copies.
  assert not image_shapes.is_near_copy(np.full((9, 28, 28, 1), -1.0)).any()


def test_near_copies_in_blocks():
  images = np.concatenate([_bar((6, 22), (i, i + 3)) for i in (3, 9, 15, 21)])
  images = np.tile(images, (300, 1, 1, 1))
  # The next three are others, the fourth is the same again.
  assert not image_shapes.is_near_copy(images, num_others=3).any()
  assert image_shapes.is_near_copy(images, num_others=4).all()


@functools.lru_cache(maxsize=1)
def _digits():
  """1000 of the embedded digits, `[1000, 28, 28, 1]`, of all writers."""
  blocks = handwriting_file.read(
    handwriting.EMBEDDED_PATH, handwriting.EMBEDDED_DIGEST, repair="reinstall"
  )
  pixels = blocks.pixels.reshape(-1, 28, 28, 1)
  chosen = np.random.RandomState(0).permutation(len(pixels))[:1000]
  return (pixels[chosen] / 127.5 - 1).astype(np.float32)


def _shifted(images):
  shifted = np.full_like(images, -1.0)
  shifted[:, 7:, 7:] = images[:, :-7, :-7]
  return shifted


def _half(images):
  kept = images.copy()
  kept[:, :, 14:] = -1.0
  return kept


def _collapsed(images):
  return images[np.arange(len(images)) % 10]


def _weak(images):
  """Blurred with sigma 1 pixel, and noise of sd 0.1: as of a generator."""
  steps = np.arange(-4, 5)
  kernel = np.exp(-(steps**2) / 2)
  kernel /= kernel.sum()
  for axis in (1, 2):
    images = sum(
      weight * np.roll(images, step, axis)
      for step, weight in zip(steps, kernel)
    )
  noise = np.random.default_rng(4).normal(0, 0.1, images.shape)
  return np.clip(images + noise, -1, 1).astype(np.float32)


_BUGS = {
  "is_blank": lambda x: np.full_like(x, -1.0),
  "is_faint": lambda x: 0.25 * (x + 1) - 1,
  "is_off_centre": _shifted,
  "is_half_empty": _half,
  "is_wider_than_tall": lambda x: np.rot90(x, axes=(1, 2)),
  "is_near_copy": _collapsed,
}

# Shares of 1000 digits that are flagged without a bug. 13 % of all digits are
# wider than tall as they are.
_CLEAN_AT_MOST = {
  "is_blank": 0.0,
  "is_faint": 0.0,
  "is_off_centre": 0.0,
  "is_half_empty": 0.0,
  "is_wider_than_tall": 0.15,
  "is_near_copy": 0.02,
}


@pytest.mark.parametrize("weak", [False, True], ids=["sharp", "weak"])
@pytest.mark.parametrize("name", list(_FLAGS))
def test_flags_of_real_digits(name, weak):
  images = {"clean": _digits(), "bug": _BUGS[name](_digits())}
  if weak:
    images = {key: _weak(value) for key, value in images.items()}
  clean = _FLAGS[name](images["clean"]).mean()
  assert clean <= _CLEAN_AT_MOST[name]
  assert _FLAGS[name](images["bug"]).mean() >= 0.75


@pytest.mark.parametrize("weak", [False, True], ids=["sharp", "weak"])
def test_half_an_image_and_a_shifted_one_are_told_apart(weak):
  shifted, half = _shifted(_digits()), _half(_digits())
  if weak:
    shifted, half = _weak(shifted), _weak(half)
  assert image_shapes.is_half_empty(shifted).mean() <= 0.01
  assert image_shapes.is_half_empty(half).mean() >= 0.75


def test_no_images_have_no_flags():
  empty = np.zeros((0, 28, 28, 1), np.float32)
  for flag in (image_shapes.has_strokes, *_FLAGS.values()):
    assert flag(empty).shape == (0,)


@pytest.mark.parametrize(
  "images, error, message",
  [
    (np.zeros((1, 28, 28), np.float32), ValueError, "shape"),
    (np.zeros((1, 4, 28, 1), np.float32), ValueError, "at least 5"),
    (np.full((1, 28, 28, 1), np.nan), ValueError, "finite"),
    (np.full((1, 28, 28, 1), 255.0), ValueError, r"\[-1, 1\]"),
    (np.zeros((1, 28, 28, 1), np.uint8), TypeError, "uint8"),
  ],
)
def test_bad_images_are_named(images, error, message):
  for flag in (image_shapes.has_strokes, *_FLAGS.values()):
    with pytest.raises(error, match=message):
      flag(images)


def test_a_bad_number_of_others_is_named():
  images = np.tile(_UPRIGHT, (3, 1, 1, 1))
  for number in (0, 3, -1):
    with pytest.raises(ValueError, match=r"num_others must be in \[1, 2\]"):
      image_shapes.is_near_copy(images, num_others=number)
  with pytest.raises(TypeError, match="num_others must be an integer"):
    image_shapes.is_near_copy(images, num_others=1.5)
