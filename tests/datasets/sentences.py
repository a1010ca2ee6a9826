"""Sentences, and text as nobody would write it, that several tests use."""

import collections

from hypothesis import strategies as st
import tensorflow as tf

from tff_gen_debug.datasets import client_data as client_data_lib

# What tokenizers, encodings and hashes have tripped over.
_ODD_WORDS = [
  b"",
  b" ",
  b"i have",
  b"don't",
  "it\u2019s".encode(),
  b"''",
  b"...",
  b"3.14",
  "\N{GRINNING FACE}".encode(),
  "cafe\N{COMBINING ACUTE ACCENT}".encode(),
  "caf\N{LATIN SMALL LETTER E WITH ACUTE}".encode(),
  "\N{COMBINING ACUTE ACCENT}".encode(),
  "\N{ZERO WIDTH NO-BREAK SPACE}word".encode(),
  "\N{REPLACEMENT CHARACTER}".encode(),
  b"caf\xe9",
  b"\xff\xfe",
  b"\xe2\x80",
  b"a\0b",
  b"a\nb",
  b"x" * 10_000,
  "\N{LATIN SMALL LETTER E WITH ACUTE}".encode() * 10_000,
]

# Without code points that TensorFlow's Unicode may know but Python's does not.
_CHARACTERS = st.characters(blacklist_categories=("Cs", "Cn"))

# Few ASCII letters, so that words come out in the vocabulary and twice.
WORDS = st.one_of(
  st.sampled_from([b"a", b"b", b"ab", b"ba", b"i", b"have"]),
  st.sampled_from(_ODD_WORDS),
  st.text(_CHARACTERS, max_size=6).map(lambda text: text.encode("utf-8")),
  st.binary(max_size=6),
)
SENTENCES = st.lists(st.lists(WORDS, max_size=6), max_size=6)


def clients(sentences):
  """Client data of words, from client id -> sentences -> words."""

  def dataset_fn(client_id):
    words = tf.ragged.constant(
      list(sentences.values()), tf.string, ragged_rank=2
    )
    is_mine = tf.equal(tf.constant(list(sentences)), client_id)
    mine = words[tf.argmax(tf.cast(is_mine, tf.int32))]
    return _dataset(mine.values, mine.row_lengths())

  return client_data_lib.TracedClientData(list(sentences), dataset_fn)


def alike_clients(client_ids, sentences):
  """Client data of words in which all clients have the same sentences."""

  def dataset_fn(client_id):
    del client_id
    words = tf.ragged.constant(sentences, tf.string, ragged_rank=1)
    return _dataset(words.values, words.row_lengths())

  return client_data_lib.TracedClientData(client_ids, dataset_fn)


def traced(transform):
  """A function of a client's id and sentences that is traced only once.

  Args:
    transform: From client data of words to other client data.

  Returns:
    Function from an id and a list of lists of words, as bytes, to the list of
    the client's elements.
  """

  @tf.function(
    input_signature=[
      tf.TensorSpec([], tf.string),
      tf.TensorSpec([None], tf.string),
      tf.TensorSpec([None], tf.int64),
    ]
  )
  def run(client_id, words, lengths):
    data = client_data_lib.TracedClientData(
      ["any"], lambda _: _dataset(words, lengths)
    )
    return transform(data).serializable_dataset_fn(client_id)

  def elements(client_id, sentences):
    flat = [word for sentence in sentences for word in sentence]
    lengths = [len(sentence) for sentence in sentences]
    dataset = run(
      client_id, tf.constant(flat, tf.string), tf.constant(lengths, tf.int64)
    )
    return list(dataset.as_numpy_iterator())

  return elements


def elements(client_data, client_id):
  """The elements of one client, as NumPy arrays."""
  dataset = client_data.create_tf_dataset_for_client(client_id)
  return list(dataset.as_numpy_iterator())


def all_elements(client_data):
  """The elements of all clients, through one pipeline."""
  ids = tf.data.Dataset.from_tensor_slices(client_data.client_ids)
  dataset = ids.flat_map(client_data.serializable_dataset_fn)
  return list(dataset.as_numpy_iterator())


def _dataset(words, lengths):
  ends = tf.cumsum(lengths)

  def sentence(i):
    return collections.OrderedDict(words=words[ends[i] - lengths[i] : ends[i]])

  return tf.data.Dataset.range(tf.size(lengths, tf.int64)).map(sentence)
