"""Tests of noise on integers: its law, its tails, and sums that wrap."""

import collections
import math

import dp_accounting
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.aggregators import discrete_noise

pytestmark = pytest.mark.usefixtures("tff_runtime")

_EVENT = dp_accounting.GaussianDpEvent(1.5)
_SIZE = 100_000
# The deviation of so many draws has a relative error of 0.22 %.
_TOLERANCE = 0.011


def _query(**changes):
  arguments = dict(
    l2_norm=10.0, weight=1, share_stddev=4, modulus=2**20, event=_EVENT
  )
  arguments.update(changes)
  return discrete_noise.DiscreteNoiseSumQuery(**arguments)


def _sum(query, records, modulus=2**20):
  """The query's result for an array of records, summed as in a deployment."""
  process = tff.aggregators.DifferentiallyPrivateFactory(
    query, tff.aggregators.SecureModularSumFactory(modulus)
  ).create(tff.TensorType(np.int32, records.shape[1:]))
  return process.next(process.initialize(), list(records)).result


def _zeros(clients, size=_SIZE):
  return np.zeros([clients, size], np.int32)


@pytest.fixture(scope="module")
def shares():
  """What four clients send who have nothing to say, [4, _SIZE]."""
  query = _query()

  @tff.federated_computation(
    tff.FederatedType((np.int32, [_SIZE]), tff.CLIENTS)
  )
  def send(records):
    return tff.federated_map(
      tff.tensorflow.computation(lambda r: query.preprocess_record((), r)),
      records,
    )

  return np.array(send(list(_zeros(4))), np.int64)


def test_each_share_is_a_discrete_gaussian(shares):
  x = np.arange(-40, 41)
  law = np.exp(-(x**2) / 32)
  law /= law.sum()
  drawn = np.array([np.sum(shares == value) for value in x])
  assert drawn.sum() == shares.size
  # A chi-squared test on the values that are drawn often enough.
  expected = law * shares.size
  common = expected > 50
  statistic = np.sum((drawn - expected)[common] ** 2 / expected[common])
  freedom = common.sum()
  assert statistic < freedom + 5 * math.sqrt(2 * freedom)
  # Noise of 0.8 or 1.25 of that would be far off, and so would continuous noise
  # rounded down.
  for scale, offset in ((3.2, 0), (5, 0), (4, 0.5)):
    other = np.exp(-((x + offset) ** 2) / (2 * scale**2))
    other *= shares.size / other.sum()
    wrong = np.sum((other - expected)[common] ** 2 / expected[common])
    assert wrong > 20 * freedom


def test_noise_is_not_cut_off(shares):
  # Beyond three and a half deviations there are some hundred draws.
  x = np.arange(-80, 81)
  law = np.exp(-(x**2) / 32)
  expected = shares.size * law[np.abs(x) > 14].sum() / law.sum()
  drawn = np.sum(np.abs(shares) > 14)
  assert abs(drawn - expected) < 5 * math.sqrt(expected) < expected


def test_clients_and_coordinates_have_noise_of_their_own(shares):
  limit = 5 / math.sqrt(_SIZE)
  across = np.corrcoef(shares) - np.eye(4)
  assert np.max(np.abs(across)) < limit
  for lag in (1, 2, _SIZE // 2):
    assert abs(np.corrcoef(shares[0][lag:], shares[0][:-lag])[0, 1]) < limit
  # Nor do the sizes of the noise go together.
  squares = np.corrcoef(shares**2) - np.eye(4)
  assert np.max(np.abs(squares)) < limit


@pytest.mark.parametrize("clients", [1, 2, 9])
@pytest.mark.parametrize("weight", [1, 7])
def test_the_noise_of_clients_adds_up(clients, weight):
  noise = _sum(_query(weight=weight), _zeros(clients))
  deviation = 4 * math.sqrt(clients) / weight
  assert np.std(noise) == pytest.approx(deviation, rel=_TOLERANCE)
  assert abs(np.mean(noise)) < 5 * deviation / math.sqrt(_SIZE)


def test_every_call_has_noise_of_its_own():
  query = _query()
  first, second = (_sum(query, _zeros(1)) for _ in range(2))
  assert abs(np.corrcoef(first, second)[0, 1]) < 5 / math.sqrt(_SIZE)


def test_tensors_and_clients_have_noise_of_their_own(global_seed):
  query = _query()
  shapes = collections.OrderedDict(a=[_SIZE], b=[2, _SIZE // 2])

  @tff.federated_computation(
    tff.FederatedType(
      collections.OrderedDict((k, (np.int32, v)) for k, v in shapes.items()),
      tff.CLIENTS,
    )
  )
  def send(records):
    return tff.federated_map(
      tff.tensorflow.computation(lambda r: query.preprocess_record((), r)),
      records,
    )

  zeros = {k: np.zeros(v, np.int32) for k, v in shapes.items()}
  noises = []
  for sent in send([zeros] * 2) + send([zeros]):
    assert list(sent) == ["a", "b"]
    assert sent["b"].shape == (2, _SIZE // 2)
    noises += [np.ravel(tensor) for tensor in sent.values()]
  correlations = np.corrcoef(noises)[np.triu_indices(6, 1)]
  assert np.abs(correlations).max() < 5 / math.sqrt(_SIZE)


def test_without_noise_sums_are_exact_and_keep_their_sign():
  records = np.array([[3, -3, 0, 7], [-1, -2, 0, -8]], np.int32)
  for weight in (1, 5):
    query = _query(share_stddev=0, weight=weight)
    np.testing.assert_array_equal(_sum(query, records), [2, -5, 0, -1])


def test_sums_wrap_at_half_the_modulus():
  # Residues mod 16 stand for -8 to 7.
  records = np.array([[4, 4, -4, -4, 7], [3, 4, -4, -5, 9]], np.int32)
  query = _query(share_stddev=0, modulus=16)
  np.testing.assert_array_equal(_sum(query, records, 16), [7, -8, -8, 7, 0])


def test_the_largest_modulus_survives_sums_beyond_int32():
  # Five residues just below 2**30 add up to more than int32 holds; the sums are
  # -5 and 5 * 100e6, just below half the modulus.
  modulus = discrete_noise.MAX_MODULUS
  records = np.tile(np.array([-1, 10**8], np.int32), [5, 1])
  query = _query(share_stddev=0, modulus=modulus)
  np.testing.assert_array_equal(
    _sum(query, records, modulus), [-5, np.float32(5e8)]
  )


@pytest.mark.parametrize("most", [1, 100, 8192])
@pytest.mark.parametrize("stddev", [0.0, 3.0, 500.0])
@pytest.mark.parametrize("coordinates", [1, 10**7])
def test_the_modulus_has_room_for_all_but_one_in_a_billion(
  most, stddev, coordinates
):
  modulus = discrete_noise.modulus_for(
    most, stddev=stddev, coordinates=coordinates
  )
  assert bin(modulus).count("1") == 1
  room = modulus // 2 - 1 - most

  def escapes(room):
    """The chance that the noise of any coordinate leaves on either side."""
    if not stddev:
      return float(room < 0)
    x = np.arange(0, math.ceil(40 * stddev))
    law = np.exp(-(x**2) / (2 * stddev**2))
    tail = law[x > room].sum() / (2 * law.sum() - 1)
    return 2 * coordinates * tail

  assert escapes(room) <= 1e-9
  # Half of it would not do, by the bound on the tail, which at up to nine
  # deviations is at most 9 sqrt(2 pi) < 25 times the tail.
  assert escapes(modulus // 4 - 1 - most) > 1e-9 / 25


def test_the_event_is_what_the_caller_says():
  query = _query()
  zeros = tf.zeros([3], tf.int32)
  result, state, event = query.get_noised_result(zeros, ())
  assert (state, event) == ((), _EVENT)
  assert result.dtype == tf.float32


def test_a_record_beyond_the_norm_fails_on_its_client():
  with pytest.raises(tf.errors.InvalidArgumentError, match="L2 norm exceeds"):
    _query().preprocess_record((), tf.constant([8, 7], tf.int32))


@pytest.mark.parametrize(
  ("changes", "error", "message"),
  [
    ({"l2_norm": 0}, ValueError, "l2_norm must be positive"),
    ({"weight": 0}, ValueError, "weight must be at least 1"),
    ({"share_stddev": -1}, ValueError, "share_stddev must be at least 0"),
    ({"share_stddev": 1.5}, TypeError, "share_stddev must be an integer"),
    ({"share_stddev": 2**24 + 1}, ValueError, "lower the noise multiplier"),
    ({"modulus": 15}, ValueError, "modulus must be even"),
    ({"modulus": 2**31}, ValueError, "at most 1073741824, got 2147483648"),
  ],
)
def test_bad_arguments_are_named(changes, error, message):
  with pytest.raises(error, match=message):
    _query(**changes)
