"""Tests of generated words and their numbers, worked out by hand."""

import math

import numpy as np
import pytest

from tff_gen_debug import token_ids
from tff_gen_debug.debugging import generated_words


def test_gain_over_characters_by_hand():
  # 8 draws "ab" and 2 "c": 18 characters of 3 kinds and 10 ends. With the half
  # counts for the kinds, the end and an unseen character: 28 + 2.5 in total.
  words = generated_words.GeneratedWords(
    ["ab"] * 8 + ["c"] * 2, [("ab", 0.8), ("c", 0.2)]
  )
  total = 28 + 2.5
  end = 10.5 / total
  gain_ab = 0.8 / ((8.5 / total) ** 2 * end)
  gain_c = 0.2 / ((2.5 / total) * end)
  assert words.gain_over_characters(1) == pytest.approx(gain_ab)
  median = math.exp((math.log(gain_ab) + math.log(gain_c)) / 2)
  assert words.gain_over_characters() == pytest.approx(median)


def test_words_from_ids():
  end, a, b = token_ids.END, token_ids.FIRST, token_ids.FIRST + 1

  def decode(ids):
    words = []
    for row in ids.tolist():
      row = row[: row.index(end)]
      words.append("".join("ab"[i - a] for i in row if i >= a))
    return words

  draws = np.array([[a, b, end, 0], [a, a, a, a], [end, 0, 0, 0]])
  # The third decodes as the first does, and the last does not end.
  top = np.array(
    [[a, end, 0, 0], [b, end, 0, 0], [a, token_ids.UNKNOWN, end, 0], [b] * 4]
  )
  words = generated_words.GeneratedWords.from_ids(
    decode, draws, top, np.log([0.4, 0.25, 0.2, 0.1])
  )
  assert words.draws == ("ab", "")
  assert words.num_unfinished == 1
  assert [word for word, _ in words.top_words] == ["a", "b"]
  assert [p for _, p in words.top_words] == pytest.approx([0.6, 0.25])
  assert str(words.finished) == "67 %"
  share = words.share_of_draws(lambda word: word == "ab")
  assert (share.count, share.total) == (1, 3)


@pytest.mark.parametrize(
  "draws, top_words, num_unfinished, message",
  [
    ([], [], 0, "at least one draw"),
    (["a"], [], -1, "num_unfinished"),
    (["a"], [("a", 0.5), ("a", 0.5)], 0, "distinct"),
    (["a"], [("a", 1.5)], 0, r"\[0, 1\]"),
    (["a"], [("a", float("nan"))], 0, r"\[0, 1\]"),
    (["a"], [("a", 0.7), ("b", 0.7)], 0, "at most 1"),
    (["a"], [("a", 0.2), ("b", 0.3)], 0, "first"),
  ],
)
def test_impossible_words_are_refused(
  draws, top_words, num_unfinished, message
):
  with pytest.raises(ValueError, match=message):
    generated_words.GeneratedWords(draws, top_words, num_unfinished)
