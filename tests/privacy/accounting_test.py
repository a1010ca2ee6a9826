import json
import math
import subprocess
import sys
import time

import dp_accounting
import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy import integrate
from scipy import stats

from tests.privacy import closed_forms
from tff_gen_debug.privacy import accounting

_GAUSSIAN = dp_accounting.GaussianDpEvent


def _poisson(probability, noise_multiplier):
  return dp_accounting.PoissonSampledDpEvent(
    probability, _GAUSSIAN(noise_multiplier)
  )


def _without_replacement(population, cohort, noise_multiplier):
  return dp_accounting.SampledWithoutReplacementDpEvent(
    population, cohort, _GAUSSIAN(noise_multiplier)
  )


def _epsilon(
  *events, accountant="rdp", relation="add_or_remove_one", delta=1e-6
):
  return accounting.epsilon(
    events,
    delta=delta,
    accountant=accountant,
    neighboring_relation=relation,
  )


@pytest.mark.parametrize("noise_multiplier", [0.3, 1.0, 4.0, 50.0])
@pytest.mark.parametrize("delta", [1e-3, 1e-6, 1e-9])
def test_single_gaussian_matches_exact_formula(noise_multiplier, delta):
  exact = closed_forms.epsilon_of(
    lambda e: closed_forms.gaussian_delta(e, noise_multiplier), delta
  )
  event = (_GAUSSIAN(noise_multiplier), 1)
  pld = _epsilon(event, accountant="pld", delta=delta)
  rdp = _epsilon(event, accountant="rdp", delta=delta)
  classic = _epsilon(event, accountant="rdp_classic", delta=delta)
  assert exact <= pld + 1e-12
  assert pld == pytest.approx(exact, rel=2e-3, abs=1e-6)
  # An upper bound, but not a vacuous one.
  assert exact < rdp < 1.35 * exact + 0.01
  assert rdp < classic


def test_composed_gaussians_equal_one_with_less_noise():
  # 3 / 1^2 + 4 / 2^2 = 4 = 1 / 0.5^2.
  events = [(_GAUSSIAN(1.0), 3), (_GAUSSIAN(2.0), 4)]
  exact = closed_forms.epsilon_of(
    lambda e: closed_forms.gaussian_delta(e, 0.5), 1e-6
  )
  assert _epsilon(*events, accountant="pld") == pytest.approx(exact, rel=1e-3)
  assert _epsilon(*events) == pytest.approx(_epsilon((_GAUSSIAN(0.5), 1)))


@pytest.mark.parametrize(
  ("probability", "noise_multiplier"),
  [(5000 / 342477, 1.0), (0.1, 0.5), (0.5, 2.0), (0.01, 0.3)],
)
def test_one_sampled_gaussian_matches_exact_formula(
  probability, noise_multiplier
):
  exact = closed_forms.epsilon_of(
    lambda e: closed_forms.sampled_gaussian_delta(
      e, noise_multiplier, probability
    ),
    1e-6,
  )
  event = (_poisson(probability, noise_multiplier), 1)
  pld = _epsilon(event, accountant="pld")
  assert exact <= pld + 1e-9
  assert pld == pytest.approx(exact, rel=1e-3)
  assert _epsilon(event) > exact


def test_composed_sampled_gaussians_lie_between_bounds():
  lower, upper = closed_forms.composed_sampled_gaussian_bracket(
    1.0, 0.1, rounds=100, delta=1e-5
  )
  assert upper - lower < 0.003
  event = (_poisson(0.1, 1.0), 100)
  pld = _epsilon(event, accountant="pld", delta=1e-5)
  assert lower <= pld <= upper + 1e-3
  assert upper < _epsilon(event, delta=1e-5)


def test_pld_grid_follows_a_large_epsilon():
  lower, upper = closed_forms.composed_sampled_gaussian_bracket(
    0.1, 0.1, rounds=1000, delta=1e-6, step=0.01, most=9000.0
  )
  assert upper - lower < 0.002 * lower
  pld = _epsilon((_poisson(0.1, 0.1), 1000), accountant="pld")
  assert lower <= pld <= 1.003 * upper


# dp-accounting 0.4.3; the classic column of the first row is also what
# Augenstein et al., 2020, print for their word language model.
_WORD_LM = (342477, 5000, 2000)
_PUBLISHED = [
  ("without replacement", *_WORD_LM, 1.0, 9.222, 8.473),
  ("without replacement", *_WORD_LM, 0.5, 58.76, 57.37),
  ("poisson", *_WORD_LM, 1.0, 5.195, 4.617),
  ("without replacement", 10**5, 1000, 1000, 1.0, 4.116, 3.576),
  ("without replacement", 10**6, 1000, 1000, 1.0, 1.189, 0.895),
  ("without replacement", 2 * 10**6, 1000, 1000, 1.0, 1.065, 0.802),
  ("without replacement", 10**7, 1000, 1000, 1.0, 0.949, 0.722),
  ("without replacement", 10**8, 1000, 1000, 1.0, 0.838, 0.651),
  ("poisson", 10**5, 1000, 1000, 1.0, 2.538, 2.101),
  ("poisson", 10**6, 1000, 1000, 1.0, 1.163, 0.870),
  ("poisson", 2 * 10**6, 1000, 1000, 1.0, 1.049, 0.786),
  ("poisson", 10**7, 1000, 1000, 1.0, 0.948, 0.721),
  ("poisson", 10**8, 1000, 1000, 1.0, 0.838, 0.651),
]


@pytest.mark.parametrize(
  (
    "sampling",
    "population",
    "cohort",
    "rounds",
    "noise",
    "classic",
    "improved",
  ),
  _PUBLISHED,
)
def test_matches_table(
  sampling, population, cohort, rounds, noise, classic, improved
):
  if sampling == "poisson":
    event, relation = _poisson(cohort / population, noise), "add_or_remove_one"
  else:
    event = _without_replacement(population, cohort, noise)
    relation = "replace_one"
  kwargs = dict(relation=relation, delta=1 / population)
  # Half a unit of the last printed digit.
  last_digit = 0.006 if classic > 10 else 0.0006
  assert _epsilon(
    (event, rounds), accountant="rdp_classic", **kwargs
  ) == pytest.approx(classic, abs=last_digit)
  assert _epsilon((event, rounds), **kwargs) == pytest.approx(
    improved, abs=last_digit
  )
  if sampling == "poisson":
    # Where few users are drawn, most of Renyi DP's epsilon is its own slack.
    pld = _epsilon((event, rounds), accountant="pld", **kwargs)
    assert 0 < pld < 0.95 * improved


# Wang et al., 2021 (DataLens): k, sigma, images, steps, the authors' ledger
# (classic Renyi DP), the exact Gaussian. One vote's norm is sqrt(k), so
# exchanging a teacher's shard moves the sum of votes by 2 sqrt(k).
@pytest.mark.parametrize(
  ("top_k", "sigma", "images", "steps", "classic", "exact"),
  [
    (200, 5000, 15, 86, 0.9957, 0.738),
    (700, 9000, 30, 40, 0.998, 0.740),
    (700, 9000, 15, 80, 0.998, 0.740),
    (300, 800, 15, 109, 9.969, 8.50),
    (350, 1000, 15, 146, 9.970, 8.50),
    (500, 700, 30, 25, 9.960, 8.49),
  ],
)
def test_matches_datalens_ledger(top_k, sigma, images, steps, classic, exact):
  event = _GAUSSIAN(sigma / (2 * math.sqrt(top_k)))
  kwargs = dict(relation="replace_one", delta=1e-5)
  pld = _epsilon((event, images * steps), accountant="pld", **kwargs)
  assert pld == pytest.approx(exact, abs=0.006)
  ours = _epsilon((event, images * steps), accountant="rdp_classic", **kwargs)
  # The authors' orders above 2 are whole numbers; ours are finer near 1.
  assert classic - 0.07 * classic / 10 - 6e-4 < ours < classic + 6e-4


@pytest.mark.parametrize("accountant", accounting.ACCOUNTANTS)
@pytest.mark.parametrize(
  ("probability", "noise", "rounds"),
  [
    (10 / 3400, 0.01, 1000),
    (0.5, 0.01, 1000),
    (0.1, 1e-5, 10),
    (0.1, 1e-160, 1),
    (0.1, 1e-200, 1),
    # Renyi DP in dp-accounting turns negative, which it refuses.
    (1e-8, 50.0, 10),
    (0.1, 1e6, 10),
    (0.1, 1e300, 10),
    # Its series takes seconds here, and no end for even more noise.
    (0.5, 1e3, 1000),
    (0.5, 1e5, 1000),
    # A sampling probability barely above delta.
    (1.01e-6, 0.1, 1),
    (1e-9, 0.01, 1),
  ],
)
def test_extremes_give_a_number_soon(accountant, probability, noise, rounds):
  start = time.process_time()
  result = _epsilon(
    (_poisson(probability, noise), rounds), accountant=accountant
  )
  assert time.process_time() - start < 10
  assert result >= 0
  # Sampling never costs more than drawing everybody.
  bare = _epsilon((_GAUSSIAN(noise), rounds), accountant=accountant)
  assert result <= bare * (1 + 1e-3) + 1e-6


def test_more_noise_than_a_float_can_square_costs_nothing_much():
  exact = closed_forms.epsilon_of(
    lambda e: closed_forms.gaussian_delta(e, 1e12), 1e-6
  )
  assert exact == 0.0
  assert _epsilon((_GAUSSIAN(1e300), 1)) < 0.01


def _rdp(event, order):
  key = accounting.events_lib.to_key(event)
  rdp = accounting._rdp_of(key, "add_or_remove_one")
  return rdp[list(accounting._orders()).index(order)]


def test_rdp_is_an_upper_bound_where_it_is_as_small_as_rounding_errors():
  q, z, order = 1e-6, 100.0, 8
  # E_Q[(P/Q)^order] - 1 with P = (1-q) Q + q N(1): the binomial sum without
  # its leading 1, next to which dp-accounting loses the rest.
  excess = sum(
    math.comb(order, j)
    * q**j
    * (1 - q) ** (order - j)
    * math.expm1(j * (j - 1) / (2 * z * z))
    for j in range(2, order + 1)
  )
  exact = math.log1p(excess) / (order - 1)
  assert exact <= _rdp(_poisson(q, z), order) <= exact + 2e-12


@pytest.mark.parametrize("noise_multiplier", [99.0, 120.0])
@pytest.mark.parametrize("order", [1.5, 10.9])
def test_fractional_orders_are_upper_bounds_on_both_sides_of_the_limit(
  noise_multiplier, order
):
  q, z = 0.3, noise_multiplier

  def integrand(x):
    ratio = 1 + q * math.expm1((2 * x * z - 1) / (2 * z * z))
    return math.expm1(order * math.log(ratio)) * stats.norm.pdf(x)

  excess = integrate.quad(integrand, -12, 12, epsabs=1e-14)[0]
  exact = math.log1p(excess) / (order - 1)
  computed = _rdp(_poisson(q, z), order)
  assert exact * (1 - 1e-6) <= computed <= exact * 1.4


def test_large_sample_without_replacement_costs_no_more_than_everybody():
  kwargs = dict(relation="replace_one", delta=0.01)
  everybody = _epsilon((_GAUSSIAN(1.0), 10), **kwargs)
  assert _epsilon((_without_replacement(100, 99, 1.0), 10), **kwargs) == (
    pytest.approx(everybody)
  )
  half = _epsilon((_without_replacement(100, 50, 1.0), 10), **kwargs)
  assert half < everybody


def test_matches_library_on_a_mixture():
  tree = dp_accounting.SingleEpochTreeAggregationDpEvent(3.0, [20, 30])
  laplace = dp_accounting.LaplaceDpEvent(8.0)
  nested = dp_accounting.SelfComposedDpEvent(
    dp_accounting.ComposedDpEvent(
      [tree, dp_accounting.SelfComposedDpEvent(laplace, 4), _GAUSSIAN(9.0)]
    ),
    2,
  )
  library = dp_accounting.rdp.RdpAccountant(
    neighboring_relation=dp_accounting.NeighboringRelation.REPLACE_SPECIAL
  )
  library.compose(nested, 3).compose(dp_accounting.NoOpDpEvent())
  computed = _epsilon(
    (nested, 3),
    (dp_accounting.NoOpDpEvent(), 1),
    relation="replace_special",
  )
  assert computed == pytest.approx(library.get_epsilon(1e-6), rel=1e-9)
  # A step of a tree of 30 is in 5 nodes; the whole happens six times.
  sigma = (6 * (5 / 3.0**2 + 1 / 9.0**2)) ** -0.5
  gaussians_only = closed_forms.epsilon_of(
    lambda e: closed_forms.gaussian_delta(e, sigma), 1e-6
  )
  assert computed > gaussians_only


def test_sampled_composition_is_one_gaussian():
  # Two releases from one sample: 1 / 3^2 + 1 / 4^2 = 1 / 2.4^2.
  both = dp_accounting.PoissonSampledDpEvent(
    0.01, dp_accounting.ComposedDpEvent([_GAUSSIAN(3.0), _GAUSSIAN(4.0)])
  )
  assert _epsilon((both, 100)) == pytest.approx(
    _epsilon((_poisson(0.01, 2.4), 100)), rel=1e-9
  )


def test_pld_takes_a_mechanism_that_renyi_dp_does_not():
  event = dp_accounting.PoissonSampledDpEvent(
    0.1, dp_accounting.LaplaceDpEvent(1.0)
  )
  # Pure DP amplified: log(1 + q (e^1 - 1)), Balle et al., 2018.
  assert _epsilon((event, 1), accountant="pld", delta=1e-9) == pytest.approx(
    math.log1p(0.1 * math.expm1(1.0)), rel=1e-3
  )
  with pytest.raises(ValueError, match="Gaussian mechanism only"):
    _epsilon((event, 1), accountant="rdp")


@pytest.mark.parametrize("accountant", accounting.ACCOUNTANTS)
@pytest.mark.parametrize(
  "event",
  [
    dp_accounting.NonPrivateDpEvent(),
    _GAUSSIAN(0.0),
    dp_accounting.LaplaceDpEvent(0.0),
    _poisson(0.1, 0.0),
    dp_accounting.ComposedDpEvent([_GAUSSIAN(1.0), _GAUSSIAN(0.0)]),
    dp_accounting.SelfComposedDpEvent(_GAUSSIAN(0.0), 3),
  ],
)
def test_no_noise_is_no_privacy(accountant, event):
  assert _epsilon((_GAUSSIAN(1.0), 1), (event, 1), accountant=accountant) == (
    math.inf
  )


def test_no_noise_inside_a_sampled_composition():
  event = dp_accounting.PoissonSampledDpEvent(
    0.1, dp_accounting.ComposedDpEvent([_GAUSSIAN(1.0), _GAUSSIAN(0.0)])
  )
  assert _epsilon((event, 1)) == math.inf


@pytest.mark.parametrize("accountant", accounting.ACCOUNTANTS)
def test_nothing_costs_nothing(accountant):
  assert _epsilon(accountant=accountant) == 0
  assert _epsilon((dp_accounting.NoOpDpEvent(), 5), accountant=accountant) == 0
  assert _epsilon((_poisson(0.0, 0.0), 5), accountant=accountant) == 0


@pytest.mark.parametrize(
  ("event", "accountant", "relation", "reason"),
  [
    (_poisson(0.1, 1.0), "rdp", "replace_one", "Poisson sampling is proved"),
    (_poisson(0.1, 1.0), "pld", "replace_one", "Poisson sampling is proved"),
    (_poisson(0.1, 0.0), "rdp", "replace_one", "Poisson sampling is proved"),
    (
      _without_replacement(9, 3, 1.0),
      "rdp",
      "add_or_remove_one",
      "proved for 'replace_one'",
    ),
    (
      _without_replacement(9, 3, 1.0),
      "pld",
      "replace_one",
      "no privacy loss distribution",
    ),
    (
      dp_accounting.SingleEpochTreeAggregationDpEvent(1.0, 8),
      "rdp",
      "add_or_remove_one",
      "'replace_special'",
    ),
    (
      dp_accounting.SingleEpochTreeAggregationDpEvent(1.0, 8),
      "pld",
      "replace_special",
      "Renyi DP only",
    ),
    (
      dp_accounting.ComposedDpEvent([_GAUSSIAN(1.0), _poisson(0.1, 1.0)]),
      "rdp",
      "replace_one",
      "Poisson sampling is proved",
    ),
  ],
)
def test_unjustified_combinations_say_why(event, accountant, relation, reason):
  with pytest.raises(ValueError, match=reason):
    _epsilon((event, 1), accountant=accountant, relation=relation)


@pytest.mark.parametrize("delta", [0, 1, -0.1, 1.5, math.nan, math.inf])
def test_delta_out_of_range(delta):
  with pytest.raises(ValueError, match="delta must be"):
    _epsilon((_GAUSSIAN(1.0), 1), delta=delta)


def test_unknown_names():
  with pytest.raises(ValueError, match="accountant must be one of 'rdp'"):
    _epsilon((_GAUSSIAN(1.0), 1), accountant="zcdp")
  with pytest.raises(ValueError, match="neighboring_relation must be one of"):
    _epsilon((_GAUSSIAN(1.0), 1), relation="zero_out")


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(
  probability=st.floats(1e-6, 1.0),
  noise=st.floats(0.02, 200.0),
  rounds=st.integers(1, 5000),
  more_noise=st.floats(1.0, 3.0),
  more_rounds=st.integers(0, 1000),
  less_delta=st.floats(1e-3, 1.0),
  accountant=st.sampled_from(["rdp", "rdp_classic"]),
)
def test_epsilon_is_monotonic(
  probability, noise, rounds, more_noise, more_rounds, less_delta, accountant
):
  base = _epsilon((_poisson(probability, noise), rounds), accountant=accountant)
  slack = 1e-8 * max(base, 1.0)
  more = _epsilon(
    (_poisson(probability, noise), rounds + more_rounds), accountant=accountant
  )
  assert more >= base - slack
  quieter = _epsilon(
    (_poisson(probability, noise * more_noise), rounds), accountant=accountant
  )
  # Above a noise multiplier of 100 the bound for fractional orders is coarser.
  crosses = noise <= 100 < noise * more_noise
  assert crosses or quieter <= base + slack
  smaller_delta = _epsilon(
    (_poisson(probability, noise), rounds),
    accountant=accountant,
    delta=1e-6 * less_delta,
  )
  assert smaller_delta >= base - slack


@hypothesis.settings(max_examples=5, deadline=None)
@hypothesis.given(
  cohort=st.integers(1, 999),
  noise=st.floats(0.3, 10.0),
  rounds=st.integers(1, 3000),
)
def test_sampling_without_replacement_is_monotonic(cohort, noise, rounds):
  def at(cohort, noise, rounds):
    event = _without_replacement(1000, cohort, noise)
    return _epsilon((event, rounds), relation="replace_one")

  base = at(cohort, noise, rounds)
  assert at(cohort + 1, noise, rounds) >= base * (1 - 1e-9)
  assert at(cohort, noise, rounds + 1) >= base * (1 - 1e-9)
  assert at(cohort, noise * 1.1, rounds) <= base * (1 + 1e-9)


@hypothesis.settings(max_examples=6, deadline=None)
@hypothesis.given(
  probability=st.floats(1e-3, 0.9),
  noise=st.floats(0.3, 10.0),
  rounds=st.integers(1, 2000),
)
def test_pld_is_monotonic_and_below_renyi(probability, noise, rounds):
  def at(probability, noise, rounds):
    return _epsilon((_poisson(probability, noise), rounds), accountant="pld")

  base = at(probability, noise, rounds)
  # Its grid follows epsilon, so it is monotonic up to the grid's error.
  assert at(probability, noise, rounds * 2) >= base * (1 - 1e-3)
  assert at(probability, noise * 1.5, rounds) <= base * (1 + 1e-3)
  assert base <= _epsilon((_poisson(probability, noise), rounds))


def test_order_of_events_is_irrelevant():
  a, b = (_poisson(0.01, 1.0), 7), (_GAUSSIAN(5.0), 2)
  for accountant in accounting.ACCOUNTANTS:
    assert _epsilon(a, b, a, accountant=accountant) == _epsilon(
      b, (a[0], 14), accountant=accountant
    )


def test_no_warnings_from_extremes():
  """The library's overflows are handled, so they must not alarm the user."""
  code = """
import json, sys, warnings
warnings.simplefilter('error', RuntimeWarning)
import dp_accounting
from tff_gen_debug.privacy import accounting
found = [
  accounting.epsilon(
    [(dp_accounting.PoissonSampledDpEvent(
      q, dp_accounting.GaussianDpEvent(z)), 10)],
    delta=1e-6, accountant=a, neighboring_relation='add_or_remove_one')
  for q in (1e-5, 0.5) for z in (1e-5, 0.01, 1e6)
  for a in accounting.ACCOUNTANTS
]
json.dump(found, sys.stdout)
"""
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=False
  )
  assert done.returncode == 0, done.stderr
  assert np.all(np.asarray(json.loads(done.stdout)) >= 0)
