"""Which clients take part in a round, as the accounting assumes it."""

import collections
from typing import Iterable, List, Tuple

import numpy as np

from tff_gen_debug.privacy import validation

SAMPLING = ("poisson", "fixed_size")

# Under which neighbours sampling is proved to amplify privacy.
_RELATION_OF_SAMPLING = {
  "poisson": "add_or_remove_one",
  "fixed_size": "replace_one",
}

# NumPy packs a seed into 32-bit words before it mixes in the round; up to four
# words no two pairs of seed and round look the same to it.
_MAX_SEED = 2**128 - 1


class ClientSampler:
  """Draws the cohort of every round from a fixed set of clients.

  Poisson sampling takes each client independently with the same probability,
  so the cohort's size varies and may be 0. Fixed-size sampling takes a
  uniformly random subset of exactly `expected_clients_per_round` clients.

  A cohort is a pure function of the seed, the round number and the *set* of
  client ids: not of their order, of earlier calls, or of the NumPy version (it
  uses the raw 64-bit words of the Philox generator, keyed by seed and round).
  A resumed run therefore draws what the interrupted one would have drawn.

  Formal guarantees: amplification by sampling holds against those who don't
  know who was sampled. In a deployment the seed must be secret and random;
  `secrets.randbits(128)` makes one.

  Edge cases: an empty Poisson cohort is a legal round, which releases noise
  only. With an expected cohort equal to the population everybody is drawn.
  """

  def __init__(
    self,
    client_ids: Iterable[str],
    *,
    sampling: str,
    expected_clients_per_round: float,
    seed: int,
  ):
    """Initializes the sampler.

    Args:
      client_ids: The whole population; distinct strings, at least one.
      sampling: "poisson" or "fixed_size".
      expected_clients_per_round: In (0, number of clients]; a whole number for
        "fixed_size".
      seed: In [0, 2**128).

    Raises:
      TypeError: An id is not a string, or a number has the wrong type.
      ValueError: An id appears twice, there is none, or a value is out of
        range.
    """
    self._client_ids = check_client_ids(client_ids)
    self._sampling = validation.one_of("sampling", sampling, SAMPLING)
    self._expected = check_cohort(
      "expected_clients_per_round",
      expected_clients_per_round,
      sampling=sampling,
      population=len(self._client_ids),
      population_name="the number of client_ids",
    )
    self._seed = check_seed(seed)

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
    round_num = check_round_num(round_num)
    population = len(self._client_ids)
    if self._expected == population:
      return list(self._client_ids)
    words = random_words(self._seed, round_num, population)
    if self._sampling == "poisson":
      # Rounded down: the probability is never above the one accounted for.
      threshold = int(self._expected / population * 2**64)
      chosen = np.flatnonzero(words < np.uint64(threshold))
    else:
      order = np.argsort(words, kind="stable")
      chosen = np.sort(order[: int(self._expected)])
    return [self._client_ids[index] for index in chosen]


def random_words(seed: int, stream: int, count: int) -> np.ndarray:
  """Returns `count` random uint64, a pure function of the seed and stream.

  Args:
    seed: As `check_seed` returns it.
    stream: In [0, 2**32); each number has words of its own.
    count: How many words.
  """
  return np.random.Philox(
    np.random.SeedSequence(seed, spawn_key=(stream,))
  ).random_raw(count)


def check_client_ids(client_ids: Iterable[str]) -> Tuple[str, ...]:
  """Returns the ids of a population, sorted.

  Args:
    client_ids: Distinct strings, at least one.

  Raises:
    TypeError: An id is not a string.
    ValueError: An id appears twice, or there is none.
  """
  if isinstance(client_ids, str):
    raise TypeError("client_ids must be a sequence of strings, not a string")
  ids = list(client_ids)
  for client_id in ids:
    if not isinstance(client_id, str):
      raise TypeError(
        f"client_ids must be strings, got {validation.shown(client_id)}"
      )
  if not ids:
    raise ValueError("client_ids must not be empty")
  if len(set(ids)) < len(ids):
    twice = collections.Counter(ids).most_common(1)[0][0]
    raise ValueError(
      f"client_ids must be distinct, got {validation.shown(twice)} twice"
    )
  return tuple(sorted(ids))


def check_seed(seed: int) -> int:
  """Returns a sampler's seed, which must be in [0, 2**128)."""
  result = validation.integer("seed", seed, 0)
  if result > _MAX_SEED:
    raise ValueError(f"seed must be below 2**128, got {validation.shown(seed)}")
  return result


def check_round_num(round_num: int) -> int:
  """Returns a round's number, which must be in [0, 2**32)."""
  result = validation.integer("round_num", round_num, 0)
  if result >= 2**32:
    raise ValueError(
      f"round_num must be below 2**32, got {validation.shown(round_num)}"
    )
  return result


def check_cohort(
  name: str,
  value: float,
  *,
  sampling: str,
  population: int,
  population_name: str = "population",
) -> float:
  """Returns a valid (expected) cohort size; an int if it is a whole number.

  Args:
    name: What the value is called, for the error.
    value: The size to check.
    sampling: "poisson" or "fixed_size".
    population: How many clients there are.
    population_name: What the population is called, for the error.

  Raises:
    TypeError: `value` is not a number.
    ValueError: `value` is not in (0, population], or not whole under
      "fixed_size".
  """
  result = validation.positive(name, value)
  if result > population:
    raise ValueError(
      f"{name} must be at most {population_name} ({population}), got {value!r}"
    )
  if result.is_integer():
    return int(result)
  if sampling == "fixed_size":
    raise ValueError(
      f"{name} must be a whole number with sampling 'fixed_size', got {value!r}"
    )
  return result


def check_justified(
  sampling: str, neighboring_relation: str, accountant: str
) -> None:
  """Raises if no accountant's theorem covers a combination.

  Poisson sampling is proved for neighbours of which one has a user more
  (Mironov, Talwar and Zhang, 2019, arXiv 1908.10530), sampling without
  replacement for neighbours of one size (Wang, Balle and Kasiviswanathan,
  2019, arXiv 1808.00087).

  Args:
    sampling: "poisson" or "fixed_size", of fewer clients than there are.
    neighboring_relation: "add_or_remove_one" or "replace_one".
    accountant: "rdp", "rdp_classic" or "pld".

  Raises:
    ValueError: The combination has no justification.
  """
  needed = _RELATION_OF_SAMPLING[sampling]
  if neighboring_relation != needed:
    hint = ""
    if sampling == "fixed_size":
      hint = (
        "; under it exchanging one user moves the clipped sum by two clip"
        " norms, so the same noise is half the noise_multiplier"
      )
    raise ValueError(
      f"sampling {sampling!r} needs neighboring_relation {needed!r}, for which"
      f" its amplification is proved{hint}; got {neighboring_relation!r}"
    )
  if sampling == "fixed_size" and accountant == "pld":
    raise ValueError(
      "accountant 'pld' can't account for sampling 'fixed_size': dp-accounting"
      " has no privacy loss distribution for sampling without replacement; use"
      " 'rdp', or sampling 'poisson'"
    )
