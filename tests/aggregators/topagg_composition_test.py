"""Tests of TopAgg around and inside of TFF's other aggregations."""

import asyncio
import collections
import itertools
import math

import dp_accounting
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff
import tensorflow_privacy as tfp

from tests.aggregators import changed_sum
from tests.runtime import beside_session
from tff_gen_debug import aggregators

pytestmark = pytest.mark.usefixtures("tff_runtime")

_STEP = 0.5


def _topagg(top_k=2, **settings):
  arguments = dict(
    expected_clients_per_round=4,
    noise_multiplier=0.0,
    step_size=_STEP,
    stochastic=False,
  )
  arguments.update(settings)
  return aggregators.TopAggFactory(top_k, **arguments)


def _aggregate(factory, values, rounds=1):
  process = factory.create(tff.TensorType(np.float32, values[0].shape))
  state = process.initialize()
  for _ in range(rounds):
    output = process.next(state, values)
    state = output.state
  return output


def _vectors(*rows):
  return [np.array(row, np.float32) for row in rows]


def test_inside_a_hadamard_transform_it_votes_in_the_rotated_basis():
  # Padded to 8 coordinates and rotated, a one-hot vector has magnitude
  # 1 / sqrt(8) everywhere; its signs are sqrt(8) times it, and so come back.
  factory = tff.aggregators.HadamardTransformFactory(_topagg(8))
  result = _aggregate(factory, _vectors([0, 0, 3, 0, 0, 0])).result
  expected = [0, 0, math.sqrt(8) * _STEP, 0, 0, 0]
  np.testing.assert_allclose(result, expected, atol=1e-5)


@pytest.mark.parametrize(
  "rotation",
  [
    tff.aggregators.HadamardTransformFactory,
    tff.aggregators.DiscreteFourierTransformFactory,
  ],
)
def test_a_rotation_keeps_the_norm_of_the_vote(rotation):
  value = np.random.default_rng(0).normal(size=64).astype(np.float32)
  result = _aggregate(rotation(_topagg(9)), [value]).result
  # Nine votes; turned back, they are not where the largest entries were.
  np.testing.assert_allclose(np.linalg.norm(result), 3 * _STEP, rtol=1e-5)
  assert np.count_nonzero(np.abs(result) > 1e-3) > 9


def test_clipping_outside_changes_no_vote_and_counts_exactly():
  values = _vectors([30, 40, 0], [0, -60, 80], [0.3, 0, -0.4], [0, 0.5, 0])
  factory = tff.aggregators.clipping_factory(1.0, _topagg())
  output = _aggregate(factory, values)
  # Sums of votes: 2, 1, 0.
  np.testing.assert_array_equal(output.result, [_STEP, _STEP, 0])
  assert output.measurements["clipped_count"] == 2


def test_zeroing_outside_takes_votes_away():
  values = _vectors([3, 1, 0], [1, -2, 0], [-90, -1, 0], [np.nan, 1, 0])
  values += _vectors([-99, 0, 99])
  without = _aggregate(_topagg(1), values).result
  np.testing.assert_array_equal(without, [-_STEP, -_STEP, 0])
  output = _aggregate(tff.aggregators.zeroing_factory(10.0, _topagg(1)), values)
  # A NaN is above no norm, but it is below none either: TopAgg drops it.
  np.testing.assert_array_equal(output.result, [_STEP, -_STEP, 0])
  assert output.measurements["zeroed_count"] == 2


def test_an_adaptive_norm_is_an_exact_function_of_the_clients_norms():
  estimation = tff.aggregators.PrivateQuantileEstimationProcess.no_noise(
    initial_estimate=1.0, target_quantile=0.5, learning_rate=0.2
  )
  # The votes are noised, the norm isn't: of 4 clients 1 is below it.
  factory = tff.aggregators.clipping_factory(
    estimation, _topagg(noise_multiplier=5.0)
  )
  values = _vectors([0.5, 0], [0, 2], [3, 0], [0, 4])
  norm = _aggregate(factory, values, rounds=2).measurements["clipping_norm"]
  assert math.isclose(norm, math.exp(0.2 * (0.5 - 1 / 4)), rel_tol=1e-6)


@pytest.mark.parametrize(
  "add",
  [
    tff.learning.add_debug_measurements,
    tff.learning.add_debug_measurements_with_mixed_dtype,
  ],
)
def test_debug_measurements_are_of_the_updates_and_of_the_step(add):
  values = _vectors([3, 4, 0, 0], [0, 0, 5, -12])
  output = _aggregate(add(_topagg(1)), values)
  np.testing.assert_array_equal(output.result, [0, _STEP, 0, -_STEP])
  expected = dict(
    average_client_norm=(5 + 13) / 2,
    std_dev_client_norm=math.sqrt(2 * 4**2),
    server_update_max=_STEP,
    server_update_norm=_STEP * math.sqrt(2),
    server_update_min=-_STEP,
  )
  for name, value in expected.items():
    np.testing.assert_allclose(output.measurements[name], value, rtol=1e-6)


@pytest.mark.parametrize(
  "sum_factory",
  [
    pytest.param(
      lambda: tff.aggregators.SecureSumFactory(1, -1), id="secure sum"
    ),
    pytest.param(
      lambda: tff.aggregators.concat_factory(tff.aggregators.SumFactory()),
      id="concatenation",
    ),
    pytest.param(
      lambda: tff.aggregators.DifferentiallyPrivateFactory(
        tfp.NoPrivacySumQuery()
      ),
      id="a query's sum",
    ),
  ],
)
def test_exact_sums_of_integers_may_sum_the_votes(sum_factory):
  factory = _topagg(sum_factory=sum_factory(), threshold=0.5)
  values = _vectors([3, -2, 0], [3, -1, 0], [3, 0, 1], [0, -1, 2])
  # Sums of votes: 3, -3, 2; more than half of 4 clients are wanted.
  np.testing.assert_array_equal(
    _aggregate(factory, values).result, [_STEP, -_STEP, 0]
  )


@pytest.mark.parametrize(
  "change, got",
  [
    pytest.param(
      lambda votes: tf.nest.map_structure(
        lambda v: tf.cast(v, tf.float32), votes
      ),
      "<a=float32.2.,b=float32>",
      id="floats",
    ),
    pytest.param(
      lambda votes: tf.nest.map_structure(
        lambda v: tf.cast(v, tf.int64), votes
      ),
      "<a=int64.2.,b=int64>",
      id="wider integers",
    ),
    pytest.param(
      lambda votes: collections.OrderedDict(a=votes["a"], c=votes["b"]),
      "<a=int32.2.,c=int32>",
      id="other names",
    ),
    pytest.param(
      lambda votes: collections.OrderedDict(a=votes["a"][:1], b=votes["b"]),
      "<a=int32.1.,b=int32>",
      id="other shapes",
    ),
    pytest.param(lambda votes: votes["a"], "int32.2.", id="no structure"),
  ],
)
def test_a_sum_of_another_type_is_refused(change, got):
  value_type = collections.OrderedDict(
    a=tff.TensorType(np.float32, [2]), b=tff.TensorType(np.float32)
  )
  message = (
    "sum_factory must return exact sums.*<a=int32.2.,b=int32>, but"
    f" ChangedSumFactory returns ({got})"
  )
  with pytest.raises(TypeError, match=message):
    _topagg(sum_factory=changed_sum.ChangedSumFactory(change)).create(
      tff.to_type(value_type)
    )


@pytest.mark.parametrize(
  "sum_factory",
  [
    pytest.param(tff.aggregators.UnweightedMeanFactory, id="mean"),
    pytest.param(
      lambda: tff.aggregators.clipping_factory(
        1.0, tff.aggregators.SumFactory()
      ),
      id="clipping",
    ),
    pytest.param(
      lambda: tff.aggregators.zeroing_factory(
        1.0, tff.aggregators.SumFactory()
      ),
      id="zeroing",
    ),
    pytest.param(
      lambda: tff.learning.robust_aggregator(weighted=False), id="robust"
    ),
    pytest.param(
      lambda: tff.learning.secure_aggregator(weighted=False), id="secure mean"
    ),
    pytest.param(
      lambda: tff.aggregators.EncodedSumFactory.quantize_above_threshold(
        8, threshold=1
      ),
      id="quantization",
    ),
    pytest.param(
      lambda: tff.aggregators.DifferentiallyPrivateFactory.gaussian_fixed(
        noise_multiplier=1.0, clients_per_round=1.0, clip=1.0
      ),
      id="Gaussian mean",
    ),
    pytest.param(
      lambda: tff.aggregators.SecureSumFactory(1.0, -1.0), id="sum of floats"
    ),
    pytest.param(lambda: _topagg(), id="TopAgg"),
  ],
)
def test_a_factory_that_takes_no_integer_votes_is_refused(sum_factory):
  with pytest.raises(TypeError, match="sum_factory must add int32 votes, but"):
    _topagg(sum_factory=sum_factory()).create(tff.TensorType(np.float32, [2]))


def test_a_sample_of_the_votes_is_no_sum_of_them():
  factory = tff.aggregators.UnweightedReservoirSamplingFactory(2)
  message = "sum_factory must return exact sums.*returns int32.[?],2"
  with pytest.raises(TypeError, match=message):
    _topagg(sum_factory=factory).create(tff.TensorType(np.float32, [2]))


@pytest.mark.parametrize(
  "wrap, inner_state",
  [
    pytest.param(
      tff.aggregators.HadamardTransformFactory,
      lambda state: state[0],
      id="rotation",
    ),
    pytest.param(
      lambda inner: tff.aggregators.clipping_factory(1.0, inner),
      lambda state: state["inner_agg"],
      id="clipping",
    ),
    pytest.param(
      tff.learning.add_debug_measurements,
      lambda state: state,
      id="measurements",
    ),
    pytest.param(
      aggregators.NonFiniteGuardFactory, lambda state: state, id="guard"
    ),
  ],
)
def test_the_event_is_found_inside_of_other_factories(wrap, inner_state):
  factory = wrap(_topagg(noise_multiplier=1.25))
  process = factory.create(tff.TensorType(np.float32, [4]))
  extract = tff.aggregators.differential_privacy.extract_dp_event_from_state
  state = process.initialize()
  with pytest.raises(ValueError, match="placeholder"):
    extract(inner_state(state))
  state = process.next(state, _vectors([1, 2, 3, 4])).state
  expected = dp_accounting.GaussianDpEvent(1.25)
  assert extract(inner_state(state)) == expected


class _Noise:
  """A program that sees the noise of the votes of one client."""

  TOP_K, MULTIPLIER = 4, 1.5

  def __init__(self, global_seed):
    tf.random.set_seed(global_seed)
    self.process = tff.aggregators.DifferentiallyPrivateFactory(
      aggregators.TopKSignSumQuery(
        self.TOP_K, noise_multiplier=self.MULTIPLIER, stochastic=False
      ),
      aggregators.WideSumFactory(),
    ).create(
      tff.to_type([(np.float32, [60_000]), (np.float32, [2, 20_000])]),
    )

  def next(self, state):
    update = [np.zeros([60_000], np.float32), np.ones([2, 20_000], np.float32)]
    output = self.process.next(state, [update])
    noise = np.concatenate([np.ravel(part) for part in output.result])
    # Of equal entries the first ones vote.
    noise[60_000 : 60_000 + self.TOP_K] -= 1
    return output.state, noise


def test_noise_is_new_in_each_round_and_after_a_restart(tmp_path, global_seed):
  manager = tff.program.FileProgramStateManager(tmp_path)
  program = _Noise(global_seed)
  saved, first = program.next(program.process.initialize())
  asyncio.run(manager.save(saved, 1))
  _, unbroken = program.next(saved)
  draws = [first, unbroken]
  for _ in range(2):
    with beside_session.local():
      program = _Noise(global_seed)
      structure = program.process.initialize()
      state = asyncio.run(manager.load(1, structure))
      draws.append(program.next(state)[1])

  size = len(first)
  deviation = _Noise.MULTIPLIER * math.sqrt(_Noise.TOP_K)
  for noise in draws:
    # The relative error of a standard deviation is 1 / sqrt(2 n); noise of 0.8
    # or 1.25 of that would be off by 90 times that.
    assert abs(np.std(noise) / deviation - 1) < 5 / math.sqrt(2 * size)
  # Correlations of independent draws have a standard error of 1 / sqrt(n). That
  # of noise which shares a twentieth of its variance is 16 of them.
  pairs = list(itertools.combinations(draws, 2))
  # Across the tensors, and across the coordinates of one.
  pairs += [(n[:40_000], n[60_000:]) for n in draws]
  pairs += [(n[60_000:80_000], n[80_000:]) for n in draws]
  pairs += [(n[:-lag], n[lag:]) for n in draws for lag in (1, 2, 4, 256)]
  for one, other in pairs:
    correlation = np.corrcoef(one, other)[0, 1]
    assert abs(correlation) < 5 / math.sqrt(len(one))


def test_votes_are_drawn_anew_by_each_client_in_each_round(global_seed):
  size = 100_000
  tf.random.set_seed(global_seed)
  query = aggregators.TopKSignSumQuery(size, noise_multiplier=0.0)
  process = tff.aggregators.DifferentiallyPrivateFactory(query).create(
    tff.TensorType(np.float32, [size])
  )
  # Beside the first entry the others vote like fair coins.
  update = np.full([size], 1e-9, np.float32)
  update[0] = 1
  state = process.initialize()
  output = process.next(state, [update, update])
  shares = [np.mean(output.result[1:] == total) for total in (-2, 0, 2)]
  # Equal draws would never disagree, which is a sum of 0.
  np.testing.assert_allclose(shares, [1 / 4, 1 / 2, 1 / 4], atol=5 / 2 / 316)
  rounds = [process.next(state, [update]).result[1:] for _ in range(2)]
  assert abs(np.corrcoef(rounds)[0, 1]) < 5 / math.sqrt(size)
