"""Tests of how words of unknown content are shown."""

import pytest

from tff_gen_debug.debugging import readable_words


def test_spaces_are_marked_and_kept_as_spaces():
  assert readable_words.Word("i have").__html__() == (
    '<code class="word">i<span class="space"> </span>have</code>'
  )
  # Also where no one looks for them.
  assert readable_words.Word(" a  ").__html__() == (
    '<code class="word"><span class="space"> </span>a'
    '<span class="space"> </span><span class="space"> </span></code>'
  )


def test_markup_in_a_word_is_escaped():
  page = readable_words.Word("<b> & \"'").__html__()
  assert page == (
    '<code class="word">&lt;b&gt;<span class="space"> </span>&amp;'
    '<span class="space"> </span>&quot;&#x27;</code>'
  )


@pytest.mark.parametrize(
  "text, expected",
  [
    ("naïve \ufffd 東京", "naïve \ufffd 東京"),
    ("a\nb\tc\0", r"a\nb\tc\x00"),
    ("no\xa0break\u200b", r"no\xa0break\u200b"),
    # Right-to-left override, and half of a surrogate pair.
    ("\u202egnp.exe", r"\u202egnp.exe"),
    ("\ud83d", r"\ud83d"),
    ("", ""),
  ],
)
def test_what_does_not_print_is_escaped(text, expected):
  assert readable_words.printable(text) == expected
  assert readable_words.quoted(text) == f'"{expected}"'
  assert str(readable_words.Word(text)) == f'"{expected}"'
  readable_words.Word(text).__html__().encode("utf-8")
