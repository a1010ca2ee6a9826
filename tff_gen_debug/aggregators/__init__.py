"""What happens to client updates on their way to the server."""

from tff_gen_debug.aggregators.gaussian import gaussian_mean_factory
from tff_gen_debug.aggregators.non_finite import NonFiniteGuardFactory
from tff_gen_debug.aggregators.uniform import UniformWeightFactory

__all__ = [
  "NonFiniteGuardFactory",
  "UniformWeightFactory",
  "gaussian_mean_factory",
]
