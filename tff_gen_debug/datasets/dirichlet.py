"""Clients with label distributions of their own, drawn from a Dirichlet.

As in Hsu, Qi and Brown, "Measuring the Effects of Non-Identical Data
Distribution for Federated Visual Classification" (2019, arXiv:1909.06335): a
client's class mixture is a draw q from Dir(alpha p), where p is the share of
each class in the data, and its examples are drawn by that mixture without
replacement. A large alpha makes clients alike, a small one gives each a single
class.

alpha is the paper's: the *sum* of the Dirichlet's parameters. What draws from
Dir(a, ..., a) over K classes elsewhere calls a = alpha / K its alpha.
"""

import numbers
from typing import Any, List

import numpy as np

from tff_gen_debug import arguments
from tff_gen_debug.datasets import client_hash

# A draw at the lower end has one class and at the upper end it is p, to all
# digits of a float64. Beyond them sums and quotients overflow.
_LEAST_ALPHA = 1e-100
_MOST_ALPHA = 1e100


def partition(
  labels: Any, num_clients: int, alpha: float, seed: int
) -> List[np.ndarray]:
  """Deals labelled examples to clients of equal size and unequal classes.

  Every example goes to exactly one client. Clients are served one after the
  other, and a class that has run out is left out of the mixtures of those still
  to come, which are renormalised; so the last clients take what is left, and
  their classes follow the Dirichlet less closely than the first ones'. While no
  class has run out, a client of n examples has a share s of each class with

      E[sum of s^2] = 1/n + (1 - 1/n) (1 + alpha sum of p^2) / (1 + alpha).

  The same arguments give the same partition in every process, though not with
  every NumPy: its `Generator` may draw otherwise in another release (NEP 19).

  Edge cases: alpha = inf is the IID partition, q = p. A client whose mixture
  has nothing but classes that have run out (likely with a small alpha) draws
  another over the remaining ones. It has the distribution of the renormalised
  one, which for a Dirichlet does not depend on the part removed.

      parts = dirichlet.partition(labels, num_clients=100, alpha=0.5, seed=0)
      labels[parts[17]]  # What client 17 has.

  Args:
    labels: The examples' classes, integers `[n]`.
    num_clients: How many clients, in [1, n].
    alpha: Concentration, positive; `math.inf` is allowed.
    seed: Integer in [0, 2**63 - 1].

  Returns:
    For each client the indexes of its examples, int64 `[n // num_clients]` or,
    for the first `n % num_clients` of them, one more; in random order.

  Raises:
    TypeError: If `labels` or an argument has another type.
    ValueError: If `labels` has another rank, or an argument is out of range.
  """
  try:
    labels = np.asarray(labels)
  except ValueError as error:
    raise ValueError(f"labels must have rank 1, got {labels!r}") from error
  if labels.ndim != 1:
    raise ValueError(f"labels must have rank 1, got shape {labels.shape}")
  _check_num_clients(num_clients, len(labels))
  if not np.issubdtype(labels.dtype, np.integer):
    raise TypeError(f"labels must be integers, got {labels.dtype}")
  alpha = min(max(_check_alpha(alpha), _LEAST_ALPHA), _MOST_ALPHA)
  rng = np.random.default_rng(client_hash.check_seed(seed))

  _, class_of, left = np.unique(labels, return_inverse=True, return_counts=True)
  prior = left / len(labels)
  # A class's examples in the order in which they go, from the end on.
  stock = [
    rng.permutation(np.flatnonzero(class_of == k)) for k in range(len(left))
  ]
  size, larger = divmod(len(labels), num_clients)
  parts = []
  for client in range(num_clients):
    taken = _draw_counts(rng, alpha, prior, left, size + (client < larger))
    rows = [
      stock[k][left[k] - taken[k] : left[k]] for k in np.flatnonzero(taken)
    ]
    left = left - taken
    parts.append(rng.permutation(np.concatenate(rows)))
  return parts


def _draw_counts(
  rng: np.random.Generator,
  alpha: float,
  prior: np.ndarray,
  left: np.ndarray,
  size: int,
) -> np.ndarray:
  """Draws how many examples of each class one client takes.

  Drawing one example after the other, each from the mixture renormalised over
  the classes with examples left, gives counts of the same distribution: what
  exceeds a class is drawn again from the others.

  Args:
    rng: Source of randomness.
    alpha: The concentration.
    prior: The classes' shares in the data, float64 `[k]`.
    left: How many examples of each class are left, int64 `[k]`.
    size: How many to take, at most the sum of `left`.

  Returns:
    int64 `[k]` with the sum `size`, nowhere more than `left`.
  """
  mixture = _draw_mixture(rng, alpha, prior)
  taken = np.zeros_like(left)
  missing = size
  while missing:
    remaining = taken < left
    weights = np.where(remaining, mixture, 0.0)
    total = weights.sum()
    if total <= 0:
      mixture = _draw_mixture(rng, alpha, np.where(remaining, prior, 0.0))
      continue
    # Without the other classes: multinomial gives the last one whatever is
    # lost to rounding, also if its weight is 0.
    drawn_from = np.flatnonzero(weights)
    drawn = rng.multinomial(missing, weights[drawn_from] / total)
    taken[drawn_from] = np.minimum(taken[drawn_from] + drawn, left[drawn_from])
    missing = size - taken.sum()
  return taken


def _draw_mixture(
  rng: np.random.Generator, alpha: float, prior: np.ndarray
) -> np.ndarray:
  """Draws from Dir(alpha prior) over the classes with a positive prior.

  NumPy 1.25's own `Generator.dirichlet` gets slower as alpha falls, until it
  hangs (NumPy issue 24203). So this divides Gamma variables by their sum, on a
  log scale where they can't underflow:
  Gamma(a) = Gamma(a + 1) U^(1/a).
  """
  mixture = np.zeros_like(prior)
  classes = np.flatnonzero(prior)
  a = alpha * prior[classes]
  log_gamma = np.log(rng.standard_gamma(a + 1))
  log_gamma -= rng.standard_exponential(len(a)) / a
  shares = np.exp(log_gamma - log_gamma.max())
  mixture[classes] = shares / shares.sum()
  return mixture


def _check_num_clients(num_clients: int, num_examples: int) -> None:
  if isinstance(num_clients, bool) or not isinstance(
    num_clients, numbers.Integral
  ):
    raise TypeError(
      f"num_clients must be an int, got {type(num_clients).__name__}"
    )
  if not 1 <= num_clients <= num_examples:
    raise ValueError(
      f"num_clients must be in [1, {num_examples}], the number of labels, got"
      f" {arguments.shown(num_clients)}"
    )


def _check_alpha(alpha: float) -> float:
  if isinstance(alpha, bool) or not isinstance(alpha, numbers.Real):
    raise TypeError(f"alpha must be a real number, got {alpha!r}")
  # Not `alpha <= 0`: NaN must fail too.
  if not alpha > 0:
    raise ValueError(f"alpha must be positive, got {arguments.shown(alpha)}")
  # Also of an integer that no float holds.
  return float(min(alpha, _MOST_ALPHA))
