"""Language models over words and characters, and what they generate."""

from tff_gen_debug.models.text.generation import Samples
from tff_gen_debug.models.text.generation import log_probability
from tff_gen_debug.models.text.generation import most_probable
from tff_gen_debug.models.text.generation import sample
from tff_gen_debug.models.text.language_model import LanguageModel
from tff_gen_debug.models.text.language_model import char_lm
from tff_gen_debug.models.text.language_model import cifg_char_lm
from tff_gen_debug.models.text.language_model import small_word_lm
from tff_gen_debug.models.text.language_model import stack_overflow_word_lm

__all__ = [
  "LanguageModel",
  "Samples",
  "char_lm",
  "cifg_char_lm",
  "log_probability",
  "most_probable",
  "sample",
  "small_word_lm",
  "stack_overflow_word_lm",
]
