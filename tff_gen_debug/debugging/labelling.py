"""Generated images as a sheet for people to label.

Task T5 of Table 1 of Augenstein et al. (ICLR 2020, arXiv 1911.06679): the data
has no labels and nobody may look at it, so people label what an auxiliary model
makes of it. The sheet is a CSV file beside a folder of PNG files; in it, people
fill in the column `label`, and `read_sheet` returns what they said.
"""

import csv
import io
import os
from typing import NamedTuple, Optional, Union

import numpy as np

from tff_gen_debug import files
from tff_gen_debug.debugging import pictures
from tff_gen_debug.models import image_classifier

_SHEET = "labels.csv"
_IMAGES = "images"
_ARRAY = "images.npy"
_COLUMNS = ("file", "label", "suggestion", "confidence")

# Pixels of a picture for each of the image: 28 are too few to look at.
_SCALE = 4


class Labelled(NamedTuple):
  """What people have labelled.

  Attributes:
    images: float32 `[n, height, width, channels]` in [-1, 1].
    labels: `[n]` strings, as they were written.
  """

  images: np.ndarray
  labels: list[str]


def write_sheet(
  folder: Union[str, os.PathLike],
  images: np.ndarray,
  primary: Optional[image_classifier.ImageClassifier] = None,
) -> str:
  """Writes images for people to label.

  Args:
    folder: Where; made if missing. A sheet that is there is kept, with the
      labels that it has.
    images: Floats `[n, height, width, channels]` in [-1, 1], n >= 1; channels
      are 1 or 3. Samples of a DP model: the sheet is as private as they are.
    primary: A model whose classes are suggested. With it, images come in the
      order of its confidence, the least certain first, since their labels teach
      it most.

  Returns:
    The path of labels.csv, with the columns file, label (empty), suggestion (a
    class's number) and confidence (its probability).

  Raises:
    ValueError: If there are no images or they have another shape.
    FileExistsError: If there is a sheet in `folder`.
  """
  images = np.asarray(images, np.float32)
  if images.ndim != 4 or not len(images):
    raise ValueError(
      "images must have shape [n, height, width, channels] with n >= 1, got"
      f" {list(images.shape)}"
    )
  path = os.path.join(folder, _SHEET)
  if os.path.exists(path):
    raise FileExistsError(
      f"{path} exists and may hold labels; use another folder"
    )
  suggestions = [("", "")] * len(images)
  if primary is not None:
    probabilities = primary.probabilities(images)
    order = np.argsort(probabilities.max(axis=1), kind="stable")
    images, probabilities = images[order], probabilities[order]
    suggestions = [
      (str(int(p.argmax())), f"{float(p.max()):.3f}") for p in probabilities
    ]
  os.makedirs(os.path.join(folder, _IMAGES), exist_ok=True)
  digits = len(str(len(images) - 1))
  rows = []
  for number, (image, suggestion) in enumerate(zip(images, suggestions)):
    name = f"{_IMAGES}/{number:0{digits}d}.png"
    png = pictures.sample_grid(image[np.newaxis], 1, 1, _SCALE)
    files.write_atomically(os.path.join(folder, name), png)
    rows.append((name, "", *suggestion))
  # As floats: what is trained on labels should not be rounded to 256 levels.
  buffer = io.BytesIO()
  np.save(buffer, images)
  files.write_atomically(os.path.join(folder, _ARRAY), buffer.getvalue())
  table = io.StringIO(newline="")
  writer = csv.writer(table)
  writer.writerow(_COLUMNS)
  writer.writerows(rows)
  files.write_atomically(path, table.getvalue().encode())
  return path


def read_sheet(folder: Union[str, os.PathLike]) -> Labelled:
  """Reads the labels that people have filled in.

  Args:
    folder: Where `write_sheet` wrote. Rows may have been sorted or deleted;
      those without a label are left out.

  Returns:
    The labelled images, in the order of the sheet.

  Raises:
    FileNotFoundError: If there is no sheet.
    ValueError: If the sheet lacks a column, names a file that it was not
      written with, or names one twice.
  """
  images = np.load(os.path.join(folder, _ARRAY), allow_pickle=False)
  path = os.path.join(folder, _SHEET)
  # Spreadsheets put a byte order mark before what they save.
  with open(path, encoding="utf-8-sig", newline="") as file:
    reader = csv.DictReader(file)
    if not {"file", "label"} <= set(reader.fieldnames or ()):
      raise ValueError(
        f"{path} must have the columns file and label, got {reader.fieldnames}"
      )
    rows = [(row["file"] or "", (row["label"] or "").strip()) for row in reader]
  digits = len(str(len(images) - 1))
  numbers = {
    f"{_IMAGES}/{number:0{digits}d}.png": number
    for number in range(len(images))
  }
  chosen: dict[int, str] = {}
  seen: set[str] = set()
  for name, label in rows:
    if name not in numbers:
      raise ValueError(f"{path} names {name!r}, which is no image of the sheet")
    if name in seen:
      raise ValueError(f"{path} names {name!r} twice")
    seen.add(name)
    if label:
      chosen[numbers[name]] = label
  return Labelled(images[list(chosen)], list(chosen.values()))
