"""Sums of integers to which the clients themselves add discrete noise."""

import math
from typing import Any

import dp_accounting
import tensorflow as tf
import tensorflow_privacy as tfp

from tff_gen_debug.privacy import validation

# TFF's secure sums take a modulus and values in int32, of which the largest
# power of two is this.
MAX_MODULUS = 2**30
# Up to here tensorflow-privacy's float32 standard deviations are exact.
_MAX_STDDEV = 2**24
# The chance that any coordinate of a round wraps around.
_WRAP_PROBABILITY = 1e-9


def modulus_for(largest_sum: int, *, stddev: float, coordinates: int) -> int:
  """The modulus under which noised sums don't wrap around.

  A discrete Gaussian, and so a sum of some, exceeds t standard deviations on
  one side with probability exp(-t^2 / 2) at most (Canonne, Kamath and Steinke,
  2020, arXiv 2004.00010). Wrapping is post-processing: it spoils a coordinate,
  not the privacy.

  Args:
    largest_sum: The largest magnitude of a sum without noise.
    stddev: Standard deviation of the noise on a sum.
    coordinates: How many sums there are.

  Returns:
    A power of two, above `MAX_MODULUS` if it must be, with which a sum of all
    these wraps around anywhere with probability 1e-9 at most. A power of two
    divides 2**32, so that a simulation may add residues in int32.
  """
  deviations = math.sqrt(2 * math.log(2 * coordinates / _WRAP_PROBABILITY))
  most = largest_sum + math.ceil(deviations * stddev)
  # Residues stand for [-modulus / 2, modulus / 2).
  return 2 ** (2 * most).bit_length()


class DiscreteNoiseSumQuery(tfp.SumAggregationDPQuery):
  """A modular sum of integer records, each with noise of its own.

  The distributed discrete Gaussian mechanism without its rounding (Kairouz, Liu
  and Steinke, 2021, arXiv 2102.06387): a record of integers is multiplied by
  `weight`, and discrete Gaussian noise is added to each of its coordinates, by
  `tfp.DistributedDiscreteGaussianSumQuery`. To be summed by
  `tff.aggregators.SecureModularSumFactory(modulus)`. The result is the sum with
  its noise, in units of the records, float32.

  Formal guarantees: as `privacy.discrete_gaussian.concentrated_epsilon` has it,
  for the noise of those records whose noise is secret. No noise is cut off. The
  event is what the caller says: the query doesn't know the cohort.

  Edge cases: a `share_stddev` of 0 adds nothing. Sums outside [-`modulus` / 2,
  `modulus` / 2) wrap around. The sampler rejects in float64 and draws from
  TensorFlow's generator, which is not a cryptographic one. A seed from
  `tf.random.set_seed` has no hold on TFF's graphs; outside of them, in eager
  mode, all tensors would have the same noise under it.
  """

  def __init__(
    self,
    *,
    l2_norm: float,
    weight: int,
    share_stddev: int,
    modulus: int,
    event: dp_accounting.DpEvent,
  ):
    """Initializes the query.

    Args:
      l2_norm: The largest L2 norm of a record; larger ones fail on the client.
      weight: What records are multiplied by, at least 1.
      share_stddev: Standard deviation of the noise of one record after that, at
        least 0 and at most 2**24.
      modulus: Even, in [2, 2**30].
      event: What a result costs.

    Raises:
      TypeError: If an argument has the wrong type.
      ValueError: If an argument is out of its range.
    """
    l2_norm = validation.positive("l2_norm", l2_norm)
    self._weight = validation.integer("weight", weight, 1)
    self._share_stddev = validation.integer("share_stddev", share_stddev, 0)
    if share_stddev > _MAX_STDDEV:
      raise ValueError(
        f"share_stddev must be at most {_MAX_STDDEV}, got {share_stddev}:"
        " lower the noise multiplier"
      )
    self._modulus = validation.integer("modulus", modulus, 2)
    if modulus % 2 or modulus > MAX_MODULUS:
      raise ValueError(
        f"modulus must be even and at most {MAX_MODULUS}, got {modulus}"
      )
    self._event = event
    self._noise = tfp.DistributedDiscreteGaussianSumQuery(
      # A little more, for the float32 in which the norm is checked.
      l2_norm_bound=1.001 * l2_norm * weight,
      local_stddev=float(share_stddev),
    )

  def initial_global_state(self):
    return ()

  def derive_sample_params(self, global_state):
    del global_state
    return ()

  def preprocess_record(self, params, record):
    """Weighs a record and adds its noise.

    Args:
      params: Unused.
      record: A structure of int32 tensors.

    Returns:
      Integers of any size in the structure of `record`, int32.
    """
    del params
    weighed = tf.nest.map_structure(lambda t: t * self._weight, record)
    if not self._share_stddev:
      # The sampler takes a 0 too, but TensorFlow's optimizer aborts on it.
      return weighed
    state = self._noise.initial_global_state()
    return self._noise.preprocess_record(
      self._noise.derive_sample_params(state), weighed
    )

  def get_noised_result(self, sample_state: Any, global_state: Any):
    """Turns residues into sums.

    Args:
      sample_state: Sums of preprocessed records in [0, modulus), int32.
      global_state: Returned as it is.

    Returns:
      The noised sums (float32), the state, and the `dp_accounting.DpEvent`.
    """

    def unwrap(residues):
      wraps = tf.cast(residues >= self._modulus // 2, residues.dtype)
      total = residues - self._modulus * wraps
      # Rounded once: a sum may have more bits than float32.
      return tf.cast(tf.cast(total, tf.float64) / self._weight, tf.float32)

    return (
      tf.nest.map_structure(unwrap, sample_state),
      global_state,
      self._event,
    )
