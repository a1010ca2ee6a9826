"""Privacy plans with hostile numbers.

They are refused by name, or have a valid epsilon: one that is at least 0, grows
with the rounds and falls with the noise.
"""

import fractions
import json
import math
import warnings

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from tff_gen_debug import privacy

_SETTINGS = hypothesis.settings(
  deadline=None, derandomize=True, max_examples=150, database=None
)
_FEW = hypothesis.settings(_SETTINGS, max_examples=40)

_PLAN = dict(
  population=1000,
  expected_clients_per_round=10,
  rounds=5,
  noise_multiplier=1.0,
)
_NUMBERS = st.one_of(
  st.floats(),
  st.integers(),
  st.fractions(),
  st.complex_numbers(),
  st.decimals(),
  st.sampled_from([10**300, 10**400, -(10**5000), 10**5000, None, "1", b"1"]),
  st.sampled_from([np.float32(0.5), np.int64(3), np.float64("nan")]),
  st.sampled_from([np.bool_(True), np.float16("inf"), np.array(2), [1.0]]),
  st.sampled_from([True, False, fractions.Fraction(1, 3), object()]),
)


@_SETTINGS
@hypothesis.given(
  st.sampled_from([*_PLAN, "delta", "simulation"]),
  _NUMBERS,
  st.sampled_from(["rdp", "rdp_classic"]),
)
def test_a_plans_numbers_are_named_or_have_a_valid_epsilon(name, value, kind):
  with warnings.catch_warnings():
    # Of a delta above 1 / population.
    warnings.simplefilter("ignore", UserWarning)
    try:
      plan = privacy.PrivacyPlan(**{**_PLAN, name: value, "accountant": kind})
    except (TypeError, ValueError) as error:
      assert name in str(error)
      return
    assert not isinstance(value, (bool, np.bool_, str, bytes, complex))
    epsilon = plan.epsilon()
    assert 0 <= epsilon and (epsilon < math.inf or plan.noise_multiplier < 1e-3)
    assert "epsilon" in plan.statement()
    json.dumps(plan.to_dict())


@_FEW
@hypothesis.given(
  st.sampled_from(["rdp", "rdp_classic"]),
  st.floats(1e-4, 1e4),
  st.floats(1, 1000),
  st.integers(1, 10**9),
  st.floats(1e-12, 0.9),
  st.floats(1.0, 1e3),
)
def test_epsilon_grows_with_rounds_and_falls_with_noise(
  accountant, noise, cohort, rounds, delta, factor
):
  def epsilon(**changes):
    values = dict(
      population=1000,
      expected_clients_per_round=cohort,
      rounds=rounds,
      noise_multiplier=noise,
      delta=delta,
      accountant=accountant,
    )
    return privacy.PrivacyPlan(**{**values, **changes}).epsilon()

  with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)
    base = epsilon()
    # Rounding of the library's series, and of the sum over the rounds.
    slack = 1e-9 * base + 1e-12 * rounds * 100
    assert epsilon(rounds=math.ceil(rounds * factor)) >= base - slack
    assert epsilon(noise_multiplier=noise * factor) <= base + slack
    assert epsilon(delta=delta / factor) >= base - slack
    more = min(1000.0, cohort * factor)
    assert epsilon(expected_clients_per_round=more) >= base - slack
    # No sampling is never cheaper.
    assert epsilon(expected_clients_per_round=1000) >= base - slack


@pytest.mark.parametrize(
  "changes",
  [
    dict(population=2**63, expected_clients_per_round=1),
    dict(population=10**300, expected_clients_per_round=1, rounds=10**300),
    dict(rounds=10**300),
    dict(noise_multiplier=1e-300),
    dict(delta=5e-324),
  ],
)
def test_pld_is_no_worse_than_rdp_at_the_ends_of_floats(changes):
  plans = [
    privacy.PrivacyPlan(**{**_PLAN, **changes, "accountant": accountant})
    for accountant in ("pld", "rdp")
  ]
  assert 0 <= plans[0].epsilon() <= plans[1].epsilon()
