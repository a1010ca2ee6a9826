"""What the two models of a scenario generate."""

from collections.abc import Sequence

import numpy as np

from tasks.tokenization_bug import config as config_lib
from tff_gen_debug import token_ids
from tff_gen_debug.models import text


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
