"""Tests for docstring_sentences, against sentences worked out by hand."""

import inspect
import re

import hypothesis
from hypothesis import strategies as st
import pytest

from tff_gen_debug.datasets import docstring_sentences


@pytest.mark.parametrize(
  "text, expected",
  [
    ("This is it.", "this is it ."),
    ("It doesn't matter, isn't it?", "it doesn't matter , isn't it ?"),
    ("a well-known one-pass method", "a well-known one-pass method"),
    # As in TFF's get_synthetic().
    (
      "iterator pattern in VB.NET (C# would use yield!)",
      "iterator pattern in vb . net ( c # would use yield ! )",
    ),
    ("css3  does\tfinally", "css3 does finally"),
    ("'quoted' - the users'", "' quoted ' - the users '"),
    ("batch_size=32 is 0.5%", "batch _ size = 32 is 0 . 5 %"),
    ("see <URL>, or not", "see <URL> , or not"),
    ("Gaël\u2019s \u201cna\u00efve\u201d \u03bb", 'gael\'s " naive "'),
    ("one\u2014two \u2026", "one - two . . ."),
    ("--x-- it's-a-me", "- - x - - it's-a-me"),
    ("", ""),
  ],
)
def test_tokens(text, expected):
  assert " ".join(docstring_sentences.tokenize(text)) == expected


@hypothesis.given(st.text())
def test_tokens_are_clean_and_stable(text):
  tokens = docstring_sentences.tokenize(text)

  for token in tokens:
    assert re.fullmatch(r"<URL>|[a-z0-9'-]+|[!-/:-@\[-`{-~]", token)
  assert docstring_sentences.tokenize(" ".join(tokens)) == tokens


@pytest.mark.parametrize(
  "text, expected",
  [
    ("a ``b`` and `c`", "a b and c"),
    ("a `.Figure` or `~np.Axes` of `a`.", "a Figure or np.Axes of a."),
    ("a :class:`~np.ndarray` of :py:func:`f`", "a np.ndarray of f"),
    ("see `the docs <https://x.org/a>`_ for", "see the docs for"),
    ("see `the docs`_ and [this](http://y.org)", "see the docs and this"),
    ("is **very** *good* at 2*3*4", "is very good at 2*3*4"),
    ("as in [1]_ and [Knuth97]_.", "as in and."),
    ("at https://x.org/a_b?c=d#e. Then", "at <URL>. Then"),
    ("(see www.x.org/a)", "(see <URL>)"),
    ("`__init__` of x[0]", "__init__ of x[0]"),
  ],
)
def test_markup(text, expected):
  assert docstring_sentences.strip_markup(text) == expected


@pytest.mark.parametrize(
  "text, expected",
  [
    ("One. Two? Three!", ["One. ", "Two? ", "Three!"]),
    (
      'He said "no." Then (he left.) 3 went',
      ['He said "no." ', "Then (he left.) ", "3 went"],
    ),
    (
      "Use e.g. Adam, i.e. Kingma et al. 2014.",
      ["Use e.g. Adam, i.e. Kingma et al. 2014."],
    ),
    ("By J. R. Tolkien. Good.", ["By J. R. Tolkien. ", "Good."]),
    ("For example i. Note that.", ["For example i. ", "Note that."]),
    ("Use tf.Tensor or v1.2. see below", ["Use tf.Tensor or v1.2. see below"]),
    ("", [""]),
  ],
)
def test_sentences(text, expected):
  assert list(docstring_sentences.split(text)) == expected


@pytest.mark.parametrize(
  "sentence, expected",
  [
    ("returns the sum .", True),
    ("otherwise , it fails .", True),
    ("see <URL> for more", True),
    ("it works", False),  # Two words.
    ("returns 3 .", False),
    ("the 4 5 6 sum is 7 8 9", False),  # Three words of nine tokens.
    ("the 4 5 6 sum is it 8", False),  # Four of eight.
    ("the 4 5 sum is", True),  # Three of five: exactly 60 %.
    ("( optional ) the sum .", False),
    ("3 is the sum .", False),
    ("tf . keras is here", False),
    ("if x = y it fails", False),
    ("a " + 30 * "b" + " it is", True),
    ("a " + 31 * "b" + " it is", False),
    (" ".join(100 * ["a"]), True),
    (" ".join(101 * ["a"]), False),
    ("", False),
  ],
)
def test_prose(sentence, expected):
  assert docstring_sentences.is_prose(sentence.split()) is expected


def test_whole_docstring():
  docstring = inspect.cleandoc("""Computes the mean. It's *fast*.

  Args:
    x: A `tf.Tensor` of rank 2, e.g. Many images. Must not be empty.
    n: `int`.

  Returns:
    The mean of `x`; see https://x.org/mean.

  >>> mean([1, 2])
  1.5
  """)

  assert list(docstring_sentences.from_docstring(docstring)) == [
    "computes the mean .",
    "a tf . tensor of rank 2 , e . g . many images .",
    "must not be empty .",
    "the mean of x ; see <URL> .",
  ]
