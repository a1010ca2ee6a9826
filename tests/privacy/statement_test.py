import re
import warnings

import dp_accounting
import pytest

from tests.privacy import examples
from tff_gen_debug.privacy import releases as releases_lib
from tff_gen_debug.privacy import statement as statement_lib


def _fields(text):
  """The labelled fields and the lists of a statement, lines joined."""
  fields, current = {}, None
  for line in text.splitlines():
    label = re.match(r"([A-Za-z][^:]*):(?:\s+|$)(.*)", line)
    if label:
      current = label.group(1)
      fields[current] = label.group(2)
    elif current and line.strip():
      fields[current] += " " + line.strip()
  return fields


def test_states_everything_that_a_reader_needs():
  text = examples.plan().statement()
  fields = _fields(text)
  # 0.8697: see the table in accounting_test; shown rounded up.
  assert fields["guarantee"] == (
    "(0.8698, 1e-06)-differential privacy (a strong guarantee)"
  )
  assert "everything that one user holds" in fields["unit"]
  assert "add or remove one user" in fields["neighbouring"]
  assert "1,000 rounds of Gaussian noise" in fields["mechanism"]
  assert fields["mechanism"].endswith("= 1; sensitivity = clip norm")
  assert fields["sampling"] == (
    "Poisson: each of 1,000,000 users independently with probability 0.001 a"
    " round (1,000 expected)"
  )
  assert fields["delta"] == "1e-06"
  assert fields["accountant"].startswith("rdp: Renyi DP")
  assert "dp-accounting 0.4.3" in fields["accountant"]
  assert fields["epsilon"] == "0.8698"
  assert "SIMULATED" not in text
  for topic in (
    "hyper-parameters",
    "other analyses or runs on the same users, unless the same ledger",
    "several ids",
    "before its noise",
    "who was sampled",
    "side channels",
    "floating-point",
  ):
    assert topic in fields["Not covered"]
  assert max(map(len, text.splitlines())) <= 80


def test_states_fixed_size_and_replace_one():
  fields = _fields(
    examples.plan(**examples.FIXED, accountant="rdp_classic").statement()
  )
  assert fields["guarantee"].startswith("(1.189, 1e-06)")
  assert "replace one user" in fields["neighbouring"]
  assert fields["mechanism"].endswith("sensitivity = twice the clip norm")
  assert fields["sampling"] == (
    "fixed size: 1,000 of 1,000,000 users a round, uniformly without"
    " replacement"
  )
  assert "classic" in fields["accountant"]


def test_states_that_everybody_takes_part():
  plan = examples.plan(
    population=50, expected_clients_per_round=50, accountant="pld"
  )
  fields = _fields(plan.statement())
  assert fields["sampling"] == "none: all of 50 users in every round"
  assert "privacy loss distributions" in fields["accountant"]


def test_without_noise_it_says_not_private():
  text = examples.plan(noise_multiplier=0).statement()
  assert _fields(text)["guarantee"].startswith("NOT PRIVATE")
  assert _fields(text)["epsilon"] == "inf"
  assert "-differential privacy" not in _fields(text)["guarantee"]


def test_simulation_states_both_figures():
  plan = examples.plan().simulated_by(population=288, clients_per_round=10)
  fields = _fields(plan.statement())
  assert fields["guarantee"].startswith(
    "(0.8698, 1e-06)-differential privacy, for the simulated deployment"
  )
  simulated = fields["SIMULATED"]
  assert "this run draws about 10 of 288 users a round" in simulated
  assert "about 1,000 of 1,000,000" in simulated
  own = re.search(
    r"To the run's own 288 users, epsilon is (\S+) at the same delta", simulated
  )
  assert float(own.group(1)) == pytest.approx(plan.as_run().epsilon(), rel=1e-3)
  assert float(own.group(1)) > 1e5
  assert "says little" in simulated
  assert "= 1 (0.01 in this run)" in fields["mechanism"]


def test_simulation_without_noise_protects_nobody():
  plan = examples.plan(noise_multiplier=0).simulated_by(
    population=288, clients_per_round=10
  )
  fields = _fields(plan.statement())
  assert fields["guarantee"].startswith("NOT PRIVATE")
  assert "for them the run is NOT PRIVATE" in fields["SIMULATED"]


def test_releases_are_listed_where_they_belong():
  releases = [
    releases_lib.Release("thresholds", "Quartiles of the users' accuracies."),
    releases_lib.Release(
      "histogram",
      "Noised histogram of accuracies.",
      dp_accounting.GaussianDpEvent(20.0),
    ),
    releases_lib.Release(
      "raw counts", "Examples a round.", dp_accounting.NonPrivateDpEvent()
    ),
  ]
  fields = _fields(examples.plan().statement(iter(releases)))
  assert fields["Released WITHOUT differential privacy"].strip() == (
    "- thresholds: Quartiles of the users' accuracies."
    " - raw counts: Examples a round."
  )
  assert "histogram: Noised" in fields["Released with differential privacy"]
  assert "thresholds" not in fields["Released with differential privacy"]
  # The guarantee must not seem to cover what it does not.
  assert "EXCEPT the 2 listed" in fields["guarantee"]
  training, total = re.match(
    r"(\S+) for training, (\S+) with the releases below", fields["epsilon"]
  ).groups()
  assert training == "0.8698"
  assert float(total) > float(training)
  assert f"({total}, 1e-06)" in fields["guarantee"]


def test_nothing_else_released():
  fields = _fields(examples.plan().statement())
  assert "nothing else" in fields["Released with differential privacy"]
  assert (
    "nothing was declared" in (fields["Released WITHOUT differential privacy"])
  )
  assert "EXCEPT" not in fields["guarantee"]


def test_states_the_rounds_that_were_run():
  plan = examples.plan()
  fields = _fields(plan.statement(rounds=10))
  assert fields["mechanism"].startswith("10 rounds (1,000 planned)")
  assert float(fields["epsilon"]) == pytest.approx(
    plan.epsilon_after(10), rel=1e-3
  )
  assert _fields(plan.statement(rounds=0))["epsilon"] == "0"
  with pytest.raises(ValueError, match="rounds must be at least 0, got -1"):
    plan.statement(rounds=-1)


def test_a_delta_that_permits_exposure_is_marked():
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    plan = examples.plan(delta=1e-3)
  assert "ABOVE 1 / 1,000,000 users" in _fields(plan.statement())["delta"]


@pytest.mark.parametrize(
  ("epsilon", "words"),
  [
    (0.5, "strong"),
    (1.0, "strong"),
    (1.1, "reasonable"),
    (10.0, "reasonable"),
    (10.1, "says little"),
  ],
)
def test_reading_of_epsilon(epsilon, words):
  assert words in statement_lib._reading(epsilon)


@pytest.mark.parametrize(
  ("value", "text"),
  [
    (0.0, "0"),
    (1.0, "1"),
    (0.869707, "0.8698"),
    (8.0, "8"),
    (9.99991, "10"),
    (0.00123401, "0.001235"),
    (5463170.67, "5.464e+06"),
    (float("inf"), "inf"),
  ],
)
def test_epsilon_is_never_shown_too_small(value, text):
  assert statement_lib._number(value) == text


def test_rejects_what_is_no_release():
  with pytest.raises(TypeError, match="must be Release objects"):
    examples.plan().statement(["thresholds"])
