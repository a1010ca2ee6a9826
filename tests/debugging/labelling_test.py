"""Tests of the sheet that people label."""

import csv

import numpy as np
import pytest
import tensorflow as tf

from tff_gen_debug.debugging import labelling


class _Shade:
  """Class 0 or 1 by the shade of an image; the more certain the further."""

  def probabilities(self, images):
    p = (images.mean(axis=(1, 2, 3)) + 1) / 2
    return np.stack([1 - p, p], axis=1)


def _images(*shades):
  return np.stack([np.full([4, 4, 1], s, np.float32) for s in shades])


def _rows(path):
  with open(path, newline="") as file:
    return list(csv.DictReader(file))


def test_the_least_certain_comes_first(tmp_path):
  path = labelling.write_sheet(tmp_path, _images(-1, 0.2, 0.6), _Shade())
  rows = _rows(path)
  assert [r["suggestion"] for r in rows] == ["1", "1", "0"]
  assert [float(r["confidence"]) for r in rows] == [0.6, 0.8, 1.0]
  assert {r["label"] for r in rows} == {""}
  png = (tmp_path / rows[2]["file"]).read_bytes()
  # Around the image is a frame of grey.
  pixels = tf.io.decode_png(png, channels=1).numpy()
  assert pixels[pixels.shape[0] // 2, pixels.shape[1] // 2, 0] == 0


def test_labels_come_back_with_their_images(tmp_path):
  images = _images(-1, 0.25, 1)
  path = labelling.write_sheet(tmp_path, images)
  rows = _rows(path)
  rows[0]["label"], rows[2]["label"] = " eight ", "3"
  with open(path, "w", newline="", encoding="utf-8-sig") as file:
    writer = csv.DictWriter(file, rows[0].keys())
    writer.writeheader()
    writer.writerows(reversed(rows))  # As after sorting.
  labelled = labelling.read_sheet(tmp_path)
  assert labelled.labels == ["3", "eight"]
  np.testing.assert_array_equal(labelled.images, images[[2, 0]])


def test_a_sheet_with_labels_is_not_overwritten(tmp_path):
  labelling.write_sheet(tmp_path, _images(0))
  with pytest.raises(FileExistsError, match="may hold labels"):
    labelling.write_sheet(tmp_path, _images(1))


@pytest.mark.parametrize(
  "text, error",
  [
    ("file,label\nimages/7.png,1\n", "no image of the sheet"),
    ("file,label\nimages/0.png,1\nimages/0.png,\n", "twice"),
    ("name,label\nimages/0.png,1\n", "columns file and label"),
  ],
)
def test_a_damaged_sheet(tmp_path, text, error):
  path = labelling.write_sheet(tmp_path, _images(0, 1))
  with open(path, "w") as file:
    file.write(text)
  with pytest.raises(ValueError, match=error):
    labelling.read_sheet(tmp_path)


@pytest.mark.parametrize("shape", [(0, 4, 4, 1), (4, 4, 1)])
def test_images_of_another_shape(tmp_path, shape):
  with pytest.raises(ValueError, match="images must have shape"):
    labelling.write_sheet(tmp_path, np.zeros(shape, np.float32))
