"""A client's vote: the signs of the largest entries of its update.

The compression of DataLens (Wang et al., 2021, arXiv 2103.11109, algorithm 1).
The entries are found by counting the bits of their magnitudes, 16 at a time,
which is exact and, unlike a partial sort, takes the same time for every k.
"""

from typing import Any, Callable, Optional, Tuple

import numpy as np
import tensorflow as tf

_LEVEL_BITS = 16


def flat_size(specs: Any) -> int:
  """The number of coordinates of all tensors of a structure together.

  Args:
    specs: A structure of tensors or `tf.TensorSpec`s.

  Returns:
    The number of coordinates.

  Raises:
    TypeError: If a tensor is not floating, or its shape is not fully defined.
  """
  size = 0
  for spec in tf.nest.flatten(specs):
    if not spec.dtype.is_floating:
      raise TypeError(
        "updates must be floating point, whose signs are votes; got"
        f" {spec.dtype.name}: cast integers to float32 first"
      )
    if not spec.shape.is_fully_defined():
      raise TypeError(
        f"updates must have fully defined shapes, got {spec.shape}"
      )
    size += spec.shape.num_elements()
  return size


def check_top_k(top_k: int, specs: Any) -> None:
  """Raises ValueError if an update has fewer than `top_k` coordinates.

  Args:
    top_k: How many of them are to be chosen.
    specs: A structure of tensors or `tf.TensorSpec`s.

  Raises:
    TypeError: As `flat_size` does.
    ValueError: If there are too few.
  """
  size = flat_size(specs)
  if top_k > size:
    raise ValueError(
      f"top_k must be at most {size}, the coordinates of an update, got {top_k}"
    )


def cast_votes(
  update: Any,
  top_k: int,
  *,
  coordinate_clip: Optional[float] = None,
  stochastic: bool = True,
  dtype: tf.DType = tf.int8,
) -> Any:
  """Votes with the signs of the `top_k` largest entries of a whole update.

  All tensors are flattened into one vector g. Let H be its `top_k` entries of
  largest magnitude (equal ones: those that come first) and b the largest
  magnitude, or `coordinate_clip` if that is less. In H the vote is +1 with
  probability 1/2 + g_j / (2 b), cut to [0, 1], and -1 otherwise, or simply the
  sign of g_j if not `stochastic`. Outside H it is 0.

  An entry of 0 casts no vote, even if fewer than `top_k` others are left; the
  authors' code lets it vote at random, which has the same mean. Magnitudes
  below the smallest normal number count as 0, on all processors alike. An
  update that is not finite casts no vote at all.

  Formal guarantees: at most `top_k` votes are cast, whatever the update, so
  that their L2 norm is at most sqrt(`top_k`).

  Args:
    update: A structure of floating tensors of defined shapes.
    top_k: How many votes to cast at most, >= 0.
    coordinate_clip: The magnitude above which a stochastic vote is certain;
      None for that of the largest entry.
    stochastic: Whether the votes are drawn.
    dtype: An integer type.

  Returns:
    -1, 0 or 1 for each entry, of `dtype`, in the structure of `update`.
  """
  flat, unflatten = flatten(update)
  wide = flat.dtype
  voters = largest_entries(flat, top_k)
  if stochastic:
    bound = tf.reduce_max(tf.abs(flat))
    if coordinate_clip is not None:
      bound = tf.minimum(bound, tf.cast(coordinate_clip, wide))
    # A draw from [-1, 1) lies below g / b with the wanted probability. Where b
    # is 0 or not finite, nobody votes.
    draws = tf.random.uniform(tf.shape(flat), -1.0, 1.0, wide)
    positive = draws < flat / bound
  else:
    positive = flat > 0
  signs = tf.where(positive, tf.ones([], dtype), -tf.ones([], dtype))
  votes = tf.where(voters, signs, tf.zeros([], dtype))
  return unflatten(votes)


def flatten(update: Any) -> Tuple[tf.Tensor, Callable[[tf.Tensor], Any]]:
  """One vector of all tensors of a structure.

  Args:
    update: A structure of floating tensors of defined shapes.

  Returns:
    float32 `[d]`, or float64 if one of the tensors is, and a function from a
    vector `[d]` of any dtype back to the structure.
  """
  tensors = tf.nest.flatten(update)
  wide = tf.float64 if tf.float64 in {t.dtype for t in tensors} else tf.float32
  flat = tf.concat([tf.reshape(tf.cast(t, wide), [-1]) for t in tensors], 0)
  sizes = [t.shape.num_elements() for t in tensors]

  def unflatten(vector):
    parts = [
      tf.reshape(part, t.shape)
      for part, t in zip(tf.split(vector, sizes), tensors)
    ]
    return tf.nest.pack_sequence_as(update, parts)

  return flat, unflatten


def largest_entries(flat: tf.Tensor, top_k: int) -> tf.Tensor:
  """Marks the entries of largest magnitude of a vector.

  Args:
    flat: float32 or float64 `[d]`.
    top_k: How many to mark at most, >= 0.

  Returns:
    bool `[d]`. Of equal entries those are marked that come first; zeros and
    subnormal numbers never are, nor is any entry of a vector that is not
    finite.
  """
  return _largest(_magnitudes(flat), top_k)


def _magnitudes(flat: tf.Tensor) -> tf.Tensor:
  """Integers in the order of the absolute values; all 0 if one isn't finite.

  The bits of a float without its sign are in the order of its magnitude, and
  unlike arithmetic on floats they don't depend on what a processor does with
  subnormal numbers.
  """
  numbers = flat.dtype.as_numpy_dtype
  kind = tf.int32 if flat.dtype == tf.float32 else tf.int64
  integers = kind.as_numpy_dtype
  bits = tf.bitcast(flat, kind) & np.array(kind.max, integers)
  infinite = np.array(np.inf, numbers).view(integers)
  least = np.finfo(numbers).tiny.view(integers)
  is_update = tf.reduce_all(bits < infinite)
  return tf.where(is_update & (bits >= least), bits, tf.zeros([], kind))


def _largest(magnitudes: tf.Tensor, k: int) -> tf.Tensor:
  """Marks the k largest of non-negative integers, but no zeros."""
  # The bits of the k-th largest are fixed from the left: by how many of the
  # numbers that share those already fixed have which following bits.
  left = tf.convert_to_tensor(k, tf.int32)
  prefix = tf.zeros([], magnitudes.dtype)
  candidates = magnitudes
  digit_values = 2**_LEVEL_BITS
  for shift in range(8 * magnitudes.dtype.size - _LEVEL_BITS, -1, -_LEVEL_BITS):
    leading = tf.bitwise.right_shift(
      candidates, tf.constant(shift, candidates.dtype)
    )
    digits = tf.cast(leading % digit_values, tf.int32)
    counts = tf.math.bincount(digits, minlength=digit_values)
    at_least = tf.cumsum(counts, reverse=True)
    enough = tf.math.count_nonzero(at_least >= left, dtype=tf.int32)
    # Not enough is only possible at the start: then all numbers are wanted.
    digit = tf.maximum(enough, 1) - 1
    left -= at_least[digit] - counts[digit]
    prefix = prefix * digit_values + tf.cast(digit, prefix.dtype)
    candidates = tf.boolean_mask(candidates, tf.equal(leading, prefix))
  above = magnitudes > prefix
  equal = tf.equal(magnitudes, prefix) & (prefix > 0)
  equal = tf.cond(
    tf.size(candidates) > left,
    lambda: equal & (tf.cumsum(tf.cast(equal, tf.int32)) <= left),
    lambda: equal,
  )
  return above | equal
