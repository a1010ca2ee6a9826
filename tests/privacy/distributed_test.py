"""Tests of the plan whose noise comes from the clients."""

import json
import math
import re

import dp_accounting
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy import signal

from tests.privacy import closed_forms
from tff_gen_debug.privacy import distributed

_NOTHING = dp_accounting.NoOpDpEvent()


def _plan(**changes):
  values = dict(
    population=10_000,
    clients_per_round=100,
    min_clients_per_round=80,
    rounds=300,
    top_k=400,
    update_size=5000,
    noise_multiplier=4.0,
    delta=1e-5,
  )
  values.update(changes)
  return distributed.DistributedPlan(**values)


def _renyi_epsilon(noise_multiplier, releases, delta):
  """The best conversion of Gaussians' RDP, Canonne et al. (2020), Prop. 12."""
  orders = 1 + np.geomspace(1e-2, 1e3, 100_000)
  divergence = orders * releases / (2 * noise_multiplier**2)
  return np.min(
    divergence
    + np.log1p(-1 / orders)
    - (math.log(delta) + np.log(orders)) / (orders - 1)
  )


def _sum_of_shares(plan, clients):
  """Exact probabilities of the noise on a sum, centred in the array."""
  reach = 12 * plan.share_stddev
  x = np.arange(-reach, reach + 1)
  one = np.exp(-(x**2) / (2 * plan.share_stddev**2))
  one /= one.sum()
  result = np.ones(1)
  for _ in range(clients):
    result = np.convolve(result, one)
  return result


def _exact_delta(plan, epsilon, *, clients, votes):
  """Exact delta of a round in which `votes` votes are turned around or gone.

  The losses of independent coordinates add up; each is rounded to a fine grid,
  downwards, so that the result is a lower bound.
  """
  p = _sum_of_shares(plan, clients)
  moved = plan.vote_weight * (
    2 if plan.neighboring_relation == "replace_one" else 1
  )
  p, q = p[moved:], p[:-moved]
  kept = (p > 1e-250) & (q > 1e-250)
  p, q = p[kept], q[kept]
  step = 1e-3
  index = np.floor(np.log(p / q) / step).astype(int)
  one = np.zeros(index.max() - index.min() + 1)
  np.add.at(one, index - index.min(), p)
  losses, total = index.min() * votes, np.ones(1)
  for _ in range(votes):
    total = signal.fftconvolve(total, one)
  losses = (losses + np.arange(len(total))) * step
  above = losses > epsilon
  return np.sum(total[above] * -np.expm1(epsilon - losses[above]))


@pytest.mark.parametrize("relation", ["replace_special", "replace_one"])
@pytest.mark.parametrize("top_k", [1, 2])
def test_holds_for_the_exact_distribution_of_a_round(relation, top_k):
  plan = _plan(
    population=1000,
    clients_per_round=8,
    min_clients_per_round=6,
    colluding_clients=2,
    rounds=1,
    top_k=top_k,
    noise_multiplier=1.2,
    neighboring_relation=relation,
    delta=1e-3,
  )
  exact = _exact_delta(plan, plan.epsilon(), clients=4, votes=top_k)
  assert exact <= plan.delta
  # Renyi DP loses something, but not the noise: a coalition of two more would
  # break the claim.
  assert _exact_delta(plan, plan.epsilon(), clients=2, votes=top_k) > plan.delta
  # More clients than the minimum only help.
  for clients in (5, 6, 8):
    assert (
      _exact_delta(plan, plan.epsilon(), clients=clients, votes=top_k) < exact
    )


def test_a_round_is_a_gaussian_mechanism():
  plan = _plan(rounds=1)
  assert plan.vote_event.noise_multiplier == pytest.approx(4.0, rel=1e-12)
  assert plan.epsilon() == pytest.approx(_renyi_epsilon(4.0, 1, 1e-5), rel=0.01)
  # Which is not below what the exact curve of a Gaussian allows.
  assert plan.epsilon() > closed_forms.epsilon_of(
    lambda e: closed_forms.gaussian_delta(e, 4.0), 1e-5
  )


@pytest.mark.parametrize(
  ("rounds", "epochs"), [(1, 1), (100, 1), (101, 2), (200, 2), (300, 3)]
)
def test_a_user_pays_once_an_epoch(rounds, epochs):
  assert _plan().epsilon_after(rounds) == pytest.approx(
    _renyi_epsilon(4.0, epochs, 1e-5), rel=0.01
  )


def test_whoever_is_in_all_rounds_pays_for_all():
  plan = _plan(population=100, rounds=20, delta=1e-3)
  assert plan.epoch_rounds == 1
  assert plan.epsilon() == pytest.approx(
    _renyi_epsilon(4.0, 20, 1e-3), rel=0.01
  )


def test_nobody_comes_twice_in_what_is_charged_once():
  plan = _plan(population=1050, clients_per_round=100, rounds=25, delta=1e-4)
  sampler = plan.sampler([str(i) for i in range(1050)], seed=5)
  for start in range(0, 25, plan.epoch_rounds):
    cohorts = [
      sampler.sample(r)
      for r in range(start, min(start + plan.epoch_rounds, 25))
    ]
    together = [client for cohort in cohorts for client in cohort]
    assert len(set(together)) == len(together) == 100 * len(cohorts)
    charged = [plan.round_event(start + r) for r in range(len(cohorts))]
    assert charged == [plan.vote_event] + [_NOTHING] * (len(cohorts) - 1)


@given(
  population=st.integers(1, 500),
  cohort=st.integers(1, 500),
  rounds=st.integers(1, 200),
)
@settings(deadline=None, max_examples=50)
def test_the_ledger_of_every_round_says_what_the_plan_says(
  population, cohort, rounds
):
  cohort = min(cohort, population)
  plan = _plan(
    population=population,
    clients_per_round=cohort,
    min_clients_per_round=cohort,
    rounds=rounds,
    delta=1e-3,
  )
  ledger = plan.new_ledger()
  for round_num in range(rounds):
    ledger.record(plan.round_event(round_num))
  assert ledger.epsilon() == plan.epsilon() == plan.epsilon_after(rounds)


@pytest.mark.parametrize("relation", ["replace_special", "replace_one"])
def test_shares_of_the_fewest_honest_clients_make_the_noise(relation):
  # 4 * sqrt(400) = 80, twice that for replace-one, of 80 - 16 = 64 clients.
  plan = _plan(neighboring_relation=relation, colluding_clients=16)
  factor = {"replace_special": 1, "replace_one": 2}[relation]
  wanted = factor * 80
  assert plan.honest_clients == 64
  assert plan.l2_sensitivity == factor * 20
  assert 1 <= plan.noise_stddev(64) / wanted <= 1.01
  share = plan.share_stddev / plan.vote_weight
  assert 1 <= share / (wanted / 8) <= 1.01
  # Dropped clients take their noise with them.
  assert plan.noise_stddev(100) == pytest.approx(share * 10)
  assert plan.noise_stddev(0) == 0


@given(
  noise_multiplier=st.floats(1e-9, 1e12),
  top_k=st.integers(1, 10**6),
  clients=st.integers(1, 10**7),
)
@settings(deadline=None)
def test_shares_are_whole_numbers_and_enough(noise_multiplier, top_k, clients):
  plan = _plan(
    population=10**7,
    clients_per_round=clients,
    min_clients_per_round=clients,
    top_k=top_k,
    update_size=10**6,
    noise_multiplier=noise_multiplier,
    delta=1e-8,
  )
  assert isinstance(plan.vote_weight, int) and plan.vote_weight >= 1
  assert isinstance(plan.share_stddev, int) and plan.share_stddev >= 3
  wanted = noise_multiplier * math.sqrt(top_k)
  assert 1 - 1e-9 <= plan.noise_stddev(clients) / wanted <= 1.01 + 1e-9
  # The cost is that of no more noise than was asked for.
  assert plan.vote_event.noise_multiplier == pytest.approx(
    noise_multiplier, rel=1e-9
  )


def test_the_weight_of_votes_is_no_larger_than_need_be():
  # 4 * sqrt(400) / 10 = 8 is a whole number. 4 * sqrt(1) / 10 = 0.4 is 4 of 10;
  # with 3, the least share, a vote could weigh 7, which is 7 % too much noise.
  exact = _plan(min_clients_per_round=100)
  assert (exact.vote_weight, exact.share_stddev) == (1, 8)
  small = _plan(min_clients_per_round=100, top_k=1)
  assert (small.vote_weight, small.share_stddev) == (10, 4)


def test_no_rounds_cost_nothing_and_no_noise_costs_everything():
  assert _plan().epsilon_after(0) == 0.0
  silent = _plan(noise_multiplier=0)
  assert (silent.vote_weight, silent.share_stddev) == (1, 0)
  assert silent.noise_stddev(100) == 0.0
  assert math.isinf(silent.epsilon())


@pytest.mark.parametrize("target", [0.5, 2.0, 8.0])
def test_calibration_spends_the_budget(target):
  plan = _plan().calibrate(target_epsilon=target)
  expected = _renyi_epsilon(plan.noise_multiplier, 3, 1e-5)
  assert 0.98 * target <= expected <= 1.01 * target
  assert 0.99 * target <= plan.epsilon() <= target


def test_why_a_removed_client_is_not_covered():
  """Its noise is missing too; no amount of noise hides that."""
  plan = _plan(top_k=1, update_size=10**6, rounds=1, delta=1e-4)
  with pytest.raises(ValueError, match="share of it is missing too"):
    _plan(neighboring_relation="add_or_remove_one")
  # The Kullback-Leibler divergence of the noise of 79 clients from that of 80,
  # over all coordinates, is that of two normal distributions.
  ratio = 79 / 80
  divergence = plan.update_size * (ratio - 1 - math.log(ratio)) / 2
  assert divergence == pytest.approx(plan.update_size / (4 * 80**2), rel=0.02)
  # A Gaussian mechanism of z = 4, the plan's, has 1 / (2 z^2) = 1 / 32.
  assert divergence > 1000 / 32


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
    (
      {"min_clients_per_round": 101},
      ValueError,
      r"min_clients_per_round must be at most clients_per_round \(100\)",
    ),
    ({"min_clients_per_round": 0}, ValueError, "min_clients_per_round must be"),
    ({"colluding_clients": 80}, ValueError, r"less than .*\(80\).* got 80"),
    ({"colluding_clients": -1}, ValueError, "colluding_clients must be at"),
    ({"rounds": 0}, ValueError, "rounds must be at least 1"),
    ({"top_k": 0}, ValueError, "top_k must be at least 1"),
    ({"top_k": 5001}, ValueError, r"top_k must be at most update_size \(5000"),
    ({"noise_multiplier": -1}, ValueError, "noise_multiplier must be at least"),
    ({"noise_multiplier": 1e-10}, ValueError, "must be 0 or at least 1e-09"),
    ({"noise_multiplier": math.inf}, ValueError, "must be finite"),
    ({"delta": 1.0}, ValueError, r"delta must be in \(0, 1\), got 1.0"),
    ({"accountant": "pld"}, ValueError, "has a bound in Renyi DP only"),
    ({"accountant": "moments"}, ValueError, "accountant must be one of"),
    ({"neighboring_relation": "removal"}, ValueError, "must be one of"),
  ],
)
def test_bad_plans_say_why(changes, error, message):
  with pytest.raises(error, match=message):
    _plan(**changes)


def test_bad_arguments_are_refused():
  with pytest.raises(ValueError, match="the whole population of 10000, got 3"):
    _plan().sampler(["a", "b", "c"], seed=0)
  with pytest.raises(ValueError, match="round_num must be at least 0"):
    _plan().round_event(-1)
  with pytest.raises(ValueError, match="rounds must be at least 0"):
    _plan().epsilon_after(-1)
  with pytest.raises(TypeError, match="clients must be an integer"):
    _plan().noise_stddev(1.5)


def test_states_what_a_reader_needs():
  plan = _plan(colluding_clients=16, neighboring_relation="replace_one")
  text = " ".join(plan.statement(rounds=150).split())
  assert "150 rounds (300 planned) of TopAgg with distributed noise" in text
  assert "vote -1 or 1 on 400 of 5,000 coordinates" in text
  assert "noise of the 64 honest clients that a sum has at least" in text
  assert "/ sensitivity = 4; sensitivity = 2 sqrt(400) votes" in text
  assert "100 of 10,000 users a round, nobody twice in 100 rounds" in text
  assert "opens a sum of fewer than 80 clients" in text
  assert "the noise of more than 16 of them" in text
  # No server adds noise, and who was asked need not be secret.
  assert "the server that adds the noise" not in text
  assert "who was sampled" not in text
  # Two begun epochs, of one round each for a user.
  stated = float(re.search(r"guarantee: \(([\d.]+), 1e-05\)", text).group(1))
  assert stated == pytest.approx(_renyi_epsilon(4.0, 2, 1e-5), rel=0.01)


def test_dict_says_what_the_noise_rests_on():
  result = json.loads(json.dumps(_plan(colluding_clients=5).to_dict()))
  assert result["epsilon"] == pytest.approx(
    _renyi_epsilon(4.0, 3, 1e-5), rel=0.01
  )
  assert result["sampling"] == "shuffled_epochs"
  assert result["epoch_rounds"] == 100
  assert result["neighboring_relation"] == "replace_special"
  assert result["sensitivity_factor"] == 1
  assert {k: result[k] for k in ("top_k", "update_size")} == {
    "top_k": 400,
    "update_size": 5000,
  }
  assert result["min_clients_per_round"] == 80
  assert result["colluding_clients"] == 5
