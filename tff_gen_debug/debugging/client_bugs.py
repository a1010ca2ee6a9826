"""Bugs in a client's whole data set: its images or labels taken together.

What `bugs.inject` cannot do, because it changes the pixels of one image at a
time. The clients are drawn in the same way: with the same seed and probability
they are those of `bugs.affected_clients`.
"""

import collections.abc
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.datasets import client_data as client_data_lib
from tff_gen_debug.debugging import bugs


def duplicate_images(
  client_data: tff.simulation.datasets.ClientData,
  probability: float,
  seed: int,
) -> client_data_lib.TracedClientData:
  """Replaces all examples of affected clients by copies of their first one.

  As of an app that writes its first image again and again. All fields are
  copied, so that the labels are those of the image; the number of examples
  stays. First is whatever comes first when the data set is read.

  Args:
    client_data: Examples of any fields, dense tensors.
    probability: Share of the clients in [0, 1]; 0 affects nobody, 1 everybody.
    seed: Integer in [0, 2**63 - 1].

  Returns:
    Client data with the same clients and element type.

  Raises:
    TypeError: If `probability` is not a number, `seed` not an integer, or
      examples hold something else than dense tensors.
    ValueError: If `probability` or `seed` is out of range.
  """
  spec = client_data.element_type_structure
  for component in tf.nest.flatten(spec):
    if not isinstance(component, tf.TensorSpec):
      raise TypeError(
        f"client_data must have examples of dense tensors, got {component}"
      )

  def break_client(
    dataset: tf.data.Dataset, affected: tf.Tensor
  ) -> tf.data.Dataset:
    def keep_first(state, example):
      started, first = state
      kept = tf.cond(
        tf.logical_and(started, affected), lambda: first, lambda: example
      )
      return (tf.constant(True), kept), kept

    # One pass over the data set: reading the first example again, beside the
    # others, could give another one where the order is random.
    nothing = tf.nest.map_structure(_zeros, spec)
    return dataset.scan((tf.constant(False), nothing), keep_first)

  return bugs.inject_client_bug(client_data, break_client, probability, seed)


def wrong_label(
  client_data: tff.simulation.datasets.ClientData,
  from_label: int,
  to_label: int,
  probability: float,
  seed: int,
) -> client_data_lib.TracedClientData:
  """Gives one class of affected clients the label of another.

  As of a label map that is wrong in one entry. Images of `to_label` keep their
  label, so that the class then holds both.

  Args:
    client_data: Examples with `label`, an integer scalar, and other fields,
      which stay as they are.
    from_label: The class that is mislabelled.
    to_label: The label that it gets, another one; it need not be a known class.
    probability: Share of the clients in [0, 1]; 0 affects nobody, 1 everybody.
    seed: Integer in [0, 2**63 - 1].

  Returns:
    Client data with the same clients and element type.

  Raises:
    TypeError: If a label, or `seed`, is not an integer or `probability` not a
      number.
    ValueError: If `probability` or `seed` is out of range, the labels are
      equal or don't fit into the dtype of `label`, or examples have no `label`.
  """
  dtype = _label_dtype(client_data)
  from_label = _check_label("from_label", from_label, dtype)
  to_label = _check_label("to_label", to_label, dtype)
  if from_label == to_label:
    raise ValueError(
      f"to_label must differ from from_label, got {to_label} for both"
    )

  def break_client(
    dataset: tf.data.Dataset, affected: tf.Tensor
  ) -> tf.data.Dataset:
    def relabel(example):
      broken = example.copy()
      label = example["label"]
      is_wrong = tf.logical_and(affected, tf.equal(label, from_label))
      broken["label"] = tf.where(is_wrong, tf.constant(to_label, dtype), label)
      return broken

    return dataset.map(relabel)

  return bugs.inject_client_bug(client_data, break_client, probability, seed)


def drop_class(
  client_data: tff.simulation.datasets.ClientData,
  label: int,
  probability: float,
  seed: int,
) -> client_data_lib.TracedClientData:
  """Leaves out all examples of one class of affected clients.

  As of a version of an app that never records them. A client that has no other
  class is left with an empty data set.

  Args:
    client_data: Examples with `label`, an integer scalar, and other fields.
    label: The class.
    probability: Share of the clients in [0, 1]; 0 affects nobody, 1 everybody.
    seed: Integer in [0, 2**63 - 1].

  Returns:
    Client data with the same clients and element type.

  Raises:
    TypeError: If `label` or `seed` is not an integer or `probability` not a
      number.
    ValueError: If `probability` or `seed` is out of range, `label` does not fit
      into the dtype of the labels, or examples have no `label`.
  """
  label = _check_label("label", label, _label_dtype(client_data))

  def break_client(
    dataset: tf.data.Dataset, affected: tf.Tensor
  ) -> tf.data.Dataset:
    return dataset.filter(
      lambda example: tf.logical_not(
        tf.logical_and(affected, tf.equal(example["label"], label))
      )
    )

  return bugs.inject_client_bug(client_data, break_client, probability, seed)


def _zeros(spec: tf.TensorSpec) -> tf.Tensor:
  """A tensor of the dtype; unknown dimensions are 0."""
  return tf.zeros([size or 0 for size in spec.shape.as_list()], spec.dtype)


def _label_dtype(
  client_data: tff.simulation.datasets.ClientData,
) -> tf.DType:
  """The dtype of the labels; a ValueError if there are none."""
  spec = client_data.element_type_structure
  label = (
    spec.get("label") if isinstance(spec, collections.abc.Mapping) else None
  )
  if (
    not isinstance(label, tf.TensorSpec)
    or label.shape.rank != 0
    or not label.dtype.is_integer
  ):
    raise ValueError(
      "client_data must have examples with `label`, an integer scalar, got"
      f" {spec}"
    )
  return label.dtype


def _check_label(name: str, label: Any, dtype: tf.DType) -> int:
  """Returns a label as an int if labels can hold it."""
  if isinstance(label, bool) or not hasattr(label, "__index__"):
    raise TypeError(f"{name} must be an int, got {type(label).__name__}")
  label = label.__index__()
  if not dtype.min <= label <= dtype.max:
    raise ValueError(
      f"{name} must be in [{dtype.min}, {dtype.max}], got {label}"
    )
  return label
