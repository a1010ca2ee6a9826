"""Ids of special tokens, shared by what encodes text and what generates it."""

# Fills what follows the end of a sequence; no loss is taken on it.
PAD = 0
START = 1
END = 2
# A word outside of the vocabulary, or a character outside of the alphabet.
UNKNOWN = 3
# The id of the first word of a vocabulary or character of an alphabet.
FIRST = 4
