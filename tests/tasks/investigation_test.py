"""Tests of the six tasks on the embedded data, with planted faults.

Each criterion must find its fault and say nothing about sound data; for words,
`tokenization_bug_test` does that. Trainings are shorter than the demo's, which
`benchmarks.fault_matrix` measures.
"""

import dataclasses
import json
import os

import numpy as np
import pytest

from tasks.investigation import config as config_lib
from tasks.investigation import experiment
from tasks.investigation import image_scenarios
from tff_gen_debug.datasets import handwriting
from tff_gen_debug.debugging import labelling

_SMOKE = config_lib.PRESETS["smoke"]


@pytest.mark.parametrize(
  "changes, error",
  [
    (dict(criterion="looks"), "criterion must be one of"),
    (dict(fault="words_joined"), "fault must be one of"),
    (dict(criterion="unknown_words"), "fault must be one of"),
    (dict(fault_share=1.5), "fault_share"),
    (dict(num_samples=10), "num_samples must be at least 50"),
    (dict(delta=1.0), "delta must be below 1"),
    (dict(noise_multiplier=-1.0), "noise_multiplier must be at least 0"),
  ],
)
def test_configs_that_make_no_sense(changes, error):
  with pytest.raises(ValueError, match=error):
    dataclasses.replace(_SMOKE, **changes)


@pytest.mark.parametrize("fault", config_lib.IMAGE_FAULTS)
def test_faults_are_in_half_of_the_users(fault):
  train, _ = handwriting.load_data()
  broken = image_scenarios.broken_users(
    dataclasses.replace(_SMOKE, fault=fault)
  )

  def examples(users, client_id):
    dataset = users.create_tf_dataset_for_client(client_id)
    return [
      (x["pixels"].numpy().tobytes(), int(x["label"])) for x in dataset.take(60)
    ]

  ids = train.client_ids[:20]
  changed = sum(examples(train, c) != examples(broken, c) for c in ids)
  # Binomial(20, 1/2), three and a half standard deviations to either side.
  assert changed == 0 if fault == "none" else 2 <= changed <= 18


@pytest.mark.slow
def test_the_whole_task_and_its_labelling_sheet(tff_runtime, tmp_path):
  config = dataclasses.replace(
    _SMOKE, criterion="unlabelled", epsilon_limit=0.7865
  )
  path = experiment.run(config, str(tmp_path))
  content = json.loads((tmp_path / "report.json").read_text())
  assert os.path.exists(path)
  assert content["config"]["criterion"].startswith("examples without")
  # One model of two rounds and one of none are within the limit.
  rounds = [s["rounds"] for s in content["metrics"]["slices"].values()]
  assert sum(rounds) < 4 and content["privacy"]["epsilon"] <= 0.7865
  assert labelling.read_sheet(tmp_path / "to_label").labels == []
  # Again, with labels, which stay.
  sheet = tmp_path / "to_label" / "labels.csv"
  sheet.write_text(sheet.read_text().replace("0.png,,", "0.png,7,", 1))
  experiment.run(config, str(tmp_path))
  assert labelling.read_sheet(tmp_path / "to_label").labels == ["7"]


def _found(tmp_path, **changes):
  """The names of findings that hold."""
  config = dataclasses.replace(
    config_lib.PRESETS["demo"],
    checkpoint_every=1000,
    num_samples=400,
    **changes,
  )
  result = experiment.make(config).run(str(tmp_path))
  for samples in result.samples.values():
    assert np.isfinite(samples).all()
  return {finding.name for finding in result.found}


_PLANTED = [
  ("random", "wrong_crop", "random_off_centre"),
  ("mistakes", "class_mislabelled", "misclassified_one_class"),
  ("unknown_labels", "label_unknown", "of_unknown_label_one_class"),
  ("users", "rotated", "low_accuracy_rotated"),
  ("classes", "class_mislabelled", "class_1_another_class"),
  ("version", "blank", "version_2_blank"),
  ("unlabelled", "low_contrast", "unlabelled_faint"),
  ("serving", "inverted", "serving_inverted"),
]


@pytest.mark.slow
@pytest.mark.parametrize("criterion, fault, name", _PLANTED)
def test_a_planted_fault_is_found(
  tff_runtime, tmp_path, criterion, fault, name
):
  # Half of the users, but for what is served: all, since so few rounds of a GAN
  # on two kinds of images can give either.
  share = 1.0 if criterion == "serving" else 0.0
  assert name in _found(
    tmp_path, criterion=criterion, fault=fault, fault_share=share, rounds=60
  )


@pytest.mark.slow
@pytest.mark.parametrize("criterion", [criterion for criterion, *_ in _PLANTED])
def test_sound_data_are_not_accused(tff_runtime, tmp_path, criterion):
  assert _found(tmp_path, criterion=criterion, fault="none", rounds=60) == set()
