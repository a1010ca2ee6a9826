"""Tests for client_hash."""

import struct

import numpy as np
import pytest
import tensorflow as tf

from tff_gen_debug.datasets import client_hash

_WORD = 2**64 - 1


def _siphash(message: bytes, key) -> int:
  """SipHash-2-4 (Aumasson and Bernstein, 2012), slowly."""
  rotate = lambda x, n: ((x << n) | (x >> (64 - n))) & _WORD  # noqa: E731
  v = [
    key[0] ^ 0x736F6D6570736575,
    key[1] ^ 0x646F72616E646F6D,
    key[0] ^ 0x6C7967656E657261,
    key[1] ^ 0x7465646279746573,
  ]

  def mix(rounds):
    for _ in range(rounds):
      v[0] = (v[0] + v[1]) & _WORD
      v[2] = (v[2] + v[3]) & _WORD
      v[1] = rotate(v[1], 13) ^ v[0]
      v[3] = rotate(v[3], 16) ^ v[2]
      v[0] = rotate(v[0], 32)
      v[2] = (v[2] + v[1]) & _WORD
      v[0] = (v[0] + v[3]) & _WORD
      v[1] = rotate(v[1], 17) ^ v[2]
      v[3] = rotate(v[3], 21) ^ v[0]
      v[2] = rotate(v[2], 32)

  padded = message + b"\0" * (7 - len(message) % 8)
  padded += bytes([len(message) % 256])
  for (word,) in struct.iter_unpack("<Q", padded):
    v[3] ^= word
    mix(2)
    v[0] ^= word
  v[2] ^= 0xFF
  mix(4)
  return v[0] ^ v[1] ^ v[2] ^ v[3]


def test_the_reference_is_siphash():
  # The first and the last vector of the paper's Appendix A.
  key = struct.unpack("<QQ", bytes(range(16)))
  assert _siphash(bytes(range(15)), key) == 0xA129CA6149BE45E5


@pytest.mark.parametrize("client_id", ["", "block_017", "f0000_14~3", "é"])
@pytest.mark.parametrize("seed", [0, 7, 2**63 - 1])
def test_uniform_is_the_keyed_hash(client_id, seed):
  expected = _siphash(client_id.encode(), (seed, 5)) % 2**52 / 2**52

  found = client_hash.uniform(tf.constant(client_id), seed, 5)

  assert found.dtype == tf.float64
  assert float(found) == expected


def test_stateless_seed_is_two_keyed_hashes():
  expected = [
    _siphash(b"a/" + half, (3, 4)) % (2**63 - 1) for half in (b"0", b"1")
  ]

  found = client_hash.stateless_seed(tf.constant("a"), 3, 4)

  assert found.numpy().tolist() == expected


def test_numbers_fill_the_unit_interval_evenly():
  ids = tf.constant([f"client_{i}" for i in range(10_000)])

  numbers = client_hash.uniform(ids, 1, 2).numpy()

  counts, _ = np.histogram(numbers, bins=20, range=(0, 1))
  # Each of 20 counts is Binomial(10,000, 1/20): sd 21.8.
  assert np.abs(counts - 500).max() < 5 * 21.8


@pytest.mark.parametrize("other", [(2, 2), (1, 3)])
def test_another_seed_or_purpose_gives_independent_numbers(other):
  ids = tf.constant([f"client_{i}" for i in range(10_000)])

  first = client_hash.uniform(ids, 1, 2).numpy()
  second = client_hash.uniform(ids, *other).numpy()

  # The sample correlation of independent numbers has sd 1/100.
  assert abs(np.corrcoef(first, second)[0, 1]) < 0.05


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_seed_out_of_range(seed):
  with pytest.raises(ValueError, match=r"seed must be in .*got"):
    client_hash.check_seed(seed)


@pytest.mark.parametrize("seed", [1.0, "1", None, True])
def test_seed_not_an_integer(seed):
  with pytest.raises(TypeError, match="seed must be an int, got"):
    client_hash.check_seed(seed)


def test_numpy_seed():
  assert client_hash.check_seed(np.int32(3)) == 3
