"""Client data of single words, for tests."""

import collections

import tensorflow as tf

from tff_gen_debug.datasets import client_data as client_data_lib


def make_client_data(words_by_client):
  """Clients with these words, elements `OrderedDict(word=string scalar)`."""
  ids = list(words_by_client)
  words = [
    tf.compat.as_bytes(word)
    for client in words_by_client.values()
    for word in client
  ]
  ends = [0]
  for client in words_by_client.values():
    ends.append(ends[-1] + len(client))

  def dataset_fn(client_id):
    index = tf.argmax(tf.cast(tf.equal(ids, client_id), tf.int32))
    bounds = tf.gather(tf.constant(ends), [index, index + 1])
    return tf.data.Dataset.from_tensor_slices(
      collections.OrderedDict(
        word=tf.constant([*words, b""])[bounds[0] : bounds[1]]
      )
    )

  return client_data_lib.TracedClientData(ids, dataset_fn)
