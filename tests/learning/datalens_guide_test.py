"""The code of docs/datalens.md runs as it is."""

import pathlib
import re

import pytest

from tff_gen_debug import runtime

pytestmark = pytest.mark.usefixtures("tff_runtime")

_GUIDE = pathlib.Path(__file__).parents[2] / "docs" / "datalens.md"


def test_the_guides_code_runs(tmp_path, monkeypatch):
  blocks = re.findall(r"```python\n(.*?)```", _GUIDE.read_text("utf-8"), re.S)
  assert len(blocks) == 1
  # The session's runtime is there already.
  monkeypatch.setattr(runtime, "use_local_runtime", lambda: None)
  names = {"teachers_folder": str(tmp_path)}
  exec(compile(blocks[0], str(_GUIDE), "exec"), names)
  assert names["state"].round_num == 1
  assert 0 < names["ledger"].epsilon() < 10
  assert len(list(tmp_path.glob("*.round"))) == 2
