"""Tests of the sum of what teachers say of images, its noise and its event."""

import math

import dp_accounting
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.privacy import examples
from tff_gen_debug import privacy
from tff_gen_debug.aggregators import gradient_codes
from tff_gen_debug.aggregators import image_votes

# The standard deviation of 100,000 draws has a relative error of 0.22 %; a
# tolerance of 1.5 % passes right noise and fails 0.8 and 1.25 of it by far.
_TOLERANCE = 0.015

_TEACHERS, _IMAGES, _SHAPE, _TOP_K = 6, 3, (2, 2), 2


def _signs(top_k=_TOP_K, **settings):
  return gradient_codes.TopKSignCode(top_k, stochastic=False, **settings)


def _factory(code=None, **settings):
  arguments = dict(teachers=_TEACHERS, noise_multiplier=0.0)
  arguments.update(settings)
  return image_votes.ImageVoteFactory(code or _signs(), **arguments)


def _create(factory, shape):
  return factory.create(tff.TensorType(np.float32, shape))


def _run(process, values):
  return process.next(process.initialize(), list(values)).result


def _directions(seed=0, teachers=_TEACHERS, images=_IMAGES, shape=_SHAPE):
  rng = np.random.default_rng(seed)
  return rng.normal(size=[teachers, images, *shape]).astype(np.float32)


def _votes(directions, top_k=_TOP_K):
  """The signs of the largest entries of each image, by a sort of each."""
  votes = np.zeros(directions.shape)
  for index in np.ndindex(directions.shape[:2]):
    image = directions[index].ravel()
    if np.all(np.isfinite(image)):
      largest = np.argsort(-np.abs(image), kind="stable")[:top_k]
      one = np.zeros(image.shape)
      one[largest] = np.sign(image[largest])
      votes[index] = one.reshape(directions.shape[2:])
  return votes


@pytest.fixture(scope="module")
def alone(tff_runtime):
  """Teachers that are clients."""
  return _create(_factory(), [_IMAGES, *_SHAPE])


@pytest.fixture(scope="module")
def in_pairs(tff_runtime):
  """Clients of two teachers."""
  return _create(_factory(grouped=True), [2, _IMAGES, *_SHAPE])


def _paired(directions):
  return directions.reshape([-1, 2, *directions.shape[1:]])


def test_teachers_votes_are_added_and_decoded(alone, in_pairs):
  for seed in range(3):
    directions = _directions(seed)
    expected = np.sum(_votes(directions), axis=0) / _TEACHERS
    for result in (
      _run(alone, directions),
      _run(in_pairs, _paired(directions)),
    ):
      assert result.shape == (_IMAGES, *_SHAPE)
      assert result.dtype == np.float32
      # Shares of float32; the sums are exact.
      np.testing.assert_allclose(result, expected, rtol=1e-6)


def test_the_share_is_that_of_the_expected_teachers(alone):
  directions = _directions(3)[:2]
  # Two of six came.
  expected = np.sum(_votes(directions), axis=0) / _TEACHERS
  np.testing.assert_allclose(_run(alone, directions), expected, rtol=1e-6)
  assert not np.any(_run(alone, []))


@pytest.mark.parametrize("bad", [np.nan, -np.inf, 1e30])
def test_a_hostile_teacher_costs_no_more_than_its_own_votes(
  alone, in_pairs, bad
):
  directions = _directions(4)
  # All of its say on one image, and one number of another.
  directions[3, 0] = bad
  directions[3, 1, 0, 1] = bad
  votes = _votes(directions)
  # The teacher in the same client, and its own third image, are heard.
  assert np.all(np.count_nonzero(votes[2], axis=(1, 2)) == _TOP_K)
  assert np.count_nonzero(votes[3, 2]) == _TOP_K
  expected = np.sum(votes, axis=0) / _TEACHERS
  grouped = _run(in_pairs, _paired(directions))
  np.testing.assert_allclose(grouped, expected, rtol=1e-6)
  np.testing.assert_allclose(_run(alone, directions), expected, rtol=1e-6)


def test_groups_of_clipped_directions_are_clipped_one_by_one(tff_runtime):
  code = gradient_codes.ClippedCode(1.5)
  directions = _directions(5) * np.float32(1.2)
  directions[1] *= 1e6
  lengths = np.linalg.norm(directions, axis=(2, 3), keepdims=True)
  assert np.any(lengths < 1.5) and np.any(lengths > 1.5)
  clipped = directions * np.minimum(1, 1.5 / lengths)
  process = _create(_factory(code, grouped=True), [2, _IMAGES, *_SHAPE])
  # float32 sums of six numbers of up to 1.5.
  np.testing.assert_allclose(
    _run(process, _paired(directions)), clipped.mean(axis=0), atol=1e-6
  )


def test_all_entries_without_threshold_or_noise_are_sign_sgd(tff_runtime):
  code = _signs(500, threshold=0.0)
  directions = _directions(6, teachers=7, images=2, shape=(500,))
  process = _create(_factory(code, teachers=7), [2, 500])
  majority = np.sign(np.sum(np.sign(directions), axis=0))
  np.testing.assert_array_equal(_run(process, directions), majority)


def _query(code=None, images=_IMAGES, noise_multiplier=1.0, **settings):
  return image_votes.ImageVoteQuery(
    code or _signs(),
    images=images,
    noise_multiplier=noise_multiplier,
    **settings,
  )


@pytest.mark.parametrize(
  "relation, factor", [("add_or_remove_one", 1), ("replace_one", 2)]
)
@pytest.mark.parametrize(
  "code, bound", [(_signs(9), 3.0), (gradient_codes.ClippedCode(0.5), 0.5)]
)
def test_neighbours_reach_the_sensitivity_of_all_images(
  code, bound, relation, factor
):
  query = _query(code, images=5, neighboring_relation=relation)
  assert query.l2_sensitivity == pytest.approx(factor * bound * math.sqrt(5))
  assert query.noise_stddev == pytest.approx(query.l2_sensitivity)
  record = _directions(7, teachers=1, images=5, shape=(16,)) * 100
  one, other = (
    query.preprocess_record((), tf.constant(r)).numpy().astype(np.float64)
    for r in (record, -record)
  )
  assert one.shape == (5, 16)
  moved = np.linalg.norm(one - (other if factor == 2 else 0))
  # Float32 rounding of clipped rows.
  assert moved == pytest.approx(query.l2_sensitivity, rel=1e-6)


@pytest.mark.parametrize(
  "relation, factor", [("add_or_remove_one", 1), ("replace_one", 2)]
)
@pytest.mark.parametrize("images", [1, 25])
def test_noise_on_all_coordinates_is_that_of_all_images(
  relation, factor, images
):
  query = _query(
    _signs(16),
    images=images,
    noise_multiplier=1.5,
    neighboring_relation=relation,
  )
  entries = 200_000 // images
  zeros = query.initial_sample_state(
    tf.TensorSpec([1, images, entries], tf.float32)
  )
  noise, again = (
    query.get_noised_result(zeros, ())[0].numpy() for _ in range(2)
  )
  assert noise.shape == (images, entries)
  stddev = 1.5 * factor * math.sqrt(images) * 4
  assert query.noise_stddev == pytest.approx(stddev)
  assert np.std(noise) == pytest.approx(stddev, rel=_TOLERANCE)
  assert abs(np.mean(noise)) < 5 * stddev / math.sqrt(noise.size)
  # No image gets less: 8000 draws have a relative error of 0.8 %, and five of
  # them are less than 0.8 and 1.25 are off.
  np.testing.assert_allclose(
    np.std(noise, axis=1), stddev, rtol=5 / math.sqrt(2 * entries)
  )
  # A normal distribution's share within one deviation: five standard errors.
  within = np.mean(np.abs(noise) < stddev)
  assert abs(within - 0.682689) < 5 * math.sqrt(0.6827 * 0.3173 / noise.size)
  pairs = [(noise, again), (noise[:, 1:], noise[:, :-1])]
  if images > 1:
    pairs.append((noise[1:], noise[:-1]))
  for one, other in pairs:
    # Independent between rounds, coordinates and images: five standard errors.
    correlation = np.corrcoef(one.ravel(), other.ravel())[0, 1]
    assert abs(correlation) < 5 / math.sqrt(one.size)


# Of tests/aggregators/datalens_ledger_test.py: the top k, the deviation of the
# noise, images a step and steps of DataLens' runs, and their exact epsilons for
# a delta of 1e-5, which a closed form gives there.
@pytest.mark.parametrize(
  "top_k, stddev, images, steps, epsilon",
  [(200, 5000, 15, 86, "0.738"), (300, 800, 15, 109, "8.50")],
)
def test_the_events_of_rounds_are_datalens_ledger(
  tff_runtime, top_k, stddev, images, steps, epsilon
):
  noise_multiplier = stddev / (2 * math.sqrt(top_k) * math.sqrt(images))
  teachers = 4000
  factory = _factory(
    _signs(top_k), teachers=teachers, noise_multiplier=noise_multiplier
  )
  process = _create(factory, [images, 7000])
  values = _directions(8, teachers=2, images=images, shape=(7000,))
  output = process.next(process.initialize(), list(values))
  event = tff.aggregators.differential_privacy.extract_dp_event_from_state(
    output.state
  )
  # A state of TFF holds the multiplier as a float32.
  assert event == dp_accounting.GaussianDpEvent(np.float32(noise_multiplier))
  ledger = privacy.PrivacyLedger(
    1e-5, neighboring_relation="replace_one", accountant="pld"
  )
  ledger.record(event, steps)
  digits = len(epsilon.split(".")[1])
  assert f"{ledger.epsilon():.{digits}f}" == epsilon
  # And the noise that the paper names is on each of the 105,000 numbers.
  noise = output.result * teachers - np.sum(_votes(values, top_k), axis=0)
  assert np.std(noise) == pytest.approx(stddev, rel=_TOLERANCE)


def test_rounds_and_processes_draw_new_noise(tff_runtime):
  factory = _factory(gradient_codes.ClippedCode(1.0), noise_multiplier=1.0)
  results = []
  # Graphs that differ are run apart: like a worker that was started again, a
  # second one would repeat the first one's noise, if it came from a seed.
  for shape in ([2, 10_000], [4, 5_000]):
    process = _create(factory, shape)
    state = process.initialize()
    for _ in range(2):
      output = process.next(state, [])
      state = output.state
      results.append(np.ravel(output.result))
  limit = 5 / math.sqrt(20_000)
  assert np.max(np.abs(np.corrcoef(results) - np.eye(4))) < limit


def test_teachers_of_one_opinion_draw_their_votes_independently(tff_runtime):
  code = gradient_codes.TopKSignCode(10_001)
  process = _create(_factory(code, teachers=8, grouped=True), [2, 1, 10_001])
  values = np.full([4, 2, 1, 10_001], 0.4, np.float32)
  values[..., -1] = 1.0
  share = _run(process, values)[0]
  # The largest entry's vote is certain, and the others' have a mean of 0.4 and
  # a variance of 1 - 0.4^2, an eighth of that for the mean of eight teachers;
  # if some drew alike it would be more by a quarter at least.
  assert share[-1] == 1
  assert np.mean(share[:-1]) == pytest.approx(0.4, abs=0.02)
  assert np.var(share[:-1]) == pytest.approx((1 - 0.4**2) / 8, rel=0.1)


def test_a_plan_gives_teachers_noise_and_neighbours(tff_runtime):
  plan = examples.plan(
    population=500,
    expected_clients_per_round=500,
    noise_multiplier=0.5,
    neighboring_relation="replace_one",
  )
  factory = image_votes.image_vote_factory(plan, _signs(4), grouped=True)
  assert factory.grouped
  assert not image_votes.image_vote_factory(plan, _signs(4)).grouped
  process = _create(factory, [2, 4, 25_000])
  output = process.next(process.initialize(), [])
  # A multiplier of 0.5, a factor of 2, 4 images and 4 votes, by 500 teachers.
  expected = 0.5 * 2 * 2 * 2 / 500
  assert np.std(output.result) == pytest.approx(expected, rel=_TOLERANCE)
  event = tff.aggregators.differential_privacy.extract_dp_event_from_state(
    output.state
  )
  # 0.5 is the same as a float32.
  assert event == plan.round_event


def test_votes_of_more_teachers_than_a_byte_counts_are_exact(tff_runtime):
  # 2 clients of 150 teachers; 300 would wrap to 44 as a byte.
  process = _create(_factory(_signs(1), grouped=True), [150, 1, 2])
  values = np.zeros([2, 150, 1, 2], np.float32)
  values[..., 0] = -1
  result = _run(process, values)
  np.testing.assert_array_equal(result, [[-300 / _TEACHERS, 0]])


@pytest.mark.parametrize(
  "settings, error, message",
  [
    (dict(teachers=0), ValueError, "teachers"),
    (dict(teachers="4"), TypeError, "teachers"),
    (dict(teachers=2**24), ValueError, "exact"),
    (dict(noise_multiplier=-0.1), ValueError, "noise_multiplier"),
    (dict(noise_multiplier=None), TypeError, "noise_multiplier"),
    (dict(neighboring_relation="other"), ValueError, "neighboring_relation"),
    (dict(code=tff.aggregators.SumFactory()), TypeError, "GradientCode"),
  ],
)
def test_bad_arguments_are_named(settings, error, message):
  with pytest.raises(error, match=message):
    _factory(**settings)


@pytest.mark.parametrize(
  "images, error", [(0, ValueError), (1.5, TypeError), (True, TypeError)]
)
def test_a_query_needs_a_number_of_images(images, error):
  with pytest.raises(error, match="images"):
    _query(images=images)


@pytest.mark.parametrize(
  "value_type, grouped, error, message",
  [
    ((np.int32, [3, 4]), False, TypeError, "float32"),
    ((np.float64, [3, 4]), False, TypeError, "float32"),
    ([(np.float32, [3, 4])], False, TypeError, "float32 tensors"),
    ((np.float32, [None, 4]), False, TypeError, "known shape"),
    ((np.float32, []), False, ValueError, r"\[images, ...\]"),
    ((np.float32, [4]), False, ValueError, r"\[images, ...\]"),
    ((np.float32, [3, 4]), True, ValueError, r"\[teachers, images, ...\]"),
    ((np.float32, [3, 1]), False, ValueError, "top_k must be at most 1"),
    ((np.float32, [0, 4]), False, ValueError, "images must be at least 1"),
  ],
)
def test_values_that_are_no_directions_are_refused(
  tff_runtime, value_type, grouped, error, message
):
  with pytest.raises(error, match=message):
    _factory(grouped=grouped).create(tff.to_type(value_type))
