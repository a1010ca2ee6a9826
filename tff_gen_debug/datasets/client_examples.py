"""Client data sets in memory, read a cohort at a time."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

# A few seconds' reading, and 100 MB of the tasks' examples.
_FEW_CLIENTS = 10_000


class ClientExamples(Mapping[str, tf.data.Dataset]):
  """Client data sets by id, each read when it is first needed and then kept.

  A client takes part in many rounds; splitting and encoding its text again in
  each would cost more than training on it. Starting a `tf.data` pipeline costs
  as much as reading a hundred clients: so few clients are all read by the first
  one, and of many clients a cohort should be `read` before it is used.
  """

  def __init__(
    self, client_data: tff.simulation.datasets.ClientData, max_examples: int
  ):
    """Reads nothing yet.

    Args:
      client_data: The clients; their examples have known shapes.
      max_examples: How many examples of a client are kept, its first ones.
    """
    self._client_ids = list(client_data.client_ids)
    self._known_ids = frozenset(self._client_ids)
    self._tensors: dict[str, Any] = {}
    self._kept: dict[str, tf.data.Dataset] = {}
    dataset_fn = client_data.serializable_dataset_fn
    no_examples = tf.nest.map_structure(
      lambda spec: tf.zeros([0, *spec.shape], spec.dtype),
      client_data.element_type_structure,
    )

    def read_client(client_id):
      batch = dataset_fn(client_id).batch(max_examples).take(1)
      # A client without examples has no batch.
      empty = tf.data.Dataset.from_tensors(no_examples)
      return batch.concatenate(empty).take(1).get_single_element()

    # Traced once: a pipeline made anew for each cohort would leave its
    # functions in TensorFlow's context.
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def read_clients(client_ids):
      return tf.data.Dataset.from_tensor_slices(client_ids).map(
        read_client, num_parallel_calls=tf.data.AUTOTUNE
      )

    self._read_clients = read_clients

  def read(self, client_ids: Sequence[str]) -> None:
    """Makes sure that some clients are in memory."""
    missing = [key for key in client_ids if key not in self._kept]
    if missing and len(self._client_ids) <= _FEW_CLIENTS:
      missing = self._client_ids
    if missing:
      for key, examples in zip(missing, self._read_clients(missing)):
        self._tensors[key] = examples
        self._kept[key] = tf.data.Dataset.from_tensor_slices(examples)

  def __getitem__(self, client_id: str) -> tf.data.Dataset:
    if client_id not in self._known_ids:
      raise KeyError(client_id)
    self.read([client_id])
    return self._kept[client_id]

  def tensors(self, client_id: str) -> Any:
    """A client's examples with a leading dimension.

    For who wants their numbers: reading a data set to its end takes some ten
    milliseconds, whatever is in it.

    Args:
      client_id: One of the clients.

    Returns:
      Tensors `[n, ...]` in the structure of an example; n may be 0.

    Raises:
      KeyError: If there is no such client.
    """
    self[client_id]  # Reads it, or raises.
    return self._tensors[client_id]

  def __iter__(self) -> Iterator[str]:
    return iter(self._client_ids)

  def __len__(self) -> int:
    return len(self._client_ids)
