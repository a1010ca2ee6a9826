"""Cohorts in which a client takes part at most once an epoch."""

from typing import Iterable, List, Tuple

import numpy as np

from tff_gen_debug.privacy import sampling as sampling_lib
from tff_gen_debug.privacy import validation


class ShuffledEpochSampler:
  """Shuffles the clients each epoch and hands them out cohort by cohort.

  What DP-FTRL (Kairouz et al., 2021, arXiv 2103.00039) asks of sampling: not
  that it be random, but that nobody comes twice in one epoch. Clients for whom
  an epoch has no room, fewer than a cohort if it is as long as it can be, sit
  it out; the next one is shuffled anew.

  A cohort is a pure function of the seed, the round number and the *set* of
  client ids, as that of `ClientSampler` is, so a resumed run draws what the
  interrupted one would have drawn.

  Formal guarantees: none rest on the order being random or secret.
  """

  def __init__(
    self,
    client_ids: Iterable[str],
    *,
    clients_per_round: int,
    epoch_rounds: int,
    seed: int,
  ):
    """Initializes the sampler.

    Args:
      client_ids: The whole population; distinct strings, at least one.
      clients_per_round: Clients in every round, at least 1.
      epoch_rounds: Rounds in which nobody comes twice, at least 1.
      seed: In [0, 2**128).

    Raises:
      TypeError: An id is not a string, or a number has the wrong type.
      ValueError: An id appears twice, a value is out of range, or the clients
        are too few for an epoch.
    """
    self._client_ids = sampling_lib.check_client_ids(client_ids)
    self._clients_per_round = validation.integer(
      "clients_per_round", clients_per_round, 1
    )
    self._epoch_rounds = validation.integer("epoch_rounds", epoch_rounds, 1)
    self._seed = sampling_lib.check_seed(seed)
    needed = self._clients_per_round * self._epoch_rounds
    if needed > len(self._client_ids):
      raise ValueError(
        f"client_ids must be at least {needed}, {clients_per_round} clients for"
        f" each of {epoch_rounds} rounds, got {len(self._client_ids)}"
      )

  @property
  def client_ids(self) -> Tuple[str, ...]:
    """The whole population, sorted."""
    return self._client_ids

  def sample(self, round_num: int) -> List[str]:
    """Returns the cohort of one round.

    Args:
      round_num: In [0, 2**32).

    Returns:
      Distinct client ids in sorted order.

    Raises:
      TypeError: `round_num` is not an integer.
      ValueError: `round_num` is out of range.
    """
    epoch, index = divmod(
      sampling_lib.check_round_num(round_num), self._epoch_rounds
    )
    words = sampling_lib.random_words(self._seed, epoch, len(self._client_ids))
    start = index * self._clients_per_round
    order = np.argsort(words, kind="stable")
    chosen = np.sort(order[start : start + self._clients_per_round])
    return [self._client_ids[index] for index in chosen]
