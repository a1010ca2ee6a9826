"""Tests of the table of DataLens runs."""

import dataclasses
import math

import pytest

from benchmarks import datalens_runs
from tasks.datalens import methods


@pytest.mark.parametrize(
  "name, epsilon",
  [
    *((name, 10.0) for name in datalens_runs.RUNS),
    ("best", 1.0),
    ("paper", 1.0),
    ("teachers_4000", 1.0),
  ],
)
def test_every_run_has_a_config_within_its_budget(name, epsilon):
  config = datalens_runs.make_config(name, "mnist", epsilon, 3, "validation")
  assert config.seed == 3
  assert config.measured_on == "validation"
  plan = methods.make_plan(methods.resolve(config), (28, 28, 1))
  assert 0.98 * epsilon < plan.epsilon() <= epsilon


def test_ablations_change_what_their_names_say():
  def settings(name):
    config = datalens_runs.make_config(name, "mnist", 10.0, 1, "test")
    return dataclasses.asdict(methods.resolve(config))

  def changed(one, other):
    return {key for key in one if one[key] != other[key]}

  base = settings("paper")
  assert changed(settings("top_k_50"), base) == {
    "top_k",
    "published",
    "rounds",
  }
  assert changed(settings("dense"), settings("signs")) == {"code", "stochastic"}
  # Calibrated noise for the rounds that the paper's noise pays for.
  published = methods.make_plan(
    methods.resolve(
      datalens_runs.make_config("paper", "mnist", 10.0, 1, "test")
    ),
    (28, 28, 1),
  )
  assert settings("top_k_50")["rounds"] == published.rounds


def test_the_table_has_means_and_deviations():
  table = datalens_runs.markdown(
    {
      ("best", "mnist", 10.0): [0.8, 0.9, 0.85],
      ("paper", "mnist", math.inf): [0.5],
    }
  )
  lines = table.splitlines()
  assert lines[2] == "| best | mnist | 10 | 3 | 85.00% | 5.00% |"
  assert lines[3] == "| paper | mnist | inf | 1 | 50.00% |  |"
