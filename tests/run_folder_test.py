"""Tests of what a run keeps in its output folder."""

import json

import pytest

from tff_gen_debug import run_folder

_CONFIG = {"rounds": 3, "rate": 0.5, "name": "a"}


def test_a_folder_belongs_to_its_first_config(tmp_path):
  folder = str(tmp_path / "new" / "run")
  run_folder.claim(folder, _CONFIG)
  run_folder.claim(folder, _CONFIG)
  with pytest.raises(
    run_folder.DifferentRunError, match="rate: 0.5 there, 0.25 here"
  ) as error:
    run_folder.claim(folder, {**_CONFIG, "rate": 0.25})
  assert "rounds" not in str(error.value)


def test_the_config_is_kept_as_json(tmp_path):
  run_folder.claim(str(tmp_path), _CONFIG)
  assert json.loads((tmp_path / "config.json").read_text()) == _CONFIG


def test_what_is_kept_is_made_once(tmp_path):
  path = str(tmp_path / "noise.json")
  assert run_folder.keep(path, lambda: {"noise": 1.5}) == {"noise": 1.5}
  assert run_folder.keep(path, lambda: {"noise": 2.5}) == {"noise": 1.5}


def test_what_is_kept_must_be_whole(tmp_path):
  path = str(tmp_path / "noise.json")
  run_folder.keep(path, lambda: {"noise": 1.5})
  with pytest.raises(run_folder.DamagedFileError, match="noise.json.*scale"):
    run_folder.keep(path, dict, names=("scale",))
