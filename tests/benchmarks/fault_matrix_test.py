"""Tests of how the matrix reads findings and keeps samples."""

import numpy as np
import pytest

from benchmarks import fault_matrix
from benchmarks import fault_samples
from tasks.investigation import config as config_lib
from tff_gen_debug.debugging import character_model
from tff_gen_debug.debugging import findings as findings_lib
from tff_gen_debug.debugging import generated_words
from tff_gen_debug.debugging import image_gan
from tff_gen_debug.debugging import investigation as investigation_lib


def _finding(name, holds=False, decided=True):
  return findings_lib.Finding(name, holds, "claim", "evidence", {}, decided)


_SILENT = [_finding("suspect_inverted"), _finding("suspect_blank")]


@pytest.mark.parametrize(
  "findings, expected",
  [
    ([_finding("suspect_inverted", True), _finding("x_blank", True)], "found"),
    ([_finding("suspect_inverted"), _finding("x_blank", True)], "(x blank)"),
    (_SILENT, "missed"),
    ([_finding("suspect_inverted", decided=False)], "undecided"),
  ],
)
def test_a_cell(findings, expected):
  assert fault_matrix.verdict(findings, ("inverted",)) == expected


def test_false_alarms_are_counted_by_run():
  controls = [
    _SILENT,
    [_finding("a_blank", True), _finding("a_faint", True)],
    [_finding("a_blank", True)],
  ]
  assert fault_matrix.false_alarms(controls) == "2 of 3 (a blank, a faint)"
  assert fault_matrix.false_alarms([_SILENT] * 4) == "0 of 4"


def test_the_table():
  text = fault_matrix.table(
    {"inverted": {"T1": [_finding("a_inverted", True)]}, "blank": {}},
    {"T1": [_SILENT]},
    {"inverted": ("inverted",), "blank": ("blank",)},
  )
  assert text.splitlines() == [
    "| fault | T1 |",
    "| --- | --- |",
    "| inverted | found |",
    "| blank | – |",
    "| false alarms | 0 of 1 |",
  ]


def test_every_fault_has_a_name_to_be_found_by():
  faults = {*config_lib.IMAGE_FAULTS, *config_lib.WORD_FAULTS}
  assert faults == {"none", *fault_matrix.EXPECTED}


def _asked(auxiliary):
  return investigation_lib.Investigation(
    None, None, auxiliary, None, public="public"
  )


def test_words_are_kept(tmp_path):
  words = generated_words.GeneratedWords(["a b"] * 60, [("a b", 0.5)], 3)
  samples = character_model.WordSamples(words, np.zeros([0]), ())
  path = str(tmp_path / "samples")
  fault_samples.keep({"out of vocabulary": samples}, path)
  seen = {}

  class _Model(character_model.CharacterModel):
    def find(self, suspect, reference, names, primary):
      seen.update(suspect=suspect, reference=reference, names=names)
      return []

  fault_samples.find(_asked(_Model()), path)
  assert seen["suspect"].words == words
  assert seen["names"] == ("out of vocabulary", "public")


def test_labels_are_kept(tmp_path):
  path = str(tmp_path / "samples")
  images = np.zeros([60, 28, 28, 1])
  fault_samples.keep({"class 1": images, "rest": images}, path, labels=[1])
  seen = {}

  class _Asked:
    auxiliary = None

    def find(self, samples, labels):
      seen.update(names=[*samples], labels=labels)
      return []

  fault_samples.find(_Asked(), path)
  assert seen == {"names": ["class 1", "rest"], "labels": [1]}


def test_images_are_kept_to_half_a_shade(tmp_path):
  images = np.random.default_rng(0).uniform(-1, 1, [60, 28, 28, 1])
  path = str(tmp_path / "samples")
  fault_samples.keep({"low accuracy": images, "high accuracy": -images}, path)
  seen = {}

  class _Gan(image_gan.ImageGan):
    def find(self, suspect, reference, names, primary):
      seen.update(suspect=suspect, reference=reference, names=names)
      return []

  fault_samples.find(_asked(_Gan()), path)
  assert seen["names"] == ("low accuracy", "high accuracy")
  half = 0.5 / 127.5 + 1e-6
  np.testing.assert_allclose(seen["suspect"], images, atol=half)
  np.testing.assert_allclose(seen["reference"], -images, atol=half)
