"""Bugs in text: a tokenizer that goes wrong in some sentences.

A bug is a function from the words of one sentence to other words, string `[n]`
to string `[m]`. `inject` gives it to a random share of the sentences of every
user, as Augenstein et al. (ICLR 2020, arXiv:1911.06679) do with a tokenizer
that joins the first two words of a sentence in 10 % of the sentences.
"""

import collections

import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.datasets import client_data as client_data_lib
from tff_gen_debug.datasets import client_hash
from tff_gen_debug.datasets import tokenization
from tff_gen_debug.debugging import bugs

# Domain of the draws, so that they are independent of others made for the same
# client with the same seed.
_PURPOSE = 0x74657874  # "text"

# The typewriter's and the typographer's.
_APOSTROPHES = ("'", "\N{RIGHT SINGLE QUOTATION MARK}")


def join_first_words(words: tf.Tensor) -> tf.Tensor:
  """Makes one token of the first two: the bug of the paper.

  The space between them stays, as in "i have".

  Args:
    words: String `[n]`.

  Returns:
    String `[n - 1]`, or `words` themselves if there are fewer than two.
  """
  first = tf.strings.reduce_join(words[:2], separator=" ", keepdims=True)
  # No words also join to one, an empty one.
  return tf.concat([first[: tf.size(words)], words[2:]], axis=0)


def split_apostrophes(words: tf.Tensor) -> tf.Tensor:
  """Makes a token of every apostrophe: "don't" becomes "don", "'" and "t".

  As of a tokenizer that takes apostrophes for quotation marks. Both U+0027 and
  U+2019 are split off, wherever they are.

  Args:
    words: String `[n]`.

  Returns:
    String `[m]`, without empty tokens.
  """
  for mark in _APOSTROPHES:
    pieces = tf.strings.split(words, mark)
    marks = pieces.with_values(tf.fill(tf.shape(pieces.values), mark))
    # A mark after each piece of a word but the last.
    parts = tf.stack([pieces, marks], axis=2).merge_dims(1, 2)[:, :-1].values
    words = tf.boolean_mask(parts, tf.not_equal(parts, ""))
  return words


def break_accents(words: tf.Tensor) -> tf.Tensor:
  """Reads UTF-8 as if it were Latin-1: "café" becomes "cafÃ©".

  As of software that assumes the wrong encoding for the text that it is given.
  Every byte beyond ASCII becomes a character, U+0080 to U+00FF.

  Args:
    words: String `[n]`.

  Returns:
    String `[n]`, UTF-8 whatever the bytes of `words`. ASCII stays as it is.
  """
  return tf.strings.unicode_transcode(words, "ISO-8859-1", "UTF-8")


def drop_apostrophes(words: tf.Tensor) -> tf.Tensor:
  """Loses every apostrophe: "don't" becomes "dont".

  As of a tokenizer that strips punctuation from words before it looks them up.
  Both U+0027 and U+2019 go, wherever they are.

  Args:
    words: String `[n]`.

  Returns:
    String `[m]`, without the tokens that are empty then or were before.
  """
  for mark in _APOSTROPHES:
    words = tf.strings.regex_replace(words, mark, "")
  return tf.boolean_mask(words, tf.not_equal(words, ""))


def join_copies(words: tf.Tensor) -> tf.Tensor:
  """Joins every word to a copy of itself: "the cat" becomes "thethe catcat".

  As of an input method that commits the text being composed twice. The copies
  make one token with no space, which no vocabulary has. Two tokens, "the the",
  would be another bug: one that no list of unknown words shows.

  Args:
    words: String `[n]`.

  Returns:
    String `[n]`.
  """
  return tf.strings.join([words, words])


def leave_html(words: tf.Tensor) -> tf.Tensor:
  """Leaves a paragraph's HTML in: "i & you" becomes "<p>i &amp; you</p>".

  As of a scraper that takes the source of a page and strips no tags: "<p>"
  sticks to the first word and "</p>" to the last, and "&", "<" and ">" are
  escaped in every word. Placeholders in upper case such as "<URL>", which a
  tokenizer has put in itself, are not escaped.

  Args:
    words: String `[n]`.

  Returns:
    String `[n]`.
  """
  escaped = words
  # The ampersand first, which is in what the others become. In what replaces
  # them it needs no escape; only a backslash would.
  for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
    escaped = tf.strings.regex_replace(escaped, character, entity)
  is_placeholder = tf.strings.regex_full_match(words, "<[A-Z]+>")
  escaped = tf.where(is_placeholder, words, escaped)
  position = tf.range(tf.size(words))
  is_first = tf.equal(position, 0)
  is_last = tf.equal(position, tf.size(words) - 1)
  return tf.strings.join(
    [tf.where(is_first, "<p>", ""), escaped, tf.where(is_last, "</p>", "")]
  )


def inject(
  client_data: tff.simulation.datasets.ClientData,
  bug: bugs.Bug,
  probability: float = 0.1,
  seed: int = 0,
) -> client_data_lib.TracedClientData:
  """Gives a bug to a random share of the sentences.

  Whether a sentence has it is decided where it is read, by the client's id and
  the sentence's text, independently for each two that differ. So it is the same
  in every process, on every worker, after any resumption, and whatever the
  client's other sentences are. A sentence that a client has twice has the bug
  in both places or in none.

  Args:
    client_data: Sentences, as `tokenization.split_words` makes them.
    bug: Traceable function from the words of one sentence, string `[n]`, to
      other words, string `[m]`.
    probability: Share of the sentences in [0, 1]; 0 affects none, 1 all. 0.1
      as in the paper.
    seed: Integer in [0, 2**63 - 1]. Draws with different seeds are independent.

  Returns:
    Client data with the same clients and element type.

  Raises:
    TypeError: If `probability` is not a number, `seed` not an integer, or `bug`
      not callable.
    ValueError: If `probability` or `seed` is out of range, `client_data` are no
      such sentences, or `bug` returns something else than a string vector.
  """
  probability = bugs.check_probability(probability)
  seed = client_hash.check_seed(seed)
  bugs.check_callable(bug)
  tokenization.check_words(client_data)
  result = bugs.traced_spec(bug, tf.TensorSpec([None], tf.string))
  if result.dtype != tf.string or result.shape.rank not in (None, 1):
    raise ValueError(
      f"bug must return a string vector, got {result.dtype.name} of shape"
      f" {result.shape}"
    )
  base_fn = client_data.serializable_dataset_fn

  def dataset_fn(client_id: tf.Tensor) -> tf.data.Dataset:
    def maybe_break(sentence):
      words = sentence["words"]
      text = tf.strings.reduce_join(words, separator=" ")
      draw = client_hash.uniform(
        tf.strings.join([client_id, "\0", text]), seed, _PURPOSE
      )
      # Strictly below, for a number in [0, 1): none at 0 and all at 1.
      words = tf.cond(
        draw < probability,
        lambda: tf.ensure_shape(bug(words), [None]),
        lambda: words,
      )
      return collections.OrderedDict(words=words)

    return base_fn(client_id).map(maybe_break)

  return client_data_lib.TracedClientData(client_data.client_ids, dataset_fn)
