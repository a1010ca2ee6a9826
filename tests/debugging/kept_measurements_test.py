"""Tests of measurements that are made once in a run."""

import dataclasses

import numpy as np
import pytest

from tff_gen_debug import run_folder
from tff_gen_debug.debugging import kept_measurements


@dataclasses.dataclass(frozen=True, eq=False)
class _Sums:
  sums: np.ndarray
  noise: float
  relation: str


def test_noise_is_drawn_once(tmp_path):
  path = str(tmp_path / "sums.json")
  drawn = [_Sums(np.array([[1.5, -2.0]]), 0.1, "add_or_remove_one")]
  first = kept_measurements.keep(path, _Sums, drawn.pop)
  again = kept_measurements.keep(path, _Sums, drawn.pop)  # Nothing to pop.
  for kept in (first, again):
    np.testing.assert_array_equal(kept.sums, [[1.5, -2.0]])
    assert (kept.noise, kept.relation) == (0.1, "add_or_remove_one")


def test_a_file_of_another_kind_is_named(tmp_path):
  path = tmp_path / "sums.json"
  path.write_text('{"sums": [1.0], "noise": 0.1}')
  with pytest.raises(run_folder.DamagedFileError, match="sums.json.*relation"):
    kept_measurements.keep(str(path), _Sums, lambda: None)
