"""What the two models of a scenario generate."""

from collections.abc import Sequence

import numpy as np

from tasks.tokenization_bug import config as config_lib
from tasks.tokenization_bug import population
from tff_gen_debug import token_ids
from tff_gen_debug.datasets import vocabulary as vocabulary_lib
from tff_gen_debug.debugging import generated_words
from tff_gen_debug.models import text

# As many as the report shows.
NUM_TOP = 20

# Of the most probable draws, how many are looked through for NUM_TOP that the
# vocabulary lacks.
_NUM_CANDIDATES = 1000


def unknown_words(
  config: config_lib.Config,
  model: text.LanguageModel,
  weights: Sequence[np.ndarray],
  vocabulary: vocabulary_lib.Vocabulary,
) -> generated_words.GeneratedWords:
  """Words from the character model.

  It is trained on words outside the vocabulary only, so a word of the
  vocabulary that it generates, mostly a beginning of longer ones, is a known
  mistake: the most probable words are those of the others.

  Args:
    config: The config.
    model: The character model.
    weights: Its weights.
    vocabulary: What the word model knows.

  Returns:
    All draws, and the most probable words that the vocabulary lacks.
  """
  draws = text.generation.sample(
    model,
    weights,
    config.num_draws,
    length=config.max_characters + 1,
    seed=config.seed,
  ).ids
  top_draws, log_probabilities = text.generation.most_probable(
    model, weights, draws, _NUM_CANDIDATES
  )
  words = population.ALPHABET.decode(top_draws)
  chosen = [
    k for k, word in enumerate(words) if word and word not in vocabulary
  ][:NUM_TOP]
  return generated_words.GeneratedWords.from_ids(
    population.ALPHABET.decode,
    draws,
    top_draws[chosen],
    log_probabilities[chosen],
  )


def unknown_shares(
  config: config_lib.Config,
  model: text.LanguageModel,
  weights: Sequence[np.ndarray],
) -> np.ndarray:
  """Where the word model puts unknown words into the sentences it generates.

  Args:
    config: The config.
    model: The word model.
    weights: Its weights.

  Returns:
    float64 `[sentence_length]`: of the generated sentences that have a word at
    position 1, 2, ..., the share whose word there is unknown; NaN where there
    is no such sentence.
  """
  ids = text.generation.sample(
    model,
    weights,
    config.num_sentences,
    length=config.sentence_length,
    seed=config.seed,
  ).ids
  is_word = (ids == token_ids.UNKNOWN) | (ids >= token_ids.FIRST)
  present = is_word.sum(axis=0)
  unknown = (ids == token_ids.UNKNOWN).sum(axis=0)
  with np.errstate(divide="ignore", invalid="ignore"):
    return np.where(present > 0, unknown / present, np.nan)
