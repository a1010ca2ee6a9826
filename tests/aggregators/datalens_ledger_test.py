"""The privacy ledger of DataLens' published runs, theirs and the exact one.

Settings of Wang et al. (2021), arXiv 2103.11109, and of their code: teachers
vote on each of B images in each of T steps, with replace-one neighbours and a
delta of 1e-5.
"""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests.privacy import closed_forms
from tff_gen_debug import privacy
from tff_gen_debug.aggregators import top_k_sign_query

_DELTA = 1e-5

# Top k, standard deviation of the noise, images a step, steps; epsilon by the
# authors' accounting, and exactly.
_RUNS = {
  "MNIST, epsilon 1": (200, 5000, 15, 86, "0.9957", "0.738"),
  "CelebA-Gender, epsilon 1": (700, 9000, 30, 40, "0.998", "0.740"),
  "CelebA-Hair, epsilon 1": (700, 9000, 15, 80, "0.998", "0.740"),
  "MNIST, epsilon 10": (300, 800, 15, 109, "9.969", "8.50"),
  "Fashion-MNIST, epsilon 10": (350, 1000, 15, 146, "9.970", "8.50"),
  "CelebA-Gender, epsilon 10": (500, 700, 30, 25, "9.960", "8.49"),
}


def _rounded(value: float, like: str) -> str:
  return f"{value:.{len(like.split('.')[1])}f}"


@pytest.mark.parametrize("name", _RUNS)
def test_the_authors_epsilon_and_the_exact_one(name):
  top_k, stddev, images, steps, authors, exact = _RUNS[name]
  query = top_k_sign_query.TopKSignSumQuery(
    top_k,
    noise_multiplier=stddev / (2 * math.sqrt(top_k)),
    neighboring_relation="replace_one",
  )
  assert query.noise_stddev == pytest.approx(stddev)
  # Theirs: Renyi DP of a Gaussian with sensitivity 2 sqrt(k), converted by the
  # classic bound over the orders that their code has.
  orders = np.array([1.1, *range(2, 200)])
  renyi = images * steps * 2 * top_k * orders / stddev**2
  theirs = np.min(renyi + math.log(1 / _DELTA) / (orders - 1))
  assert _rounded(theirs, authors) == authors
  # The exact one, by a closed form.
  noise_multiplier = query.noise_stddev / query.l2_sensitivity
  least = closed_forms.epsilon_of(
    lambda e: closed_forms.gaussian_delta(e, noise_multiplier, images * steps),
    _DELTA,
  )
  assert _rounded(least, exact) == exact
  # Ours, from the event that the query returns.
  _, _, event = query.get_noised_result(tf.zeros([1], tf.int32), ())
  epsilons = {}
  for accountant in ("rdp", "pld"):
    ledger = privacy.PrivacyLedger(
      _DELTA, neighboring_relation="replace_one", accountant=accountant
    )
    ledger.record(event, images * steps)
    epsilons[accountant] = ledger.epsilon()
  assert epsilons["pld"] == pytest.approx(least, rel=1e-3)
  assert least <= epsilons["rdp"] <= theirs
