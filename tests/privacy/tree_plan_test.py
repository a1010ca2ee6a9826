"""Tests of DP-FTRL's plan: what trees cost, and when they are paid for."""

import json
import math
import re

import dp_accounting
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.privacy import closed_forms
from tff_gen_debug.privacy import releases as releases_lib
from tff_gen_debug.privacy import tree_plan

_NOTHING = dp_accounting.NoOpDpEvent()


def _plan(**changes):
  values = dict(
    population=10_000,
    clients_per_round=100,
    rounds=300,
    noise_multiplier=5.0,
    delta=1e-5,
  )
  values.update(changes)
  return tree_plan.TreePlan(**values)


def _most_nodes_of_a_round(rounds):
  """How many whole nodes of a tree over `rounds` leaves share one leaf."""
  touched = np.zeros(rounds, int)
  size = 1
  while size <= rounds:
    # Nodes over `size` rounds; one that is not full is never released.
    for start in range(0, rounds - size + 1, size):
      touched[start : start + size] += 1
    size *= 2
  return int(touched.max())


def _gaussian_epsilon(noise_multiplier, releases, delta):
  """Exact epsilon of Gaussian releases, which trees in their turn are."""
  return closed_forms.epsilon_of(
    lambda e: closed_forms.gaussian_delta(e, noise_multiplier, releases), delta
  )


def _renyi_epsilon(noise_multiplier, releases, delta):
  """The best conversion of their Renyi DP, Canonne et al. (2020), Prop. 12."""
  orders = 1 + np.geomspace(1e-2, 1e3, 100_000)
  divergence = orders * releases / (2 * noise_multiplier**2)
  return np.min(
    divergence
    + np.log1p(-1 / orders)
    - (math.log(delta) + np.log(orders)) / (orders - 1)
  )


@pytest.mark.parametrize("rounds", [1, 2, 3, 4, 7, 8, 9, 63, 64, 100])
def test_one_epoch_costs_as_many_gaussians_as_a_round_has_nodes(rounds):
  plan = _plan(rounds=rounds)
  nodes = _most_nodes_of_a_round(rounds)
  assert nodes <= math.ceil(math.log2(rounds)) + 1
  assert plan.epsilon() >= _gaussian_epsilon(5.0, nodes, 1e-5)
  assert plan.epsilon() == pytest.approx(
    _renyi_epsilon(5.0, nodes, 1e-5), rel=0.01
  )
  # One node more or less would be noticed.
  for wrong in {nodes - 1, nodes + 1} - {0}:
    other = _renyi_epsilon(5.0, wrong, 1e-5)
    assert plan.epsilon() != pytest.approx(other, rel=0.05)


@pytest.mark.parametrize(
  ("rounds", "epochs"), [(100, 1), (101, 2), (200, 2), (250, 3), (300, 3)]
)
def test_epochs_compose(rounds, epochs):
  # An epoch of 100 rounds: 7 nodes, of 1, 2, 4, ..., 64 rounds.
  expected = _renyi_epsilon(5.0, 7 * epochs, 1e-5)
  assert _plan().epsilon_after(rounds) == pytest.approx(expected, rel=0.01)


def test_the_classic_conversion_by_hand():
  # Mironov (2017) at its best order: rho + 2 sqrt(rho ln(1 / delta)), with 7
  # nodes at z = 5, so rho = 7 / 50, and ln(1e5) = 11.5129.
  epsilon = _plan(rounds=100, accountant="rdp_classic").epsilon()
  expected = 0.14 + 2 * math.sqrt(0.14 * 11.5129)
  assert epsilon == pytest.approx(expected, rel=0.01)


def test_no_rounds_cost_nothing_and_no_noise_costs_everything():
  assert _plan().epsilon_after(0) == 0.0
  assert math.isinf(_plan(noise_multiplier=0).epsilon())


@given(
  population=st.integers(1, 500),
  cohort=st.integers(1, 500),
  rounds=st.integers(1, 300),
)
@settings(deadline=None, max_examples=60)
def test_the_ledger_of_every_round_says_what_the_plan_says(
  population, cohort, rounds
):
  plan = _plan(
    population=population,
    clients_per_round=min(cohort, population),
    rounds=rounds,
    delta=1e-3,
  )
  ledger = plan.new_ledger()
  for round_num in range(rounds):
    ledger.record(plan.round_event(round_num))
    charged = sum(
      count for event, count in ledger.events if event == plan.tree_event
    )
    # All trees begun so far, and nothing for going on with one.
    assert charged == round_num // plan.epoch_rounds + 1
  assert ledger.epsilon() == plan.epsilon() == plan.epsilon_after(rounds)


def test_each_epoch_is_charged_when_it_begins():
  plan = _plan()
  tree = dp_accounting.SingleEpochTreeAggregationDpEvent(5.0, 100)
  assert plan.tree_event == tree
  charged = [r for r in range(300) if plan.round_event(r) != _NOTHING]
  assert charged == [0, 100, 200]
  assert all(plan.round_event(r) == tree for r in charged)
  assert plan.epsilon_after(1) == plan.epsilon_after(100)
  assert plan.epsilon_after(100) < plan.epsilon_after(101)


@pytest.mark.parametrize(
  ("changes", "expected"),
  [
    ({}, 100),
    ({"population": 10_099}, 100),
    ({"clients_per_round": 99}, 101),
    ({"rounds": 60}, 60),
    ({"clients_per_round": 10_000}, 1),
  ],
)
def test_an_epoch_is_as_long_as_nobody_comes_twice(changes, expected):
  plan = _plan(**changes)
  assert plan.epoch_rounds == expected
  sampler = plan.sampler([str(i) for i in range(plan.population)], seed=3)
  epoch = [set(sampler.sample(r)) for r in range(expected)]
  assert len(set.union(*epoch)) == expected * plan.clients_per_round


def test_an_epoch_of_one_round_is_a_gaussian_mechanism():
  plan = _plan(clients_per_round=10_000, rounds=20)
  assert plan.epsilon() == pytest.approx(
    _renyi_epsilon(5.0, 20, 1e-5), rel=0.01
  )


@pytest.mark.parametrize("target", [0.5, 2.0, 8.0])
def test_calibration_spends_the_budget(target):
  plan = _plan().calibrate(target_epsilon=target)
  expected = _renyi_epsilon(plan.noise_multiplier, 7 * 3, 1e-5)
  assert 0.98 * target <= expected <= 1.01 * target
  assert 0.99 * target <= plan.epsilon() <= target
  assert (plan.rounds, plan.delta) == (300, 1e-5)


def test_noise_stddev():
  assert _plan().noise_stddev(0.25) == 1.25
  with pytest.raises(ValueError, match="clip_norm must be positive"):
    _plan().noise_stddev(0)


def test_delta_is_one_over_the_population_by_default():
  assert _plan(delta=None).delta == 1e-4
  with pytest.warns(UserWarning, match="above 1 / population"):
    _plan(delta=1e-3)


@pytest.mark.parametrize(
  ("changes", "error", "message"),
  [
    ({"population": 0}, ValueError, "population must be at least 1, got 0"),
    (
      {"clients_per_round": 10_001},
      ValueError,
      r"clients_per_round must be at most population \(10000\), got 10001",
    ),
    ({"clients_per_round": 0.5}, TypeError, "clients_per_round must be an"),
    ({"rounds": 0}, ValueError, "rounds must be at least 1"),
    ({"noise_multiplier": -1}, ValueError, "noise_multiplier must be at least"),
    ({"delta": 1.0}, ValueError, r"delta must be in \(0, 1\), got 1.0"),
    ({"accountant": "pld"}, ValueError, "has a bound in Renyi DP only"),
    ({"accountant": "moments"}, ValueError, "accountant must be one of"),
  ],
)
def test_bad_plans_say_why(changes, error, message):
  with pytest.raises(error, match=message):
    _plan(**changes)


def test_samplers_of_another_population_are_refused():
  with pytest.raises(ValueError, match="the whole population of 10000, got 3"):
    _plan().sampler(["a", "b", "c"], seed=0)


def test_bad_round_numbers_are_refused():
  with pytest.raises(ValueError, match="round_num must be at least 0"):
    _plan().round_event(-1)
  with pytest.raises(ValueError, match="rounds must be at least 0"):
    _plan().epsilon_after(-1)


def test_states_what_a_reader_needs():
  text = " ".join(_plan().statement(rounds=150).split())
  assert "zero out one user" in text
  assert "150 rounds (300 planned) of tree aggregation (DP-FTRL)" in text
  assert "a new tree every 100 rounds" in text
  assert "at a node / sensitivity = 5; sensitivity = clip norm" in text
  assert "100 of 10,000 users a round, nobody twice in 100 rounds" in text
  # The guarantee holds against one who knows the order.
  assert "who was sampled" not in text
  assert "SIMULATED" not in text
  # Two trees of 7 nodes each.
  stated = float(re.search(r"guarantee: \(([\d.]+), 1e-05\)", text).group(1))
  assert stated == pytest.approx(_renyi_epsilon(5.0, 14, 1e-5), rel=0.01)


def test_dict_is_that_of_a_plan_and_adds_releases_up():
  release = releases_lib.Release(
    "accuracy", "Which users do badly.", dp_accounting.GaussianDpEvent(10.0)
  )
  result = json.loads(json.dumps(_plan().to_dict([release], rounds=100)))
  # 7 nodes at z = 5 and one release at z = 10, which is a quarter of a node.
  assert result.pop("epsilon") == pytest.approx(
    _renyi_epsilon(5.0, 7.25, 1e-5), rel=0.01
  )
  assert result == {
    "population": 10_000,
    "expected_clients_per_round": 100,
    "rounds": 100,
    "noise_multiplier": 5.0,
    "delta": 1e-5,
    "sampling": "shuffled_epochs",
    "neighboring_relation": "replace_special",
    "accountant": "rdp",
    "sampling_probability": 0.01,
    "sensitivity_factor": 1.0,
    "epoch_rounds": 100,
    "releases": [
      {"name": "accuracy", "what": "Which users do badly.", "private": True}
    ],
    "simulated": False,
    "simulation": None,
  }
