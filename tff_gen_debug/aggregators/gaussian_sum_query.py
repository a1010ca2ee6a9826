"""What DP queries share that add Gaussian noise to a sum of bounded records."""

from typing import Any

import dp_accounting
import tensorflow as tf
import tensorflow_privacy as tfp


class GaussianSumQuery(tfp.SumAggregationDPQuery):
  """Noise on a sum whose sensitivity a subclass knows; there is no state.

  A subclass bounds its records in `preprocess_record`.

  Formal guarantees: a result is the event `dp_accounting.GaussianDpEvent` of
  the noise multiplier, if no neighbour moves the sum by more than the
  sensitivity in L2 norm.
  """

  def __init__(self, noise_multiplier: float, l2_sensitivity: float):
    """Initializes the query.

    Args:
      noise_multiplier: Standard deviation of the noise, divided by the
        sensitivity; at least 0, as a subclass has checked.
      l2_sensitivity: How far the sum moves between neighbours, at most.
    """
    self._noise_multiplier = noise_multiplier
    self._sensitivity = l2_sensitivity

  @property
  def l2_sensitivity(self) -> float:
    """How far the whole sum moves between neighbours, at most."""
    return self._sensitivity

  @property
  def noise_stddev(self) -> float:
    """Standard deviation of the noise on each number of the sum."""
    return self._noise_multiplier * self._sensitivity

  def initial_global_state(self):
    return ()

  def derive_sample_params(self, global_state):
    del global_state
    return ()

  def get_noised_result(self, sample_state: Any, global_state: Any):
    """Adds the noise.

    Args:
      sample_state: A structure of sums.
      global_state: Returned as it is.

    Returns:
      The noised sums (float32), the state, and the `dp_accounting.DpEvent`.
    """

    def add_noise(value):
      total = tf.cast(value, tf.float32)
      if not self._noise_multiplier:
        return total
      # Without a seed it is new at every call, also after a restart.
      return total + tf.random.normal(tf.shape(total), stddev=self.noise_stddev)

    return (
      tf.nest.map_structure(add_noise, sample_state),
      global_state,
      dp_accounting.GaussianDpEvent(self._noise_multiplier),
    )
