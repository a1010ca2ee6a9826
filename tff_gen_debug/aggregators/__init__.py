"""What happens to client updates on their way to the server."""

from tff_gen_debug.aggregators.adaptive import adaptive_gaussian_mean_factory
from tff_gen_debug.aggregators.auditing import audit_factory
from tff_gen_debug.aggregators.auditing import mean_canary
from tff_gen_debug.aggregators.auditing import vote_canary
from tff_gen_debug.aggregators.distributed_topagg import (
  DistributedTopAggFactory,
)
from tff_gen_debug.aggregators.gaussian import gaussian_mean_factory
from tff_gen_debug.aggregators.gradient_codes import ClippedCode
from tff_gen_debug.aggregators.gradient_codes import GradientCode
from tff_gen_debug.aggregators.gradient_codes import ProjectedCode
from tff_gen_debug.aggregators.gradient_codes import TopKSignCode
from tff_gen_debug.aggregators.image_votes import ImageVoteFactory
from tff_gen_debug.aggregators.image_votes import ImageVoteQuery
from tff_gen_debug.aggregators.image_votes import image_vote_factory
from tff_gen_debug.aggregators.non_finite import NonFiniteGuardFactory
from tff_gen_debug.aggregators.projected_codes import BinVoteCode
from tff_gen_debug.aggregators.projected_codes import LowFrequencyCode
from tff_gen_debug.aggregators.random_k import RandomKFactory
from tff_gen_debug.aggregators.top_k import TopKFactory
from tff_gen_debug.aggregators.top_k_sign_query import TopKSignSumQuery
from tff_gen_debug.aggregators.topagg import TopAggFactory
from tff_gen_debug.aggregators.topagg import topagg_factory
from tff_gen_debug.aggregators.tree import tree_mean_factory
from tff_gen_debug.aggregators.uniform import UniformWeightFactory
from tff_gen_debug.aggregators.wide_sum import WideSumFactory

__all__ = [
  "BinVoteCode",
  "ClippedCode",
  "DistributedTopAggFactory",
  "GradientCode",
  "ImageVoteFactory",
  "ImageVoteQuery",
  "LowFrequencyCode",
  "NonFiniteGuardFactory",
  "ProjectedCode",
  "RandomKFactory",
  "TopAggFactory",
  "TopKFactory",
  "TopKSignCode",
  "TopKSignSumQuery",
  "UniformWeightFactory",
  "WideSumFactory",
  "adaptive_gaussian_mean_factory",
  "audit_factory",
  "gaussian_mean_factory",
  "image_vote_factory",
  "mean_canary",
  "topagg_factory",
  "tree_mean_factory",
  "vote_canary",
]
