import math

import dp_accounting
import pytest

from tests.privacy import closed_forms
from tests.privacy import examples
from tff_gen_debug.privacy import accounting


@pytest.mark.parametrize("noise_multiplier", [0.3, 1.0, 4.0, 50.0])
@pytest.mark.parametrize("delta", [1e-3, 1e-6, 1e-9])
def test_single_gaussian_matches_exact_formula(noise_multiplier, delta):
  exact = closed_forms.epsilon_of(
    lambda e: closed_forms.gaussian_delta(e, noise_multiplier), delta
  )
  event = (examples.GAUSSIAN(noise_multiplier), 1)
  pld = examples.epsilon(event, accountant="pld", delta=delta)
  rdp = examples.epsilon(event, accountant="rdp", delta=delta)
  classic = examples.epsilon(event, accountant="rdp_classic", delta=delta)
  assert exact <= pld + 1e-12
  assert pld == pytest.approx(exact, rel=2e-3, abs=1e-6)
  # An upper bound, but not a vacuous one.
  assert exact < rdp < 1.35 * exact + 0.01
  assert rdp < classic


def test_composed_gaussians_equal_one_with_less_noise():
  # 3 / 1^2 + 4 / 2^2 = 4 = 1 / 0.5^2.
  events = [(examples.GAUSSIAN(1.0), 3), (examples.GAUSSIAN(2.0), 4)]
  exact = closed_forms.epsilon_of(
    lambda e: closed_forms.gaussian_delta(e, 0.5), 1e-6
  )
  assert examples.epsilon(*events, accountant="pld") == pytest.approx(
    exact, rel=1e-3
  )
  assert examples.epsilon(*events) == pytest.approx(
    examples.epsilon((examples.GAUSSIAN(0.5), 1))
  )


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
  event = (examples.poisson(probability, noise_multiplier), 1)
  pld = examples.epsilon(event, accountant="pld")
  assert exact <= pld + 1e-9
  assert pld == pytest.approx(exact, rel=1e-3)
  assert examples.epsilon(event) > exact


def test_composed_sampled_gaussians_lie_between_bounds():
  lower, upper = closed_forms.composed_sampled_gaussian_bracket(
    1.0, 0.1, rounds=100, delta=1e-5
  )
  assert upper - lower < 0.003
  event = (examples.poisson(0.1, 1.0), 100)
  pld = examples.epsilon(event, accountant="pld", delta=1e-5)
  assert lower <= pld <= upper + 1e-3
  assert upper < examples.epsilon(event, delta=1e-5)


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
    event, relation = (
      examples.poisson(cohort / population, noise),
      "add_or_remove_one",
    )
  else:
    event = examples.without_replacement(population, cohort, noise)
    relation = "replace_one"
  kwargs = dict(relation=relation, delta=1 / population)
  # Half a unit of the last printed digit.
  last_digit = 0.006 if classic > 10 else 0.0006
  assert examples.epsilon(
    (event, rounds), accountant="rdp_classic", **kwargs
  ) == pytest.approx(classic, abs=last_digit)
  assert examples.epsilon((event, rounds), **kwargs) == pytest.approx(
    improved, abs=last_digit
  )
  if sampling == "poisson":
    # Where few users are drawn, most of Renyi DP's epsilon is its own slack.
    pld = examples.epsilon((event, rounds), accountant="pld", **kwargs)
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
  event = examples.GAUSSIAN(sigma / (2 * math.sqrt(top_k)))
  kwargs = dict(relation="replace_one", delta=1e-5)
  pld = examples.epsilon((event, images * steps), accountant="pld", **kwargs)
  assert pld == pytest.approx(exact, abs=0.006)
  ours = examples.epsilon(
    (event, images * steps), accountant="rdp_classic", **kwargs
  )
  # The authors' orders above 2 are whole numbers; ours are finer near 1.
  assert classic - 0.07 * classic / 10 - 6e-4 < ours < classic + 6e-4


def test_matches_library_on_a_mixture():
  tree = dp_accounting.SingleEpochTreeAggregationDpEvent(3.0, [20, 30])
  laplace = dp_accounting.LaplaceDpEvent(8.0)
  nested = dp_accounting.SelfComposedDpEvent(
    dp_accounting.ComposedDpEvent(
      [
        tree,
        dp_accounting.SelfComposedDpEvent(laplace, 4),
        examples.GAUSSIAN(9.0),
      ]
    ),
    2,
  )
  library = dp_accounting.rdp.RdpAccountant(
    neighboring_relation=dp_accounting.NeighboringRelation.REPLACE_SPECIAL
  )
  library.compose(nested, 3).compose(dp_accounting.NoOpDpEvent())
  computed = examples.epsilon(
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
    0.01,
    dp_accounting.ComposedDpEvent(
      [examples.GAUSSIAN(3.0), examples.GAUSSIAN(4.0)]
    ),
  )
  assert examples.epsilon((both, 100)) == pytest.approx(
    examples.epsilon((examples.poisson(0.01, 2.4), 100)), rel=1e-9
  )


def test_pld_takes_a_mechanism_that_renyi_dp_does_not():
  event = dp_accounting.PoissonSampledDpEvent(
    0.1, dp_accounting.LaplaceDpEvent(1.0)
  )
  # Pure DP amplified: log(1 + q (e^1 - 1)), Balle et al., 2018.
  assert examples.epsilon(
    (event, 1), accountant="pld", delta=1e-9
  ) == pytest.approx(math.log1p(0.1 * math.expm1(1.0)), rel=1e-3)
  with pytest.raises(ValueError, match="Gaussian mechanism only"):
    examples.epsilon((event, 1), accountant="rdp")


@pytest.mark.parametrize("accountant", accounting.ACCOUNTANTS)
@pytest.mark.parametrize(
  "event",
  [
    dp_accounting.NonPrivateDpEvent(),
    examples.GAUSSIAN(0.0),
    dp_accounting.LaplaceDpEvent(0.0),
    examples.poisson(0.1, 0.0),
    dp_accounting.ComposedDpEvent(
      [examples.GAUSSIAN(1.0), examples.GAUSSIAN(0.0)]
    ),
    dp_accounting.SelfComposedDpEvent(examples.GAUSSIAN(0.0), 3),
  ],
)
def test_no_noise_is_no_privacy(accountant, event):
  assert examples.epsilon(
    (examples.GAUSSIAN(1.0), 1), (event, 1), accountant=accountant
  ) == (math.inf)


def test_no_noise_inside_a_sampled_composition():
  event = dp_accounting.PoissonSampledDpEvent(
    0.1,
    dp_accounting.ComposedDpEvent(
      [examples.GAUSSIAN(1.0), examples.GAUSSIAN(0.0)]
    ),
  )
  assert examples.epsilon((event, 1)) == math.inf


@pytest.mark.parametrize("accountant", accounting.ACCOUNTANTS)
def test_nothing_costs_nothing(accountant):
  assert examples.epsilon(accountant=accountant) == 0
  assert (
    examples.epsilon((dp_accounting.NoOpDpEvent(), 5), accountant=accountant)
    == 0
  )
  assert (
    examples.epsilon((examples.poisson(0.0, 0.0), 5), accountant=accountant)
    == 0
  )


@pytest.mark.parametrize(
  ("event", "accountant", "relation", "reason"),
  [
    (
      examples.poisson(0.1, 1.0),
      "rdp",
      "replace_one",
      "Poisson sampling is proved",
    ),
    (
      examples.poisson(0.1, 1.0),
      "pld",
      "replace_one",
      "Poisson sampling is proved",
    ),
    (
      examples.poisson(0.1, 0.0),
      "rdp",
      "replace_one",
      "Poisson sampling is proved",
    ),
    (
      examples.without_replacement(9, 3, 1.0),
      "rdp",
      "add_or_remove_one",
      "proved for 'replace_one'",
    ),
    (
      examples.without_replacement(9, 3, 1.0),
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
      dp_accounting.ComposedDpEvent(
        [examples.GAUSSIAN(1.0), examples.poisson(0.1, 1.0)]
      ),
      "rdp",
      "replace_one",
      "Poisson sampling is proved",
    ),
  ],
)
def test_unjustified_combinations_say_why(event, accountant, relation, reason):
  with pytest.raises(ValueError, match=reason):
    examples.epsilon((event, 1), accountant=accountant, relation=relation)


@pytest.mark.parametrize("delta", [0, 1, -0.1, 1.5, math.nan, math.inf])
def test_delta_out_of_range(delta):
  with pytest.raises(ValueError, match="delta must be"):
    examples.epsilon((examples.GAUSSIAN(1.0), 1), delta=delta)


def test_unknown_names():
  with pytest.raises(ValueError, match="accountant must be one of 'rdp'"):
    examples.epsilon((examples.GAUSSIAN(1.0), 1), accountant="zcdp")
  with pytest.raises(ValueError, match="neighboring_relation must be one of"):
    examples.epsilon((examples.GAUSSIAN(1.0), 1), relation="zero_out")


def test_order_of_events_is_irrelevant():
  a, b = (examples.poisson(0.01, 1.0), 7), (examples.GAUSSIAN(5.0), 2)
  for accountant in accounting.ACCOUNTANTS:
    assert examples.epsilon(a, b, a, accountant=accountant) == examples.epsilon(
      b, (a[0], 14), accountant=accountant
    )
