"""TopAgg's vote and its noise as a DP query of tensorflow-privacy."""

import math
from typing import Optional

import tensorflow as tf

from tff_gen_debug.aggregators import gaussian_sum_query
from tff_gen_debug.aggregators import top_k_votes
from tff_gen_debug.privacy import neighbors
from tff_gen_debug.privacy import validation

# Sums of votes are counted in int32, but become float32 for the noise.
MAX_CLIENTS = 2**24


class TopKSignSumQuery(gaussian_sum_query.GaussianSumQuery):
  """A noised sum of votes, each the signs of the largest entries of a record.

  Wang et al. (2021), DataLens, arXiv 2103.11109, algorithm 2, up to the
  threshold, which is post-processing; see `top_k_votes.cast_votes` for the
  votes. The result is the sum plus Gaussian noise on every coordinate, in the
  structure of a record, in float32 whatever the record's dtype.

  Formal guarantees: a record's votes have L2 norm sqrt(`top_k`) at most, which
  a record with that many entries reaches. The sum's sensitivity is that for
  add-or-remove-one, and twice that for replace-one neighbours, who may vote in
  opposite ways. A result is the event `dp_accounting.GaussianDpEvent` of
  `noise_multiplier`. That votes are drawn adds no privacy and is not accounted.

  Edge cases: a record of zeros, or with a NaN, votes nowhere. The sum is exact
  for fewer than 2**24 records. Records must have at least `top_k` coordinates
  for the sensitivity to be no larger than need be.
  """

  def __init__(
    self,
    top_k: int,
    *,
    noise_multiplier: float,
    coordinate_clip: Optional[float] = None,
    stochastic: bool = True,
    neighboring_relation: str = "add_or_remove_one",
    vote_dtype: tf.DType = tf.int32,
  ):
    """Initializes the query.

    Args:
      top_k: How many coordinates of all tensors together a record votes on, at
        least 1.
      noise_multiplier: Standard deviation of the noise, divided by the
        sensitivity of the sum; at least 0.
      coordinate_clip: The magnitude above which a stochastic vote is certain,
        positive; None for that of a record's largest entry.
      stochastic: Whether votes are drawn, or are just the signs.
      neighboring_relation: "add_or_remove_one" or "replace_one".
      vote_dtype: The integer type of a preprocessed record; `tf.int8` is enough
        for one record, but not for sums of more than 127.

    Raises:
      TypeError: If an argument has the wrong type.
      ValueError: If an argument is out of its range.
    """
    self._top_k = validation.integer("top_k", top_k, 1)
    noise_multiplier = validation.non_negative(
      "noise_multiplier", noise_multiplier
    )
    if coordinate_clip is not None:
      coordinate_clip = validation.positive("coordinate_clip", coordinate_clip)
    self._coordinate_clip = coordinate_clip
    self._stochastic = bool(stochastic)
    relation = validation.one_of(
      "neighboring_relation",
      neighboring_relation,
      tuple(neighbors.SENSITIVITY_FACTORS),
    )
    super().__init__(
      noise_multiplier,
      neighbors.SENSITIVITY_FACTORS[relation] * math.sqrt(top_k),
    )
    if not tf.as_dtype(vote_dtype).is_integer:
      raise TypeError(f"vote_dtype must be an integer type, got {vote_dtype}")
    self._vote_dtype = tf.as_dtype(vote_dtype)

  @property
  def top_k(self) -> int:
    """How many coordinates a record votes on, at most."""
    return self._top_k

  def initial_sample_state(self, template=None):
    return tf.nest.map_structure(
      lambda t: tf.zeros(t.shape, tf.int32), template
    )

  def preprocess_record(self, params, record):
    """Turns a record into its votes; see `top_k_votes.cast_votes`."""
    del params
    return top_k_votes.cast_votes(
      record,
      self._top_k,
      coordinate_clip=self._coordinate_clip,
      stochastic=self._stochastic,
      dtype=self._vote_dtype,
    )

  def accumulate_preprocessed_record(self, sample_state, preprocessed_record):
    return tf.nest.map_structure(
      lambda total, votes: total + tf.cast(votes, total.dtype),
      sample_state,
      preprocessed_record,
    )
