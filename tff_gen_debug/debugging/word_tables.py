"""Generated words as a table of a report."""

from collections.abc import Mapping
from typing import Any

from tff_gen_debug.debugging import generated_words
from tff_gen_debug.debugging import readable_words
from tff_gen_debug.debugging import report as report_lib


def most_probable(
  words: Mapping[str, generated_words.GeneratedWords],
) -> report_lib.Table:
  """The most probable words of some character models side by side.

  Args:
    words: What each generates, by the heading of its column.

  Returns:
    A table with a row for each rank.
  """
  columns = ["rank"]
  for heading in words:
    columns += [heading, "probability"]
  count = max(len(generated.top_words) for generated in words.values())
  rows: list[tuple[Any, ...]] = []
  for rank in range(count):
    row: list[Any] = [rank + 1]
    for generated in words.values():
      row += _cells(generated, rank)
    rows.append(tuple(row))
  return report_lib.Table(
    title="Generated: what the modeler may see",
    columns=columns,
    rows=rows,
    text=(
      "The most probable words of the character model, each with its joint "
      "probability. Spaces are underlined. Words of the vocabulary, which the "
      "model was not trained on, are left out."
    ),
  )


def _cells(
  generated: generated_words.GeneratedWords, rank: int
) -> tuple[Any, Any]:
  if rank >= len(generated.top_words):
    return (None, None)
  word, probability = generated.top_words[rank]
  return (readable_words.Word(word), f"{probability:.2e}")
