"""IDX, the file format of MNIST and of the sets that replace it.

Two zero bytes, a byte for the type, a byte for the rank, the sizes as
big-endian uint32, and then the values in row-major order. The format's
description is on MNIST's page (LeCun, Cortes, Burges).

This module needs neither TensorFlow nor TensorFlow Federated.
"""

import math
import struct
from typing import Sequence

import numpy as np

_UNSIGNED_BYTES = 0x08
_MAGIC_SIZE = 4
_SIZE_SIZE = 4


def num_bytes(shape: Sequence[int]) -> int:
  """Returns how many bytes the IDX data of uint8 of that shape has."""
  return _MAGIC_SIZE + _SIZE_SIZE * len(shape) + math.prod(shape)


def parse(data: bytes) -> np.ndarray:
  """Reads the content of an IDX file of unsigned bytes.

  The header is checked against the data before anything is made of it: sizes
  that promise more, or less, than there is are an error, however large.

  Args:
    data: The whole file, decompressed.

  Returns:
    uint8 array of rank 1 or more, read-only: a view of `data`.

  Raises:
    ValueError: If the magic number is not that of an IDX file of unsigned
      bytes, or the data is shorter or longer than its header says.
  """
  if len(data) < _MAGIC_SIZE:
    raise ValueError(f"data must start with 4 bytes of magic, got {len(data)}")
  rank = data[3]
  if data[:3] != bytes([0, 0, _UNSIGNED_BYTES]) or rank < 1:
    raise ValueError(
      "data must have the magic number 000008NN of unsigned bytes of rank NN"
      f" >= 1, got {data[:_MAGIC_SIZE].hex()}"
    )
  start = _MAGIC_SIZE + _SIZE_SIZE * rank
  if len(data) < start:
    raise ValueError(
      f"data must have a header of {start} bytes, got {len(data)} bytes"
    )
  # Python's integers, since the product of uint32 sizes can wrap around to
  # what the file happens to hold.
  shape = struct.unpack_from(f">{rank}I", data, _MAGIC_SIZE)
  if len(data) != num_bytes(shape):
    raise ValueError(
      f"data of shape {list(shape)} must have {num_bytes(shape)} bytes, got"
      f" {len(data)}"
    )
  return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
