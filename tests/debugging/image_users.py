"""Users with images and labels that can be counted by hand, for criteria."""

import collections

import numpy as np
import tensorflow as tf

from tff_gen_debug.datasets import client_data as client_data_lib
from tff_gen_debug.models import classifier as classifier_lib
from tff_gen_debug.models import cnn


def always(label):
  """A classifier that says `label` whatever it sees."""
  architecture = cnn.Architecture(conv_widths=(1, 1, 1), dense_width=1)
  weights = [np.zeros(s, np.float32) for s in architecture.weight_shapes]
  weights[-1][label] = 1.0
  return classifier_lib.Classifier(tuple(weights))


def client_data(labels_by_client):
  """Clients with these labels; each image's shade is its position over 100."""
  ids = list(labels_by_client)
  lengths = [len(labels) for labels in labels_by_client.values()]
  flat = [x for labels in labels_by_client.values() for x in labels]
  starts = np.cumsum([0] + lengths)

  def dataset_fn(client_id):
    index = tf.argmax(tf.cast(tf.equal(ids, client_id), tf.int32))
    positions = tf.range(tf.constant(lengths, tf.int64)[index])
    labels = tf.gather(
      tf.constant(flat + [0], tf.int32),
      tf.constant(starts, tf.int64)[index] + positions,
    )
    shade = tf.cast(positions, tf.float32) / 100.0
    return tf.data.Dataset.from_tensor_slices(
      collections.OrderedDict(
        image=tf.tile(shade[:, None, None, None], [1, 28, 28, 1]), label=labels
      )
    )

  return client_data_lib.TracedClientData(ids, dataset_fn)


def kept(slice_of_users):
  """Client id -> [(position, label), ...] of a slice's examples."""
  data = slice_of_users.client_data
  return {
    client_id: [
      (round(float(x["image"][0, 0, 0]) * 100), int(x["label"]))
      for x in data.create_tf_dataset_for_client(client_id)
    ]
    for client_id in data.client_ids
  }


def labels(slice_of_users):
  """Client id -> [label, ...] of a slice's examples."""
  return {
    client_id: [label for _, label in examples]
    for client_id, examples in kept(slice_of_users).items()
  }
