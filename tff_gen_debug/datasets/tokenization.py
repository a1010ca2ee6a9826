"""Sentences as vectors of words, the form that all of the text tools read.

TFF's Stack Overflow holds a sentence as one string whose tokens are separated
by spaces. Here the tokens are a vector, because a tokenizer that has gone wrong
may well produce a token that holds a space.
"""

import collections
from collections.abc import Mapping

import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.datasets import client_data as client_data_lib


def element_spec(client_data: tff.simulation.datasets.ClientData):
  """Returns the `element_type_structure`; a `TypeError` if there is none."""
  if not isinstance(client_data, tff.simulation.datasets.ClientData):
    raise TypeError(
      "client_data must be a tff.simulation.datasets.ClientData, got"
      f" {type(client_data).__name__}"
    )
  return client_data.element_type_structure


def split_words(
  client_data: tff.simulation.datasets.ClientData,
) -> client_data_lib.TracedClientData:
  """Splits each sentence into its tokens.

  A token is a longest run of bytes that holds no ASCII white space, as of
  Python's `bytes.split`. No text is refused: a sentence without tokens becomes
  an empty vector, and bytes that are not UTF-8 stay as they are.

  Args:
    client_data: Examples with the field `tokens`, a string scalar, as in TFF's
      Stack Overflow; other fields are left out.

  Returns:
    Client data with the same clients and one element a sentence, in the same
    order: `OrderedDict(words=...)`, string `[None]`.

  Raises:
    TypeError: If `client_data` is no `ClientData`.
    ValueError: If examples have no such field.
  """
  spec = element_spec(client_data)
  tokens = spec.get("tokens") if isinstance(spec, Mapping) else None
  if tokens != tf.TensorSpec([], tf.string):
    raise ValueError(
      f"client_data must have examples with `tokens`, a string scalar, got"
      f" {spec}"
    )
  base_fn = client_data.serializable_dataset_fn

  def split(example):
    return collections.OrderedDict(words=tf.strings.split(example["tokens"]))

  return client_data_lib.TracedClientData(
    client_data.client_ids, lambda client_id: base_fn(client_id).map(split)
  )


def check_words(client_data: tff.simulation.datasets.ClientData) -> None:
  """Checks that client data are sentences as `split_words` makes them.

  Args:
    client_data: The client data.

  Raises:
    TypeError: If `client_data` is no `ClientData`.
    ValueError: If elements have another field than `words`, or it is not a
      string vector.
  """
  spec = element_spec(client_data)
  if (
    not isinstance(spec, Mapping)
    or list(spec) != ["words"]
    or spec["words"].dtype != tf.string
    or spec["words"].shape.rank != 1
  ):
    raise ValueError(
      "client_data must have elements OrderedDict(words=string [None]), as"
      f" split_words makes them, got {spec}"
    )
