"""Sums over clients with Gaussian noise, computed in TFF.

For metrics whose clients each send a vector without negative entries, of an L2
norm of at most some bound: shares of their examples, or a one-hot vector.
"""

from collections.abc import Sequence
import math

import numpy as np
import tensorflow_federated as tff
import tensorflow_privacy as tfp

# How far such a sum moves between neighbours, in L2 norm and in bounds. Two
# vectors without negative entries are at most a right angle apart, so replacing
# one by another moves it by sqrt(2), not by 2.
SENSITIVITIES = {"add_or_remove_one": 1.0, "replace_one": math.sqrt(2.0)}


def noised_sum(
  client_vector: tff.Computation,
  client_ids: Sequence[str],
  *,
  l2_norm_clip: float,
  stddev: float,
) -> np.ndarray:
  """Sums what clients send and adds noise.

  Args:
    client_vector: From a client's id to its float32 tensor without negative
      entries, of an L2 norm of at most `l2_norm_clip`; it is clipped there,
      against rounding.
    client_ids: Whom to ask, each once.
    l2_norm_clip: The bound, > 0.
    stddev: Standard deviation of the noise on each entry of the sum, >= 0.

  Returns:
    float64, of the shape of what a client sends.
  """
  query = tfp.GaussianSumQuery(l2_norm_clip=l2_norm_clip, stddev=stddev)
  process = tff.aggregators.DifferentiallyPrivateFactory(query).create(
    client_vector.type_signature.result
  )

  @tff.federated_computation(tff.FederatedType(np.str_, tff.CLIENTS))
  def sum_over(ids):
    vectors = tff.federated_map(client_vector, ids)
    return process.next(process.initialize(), vectors).result

  return np.asarray(sum_over(client_ids), np.float64)
