import dataclasses
import json
import math

import dp_accounting
import pytest

from tests.privacy import closed_forms
from tff_gen_debug.privacy import plan as plan_lib
from tff_gen_debug.privacy import releases as releases_lib

_HISTOGRAM = releases_lib.Release(
  "accuracy histogram",
  "Noised histogram of accuracies.",
  dp_accounting.GaussianDpEvent(4),
)
_THRESHOLDS = releases_lib.Release("thresholds", "Quartiles of accuracies.")


def _everybody(**changes):
  """Rounds whose cost has a closed form: 12 / 4^2 = 3 / 4."""
  values = dict(
    population=1000,
    expected_clients_per_round=1000,
    rounds=12,
    noise_multiplier=4.0,
    delta=1e-6,
    accountant="pld",
  )
  values.update(changes)
  return plan_lib.PrivacyPlan(**values)


def _exact(noise_multiplier):
  return closed_forms.epsilon_of(
    lambda e: closed_forms.gaussian_delta(e, noise_multiplier), 1e-6
  )


def test_release_says_whether_it_is_private():
  assert _HISTOGRAM.private
  assert not _THRESHOLDS.private
  event = dp_accounting.GaussianDpEvent(0.0)
  assert not releases_lib.Release("a", "b", event).private
  assert not releases_lib.Release(
    "a", "b", dp_accounting.NonPrivateDpEvent()
  ).private
  with pytest.raises(dataclasses.FrozenInstanceError):
    _HISTOGRAM.event = None


@pytest.mark.parametrize(
  ("arguments", "error", "message"),
  [
    ((1, "what"), TypeError, "name must be a string"),
    (("name", None), TypeError, "what must be a string"),
    (("", "what"), ValueError, "name must not be blank"),
    (("name", " "), ValueError, "what must not be blank"),
    (("name", "what", "gaussian"), TypeError, "event must be"),
    (
      ("name", "what", dp_accounting.UnsupportedDpEvent()),
      ValueError,
      "event must be one of",
    ),
  ],
)
def test_release_rejects(arguments, error, message):
  with pytest.raises(error, match=message):
    releases_lib.Release(*arguments)


def test_total_is_training_and_private_releases_together():
  plan = _everybody()
  # 12 / 16 + 1 / 16 + 3 / 16 = 1.
  thrice = dp_accounting.SelfComposedDpEvent(
    dp_accounting.GaussianDpEvent(4.0), 3
  )
  total = releases_lib.total_epsilon(
    plan,
    [_HISTOGRAM, _THRESHOLDS, releases_lib.Release("x", "y", thrice)],
  )
  assert _exact(1.0) <= total <= 1.002 * _exact(1.0)
  assert releases_lib.total_epsilon(plan) == plan.epsilon()
  assert releases_lib.total_epsilon(plan, [_THRESHOLDS]) == plan.epsilon()


def test_total_counts_the_rounds_that_were_run():
  plan = _everybody()
  # 3 / 16 + 1 / 16 = 1 / 2^2; then the histogram alone.
  total = releases_lib.total_epsilon(plan, [_HISTOGRAM], rounds=3)
  assert total == pytest.approx(_exact(2.0), rel=2e-3)
  total = releases_lib.total_epsilon(plan, [_HISTOGRAM], rounds=0)
  assert total == pytest.approx(_exact(4.0), rel=2e-3)
  for rounds, error in ((-1, ValueError), (1.5, TypeError)):
    with pytest.raises(error, match="rounds must be"):
      releases_lib.total_epsilon(plan, rounds=rounds)


def test_release_must_fit_the_plan():
  sampled = releases_lib.Release(
    "x",
    "y",
    dp_accounting.PoissonSampledDpEvent(
      0.1, dp_accounting.GaussianDpEvent(1.0)
    ),
  )
  plan = _everybody(accountant="rdp", neighboring_relation="replace_one")
  with pytest.raises(ValueError, match="Poisson sampling is proved"):
    releases_lib.total_epsilon(plan, [sampled])
  assert releases_lib.total_epsilon(_everybody(), [sampled]) > 0
  simulated = _everybody().simulated_by(population=10, clients_per_round=5)
  with pytest.raises(ValueError, match="release 'x' must not be made from a"):
    releases_lib.total_epsilon(simulated, [sampled])
  with pytest.raises(TypeError, match="must be Release objects, got 'x'"):
    releases_lib.total_epsilon(plan, ["x"])


def test_as_dict_is_the_whole_story():
  plan = _everybody()
  result = releases_lib.as_dict(plan, iter([_HISTOGRAM, _THRESHOLDS]), rounds=3)
  assert json.loads(json.dumps(result, allow_nan=False)) == result
  epsilon = result.pop("epsilon")
  assert epsilon == pytest.approx(_exact(2.0), rel=2e-3)
  assert result == {
    "population": 1000,
    "expected_clients_per_round": 1000,
    "rounds": 3,
    "noise_multiplier": 4.0,
    "delta": 1e-6,
    "sampling": "poisson",
    "neighboring_relation": "add_or_remove_one",
    "accountant": "pld",
    "sampling_probability": 1.0,
    "sensitivity_factor": 1.0,
    "releases": [
      {
        "name": "accuracy histogram",
        "what": "Noised histogram of accuracies.",
        "private": True,
      },
      {
        "name": "thresholds",
        "what": "Quartiles of accuracies.",
        "private": False,
      },
    ],
    "simulated": False,
    "simulation": None,
  }
  assert plan.to_dict([_HISTOGRAM], rounds=3)["epsilon"] == epsilon


def test_as_dict_of_a_simulation_gives_both_figures():
  plan = _everybody(noise_multiplier=8.0, rounds=16)
  result = plan.simulated_by(population=500, clients_per_round=500).to_dict()
  # 16 / 8^2 = 1 / 2^2 in the deployment; half the noise in the run.
  assert result["simulated"] is True
  assert result["epsilon"] == pytest.approx(_exact(2.0), rel=2e-3)
  run = result["simulation"]
  assert run.pop("epsilon") == pytest.approx(_exact(1.0), rel=2e-3)
  assert run == {
    "population": 500,
    "clients_per_round": 500,
    "noise_multiplier": 4.0,
    "sampling_probability": 1.0,
  }


def test_as_dict_without_guarantee():
  result = _everybody(noise_multiplier=0).to_dict()
  assert result["epsilon"] is None
  total = releases_lib.total_epsilon(_everybody(noise_multiplier=0))
  assert total == math.inf
