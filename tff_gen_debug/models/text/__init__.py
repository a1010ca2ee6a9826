"""Language models over words and characters, and what they generate."""

from tff_gen_debug.models.text import language_model

__all__ = ["language_model"]
