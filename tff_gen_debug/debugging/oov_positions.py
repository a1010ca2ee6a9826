"""Where in the sentence out-of-vocabulary (OOV) words are, as a private metric.

The first figure of the OOV experiment of Augenstein et al. (2020, arXiv
1911.06679): when a bug joins the first two tokens of some sentences, the share
of OOV tokens jumps at position 1 and nowhere else. It says where to look; what
the words are, only a generative model trained on them can show.
"""

import collections
from collections.abc import Sequence
import dataclasses
import math
from typing import Any, Optional

import dp_accounting
import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.datasets import tokenization
from tff_gen_debug.datasets import vocabulary as vocabulary_lib
from tff_gen_debug.debugging import asked_clients
from tff_gen_debug.debugging import noised_sums
from tff_gen_debug.privacy import releases as release_lib
from tff_gen_debug.privacy import validation


@dataclasses.dataclass(frozen=True, eq=False)
class OovPositions:
  """Noised sums over users, and the shares of OOV tokens that follow.

  Attributes:
    known: `[length]`: sum over users of the share of their sentences that have
      a word of the vocabulary at position 1, 2, ..., length.
    unknown: `[length]`: the same for words outside the vocabulary.
    noise_multiplier: Standard deviation of the noise on each sum, divided by
      the sensitivity under `neighboring_relation`; 0 if the sums are exact.
    neighboring_relation: "add_or_remove_one" or "replace_one".
    num_users: How many users were asked.
  """

  known: np.ndarray
  unknown: np.ndarray
  noise_multiplier: float
  neighboring_relation: str
  num_users: int

  @property
  def length(self) -> int:
    """The number of positions."""
    return len(self.known)

  @property
  def present(self) -> np.ndarray:
    """`[length]`: sum over users of the share of sentences that long."""
    return self.known + self.unknown

  @property
  def shares(self) -> np.ndarray:
    """`[length]`: the share of OOV words among those at each position.

    Each user counts as the share of their sentences that reach the position,
    however many sentences they have. NaN where the noise left nothing to divide
    by; else in [0, 1].
    """
    with np.errstate(divide="ignore", invalid="ignore"):
      shares = np.clip(self.unknown / self.present, 0.0, 1.0)
    return np.where(self.present > 0, shares, np.nan)

  @property
  def noise_stddev(self) -> float:
    """Standard deviation of the noise on each of the sums."""
    sensitivity = l2_sensitivity(self.length, self.neighboring_relation)
    return self.noise_multiplier * sensitivity

  @property
  def standard_errors(self) -> np.ndarray:
    """`[length]`: standard errors of `shares`, by the delta method.

    Two parts, for a share r of a sum A = known + unknown. The noise of standard
    deviation s on both sums adds s² ((1 - r)² + r²) / A², which is known. That
    other users might have been asked adds at most r (1 - r) / A: no
    distribution over users of shares with mean r has a larger variance than
    r (1 - r). So these are upper bounds. Infinite where `shares` is NaN.
    """
    shares = np.nan_to_num(self.shares)
    present = np.where(self.present > 0, self.present, np.nan)
    noise = self.noise_stddev**2 * ((1 - shares) ** 2 + shares**2) / present**2
    users = shares * (1 - shares) / present
    return np.nan_to_num(np.sqrt(noise + users), nan=np.inf)

  @property
  def event(self) -> Optional[dp_accounting.DpEvent]:
    """The cost, for a ledger with `neighboring_relation`; None if exact."""
    if not self.noise_multiplier:
      return None
    return dp_accounting.GaussianDpEvent(self.noise_multiplier)

  @property
  def release(self) -> release_lib.Release:
    """The record for the report."""
    noise = (
      f"with Gaussian noise (noise multiplier {self.noise_multiplier:g})"
      if self.noise_multiplier
      else "exactly"
    )
    return release_lib.Release(
      name="OOV share by position",
      what=(
        f"sums over {self.num_users} users of the shares of their sentences "
        f"with a known and an unknown word at positions 1 to {self.length}, "
        f"{noise}"
      ),
      event=self.event,
    )

  def to_dict(self) -> dict[str, Any]:
    """The numbers, for report.json."""
    return {
      "shares": self.shares.tolist(),
      "standard_errors": self.standard_errors.tolist(),
      "noise_multiplier": self.noise_multiplier,
      "neighboring_relation": self.neighboring_relation,
      "num_users": self.num_users,
    }


def l2_sensitivity(length: int, neighboring_relation: str) -> float:
  """How far one user can move the sums, in L2 norm; see the guarantees below.

  Args:
    length: The number of positions, >= 1.
    neighboring_relation: "add_or_remove_one" or "replace_one".

  Returns:
    The sensitivity.
  """
  return math.sqrt(length) * noised_sums.SENSITIVITIES[neighboring_relation]


def sentence_shares(
  dataset: tf.data.Dataset,
  vocabulary: vocabulary_lib.Vocabulary,
  *,
  length: int,
  max_sentences: int,
) -> tf.Tensor:
  """One client's shares of sentences with a known and an unknown word.

  Args:
    dataset: Elements `OrderedDict(words=string [n])`, a sentence each; n may be
      0, and there may be no sentences.
    vocabulary: What counts as known.
    length: The number of positions, >= 1.
    max_sentences: At most the first so many sentences count, >= 1.

  Returns:
    float32 `[2, length]`: known, then unknown; both zero without sentences.
  """
  # Batched rather than reduced: a worker instantiates a data set's function
  # anew at each call. The added sentence without words makes sure of a batch.
  sentence = tf.data.Dataset.from_tensors(
    collections.OrderedDict(words=tf.zeros([0], tf.string))
  )
  batch = dataset.take(max_sentences).concatenate(sentence)
  ragged = batch.ragged_batch(max_sentences + 1).get_single_element()["words"]
  num_sentences = ragged.nrows() - 1
  starts = tf.gather(ragged.row_starts(), ragged.value_rowids())
  positions = tf.range(tf.size(ragged.values, tf.int64)) - starts
  is_early = positions < length
  positions = tf.boolean_mask(positions, is_early)
  words = tf.boolean_mask(ragged.values, is_early)
  is_unknown = tf.cast(vocabulary.lookup(words) < 0, tf.int64)
  counts = tf.math.unsorted_segment_sum(
    tf.ones_like(positions), is_unknown * length + positions, 2 * length
  )
  counts = tf.reshape(counts, [2, length])
  shares = counts / tf.maximum(num_sentences, 1)
  return tf.cast(shares, tf.float32)


def measure_oov_positions(
  client_data: tff.simulation.datasets.ClientData,
  vocabulary: vocabulary_lib.Vocabulary,
  client_ids: Optional[Sequence[str]] = None,
  *,
  noise_multiplier: float,
  neighboring_relation: str = "add_or_remove_one",
  length: int = 20,
  max_sentences: int = 1000,
) -> OovPositions:
  """Sums each client's shares of known and unknown words by position, in TFF.

  Formal guarantees: at each position a client's two shares are not negative and
  sum to at most 1, so their squares do too, and the L2 norm of what the client
  sends is at most sqrt(length); it is clipped there against rounding. Adding or
  removing a user therefore moves the sums by at most sqrt(length). Replacing
  one moves them by at most sqrt(2 length): two vectors without negative entries
  are at most a right angle apart. The release is a Gaussian mechanism with
  noise of standard deviation noise_multiplier x sensitivity on each sum
  (`OovPositions.event`).

  Edge cases: a client without sentences adds nothing. With a noise multiplier
  of 0 the sums are exact, and the release says that it is not private. No
  amplification is claimed for `client_ids` that are a sample of a larger
  population.

  Args:
    client_data: The users' sentences, elements as `tokenization.split_words`
      makes them.
    vocabulary: The primary model's vocabulary.
    client_ids: Whom to ask; by default all clients of `client_data`.
    noise_multiplier: Standard deviation of the noise on each sum, divided by
      the sensitivity; finite, >= 0.
    neighboring_relation: "add_or_remove_one" or "replace_one", as the plan's.
    length: Number of positions from the start of a sentence, >= 1.
    max_sentences: How many sentences of a client count, its first, >= 1. Only
      bounds the client's work: shares don't grow with the sentences.

  Returns:
    The noised sums; record their `event` in the ledger once.

  Raises:
    TypeError: If an argument has the wrong type.
    ValueError: If an argument breaks its rule, or `client_data` has elements of
      another type.
  """
  noise_multiplier = validation.non_negative(
    "noise_multiplier", noise_multiplier
  )
  neighboring_relation = validation.one_of(
    "neighboring_relation",
    neighboring_relation,
    tuple(noised_sums.SENSITIVITIES),
  )
  length = validation.integer("length", length, 1)
  max_sentences = validation.integer("max_sentences", max_sentences, 1)
  tokenization.check_words(client_data)
  client_ids = asked_clients.resolve(client_data, client_ids)

  @tff.tensorflow.computation(np.str_)
  def client_shares(client_id):
    return sentence_shares(
      client_data.serializable_dataset_fn(client_id),
      vocabulary,
      length=length,
      max_sentences=max_sentences,
    )

  known, unknown = noised_sums.noised_sum(
    client_shares,
    client_ids,
    l2_norm_clip=math.sqrt(length),
    stddev=noise_multiplier * l2_sensitivity(length, neighboring_relation),
  )
  return OovPositions(
    known=known,
    unknown=unknown,
    noise_multiplier=noise_multiplier,
    neighboring_relation=neighboring_relation,
    num_users=len(client_ids),
  )
