"""Seeds of all that a process draws, so that a repeated round repeats exactly.

Stateless random ops of TensorFlow take two integers. Folding a number into
them gives seeds that look independent, so a tree of seeds hangs from the one
that a process was built with: round by round, client by client, use by use.
"""

import numbers

import numpy as np
import tensorflow as tf

from tff_gen_debug.privacy import validation


def make_seed(seed: int, *data) -> tf.Tensor:
  """A stateless seed, int32 of shape [2], from a Python int and integers."""
  if isinstance(seed, bool) or not isinstance(seed, numbers.Integral):
    raise TypeError(f"seed must be an integer, got {validation.shown(seed)}")
  unsigned = int(seed) % 2**64
  halves = np.array([unsigned >> 32, unsigned % 2**32], np.uint32)
  return fold_in(tf.constant(halves.view(np.int32)), *data)


def fold_in(seed: tf.Tensor, *data) -> tf.Tensor:
  """Derives a seed, int32 of shape [2], from `seed` and integers."""
  for value in data:
    seed = tf.random.experimental.stateless_fold_in(seed, value)
  return seed


def client_seed(round_seed: tf.Tensor, examples) -> tf.Tensor:
  """The seed of all that one client draws in one round."""
  return fold_in(round_seed, fingerprint(examples))


def fingerprint(examples) -> tf.Tensor:
  """A number in [0, 2^31 - 1) that depends on every byte of `examples`.

  Clients do not know who they are, and must not draw the same noise. Folding
  this into the round's seed makes a client's work a function of its own data
  and the round, so that a repeated round repeats exactly.

  Args:
    examples: A tensor, or a structure of tensors.

  Returns:
    An int64 scalar.
  """
  parts = [tf.io.serialize_tensor(x) for x in tf.nest.flatten(examples)]
  return tf.strings.to_hash_bucket_fast(tf.strings.join(parts), 2**31 - 1)
