import dataclasses
import json
import math
import time
import warnings

import dp_accounting
import numpy as np
import pytest

from tests.privacy import closed_forms
from tests.privacy import examples
from tff_gen_debug.privacy import plan as plan_lib


# The word language model of Augenstein et al., 2020, under three readings, and
# its GAN at several populations; dp-accounting 0.4.3.
@pytest.mark.parametrize(
  ("changes", "classic", "improved"),
  [
    # As published: the noise is compared with one clip norm, though replacing
    # a user moves the sum by two.
    (dict(**examples.WORD_LM, **examples.FIXED), 9.222, 8.473),
    (
      dict(**examples.WORD_LM, **examples.FIXED, noise_multiplier=0.5),
      58.76,
      57.37,
    ),
    (examples.WORD_LM, 5.195, 4.617),
    (dict(**examples.FIXED, population=10**5), 4.116, 3.576),
    (dict(**examples.FIXED, population=10**6), 1.189, 0.895),
    (dict(**examples.FIXED, population=10**7), 0.949, 0.722),
    (dict(**examples.FIXED, population=10**8), 0.838, 0.651),
    (dict(population=10**5), 2.538, 2.101),
    (dict(population=10**6), 1.163, 0.870),
  ],
)
def test_matches_published_runs(changes, classic, improved):
  last_digit = 0.006 if classic > 10 else 0.0006
  plan = examples.plan(**changes)
  assert plan.epsilon() == pytest.approx(improved, abs=last_digit)
  plan = examples.plan(**changes, accountant="rdp_classic")
  assert plan.epsilon() == pytest.approx(classic, abs=last_digit)


def test_defaults():
  plan = examples.plan()
  assert plan.delta == 1e-6
  assert plan.sampling == "poisson"
  assert plan.neighboring_relation == "add_or_remove_one"
  assert plan.accountant == "rdp"
  assert plan.simulation is None


def test_numbers_are_converted():
  plan = examples.plan(
    population=np.int64(100),
    expected_clients_per_round=np.float64(10.0),
    rounds=np.int32(5),
    noise_multiplier=1,
    delta=np.float32(2**-10),
  )
  assert type(plan.population) is int
  assert type(plan.expected_clients_per_round) is int
  assert type(plan.rounds) is int
  assert type(plan.noise_multiplier) is float
  assert type(plan.delta) is float
  assert plan.delta == 2**-10
  assert (
    examples.plan(expected_clients_per_round=2.5).expected_clients_per_round
    == 2.5
  )
  json.dumps(plan.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
  "field", [f.name for f in dataclasses.fields(plan_lib.PrivacyPlan)]
)
def test_plan_cannot_be_changed(field):
  plan = examples.plan().simulated_by(population=10, clients_per_round=2)
  before = plan.to_dict()
  with pytest.raises(dataclasses.FrozenInstanceError):
    setattr(plan, field, 3)
  with pytest.raises(dataclasses.FrozenInstanceError):
    delattr(plan, field)
  with pytest.raises(dataclasses.FrozenInstanceError):
    plan.simulation.population = 3
  plan.to_dict()["simulation"]["population"] = 3
  assert plan.to_dict() == before
  assert hash(plan) == hash(dataclasses.replace(plan))


@pytest.mark.parametrize(
  ("changes", "error", "message"),
  [
    (dict(population=0), ValueError, "population must be at least 1, got 0"),
    (dict(population=100.0), TypeError, "population must be an integer"),
    (
      dict(expected_clients_per_round=0),
      ValueError,
      "expected_clients_per_round must be positive, got 0",
    ),
    (
      dict(expected_clients_per_round=-3),
      ValueError,
      "expected_clients_per_round must be positive",
    ),
    (
      dict(expected_clients_per_round=math.nan),
      ValueError,
      "expected_clients_per_round must be finite",
    ),
    (
      dict(population=10, expected_clients_per_round=11, delta=0.01),
      ValueError,
      r"expected_clients_per_round must be at most population \(10\), got 11",
    ),
    (
      dict(**examples.FIXED, expected_clients_per_round=2.5),
      ValueError,
      "must be a whole number with sampling 'fixed_size', got 2.5",
    ),
    (dict(rounds=0), ValueError, "rounds must be at least 1, got 0"),
    (dict(rounds=2.0), TypeError, "rounds must be an integer, got 2.0"),
    (dict(rounds=True), TypeError, "rounds must be an integer, got True"),
    (
      dict(noise_multiplier=-0.1),
      ValueError,
      "noise_multiplier must be at least 0, got -0.1",
    ),
    (
      dict(noise_multiplier=math.inf),
      ValueError,
      "noise_multiplier must be finite, got inf",
    ),
    (dict(noise_multiplier=None), TypeError, "must be a real number, got None"),
    (dict(noise_multiplier=10**400), ValueError, "must be finite"),
    (dict(delta=0), ValueError, r"delta must be in \(0, 1\), got 0"),
    (dict(delta=1), ValueError, r"delta must be in \(0, 1\), got 1"),
    (dict(delta=math.nan), ValueError, "delta must be finite, got nan"),
    (dict(delta="tiny"), TypeError, "delta must be a real number"),
    (
      dict(population=1, expected_clients_per_round=1),
      ValueError,
      "delta must be given when population is 1",
    ),
    (dict(sampling="uniform"), ValueError, "sampling must be one of 'poisson'"),
    (
      dict(neighboring_relation="replace_special"),
      ValueError,
      "neighboring_relation must be one of 'add_or_remove_one', 'replace_one'",
    ),
    (dict(accountant="moments"), ValueError, "accountant must be one of 'rdp'"),
    (
      dict(neighboring_relation="replace_one"),
      ValueError,
      "sampling 'poisson' needs neighboring_relation 'add_or_remove_one'",
    ),
    (
      dict(sampling="fixed_size"),
      ValueError,
      "sampling 'fixed_size' needs neighboring_relation 'replace_one'.*two clip"
      " norms",
    ),
    (
      dict(**examples.FIXED, accountant="pld"),
      ValueError,
      "no privacy loss distribution for sampling without replacement",
    ),
    (dict(simulation=10), TypeError, "simulation must be a Simulation, got 10"),
  ],
)
def test_rejects(changes, error, message):
  with pytest.raises(error, match=message):
    examples.plan(**changes)


def test_delta_above_one_over_population_warns():
  with pytest.warns(UserWarning, match="delta 0.1 is above 1 / population"):
    plan = examples.plan(
      population=100, expected_clients_per_round=5, delta=0.1
    )
  assert plan.delta == 0.1
  with warnings.catch_warnings():
    warnings.simplefilter("error")
    examples.plan(
      population=3, expected_clients_per_round=1, delta=0.3333333333
    )


def test_round_events():
  gaussian = dp_accounting.GaussianDpEvent(1.0)
  assert examples.plan().round_event == dp_accounting.PoissonSampledDpEvent(
    1e-3, gaussian
  )
  assert examples.plan(**examples.FIXED).round_event == (
    dp_accounting.SampledWithoutReplacementDpEvent(1_000_000, 1000, gaussian)
  )


@pytest.mark.parametrize("sampling", ["poisson", "fixed_size"])
@pytest.mark.parametrize("relation", ["add_or_remove_one", "replace_one"])
@pytest.mark.parametrize("accountant", ["rdp", "pld"])
def test_everybody_in_every_round_needs_no_amplification(
  sampling, relation, accountant
):
  plan = examples.plan(
    population=50,
    expected_clients_per_round=50,
    rounds=16,
    noise_multiplier=8.0,
    delta=1e-6,
    sampling=sampling,
    neighboring_relation=relation,
    accountant=accountant,
  )
  # 16 / 8^2 = 1 / 2^2.
  exact = closed_forms.epsilon_of(
    lambda e: closed_forms.gaussian_delta(e, 2.0), 1e-6
  )
  assert plan.round_event == dp_accounting.GaussianDpEvent(8.0)
  assert exact <= plan.epsilon() <= 1.12 * exact


def test_epsilon_after():
  plan = examples.plan()
  assert plan.epsilon_after(0) == 0
  assert plan.epsilon_after(1000) == plan.epsilon()
  assert plan.epsilon_after(10) < plan.epsilon() < plan.epsilon_after(5000)
  for rounds, error in ((-1, ValueError), (1.0, TypeError), (True, TypeError)):
    with pytest.raises(error, match="rounds must be"):
      plan.epsilon_after(rounds)


@pytest.mark.parametrize("changes", [{}, examples.FIXED])
def test_epsilon_after_every_round_is_fast(changes):
  plan = examples.plan(**changes)
  plan.epsilon_after(1)
  start = time.process_time()
  series = [plan.epsilon_after(rounds) for rounds in range(1, 1001)]
  assert time.process_time() - start < 5
  assert all(a <= b for a, b in zip(series, series[1:]))
  assert series[-1] == plan.epsilon()


@pytest.mark.parametrize("accountant", ["rdp", "rdp_classic", "pld"])
def test_little_noise_is_a_huge_number(accountant):
  start = time.process_time()
  plan = examples.plan(
    population=3400,
    expected_clients_per_round=10,
    noise_multiplier=0.01,
    accountant=accountant,
  )
  assert 1e4 < plan.epsilon() < 1e8
  assert time.process_time() - start < 5


def test_no_noise_is_infinite():
  plan = examples.plan(noise_multiplier=0)
  assert plan.epsilon() == math.inf
  assert plan.noise_stddev(1.0) == 0
  assert plan.to_dict()["epsilon"] is None


def test_noise_is_relative_to_the_sensitivity():
  # z x S for add-or-remove-one, z x 2 S for replace-one.
  assert examples.plan(noise_multiplier=1.5).noise_stddev(0.1) == pytest.approx(
    0.15
  )
  assert examples.plan(noise_multiplier=1.5).sensitivity_factor == 1.0
  fixed = examples.plan(noise_multiplier=1.5, **examples.FIXED)
  assert fixed.noise_stddev(0.1) == pytest.approx(0.3)
  assert fixed.sensitivity_factor == 2.0
  for clip, error in (
    (0, ValueError),
    (math.nan, ValueError),
    (None, TypeError),
  ):
    with pytest.raises(error, match="clip_norm must be"):
      fixed.noise_stddev(clip)


def test_sampler_draws_what_is_accounted_for():
  ids = [f"c{i}" for i in range(300)]
  plan = examples.plan(population=300, expected_clients_per_round=30)
  sizes = [len(plan.sampler(ids, 5).sample(r)) for r in range(200)]
  assert abs(np.mean(sizes) - 30) < 4 * math.sqrt(27 / 200)
  assert np.std(sizes) > 3
  fixed = examples.plan(
    population=300, expected_clients_per_round=30, **examples.FIXED
  )
  assert {len(fixed.sampler(ids, 5).sample(r)) for r in range(20)} == {30}
  # A simulation draws from, and in, its own size.
  simulated = examples.plan().simulated_by(population=300, clients_per_round=6)
  sizes = [len(simulated.sampler(ids, 5).sample(r)) for r in range(200)]
  assert abs(np.mean(sizes) - 6) < 4 * math.sqrt(6 / 200)


def test_sampler_wants_the_population_that_is_accounted_for():
  plan = examples.plan(population=300, expected_clients_per_round=30)
  with pytest.raises(
    ValueError, match="client_ids must be the whole population of 300, got 299"
  ):
    plan.sampler([f"c{i}" for i in range(299)], 0)


def test_new_ledger_accounts_as_the_plan_does():
  for changes in ({}, examples.FIXED):
    plan = examples.plan(**changes, accountant="rdp_classic")
    ledger = plan.new_ledger()
    ledger.record(plan.round_event, plan.rounds)
    assert ledger.epsilon() == plan.epsilon()


@pytest.mark.parametrize(
  ("noise_factor", "keeps_promise"), [(1.0, True), (0.8, False)]
)
def test_sampler_noise_and_epsilon_agree_in_an_attack(
  noise_factor, keeps_promise
):
  """The best attack on one round succeeds as often as the plan says.

  The attacker sees one noised sum, in which only the victim's update, of the
  largest allowed norm, is not zero, and thresholds it.
  """
  clip, trials = 2.0, 40_000
  plan = examples.plan(
    population=4,
    expected_clients_per_round=2,
    rounds=1,
    noise_multiplier=0.7,
    delta=0.1,
    accountant="pld",
  )
  sampler = plan.sampler(["victim", "b", "c", "d"], seed=11)
  taken = np.array(["victim" in sampler.sample(r) for r in range(trials)])
  stddev = plan.noise_stddev(clip) * noise_factor
  noise = np.random.default_rng(3).normal(0, stddev, (2, trials))
  with_victim = noise[0] + clip * taken
  epsilon = plan.epsilon()
  thresholds = np.linspace(0, 3 * clip, 61)
  advantage = [
    np.mean(with_victim > t) - math.exp(epsilon) * np.mean(noise[1] > t)
    for t in thresholds
  ]
  # Four standard errors of the advantage at the best threshold.
  error = 4 * math.sqrt(0.25 / trials)
  if keeps_promise:
    assert abs(max(advantage) - plan.delta) < error
  else:
    assert max(advantage) > plan.delta + error
