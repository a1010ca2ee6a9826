"""Photographs of a TensorFlow Datasets builder as one array of small squares.

`PictureSet` names a builder and what to say when its data can't be had. Opened,
it gives `Pictures`, which are cropped to their central square, averaged down to
64 x 64 and put into memory with whatever label the caller makes of an example.

TensorFlow Datasets downloads and prepares a data set once, in its own
directory. It is only imported when a set is opened, since that takes seconds.
"""

import dataclasses
import os
from typing import Any, Callable, Dict, Optional, Sequence, Tuple, Type

import numpy as np
import tensorflow as tf

from tff_gen_debug.datasets import hosted_database
from tff_gen_debug.datasets import idx_files

IMAGE_SIZE = 64

_BATCH_SIZE = 128

# From an example of the builder to its class, int64 scalar; negative leaves the
# example out.
LabelFn = Callable[[Dict[str, Any]], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Pictures:
  """One split of a set, prepared and ready to be read.

  Attributes:
    dataset: The builder's examples, of which `image` is uint8 `[h, w, 3]`.
    info: The builder's `tfds.core.DatasetInfo`.
    num_examples: How many examples there are.
    failure: Makes the exception for data that can't be read, from the reason.
  """

  dataset: tf.data.Dataset
  info: Any
  num_examples: int
  failure: Callable[[str], hosted_database.DataFileError]

  def arrays(
    self, label: LabelFn, limit: Optional[int]
  ) -> idx_files.LabelledImages:
    """Reads the pictures, in the order of the prepared files.

    Args:
      label: Gives the class of an example, in [0, 255]; negative if it is to be
        left out.
      limit: How many pictures to stop at, those left out not counted; None for
        all of them.

    Returns:
      Images, uint8 `[n, 64, 64, 3]`, and labels, uint8 `[n]`. Both read-only.

    Raises:
      DataFileError: The set's `file_error`, if the data can't be read.
    """
    dataset = self.dataset.map(
      lambda example: (example["image"], label(example)),
      num_parallel_calls=tf.data.AUTOTUNE,
    ).filter(lambda _, label: label >= 0)
    capacity = self.num_examples
    if limit is not None:
      dataset = dataset.take(limit)
      capacity = min(capacity, limit)
    dataset = (
      dataset.map(
        lambda image, label: (shrink(image), tf.cast(label, tf.uint8)),
        num_parallel_calls=tf.data.AUTOTUNE,
      )
      .batch(_BATCH_SIZE)
      .prefetch(2)
    )
    # Memory for all of them is promised here, and only taken for those that
    # come.
    images = np.empty((capacity, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    labels = np.empty((capacity,), np.uint8)
    count = 0
    try:
      for some_images, some_labels in dataset.as_numpy_iterator():
        end = count + len(some_labels)
        images[count:end] = some_images
        labels[count:end] = some_labels
        count = end
    except tf.errors.OpError as error:
      raise self.failure(_first_line(error.message)) from error
    images.setflags(write=False)
    labels.setflags(write=False)
    return idx_files.LabelledImages(images[:count], labels[:count])


@dataclasses.dataclass(frozen=True)
class PictureSet:
  """A data set that TensorFlow Datasets downloads and prepares.

  Attributes:
    title: What messages call it.
    name: What TensorFlow Datasets calls it.
    version: The version of its builder.
    url: A place on the server that the builder downloads from.
    files: What the builder's downloads are called.
    page: Where a person finds them.
    obstacle: What often keeps them from being downloaded, a sentence.
    download_error: Raised if the set isn't there and can't be had.
    file_error: Raised if it is there and damaged.
  """

  title: str
  name: str
  version: str
  url: str
  files: Tuple[str, ...]
  page: str
  obstacle: str
  download_error: Type[hosted_database.DownloadError]
  file_error: Type[hosted_database.DataFileError]

  def open(self, split: str, data_dir: Optional[str]) -> Pictures:
    """Opens a split, and first downloads and prepares the set if it must.

    Args:
      split: What the builder calls the split.
      data_dir: TensorFlow Datasets' directory; its own default, which is
        `TFDS_DATA_DIR` in the environment or `~/tensorflow_datasets`, if None.

    Returns:
      The split.

    Raises:
      DownloadError: The `download_error`, if the set is not there and can't be
        had; the message says what to do. If the server can't be reached, that
        takes no longer than `idx_files.check_connection` does.
      DataFileError: The `file_error`, if the set is there and can't be opened.
    """
    # Here, because it takes seconds.
    import tensorflow_datasets as tfds

    root = _root(data_dir)
    path = os.path.join(root, self.name, self.version)
    try:
      if not tf.io.gfile.isdir(path) and not self._were_brought(root):
        idx_files.check_connection(self.url)
      dataset, info = tfds.load(
        f"{self.name}:{self.version}",
        split=split,
        data_dir=root,
        with_info=True,
      )
      num_examples = info.splits[split].num_examples
    except Exception as error:
      # The network, the disk, a server's refusal and files brought by hand each
      # fail in ways of their own.
      reason = f"{type(error).__name__}: {_first_line(str(error))}"
      if tf.io.gfile.isdir(path):
        raise self._file_error(path, reason) from error
      raise self._download_error(root, reason) from error
    return Pictures(
      dataset, info, num_examples, lambda reason: self._file_error(path, reason)
    )

  def _were_brought(self, root: str) -> bool:
    """Whether all downloads are where TensorFlow Datasets looks for them."""
    manual = _manual_directory(root)
    return all(
      tf.io.gfile.exists(os.path.join(manual, name)) for name in self.files
    )

  def _file_error(
    self, path: str, reason: str
  ) -> hosted_database.DataFileError:
    return self.file_error(
      f"{path} is damaged or is not {self.title} ({reason}). Unless that says"
      " what else to do, delete it and load again."
    )

  def _download_error(
    self, root: str, reason: str
  ) -> hosted_database.DownloadError:
    manual = _manual_directory(root)
    if self._were_brought(root):
      return self.download_error(
        f"{self.title} could not be prepared from the files in {manual}"
        f" ({reason}). They must be {', '.join(self.files)} as they are at"
        f" {self.page}. Fetch again what is not, and load again."
      )
    return self.download_error(
      f"{self.title} is not in {root}, and TensorFlow Datasets could not get it"
      f" ({reason}). {self.obstacle} Either load again with a network that"
      f" reaches {self.url}; or fetch {', '.join(self.files)} from"
      f" {self.page} on a machine that can, put them under these names into"
      f" {manual}, and load again; or copy the directory {self.name} into"
      f" {root} from a machine where TensorFlow Datasets has prepared it."
    )


def shrink(picture: tf.Tensor) -> tf.Tensor:
  """Averages the central square of a picture down to 64 x 64.

  Where a side's surplus is odd, the square lies half a pixel nearer to the
  start.

  Args:
    picture: uint8 `[height, width, 3]`.

  Returns:
    uint8 `[64, 64, 3]`: means over areas, rounded.
  """
  height, width = tf.shape(picture)[0], tf.shape(picture)[1]
  side = tf.minimum(height, width)
  square = tf.image.crop_to_bounding_box(
    picture, (height - side) // 2, (width - side) // 2, side, side
  )
  means = tf.image.resize(
    square, [IMAGE_SIZE, IMAGE_SIZE], method=tf.image.ResizeMethod.AREA
  )
  return tf.cast(tf.round(means), tf.uint8)


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
  """Checks an argument that has to be one of a few words.

  Args:
    name: What the argument is called.
    value: Its value.
    choices: What it may be.

  Raises:
    ValueError: If it is something else.
  """
  if value not in choices:
    raise ValueError(
      f"{name} must be one of {', '.join(choices)}, got {value!r}"
    )


def check_limit(limit: Optional[int]) -> None:
  """Checks how many pictures are asked for.

  Args:
    limit: At least 1, or None.

  Raises:
    TypeError: If it is neither an int nor None.
    ValueError: If it is less than 1.
  """
  if limit is None:
    return
  if isinstance(limit, bool) or not isinstance(limit, (int, np.integer)):
    raise TypeError(f"limit must be an int or None, got {type(limit).__name__}")
  if limit < 1:
    raise ValueError(f"limit must be at least 1, or None for all, got {limit}")


def _root(data_dir: Optional[str]) -> str:
  """TensorFlow Datasets' directory, chosen as it does itself."""
  return os.path.expanduser(
    data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
  )


def _manual_directory(root: str) -> str:
  """Where TensorFlow Datasets looks for files before it downloads them."""
  return os.path.join(root, "downloads", "manual")


def _first_line(text: str) -> str:
  return next(iter(text.splitlines()), "no reason given")
