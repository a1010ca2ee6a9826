"""Checkpoints that are damaged, foreign, or can't be written."""

import collections
import pathlib
import random

import dp_accounting
import numpy as np
import pytest

from tff_gen_debug.privacy import ledger as ledger_lib
from tff_gen_debug.runtime import checkpoints as checkpoints_lib

_EVENT = dp_accounting.GaussianDpEvent(4.0)


def _state(rounds, size=50):
  return collections.OrderedDict(
    weights=[np.arange(size, dtype=np.float32) + rounds],
    name=np.array(["a", "bé"], dtype=object),
    round_num=np.int32(rounds),
    scale=0.1,
    count=3,
  )


def _ledger(rounds):
  ledger = ledger_lib.PrivacyLedger(delta=1e-5)
  if rounds:
    ledger.record(_EVENT, rounds)
  return ledger


def _filled(folder, *versions):
  checkpoints = checkpoints_lib.Checkpoints(folder)
  for version in versions:
    checkpoints.save(_state(version), _ledger(version), version)
  return checkpoints


def _load(folder, structure=None):
  checkpoints = checkpoints_lib.Checkpoints(folder)
  return checkpoints.load_latest(structure or _state(0))


def _files(folder):
  return [path for path in folder.rglob("*") if path.is_file()]


def test_comes_back_as_it_was(tmp_path):
  _filled(tmp_path, 0, 2, 4)
  latest = _load(tmp_path)
  assert (latest.rounds, latest.lost) == (4, ())
  assert latest.ledger.to_json() == _ledger(4).to_json()
  np.testing.assert_array_equal(latest.state["weights"][0], np.arange(50.0) + 4)
  assert latest.state["round_num"] == 4
  assert [text.decode() for text in latest.state["name"]] == ["a", "bé"]
  assert sorted(path.name for path in tmp_path.iterdir()) == [
    "round_2",
    "round_4",
  ]


def test_an_empty_folder_has_none(tmp_path):
  assert _load(tmp_path / "new") is None


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_file_costs_the_rounds_since_the_checkpoint_before(
  tmp_path, seed
):
  _filled(tmp_path, 2, 4)
  generator = random.Random(seed)
  files = sorted(_files(tmp_path / "round_4"))
  # TensorFlow reads its fingerprint for logging only.
  files = [path for path in files if path.name != "fingerprint.pb"]
  victim = files[seed % len(files)]
  content = bytearray(victim.read_bytes())
  if seed % 2:
    content = content[: generator.randrange(len(content))]
  else:
    for _ in range(3):
      content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
  victim.write_bytes(content)
  latest = _load(tmp_path)
  if latest.rounds == 4:
    # A byte that carries nothing, such as a name in the graph's debug data.
    np.testing.assert_array_equal(
      latest.state["weights"][0], np.arange(50.0) + 4
    )
    assert latest.ledger.to_json() == _ledger(4).to_json()
    return
  assert (latest.rounds, latest.lost) == (2, (range(2, 4),))
  np.testing.assert_array_equal(latest.state["weights"][0], np.arange(50.0) + 2)
  assert (tmp_path / "damaged_0_rounds_2_4").is_dir()


def _damage(folder):
  """Changes some of the numbers."""
  (data,) = folder.rglob("variables.data*")
  content = data.read_bytes()
  data.write_bytes(content[:8] + b"\x01\x02\x03\x04" + content[12:])


def test_other_content_in_a_sound_file_is_damage(tmp_path, caplog):
  """What TensorFlow's own checksums can't see."""
  checkpoints = _filled(tmp_path, 2)
  right = _digest_of(_state(4), 4)
  content = (_state(5), _ledger(4).to_json(), 0, right)
  checkpoints_lib.run_coroutine(checkpoints._manager.save(content, 4))
  assert _load(tmp_path).rounds == 2
  assert "its content is not what was written" in caplog.text
  content = (_state(4), _ledger(4).to_json(), 0, right)
  checkpoints_lib.run_coroutine(checkpoints._manager.save(content, 4))
  assert _load(tmp_path).rounds == 4


def _digest_of(state, rounds):
  return checkpoints_lib._digest((state, _ledger(rounds).to_json(), 0))


def test_lost_rounds_are_told_until_a_ledger_has_them(tmp_path):
  _filled(tmp_path, 2, 4)
  _damage(tmp_path / "round_4")
  assert _load(tmp_path).lost == (range(2, 4),)
  # As after a kill: nothing was written since, so they are still to charge.
  again = checkpoints_lib.Checkpoints(tmp_path)
  assert again.load_latest(_state(0)).lost == (range(2, 4),)
  again.save(_state(3), _ledger(5), 3)
  latest = _load(tmp_path)
  assert (latest.rounds, latest.lost) == (3, ())


def test_the_same_rounds_lost_twice_are_told_twice(tmp_path):
  _filled(tmp_path, 2, 4)
  _damage(tmp_path / "round_4")
  checkpoints = checkpoints_lib.Checkpoints(tmp_path)
  checkpoints.load_latest(_state(0))
  checkpoints.save(_state(4), _ledger(6), 4)
  _damage(tmp_path / "round_4")
  latest = _load(tmp_path)
  # The ledger of the one that is left knows of neither.
  assert (latest.rounds, latest.lost) == (2, (range(2, 4), range(2, 4)))
  assert latest.ledger.to_json() == _ledger(2).to_json()


def test_two_checkpoints_of_the_same_round_one_damaged(tmp_path):
  _filled(tmp_path, 2, 4)
  _damage(tmp_path / "round_4")
  checkpoints = checkpoints_lib.Checkpoints(tmp_path)
  checkpoints.load_latest(_state(0))
  checkpoints.save(_state(4), _ledger(6), 4)
  assert _load(tmp_path).ledger.to_json() == _ledger(6).to_json()


def test_all_damaged_is_no_fresh_start(tmp_path):
  _filled(tmp_path, 2, 4)
  for version in (2, 4):
    _damage(tmp_path / f"round_{version}")
  for _ in range(2):
    with pytest.raises(checkpoints_lib.CheckpointError, match="are damaged"):
      _load(tmp_path)


def test_half_written_ones_are_removed(tmp_path):
  _filled(tmp_path, 2)
  (tmp_path / "round_3_temp1234").mkdir()
  (tmp_path / "round_3_temp1234" / "saved_model.pb").write_bytes(b"half")
  assert _load(tmp_path).rounds == 2
  assert not (tmp_path / "round_3_temp1234").exists()


def test_another_size_is_shown(tmp_path):
  _filled(tmp_path, 2)
  with pytest.raises(
    checkpoints_lib.CheckpointError,
    match=r"weights/0: float32\[50\] there, float32\[7\] here",
  ):
    _load(tmp_path, _state(0, size=7))
  assert _load(tmp_path).rounds == 2


def test_another_structure_is_another_process(tmp_path):
  _filled(tmp_path, 2)
  with pytest.raises(checkpoints_lib.CheckpointError, match="another process"):
    _load(tmp_path, [np.float32(0)])
  assert _load(tmp_path).rounds == 2


def test_a_file_in_place_of_the_folder(tmp_path):
  path = tmp_path / "file"
  path.touch()
  with pytest.raises(checkpoints_lib.CheckpointWriteError, match="file"):
    checkpoints_lib.Checkpoints(path)


def test_what_can_not_be_written_leaves_the_last_one(tmp_path, monkeypatch):
  checkpoints = _filled(tmp_path, 2)
  write_bytes = "No space left on device"

  async def fail(*_):
    (tmp_path / "round_4_temp1234").mkdir()
    raise OSError(28, write_bytes)

  with monkeypatch.context() as patch:
    patch.setattr(type(checkpoints._manager), "save", fail)
    with pytest.raises(
      checkpoints_lib.CheckpointWriteError, match="round 4.*No space left"
    ):
      checkpoints.save(_state(4), _ledger(4), 4)
  assert [path.name for path in pathlib.Path(tmp_path).iterdir()] == ["round_2"]
  assert _load(tmp_path).rounds == 2
