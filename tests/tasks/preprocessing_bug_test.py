"""Tests of the preprocessing bug task as a whole, on few users."""

import csv
import dataclasses
import json
import os

import pytest

from tasks import deployment
from tasks.preprocessing_bug import config as config_lib
from tasks.preprocessing_bug import investigation
from tff_gen_debug import run_folder

# Each runs all of the task, the classifier and several GANs.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("tff_runtime")]

_TINY = dataclasses.replace(
  config_lib.PRESETS["smoke"],
  num_clients=32,
  rounds=2,
  clients_per_round=3.0,
  checkpoint_every=1,
  num_samples=20,
)


def _report(folder) -> dict:
  with open(os.path.join(folder, "report.json"), encoding="utf-8") as file:
    return json.load(file)


def test_a_run_leaves_all_that_it_promises_and_goes_on_where_it_was(tmp_path):
  folder = str(tmp_path)
  path = investigation.run(_TINY, folder)
  assert path == os.path.join(folder, "report.html")
  report = _report(folder)
  assert report["config"] == dataclasses.asdict(_TINY)
  assert {"findings", "metrics", "privacy", "versions", "wall_seconds"} < set(
    report
  )
  privacy = report["privacy"]
  assert privacy["simulated"] and privacy["delta"] == 1e-6
  plan = deployment.make_plan(_TINY, 8, _TINY.rounds)
  assert privacy["epsilon"] == pytest.approx(plan.epsilon())
  # Three users a round with noise of 0.003 have no privacy to speak of.
  assert privacy["simulation"]["epsilon"] > 1e4
  # What was not asked for is not there, and what was released is said.
  assert [r["name"] for r in privacy["releases"]] == ["user accuracies"]
  for scenario in ("bug", "control"):
    for name in ("low_accuracy", "high_accuracy"):
      with open(
        os.path.join(folder, scenario, name, "metrics.csv"), encoding="utf-8"
      ) as file:
        rows = list(csv.DictReader(file))
      assert [row["round"] for row in rows] == ["1", "2"]
      assert not any("clients" in key for key in rows[0])
      samples = os.listdir(os.path.join(folder, scenario, name, "samples"))
      assert len(samples) == 3

  first = os.stat(os.path.join(folder, "primary_model.npz")).st_mtime_ns
  investigation.run(_TINY, folder)
  again = _report(folder)
  assert os.stat(os.path.join(folder, "primary_model.npz")).st_mtime_ns == first
  for key in ("findings", "metrics", "privacy"):
    assert again[key] == report[key]

  other = dataclasses.replace(_TINY, seed=2)
  with pytest.raises(run_folder.DifferentRunError, match="seed: 1 there"):
    investigation.run(other, folder)


def test_private_thresholds_and_named_metrics_are_in_the_statement(tmp_path):
  config = dataclasses.replace(
    _TINY,
    rounds=1,
    population=0,
    noise_multiplier=1.0,
    histogram_noise_multiplier=1.0,
    client_metrics="num_clients",
    stop_at_epsilon=1e6,
  )
  investigation.run(config, str(tmp_path))
  privacy = _report(str(tmp_path))["privacy"]
  assert not privacy["simulated"]
  released = {r["name"]: r["private"] for r in privacy["releases"]}
  assert released == {"accuracy histogram": True, "num_clients": False}
  # The histogram is paid for beside the training.
  plan = deployment.make_plan(config, privacy["population"], config.rounds)
  assert privacy["epsilon"] > 1.1 * plan.epsilon()
  assert "num_clients" in privacy["statement"]


def test_slices_of_examples_cost_a_user_both_gans(tmp_path):
  config = dataclasses.replace(
    _TINY,
    rounds=1,
    selection="by_example",
    clients_per_round=2.0,
    classifier_rounds=3,
  )
  investigation.run(config, str(tmp_path))
  report = _report(str(tmp_path))
  assert set(report["metrics"]["slices"]["bug"]) == {"misclassified", "correct"}
  assert report["privacy"]["rounds"] == 2
  assert report["privacy"]["releases"] == []


def test_a_budget_ends_the_gans_early(tmp_path):
  plan = deployment.make_plan(_TINY, 8, _TINY.rounds)
  limit = (plan.epsilon_after(1) + plan.epsilon_after(2)) / 2
  config = dataclasses.replace(_TINY, stop_at_epsilon=limit)
  investigation.run(config, str(tmp_path))
  report = _report(str(tmp_path))
  assert report["privacy"]["epsilon"] <= limit
  for by_slice in report["metrics"]["slices"].values():
    assert [values["rounds"] for values in by_slice.values()] == [1, 1]


@pytest.mark.parametrize(
  ("bug", "found"),
  [("invert_pixels", True), ("rotate_90", False), ("blank_half", False)],
)
def test_finds_inversion_where_there_is_some_and_nowhere_else(
  bug, found, tmp_path
):
  # Long enough for the background to be learned, not for legible digits.
  config = dataclasses.replace(
    config_lib.PRESETS["demo"],
    bug=bug,
    num_clients=80,
    classifier_epochs=2,
    rounds=30,
    clients_per_round=8.0,
    checkpoint_every=30,
    num_samples=200,
  )
  investigation.run(config, str(tmp_path))
  findings = {f["name"]: f for f in _report(str(tmp_path))["findings"]}
  assert findings["low_slice_inverted"]["holds"] is found
  assert "high_slice_inverted" not in findings
  assert "both_slices_inverted" not in findings
