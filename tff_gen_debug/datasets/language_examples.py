"""Next-token pairs: what language models are trained on.

An element is a pair of inputs and targets of one fixed length, so that batches
of them are what a `tff.learning.models.FunctionalModel` over token ids takes.
The special ids are those of `token_ids`; no loss belongs on PAD targets.
"""

from typing import Tuple

import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug import arguments
from tff_gen_debug import token_ids
from tff_gen_debug.datasets import alphabet as alphabet_lib
from tff_gen_debug.datasets import client_data as client_data_lib
from tff_gen_debug.datasets import tokenization
from tff_gen_debug.datasets import vocabulary as vocabulary_lib

# Words are spelled by the batch, because TensorFlow's overhead for one word is
# that for a few hundred. More at once would only take memory.
_BATCH = 256

# Every example is padded to its length, so a longer one is a mistake.
_MAX_LENGTH = 2**20


def word_lm_examples(
  client_data: tff.simulation.datasets.ClientData,
  vocabulary: vocabulary_lib.Vocabulary,
  length: int = 20,
) -> client_data_lib.TracedClientData:
  """Makes one example of each sentence for a word language model.

  Inputs are START and the words, targets the words and END, then PAD. Word i of
  the vocabulary has the id `token_ids.FIRST + i`, any other word UNKNOWN. What
  goes beyond `length` is cut off, END included. An empty sentence is START,
  followed by END.

  Args:
    client_data: Sentences, as `tokenization.split_words` makes them.
    vocabulary: The words that the model knows.
    length: Tokens an example, at least 1; 20 as in TFF's Stack Overflow
      baselines.

  Returns:
    Client data with the same clients and elements `(inputs, targets)`, both
    int32 `[length]`.

  Raises:
    TypeError: If an argument has another type.
    ValueError: If `client_data` are no such sentences or `length` is smaller
      than 1 or above 2**20.
  """
  tokenization.check_words(client_data)
  length = _check_length("length", length)
  if not isinstance(vocabulary, vocabulary_lib.Vocabulary):
    raise TypeError(f"vocabulary must be a Vocabulary, got {vocabulary!r}")

  def pair(sentence):
    # No more than that can be seen.
    indices = vocabulary.lookup(sentence["words"][:length])
    ids = tf.where(indices < 0, token_ids.UNKNOWN, token_ids.FIRST + indices)
    sequence = tf.concat([[token_ids.START], ids, [token_ids.END]], axis=0)
    sequence = sequence[: length + 1]
    padding = length + 1 - tf.size(sequence)
    sequence = tf.pad(sequence, [[0, padding]], constant_values=token_ids.PAD)
    return _next_token_pairs(tf.ensure_shape(sequence, [length + 1]))

  return _traced(client_data, lambda dataset: dataset.map(pair))


def char_lm_examples(
  client_data: tff.simulation.datasets.ClientData,
  alphabet: alphabet_lib.Alphabet,
  max_characters: int,
) -> client_data_lib.TracedClientData:
  """Makes one example of each word for a character language model.

  Inputs are START and the characters, targets the characters and END, then PAD.
  Characters outside of the alphabet are UNKNOWN.

  Args:
    client_data: Elements `OrderedDict(word=...)`, string scalars.
    alphabet: The characters that the model knows.
    max_characters: The longest word that fits in, at least 1. A longer one is
      cut and has no END; leave it out beforehand.

  Returns:
    Client data with the same clients and elements `(inputs, targets)`, both
    int32 `[max_characters + 1]`.

  Raises:
    TypeError: If an argument has another type.
    ValueError: If `client_data` has other elements or `max_characters` is
      smaller than 1 or above 2**20.
  """
  spec = tokenization.element_spec(client_data)
  if not (
    isinstance(spec, dict) and spec == {"word": tf.TensorSpec([], tf.string)}
  ):
    raise ValueError(
      "client_data must have elements OrderedDict(word=string scalar), got"
      f" {spec}"
    )
  max_characters = _check_length("max_characters", max_characters)
  if not isinstance(alphabet, alphabet_lib.Alphabet):
    raise TypeError(f"alphabet must be an Alphabet, got {alphabet!r}")

  def pairs(batch):
    return _next_token_pairs(alphabet.encode(batch["word"], max_characters))

  return _traced(
    client_data, lambda dataset: dataset.batch(_BATCH).map(pairs).unbatch()
  )


def _check_length(name: str, value: int) -> int:
  """Returns `value` if a sequence can be that long."""
  value = arguments.integer(name, value, 1)
  if value > _MAX_LENGTH:
    raise ValueError(
      f"{name} must be at most 2**20, got {arguments.shown(value)}"
    )
  return value


def _next_token_pairs(sequences: tf.Tensor) -> Tuple[tf.Tensor, tf.Tensor]:
  """From int32 `[..., t + 1]` from START on to `[..., t]` inputs, targets."""
  targets = sequences[..., 1:]
  # END is no input, since nothing follows it.
  inputs = tf.where(
    tf.equal(targets, token_ids.PAD), token_ids.PAD, sequences[..., :-1]
  )
  return inputs, targets


def _traced(
  client_data: tff.simulation.datasets.ClientData,
  transform: client_data_lib.PreprocessFn,
) -> client_data_lib.TracedClientData:
  base_fn = client_data.serializable_dataset_fn
  return client_data_lib.TracedClientData(
    client_data.client_ids, lambda client_id: transform(base_fn(client_id))
  )
