"""The code in the reader's guide runs, and its figures are right."""

import pathlib
import re

import pytest

_GUIDE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "privacy.md"


def test_guide_runs_and_its_figures_are_right(capsys):
  blocks = re.findall(r"```python\n(.*?)```", _GUIDE.read_text("utf-8"), re.S)
  assert len(blocks) == 6
  names = {}
  exec(compile(blocks[0], "first block", "exec"), names)
  assert names["plan"].epsilon() <= 2.0
  for block in blocks[1:]:
    exec(compile(block, "a later block", "exec"), names)
  assert names["deployment"].epsilon() == pytest.approx(0.87, abs=0.005)
  assert names["tree"].epoch_rounds == 100
  assert names["tree"].epsilon() == pytest.approx(5.05, abs=0.005)
  assert names["distributed"].epsilon() == pytest.approx(1.48, abs=0.005)
  plan = names["plan"]
  assert plan.run_noise_multiplier == pytest.approx(0.01)
  assert plan.as_run().epsilon() == pytest.approx(5e6, rel=0.1)
  assert names["ledger"].events[-1] == (names["deployment"].round_event, 3)
  printed = capsys.readouterr().out
  assert "SIMULATED" in printed
  assert "accuracy thresholds" in printed
