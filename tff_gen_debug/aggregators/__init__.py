"""What happens to client updates on their way to the server."""

from tff_gen_debug.aggregators.adaptive import adaptive_gaussian_mean_factory
from tff_gen_debug.aggregators.gaussian import gaussian_mean_factory
from tff_gen_debug.aggregators.non_finite import NonFiniteGuardFactory
from tff_gen_debug.aggregators.tree import tree_mean_factory
from tff_gen_debug.aggregators.uniform import UniformWeightFactory

__all__ = [
  "NonFiniteGuardFactory",
  "UniformWeightFactory",
  "adaptive_gaussian_mean_factory",
  "gaussian_mean_factory",
  "tree_mean_factory",
]
