"""Which clients a federated metric asks."""

from collections.abc import Sequence
from typing import Optional

import tensorflow_federated as tff


def resolve(
  client_data: tff.simulation.datasets.ClientData,
  client_ids: Optional[Sequence[str]],
) -> list[str]:
  """Returns the clients to ask.

  Args:
    client_data: The users' data.
    client_ids: Whom to ask; None for all clients of `client_data`.

  Returns:
    Distinct ids, in the order given.

  Raises:
    ValueError: If `client_ids` is empty, or has an id that `client_data` does
      not or one twice: asked twice, a client would move a sum by twice the
      sensitivity.
  """
  known = client_data.client_ids
  if client_ids is None:
    return list(known)
  if not client_ids:
    raise ValueError("client_ids must name at least one client, got none")
  unknown = set(client_ids) - set(known)
  if unknown:
    raise ValueError(
      f"client_ids must be clients of client_data, got {sorted(unknown)[:3]}"
    )
  if len(set(client_ids)) != len(client_ids):
    raise ValueError("client_ids must be distinct, but an id occurs twice")
  return list(client_ids)
