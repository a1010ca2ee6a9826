"""Tests for idx, on files made byte by byte."""

import struct

import numpy as np
import pytest

from tff_gen_debug.datasets import idx

# Two images of 2 x 3 pixels.
_HEADER = bytes.fromhex("00000803 00000002 00000002 00000003")
_VALUES = bytes(range(244, 256))


def test_values_are_in_row_major_order():
  array = idx.parse(_HEADER + _VALUES)

  assert array.dtype == np.uint8
  assert array.tolist() == [
    [[244, 245, 246], [247, 248, 249]],
    [[250, 251, 252], [253, 254, 255]],
  ]


def test_rank_1():
  data = bytes.fromhex("00000801 00000003 070009")

  assert idx.parse(data).tolist() == [7, 0, 9]


def test_no_examples():
  data = bytes.fromhex("00000803 00000000 0000001c 0000001c")

  assert idx.parse(data).shape == (0, 28, 28)


def test_array_is_read_only():
  with pytest.raises(ValueError, match="read-only"):
    idx.parse(_HEADER + _VALUES)[0, 0, 0] = 1


@pytest.mark.parametrize("length", range(len(_HEADER + _VALUES)))
def test_truncated_anywhere(length):
  with pytest.raises(ValueError, match=f"got {length}"):
    idx.parse((_HEADER + _VALUES)[:length])


def test_trailing_bytes():
  with pytest.raises(
    ValueError, match=r"shape \[2, 2, 3\] must have 28 bytes, got 29"
  ):
    idx.parse(_HEADER + _VALUES + b"\0")


@pytest.mark.parametrize(
  "magic",
  [
    "01000803",  # Does not start with two zero bytes.
    "00010803",
    "00000903",  # Signed bytes.
    "00000d03",  # Floats.
    "00000800",  # No dimension.
    "1f8b0803",  # The start of a gzip file.
  ],
)
def test_wrong_magic_number(magic):
  with pytest.raises(ValueError, match=f"magic number.*got {magic}"):
    idx.parse(bytes.fromhex(magic) + (_HEADER + _VALUES)[4:])


@pytest.mark.parametrize(
  "shape",
  [
    (2**32 - 1,) * 3,
    # 2**64 + 0 and 2**32 + 12 elements: right modulo the word size.
    (2**31, 2**31, 4),
    (1, 1, 2**32 - 1),
  ],
)
def test_sizes_beyond_the_file(shape):
  header = b"\0\0\x08\x03" + struct.pack(">3I", *shape)

  with pytest.raises(ValueError, match="must have .* bytes, got"):
    idx.parse(header + _VALUES)
  with pytest.raises(ValueError, match="must have .* bytes, got"):
    idx.parse(header)


def test_rank_beyond_the_file():
  with pytest.raises(ValueError, match="header of 1024 bytes, got 28"):
    idx.parse(b"\0\0\x08\xff" + (_HEADER + _VALUES)[4:])


def test_num_bytes():
  assert idx.num_bytes((2, 2, 3)) == len(_HEADER + _VALUES)
  # What MNIST's training images have, by its page.
  assert idx.num_bytes((60_000, 28, 28)) == 47_040_016
