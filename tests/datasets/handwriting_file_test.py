"""Tests for handwriting_file."""

import io
import json

import numpy as np
import pytest

from tff_gen_debug.datasets import handwriting_file

_REPAIR = "python -m make_it_again"


def _blocks(pixels=None):
  if pixels is None:
    # Strokes and noise: every grey level, ink at the border, empty images.
    draw = np.random.RandomState(0)
    pixels = draw.randint(256, size=[2, 104, 28, 28])
    pixels = np.where(draw.uniform(size=pixels.shape) < 0.7, 0, pixels)
    pixels[0, :3] = 0
    pixels[1, :3] = 255
  return handwriting_file.Blocks(
    numbers=np.array([3, 287], np.uint16),
    labels=np.arange(208, dtype=np.uint8).reshape(2, 104) % 10,
    pixels=pixels.astype(np.uint8),
    origin={"digits": "drawn by dice"},
  )


def _assert_equal(found, expected):
  for name in ("numbers", "labels", "pixels"):
    one, other = getattr(found, name), getattr(expected, name)
    assert one.dtype == other.dtype
    np.testing.assert_array_equal(one, other)
  assert found.origin == expected.origin


@pytest.mark.parametrize("fill", [None, 0, 255])
def test_nothing_is_lost(fill):
  blocks = _blocks(None if fill is None else np.full([2, 104, 28, 28], fill))

  _assert_equal(
    handwriting_file.from_bytes(handwriting_file.to_bytes(blocks)), blocks
  )


def test_equal_blocks_give_equal_bytes():
  assert handwriting_file.to_bytes(_blocks()) == handwriting_file.to_bytes(
    _blocks()
  )


def test_plain_numpy_reads_the_file_without_pickles():
  data = handwriting_file.to_bytes(_blocks())

  with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
    assert arrays["block_numbers"].tolist() == [3, 287]
    origin = json.loads(arrays["origin_json"].tobytes())
  assert origin == {"digits": "drawn by dice"}


@pytest.mark.parametrize("name", ["numbers", "labels", "pixels"])
def test_digest_sees_every_change(name):
  blocks = _blocks()
  changed = getattr(blocks, name).copy()
  changed.flat[-1] ^= 1

  assert blocks._replace(**{name: changed}).digest() != blocks.digest()


def test_write_and_read(tmp_path):
  path = str(tmp_path / "blocks.npz")
  handwriting_file.write(path, _blocks())

  _assert_equal(
    handwriting_file.read(path, _blocks().digest(), _REPAIR), _blocks()
  )
  assert [p.name for p in tmp_path.iterdir()] == ["blocks.npz"]


def test_missing_file(tmp_path):
  with pytest.raises(FileNotFoundError, match=_REPAIR):
    handwriting_file.read(str(tmp_path / "none.npz"), "", _REPAIR)


def test_other_blocks_than_expected(tmp_path):
  path = str(tmp_path / "blocks.npz")
  handwriting_file.write(path, _blocks(np.zeros([2, 104, 28, 28])))

  with pytest.raises(
    handwriting_file.HandwritingFileError, match=f"digest .*{_REPAIR}"
  ):
    handwriting_file.read(path, _blocks().digest(), _REPAIR)


def test_damage_anywhere_is_found(tmp_path):
  path = tmp_path / "blocks.npz"
  whole = handwriting_file.to_bytes(_blocks())
  digest = _blocks().digest()
  size = len(whole)
  damaged = [b"", b"not a zip file at all", whole[: size // 2], whole[:-1]]
  for position in np.random.RandomState(0).randint(size, size=40):
    one_bit = bytearray(whole)
    one_bit[position] ^= 4
    damaged.append(bytes(one_bit))
  found = 0
  for data in damaged:
    path.write_bytes(data)
    try:
      blocks = handwriting_file.read(str(path), digest, _REPAIR)
    except handwriting_file.HandwritingFileError as error:
      assert _REPAIR in str(error) and str(path) in str(error)
      found += 1
    else:
      # A bit of the zip's own headers that says nothing about the content.
      _assert_equal(blocks, _blocks())
  assert found >= 40
