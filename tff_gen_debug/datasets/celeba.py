"""CelebA: faces with attributes, small, as arrays.

Liu, Luo, Wang and Tang, "Deep Learning Face Attributes in the Wild" (2015,
arXiv:1411.7766): 202,599 aligned photographs of 178 x 218 pixels with 40 yes/no
attributes, for non-commercial research only. Here they are 64 x 64, with the
classes that DataLens (Wang et al., 2021, arXiv:2103.11109) tells apart.
"""

from typing import Any, Dict, Optional

import tensorflow as tf

from tff_gen_debug.datasets import hosted_database
from tff_gen_debug.datasets import idx_files
from tff_gen_debug.datasets import tfds_images

IMAGE_SIZE = tfds_images.IMAGE_SIZE

# What the labels of each attribute mean, in the order of the labels.
CLASS_NAMES = {
  "gender": ("female", "male"),
  "hair": ("black", "blond", "brown"),
}
SPLITS = ("train", "validation", "test")


class CelebaDownloadError(hosted_database.DownloadError):
  """CelebA is not on this machine and TensorFlow Datasets can't get it."""


class CelebaFileError(hosted_database.DataFileError):
  """What TensorFlow Datasets has prepared of CelebA is damaged."""


_FACES = tfds_images.PictureSet(
  title="CelebA",
  name="celeb_a",
  version="2.1.0",
  url="https://drive.google.com/",
  files=(
    "img_align_celeba.zip",
    "list_eval_partition.txt",
    "list_attr_celeba.txt",
    "list_landmarks_align_celeba.txt",
    "identity_CelebA.txt",
  ),
  page="http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
  obstacle=(
    "Google Drive, where the files are, turns everybody away for a day when too"
    " many have asked for a file, which then shows as a wrong checksum."
  ),
  download_error=CelebaDownloadError,
  file_error=CelebaFileError,
)


def load_arrays(
  attribute: str,
  *,
  split: str,
  data_dir: Optional[str] = None,
  limit: Optional[int] = None,
) -> idx_files.LabelledImages:
  """Loads faces with the class of one attribute.

  Takes what TensorFlow Datasets has prepared as `celeb_a` 2.1.0, and has it
  download (1.4 GB) and prepare that first if it must.

  Pictures are cropped to their central 178 x 178 pixels and averaged down. They
  come in the order of the prepared files, which is shuffled, and the same for
  everyone. The training set takes 2 GB of memory.

  Args:
    attribute: "gender" for 0 female and 1 male, CelebA's attribute Male of all
      pictures. "hair" for 0 black, 1 blond and 2 brown, of the pictures with
      exactly one of Black_Hair, Blond_Hair and Brown_Hair.
    split: "train", "validation" or "test", as CelebA's authors divide it.
    data_dir: TensorFlow Datasets' directory, `TFDS_DATA_DIR` in the environment
      or `~/tensorflow_datasets` if None.
    limit: How many pictures to stop at, at least 1; None for all.

  Returns:
    Images, uint8 `[n, 64, 64, 3]`, RGB, and labels, uint8 `[n]`. Both
    read-only.

  Raises:
    CelebaDownloadError: If the data is not there and can't be had; the message
      says what to do.
    CelebaFileError: If the data is there and damaged.
    TypeError: If `limit` is neither an int nor None.
    ValueError: If `attribute`, `split` or `limit` is none of these.
  """
  tfds_images.check_choice("attribute", attribute, tuple(CLASS_NAMES))
  tfds_images.check_choice("split", split, SPLITS)
  tfds_images.check_limit(limit)
  faces = _FACES.open(split, data_dir)
  return faces.arrays(_gender if attribute == "gender" else _hair, limit)


def _gender(example: Dict[str, Any]) -> tf.Tensor:
  return tf.cast(example["attributes"]["Male"], tf.int64)


def _hair(example: Dict[str, Any]) -> tf.Tensor:
  """The one colour of three that is said to be so, or -1."""
  said = tf.stack(
    [
      example["attributes"][f"{colour.capitalize()}_Hair"]
      for colour in CLASS_NAMES["hair"]
    ]
  )
  count = tf.math.count_nonzero(said)
  return tf.where(count == 1, tf.argmax(tf.cast(said, tf.int64)), -1)
