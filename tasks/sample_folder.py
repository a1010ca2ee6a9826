"""Samples of a generator over rounds: PNG files, and TensorBoard's images."""

from collections.abc import Callable
import os
from typing import Any, Optional

import numpy as np
import tensorflow as tf

from tff_gen_debug import files
from tff_gen_debug.debugging import pictures


class SampleFolder:
  """The samples of one training run."""

  def __init__(
    self,
    folder: str,
    draw: Callable[[Any], np.ndarray],
    *,
    rows: int = 8,
    columns: int = 8,
  ):
    """Initializes the folder.

    Args:
      folder: Where the files go, beside those of TensorBoard; made if missing.
      draw: From weights to rows * columns images, of the same inputs at every
        call, so that pictures over rounds show the same samples taking shape.
      rows: Rows of a picture.
      columns: Columns of a picture.
    """
    os.makedirs(folder, exist_ok=True)
    self._folder = folder
    self._draw = draw
    self._rows = rows
    self._columns = columns
    self._writer = tf.summary.create_file_writer(
      os.path.join(os.path.dirname(folder), "tensorboard")
    )

  def write(self, weights: Any, round_num: int) -> None:
    """Draws and keeps samples after a round."""
    png = pictures.sample_grid(self._draw(weights), self._rows, self._columns)
    path = os.path.join(self._folder, f"round_{round_num:06d}.png")
    files.write_atomically(path, png)
    with self._writer.as_default():
      tf.summary.image(
        "samples", tf.io.decode_png(png)[tf.newaxis], step=round_num
      )

  def read(self, last_round: int) -> dict[int, bytes]:
    """The pictures of rounds up to `last_round`, in their order."""
    grids = {}
    for name in sorted(os.listdir(self._folder)):
      round_num = _round_of(name)
      if round_num is not None and round_num <= last_round:
        with open(os.path.join(self._folder, name), "rb") as file:
          grids[round_num] = file.read()
    return grids


def _round_of(name: str) -> Optional[int]:
  stem, extension = os.path.splitext(name)
  if extension != ".png" or not stem.startswith("round_"):
    return None
  return int(stem[len("round_") :])
