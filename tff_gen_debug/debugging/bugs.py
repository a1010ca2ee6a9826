"""Bugs in data: what goes wrong on some devices and nobody may look at.

A bug is a function from an image to an image, on pixels as the clients hold
them: float32 `[28, 28]` or `[28, 28, 1]` in [0, 1], paper 1.0 and ink 0.0.
`inject` gives it to a random share of the users, as Augenstein et al.
(ICLR 2020, arXiv:1911.06679) do with inverted pixels: a user drawn with
probability p has it in all of their data, any other user in none. What needs
more than one image's pixels is in `client_bugs`.
"""

import collections.abc
from typing import Callable, Iterable, List

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.datasets import client_data as client_data_lib
from tff_gen_debug.datasets import client_hash

Bug = Callable[[tf.Tensor], tf.Tensor]

# From a client's data set, and whether the client is affected (bool scalar), to
# the data set that an affected client has.
ClientBug = Callable[[tf.data.Dataset, tf.Tensor], tf.data.Dataset]

_PAPER = 1.0

# Domain of the draws, so that they are independent of others made for the same
# client with the same seed.
_PURPOSE = 0x62756773  # "bugs"

# A quarter of the image: enough to cut into most digits, little enough to
# leave a part of each in view.
_CROP_SHIFT = 7

# How much of its darkness ink keeps. Black becomes the light grey 0.75, which
# can still be read but is lost on a bad screen.
_FAINT_INK = 0.25


def invert_pixels(image: tf.Tensor) -> tf.Tensor:
  """Swaps paper and ink: the bug of the paper, x -> 1 - x.

  Args:
    image: float32 `[28, 28]` or `[28, 28, 1]` in [0, 1].

  Returns:
    float32 of the same shape.
  """
  return 1.0 - image


def rotate_90(image: tf.Tensor) -> tf.Tensor:
  """Turns an image counterclockwise by 90 degrees.

  Args:
    image: float32 `[28, 28]` or `[28, 28, 1]` in [0, 1].

  Returns:
    float32 of the same shape.
  """
  order = [1, 0] + list(range(2, image.shape.rank))
  return tf.reverse(tf.transpose(image, order), axis=[0])


def blank_half(image: tf.Tensor) -> tf.Tensor:
  """Leaves the right half of an image empty.

  Args:
    image: float32 `[28, 28]` or `[28, 28, 1]` in [0, 1].

  Returns:
    float32 of the same shape, columns 14 to 27 paper.
  """
  left = image[:, : image.shape[1] // 2]
  return tf.concat([left, tf.fill(tf.shape(left), _PAPER)], axis=1)


def shifted_crop(image: tf.Tensor) -> tf.Tensor:
  """Cuts the image out in the wrong place, 7 pixels up and to the left.

  What was there moves down and to the right, partly out of the picture; the
  rows and columns that come in are paper.

  Args:
    image: float32 `[28, 28]` or `[28, 28, 1]` in [0, 1].

  Returns:
    float32 of the same shape.
  """
  kept = image[:-_CROP_SHIFT, :-_CROP_SHIFT]
  before = [[_CROP_SHIFT, 0]] * 2 + [[0, 0]] * (image.shape.rank - 2)
  return tf.pad(kept, before, constant_values=_PAPER)


def blank(image: tf.Tensor) -> tf.Tensor:
  """Loses the image: nothing but paper.

  Args:
    image: float32 `[28, 28]` or `[28, 28, 1]` in [0, 1].

  Returns:
    float32 of the same shape, all 1.0.
  """
  return tf.fill(tf.shape(image), _PAPER)


def low_contrast(image: tf.Tensor) -> tf.Tensor:
  """Fades the ink to 25 % of its darkness, x -> 1 - 0.25 (1 - x).

  Args:
    image: float32 `[28, 28]` or `[28, 28, 1]` in [0, 1].

  Returns:
    float32 of the same shape in [0.75, 1].
  """
  return _PAPER - _FAINT_INK * (_PAPER - image)


def affected_clients(
  client_ids: Iterable[str], probability: float, seed: int
) -> List[str]:
  """Returns the clients to whom `inject` gives the bug.

  Each client is drawn with `probability`, independently, by a keyed hash of
  its id: the draw is the same for any set of other clients.

  Args:
    client_ids: Ids of clients.
    probability: In [0, 1]; 0 affects nobody and 1 everybody.
    seed: Integer in [0, 2**63 - 1]. Draws with different seeds are independent.

  Returns:
    The affected ids, in the order of `client_ids`.

  Raises:
    TypeError: If `probability` is not a number or `seed` not an integer.
    ValueError: If `probability` or `seed` is out of range.
  """
  probability = check_probability(probability)
  seed = client_hash.check_seed(seed)
  ids = list(client_ids)
  if not ids:
    return []
  affected = _is_affected(tf.constant(ids), probability, seed).numpy()
  return [client_id for client_id, hit in zip(ids, affected) if hit]


def inject(
  client_data: tff.simulation.datasets.ClientData,
  bug: Bug,
  probability: float,
  seed: int,
) -> tff.simulation.datasets.ClientData:
  """Gives a bug to a random share of the clients.

  Whether a client has it is decided by its id where its data set is made, so
  it is the same in every process, on every worker and after any resumption.

  Args:
    client_data: Examples with `pixels`, float32 images in [0, 1], and any other
      fields, which stay as they are.
    bug: Traceable function from one client's `pixels` tensor to another of the
      same shape and dtype.
    probability: Share of the clients in [0, 1]; 0 affects nobody, 1 everybody.
    seed: Integer in [0, 2**63 - 1].

  Returns:
    Client data with the same clients and element type.

  Raises:
    TypeError: If `probability` is not a number, `seed` not an integer, or `bug`
      not callable.
    ValueError: If `probability` or `seed` is out of range, examples have no
      `pixels`, or `bug` changes their shape or dtype.
  """
  check_callable(bug)
  check_probability(probability)
  client_hash.check_seed(seed)
  _check_keeps_type(bug, client_data.element_type_structure)

  def break_client(
    dataset: tf.data.Dataset, affected: tf.Tensor
  ) -> tf.data.Dataset:
    def maybe_break(example):
      broken = example.copy()
      pixels = example["pixels"]
      broken["pixels"] = tf.where(affected, bug(pixels), pixels)
      return broken

    return dataset.map(maybe_break)

  return inject_client_bug(client_data, break_client, probability, seed)


def inject_client_bug(
  client_data: tff.simulation.datasets.ClientData,
  client_bug: ClientBug,
  probability: float,
  seed: int,
) -> client_data_lib.TracedClientData:
  """Gives a bug of whole data sets to the clients that `inject` would draw.

  Args:
    client_data: Any client data.
    client_bug: Traceable function from a client's data set and a bool scalar to
      another data set. Where the scalar is False, the client is not affected
      and must keep its examples, but for fields that all clients get.
    probability: Share of the clients in [0, 1]; 0 affects nobody, 1 everybody.
    seed: Integer in [0, 2**63 - 1].

  Returns:
    Client data with the same clients.

  Raises:
    TypeError: If `probability` is not a number or `seed` not an integer.
    ValueError: If `probability` or `seed` is out of range.
  """
  probability = check_probability(probability)
  seed = client_hash.check_seed(seed)
  base_fn = client_data.serializable_dataset_fn

  def dataset_fn(client_id: tf.Tensor) -> tf.data.Dataset:
    affected = _is_affected(client_id, probability, seed)
    return client_bug(base_fn(client_id), affected)

  return client_data_lib.TracedClientData(client_data.client_ids, dataset_fn)


def check_probability(probability: float) -> float:
  """Returns `probability` if it is one.

  Args:
    probability: A number in [0, 1].

  Returns:
    The probability as a float.

  Raises:
    TypeError: If it is not a number.
    ValueError: If it is out of range.
  """
  if isinstance(probability, bool) or not isinstance(
    probability, (int, float, np.integer, np.floating)
  ):
    raise TypeError(
      f"probability must be a number, got {type(probability).__name__}"
    )
  if not 0 <= probability <= 1:
    raise ValueError(f"probability must be in [0, 1], got {probability}")
  return float(probability)


def check_callable(bug: Bug) -> None:
  """Raises TypeError unless `bug` is callable."""
  if not callable(bug):
    raise TypeError(f"bug must be callable, got {type(bug).__name__}")


def traced_spec(bug: Bug, spec: tf.TensorSpec) -> tf.TensorSpec:
  """Traces a bug without running it.

  Args:
    bug: Traceable function from a tensor to a tensor.
    spec: What the bug is given.

  Returns:
    The dtype and static shape of what it returns.
  """
  with tf.Graph().as_default():
    result = tf.convert_to_tensor(
      bug(tf.compat.v1.placeholder(spec.dtype, spec.shape))
    )
  return tf.TensorSpec(result.shape, result.dtype)


def _is_affected(
  client_ids: tf.Tensor, probability: float, seed: int
) -> tf.Tensor:
  """Draws each client; bool tensor of the shape of `client_ids`."""
  # Strictly below, for a number in [0, 1): nobody at 0 and everybody at 1.
  return client_hash.uniform(client_ids, seed, _PURPOSE) < probability


def _check_keeps_type(bug: Bug, element_spec) -> None:
  """Raises ValueError unless `bug` keeps the pixels' shape and dtype."""
  if (
    not isinstance(element_spec, collections.abc.Mapping)
    or "pixels" not in element_spec
  ):
    raise ValueError(
      f"client_data must have examples with `pixels`, got {element_spec}"
    )
  spec = element_spec["pixels"]
  result = traced_spec(bug, spec)
  if result.shape != spec.shape or result.dtype != spec.dtype:
    raise ValueError(
      f"bug must keep pixels of {spec}, got {result.dtype.name} of shape"
      f" {result.shape}"
    )
