"""Random numbers that belong to a client, whoever draws them.

They come from SipHash of the client's id, keyed with the seed and with what
the numbers are for. A client therefore gets the same number in every process,
on every worker, in any order and after any resumption, and draws for two
purposes with one seed are independent.
"""

from typing import List

import tensorflow as tf

from tff_gen_debug import arguments

# The hash is an integer below this; 2**52 of them are exact in a float64.
_RESOLUTION = 2**52

# SipHash keys are two 64-bit words, passed as signed attributes.
_MAX_SEED = 2**63 - 1


def check_seed(seed: int) -> int:
  """Returns `seed` if the hash can be keyed with it.

  Args:
    seed: An integer in [0, 2**63 - 1].

  Returns:
    The seed as an int.

  Raises:
    TypeError: If it is not an integer.
    ValueError: If it is out of range.
  """
  if isinstance(seed, bool) or not hasattr(seed, "__index__"):
    raise TypeError(f"seed must be an int, got {type(seed).__name__}")
  seed = seed.__index__()
  if not 0 <= seed <= _MAX_SEED:
    raise ValueError(
      f"seed must be in [0, 2**63 - 1], got {arguments.shown(seed)}"
    )
  return seed


def uniform(client_ids: tf.Tensor, seed: int, purpose: int) -> tf.Tensor:
  """Draws one number in [0, 1) for each client.

  Args:
    client_ids: String tensor of any shape.
    seed: The seed, as `check_seed` takes it.
    purpose: What the number is for, a constant of the caller's in
      [0, 2**63 - 1]. Different purposes give independent numbers.

  Returns:
    float64 tensor of the shape of `client_ids`.
  """
  key: List[int] = [check_seed(seed), purpose]
  bucket = tf.strings.to_hash_bucket_strong(client_ids, _RESOLUTION, key)
  return tf.cast(bucket, tf.float64) / _RESOLUTION


def stateless_seed(client_id: tf.Tensor, seed: int, purpose: int) -> tf.Tensor:
  """Returns a client's seed for TensorFlow's stateless random ops.

  Args:
    client_id: String scalar.
    seed: The seed, as `check_seed` takes it.
    purpose: As in `uniform`.

  Returns:
    int64 `[2]`.
  """
  key: List[int] = [check_seed(seed), purpose]
  halves = tf.strings.join([client_id, ["/0", "/1"]])
  return tf.strings.to_hash_bucket_strong(halves, _MAX_SEED, key)
