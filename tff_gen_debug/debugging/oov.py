"""Which words the character model learns from: those out of the vocabulary.

The selection criterion of the paper's text experiment (Augenstein et al., ICLR
2020, arXiv:1911.06679, section 4 and task T3 of its Table 1): a user's words
that the word model does not know. The choice is made in the client's own
preprocessing, so that nobody learns which words or how many those are.
"""

import collections
import dataclasses

import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.datasets import alphabet as alphabet_lib
from tff_gen_debug.datasets import client_data as client_data_lib
from tff_gen_debug.datasets import client_hash
from tff_gen_debug.datasets import tokenization
from tff_gen_debug.datasets import vocabulary as vocabulary_lib
from tff_gen_debug.debugging import splits
from tff_gen_debug.privacy import releases as release_lib

# Domain of the sample, so that it is independent of what else is drawn for the
# same client with the same seed.
_PURPOSE = 0x6F6F76  # "oov"

# tf.data reserves no memory for a batch that it cannot fill, unless it fuses it
# with a map before it, which it cannot where `unbatch` is in between.
_WHOLE_CLIENT = 1 << 30

# \C is any byte, also of what is not UTF-8; \pL a letter of any script.
_HAS_LETTER = r"\C*\pL\C*"


@dataclasses.dataclass(frozen=True)
class OovCriterion:
  """Selects the words of each user that are out of a vocabulary (OOV).

  Its `str` is the criterion in words, for a report.

  Attributes:
    vocabulary: The words that the primary model knows.
    max_words_per_user: At most so many words of a user, at least 1. If there
      are more, a uniformly random sample of them is taken, drawn by the user's
      id. A word that the user writes several times counts, and is taken, as
      often.
    max_characters: Longer words are left out, at least 1. Length is in Unicode
      code points, as in `Alphabet`.
    require_letter: Whether tokens without a letter of any script are left out.
      No vocabulary holds the numbers and runs of punctuation and emoji that
      people type; they would be much of what the auxiliary model learns, and
      tell little. Tokens that mix them with letters stay.
    seed: Of the sample, in [0, 2**63 - 1].
    releases: What left the clients for the vocabulary, if it is of their words.
  """

  vocabulary: vocabulary_lib.Vocabulary
  max_words_per_user: int
  max_characters: int
  require_letter: bool = True
  seed: int = 0
  releases: tuple[release_lib.Release, ...] = ()

  def __post_init__(self):
    for name in ("max_words_per_user", "max_characters"):
      value = getattr(self, name)
      if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    client_hash.check_seed(self.seed)

  def __str__(self):
    letter = "with a letter, " if self.require_letter else ""
    return (
      f"words outside a vocabulary of {self.vocabulary.size:,}, {letter}of at"
      f" most {self.max_characters} characters, at most"
      f" {self.max_words_per_user} of a user"
    )

  def select(
    self, client_data: tff.simulation.datasets.ClientData
  ) -> client_data_lib.TracedClientData:
    """The same clients with the selected words.

    Args:
      client_data: Sentences, as `tokenization.split_words` makes them.

    Returns:
      Client data with elements `OrderedDict(word=...)`, string scalars, in
      random order. A client without such words has an empty data set.

    Raises:
      ValueError: If `client_data` are no such sentences.
    """
    tokenization.check_words(client_data)
    base_fn = client_data.serializable_dataset_fn

    def dataset_fn(client_id: tf.Tensor) -> tf.data.Dataset:
      # All of a client's words in one vector: a call for each sentence or word
      # would cost more than what it does.
      words = base_fn(client_id).unbatch().batch(_WHOLE_CLIENT)
      return words.map(
        lambda client: collections.OrderedDict(
          word=self._sample(self._eligible(client["words"]), client_id)
        )
      ).unbatch()

    return client_data_lib.TracedClientData(client_data.client_ids, dataset_fn)

  def split(
    self,
    client_data: tff.simulation.datasets.ClientData,
    context: splits.Context,
  ) -> splits.Split:
    """The criterion of an investigation: one slice, without a reference."""
    del context
    return splits.Split(
      question="Which words does the model not know?",
      suspect=splits.Slice(
        "out of vocabulary", str(self), self.select(client_data)
      ),
      releases=self.releases,
    )

  def _eligible(self, words: tf.Tensor) -> tf.Tensor:
    """The words that the criterion is about, string `[n]` to `[m]`."""
    lengths = alphabet_lib.Alphabet.lengths(words)
    keep = tf.logical_and(
      self.vocabulary.lookup(words) < 0,
      # An empty token is not a word.
      tf.logical_and(lengths > 0, lengths <= self.max_characters),
    )
    if self.require_letter:
      has_letter = tf.strings.regex_full_match(words, _HAS_LETTER)
      keep = tf.logical_and(keep, has_letter)
    return tf.boolean_mask(words, keep)

  def _sample(self, words: tf.Tensor, client_id: tf.Tensor) -> tf.Tensor:
    """At most `max_words_per_user` of the words, in random order."""
    # The algorithm is named because the default may differ between devices.
    keys = tf.random.stateless_uniform(
      tf.shape(words),
      seed=client_hash.stateless_seed(client_id, self.seed, _PURPOSE),
      alg="philox",
    )
    count = tf.minimum(tf.size(words), self.max_words_per_user)
    return tf.gather(words, tf.math.top_k(keys, count).indices)


def select(
  client_data: tff.simulation.datasets.ClientData,
  vocabulary: vocabulary_lib.Vocabulary,
  *,
  max_words_per_user: int,
  max_characters: int,
  require_letter: bool = True,
  seed: int = 0,
) -> client_data_lib.TracedClientData:
  """Selects the out-of-vocabulary words of each user; see `OovCriterion`.

  Args:
    client_data: Sentences, as `tokenization.split_words` makes them.
    vocabulary: The words that the primary model knows.
    max_words_per_user: The most words of a user, at least 1.
    max_characters: The longest word, at least 1.
    require_letter: Whether tokens without a letter are left out.
    seed: Of the sample of a user with more words, in [0, 2**63 - 1].

  Returns:
    Client data with elements `OrderedDict(word=...)`, string scalars.

  Raises:
    TypeError: If `seed` is not an integer.
    ValueError: If an argument breaks its rule.
  """
  return OovCriterion(
    vocabulary, max_words_per_user, max_characters, require_letter, seed
  ).select(client_data)
