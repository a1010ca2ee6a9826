"""Tests of audits of aggregation factories: what they find, and what not.

Audits are right with a probability. Here it is 0.9999 of each, and faults are
looked for with so many clients that not to find one is as unlikely.
"""

import collections

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff
import tensorflow_privacy as tfp

from benchmarks import audit_faults
from tests.aggregators import changed_sum
from tests.privacy import examples
from tff_gen_debug import aggregators
from tff_gen_debug.aggregators import auditing
from tff_gen_debug.aggregators import top_k_votes

pytestmark = pytest.mark.usefixtures("tff_runtime")

_DELTA = 1e-5


def _audit(factory, canary, **settings):
  arguments = dict(
    claim=1.0,
    delta=_DELTA,
    confidence=0.9999,
    num_calls=2,
    clients_per_call=250,
    inclusion_probability=0.2,
  )
  arguments.update(settings)
  return auditing.audit_factory(factory, canary, **arguments)


def _gaussian_sum(clip_norm, stddev):
  return tff.aggregators.DifferentiallyPrivateFactory(
    tfp.GaussianSumQuery(l2_norm_clip=clip_norm, stddev=stddev)
  )


class _TooManyVotes(aggregators.TopKSignSumQuery):
  """Lets clients vote on four times the coordinates that the noise is for."""

  def preprocess_record(self, params, record):
    del params
    return top_k_votes.cast_votes(record, 4 * self.top_k, dtype=tf.int32)


def _check(mechanism, variant, **settings):
  factory = audit_faults.VARIANTS[variant](mechanism, 1.0)
  result = _audit(factory, mechanism.canary, **settings)
  assert result.refuted == (variant != "sound")
  # Balle and Wang's exact curve at 1e-5, for noise multipliers 1 and 1/2.
  assert result.epsilon_of_claim == pytest.approx(4.377, abs=5e-4)
  truth = 4.377 if variant == "sound" else 9.997
  assert result.epsilon_lower_bound < truth
  # What passes does so although the audit sees its clients.
  assert 0.5 < result.gaussian_epsilon_lower_bound < truth


@pytest.mark.parametrize("variant", audit_faults.VARIANTS)
@pytest.mark.parametrize(
  "mechanism", [audit_faults.GAUSSIAN_MEAN, audit_faults.GAUSSIAN_FIXED]
)
def test_faults_of_gaussian_means_are_found_and_sound_ones_pass(
  mechanism, variant
):
  _check(mechanism, variant)


# Signs tell less than sums: faults take more clients to find, and a sound
# mechanism passes by far at any confidence.
_VOTES = dict(num_calls=8, inclusion_probability=1 / 3, confidence=0.99)


@pytest.mark.parametrize("variant", audit_faults.VARIANTS)
def test_faults_of_topagg_are_found_and_a_sound_one_passes(variant):
  _check(audit_faults.TOPAGG, variant, **_VOTES)


@pytest.mark.slow
@pytest.mark.parametrize("variant", audit_faults.VARIANTS)
def test_faults_of_topagg_with_a_threshold_are_found(variant):
  _check(audit_faults.TOPAGG_HALF, variant, **_VOTES)


@pytest.mark.parametrize(
  "noise_multiplier, refuted", [(1.0, False), (0.5, True)]
)
def test_replaced_clients_tell_twice_as_much(noise_multiplier, refuted):
  plan = examples.plan(
    population=100,
    expected_clients_per_round=100,
    noise_multiplier=noise_multiplier,
    **examples.FIXED,
  )
  result = _audit(
    aggregators.gaussian_mean_factory(plan, 1.0),
    auditing.mean_canary(1.0),
    neighboring_relation="replace_one",
    clients_per_call=500,
  )
  assert result.refuted == refuted
  assert result.mu_lower_bound > 0.1


def test_noise_for_a_client_who_leaves_is_too_little_for_one_who_is_replaced():
  arguments = dict(
    neighboring_relation="replace_one",
    clients_per_call=500,
    num_calls=3,
    confidence=0.999,
  )
  factory = aggregators.TopAggFactory(
    2, expected_clients_per_round=1, noise_multiplier=1.0, threshold=0.5
  )
  canary = auditing.vote_canary(2)
  assert _audit(factory, canary, **arguments).refuted
  of_both = aggregators.TopAggFactory(
    2,
    expected_clients_per_round=1,
    noise_multiplier=1.0,
    threshold=0.5,
    neighboring_relation="replace_one",
  )
  assert not _audit(of_both, canary, **arguments).refuted


@pytest.mark.parametrize(
  "noise_multiplier, refuted", [(1.0, False), (0.5, True)]
)
def test_compositions_on_structures_amid_other_clients(
  noise_multiplier, refuted
):
  value_type = collections.OrderedDict(
    b=tff.TensorType(np.float32, [40, 30]),
    a=(tff.TensorType(np.float32), tff.TensorType(np.float32, [2000])),
  )
  update = collections.OrderedDict(
    b=np.full([40, 30], 0.5, np.float32),
    a=(np.float32(np.nan), np.ones([2000], np.float32)),
  )
  inner = tff.aggregators.DifferentiallyPrivateFactory.gaussian_fixed(
    noise_multiplier=noise_multiplier, clients_per_round=100.0, clip=0.1
  )
  result = _audit(
    aggregators.NonFiniteGuardFactory(inner),
    auditing.mean_canary(0.1),
    value_type=tff.to_type(value_type),
    background=[update, tf.nest.map_structure(np.zeros_like, update)],
  )
  assert result.refuted == refuted
  assert result.mu_lower_bound > 0.1


def test_a_clip_that_cuts_nothing_is_found():
  result = _audit(_gaussian_sum(1e6, 0.5), auditing.mean_canary(0.5))
  # The canaries are 50 and the noise 0.5, of which the trials can tell so much.
  assert result.refuted
  assert 3 < result.epsilon_lower_bound < np.log(result.num_out)


def test_votes_beyond_top_k_are_found():
  def factory(query_type):
    return tff.aggregators.DifferentiallyPrivateFactory(
      query_type(4, noise_multiplier=1.0)
    )

  canary = auditing.vote_canary(4)
  assert _audit(factory(_TooManyVotes), canary).refuted
  sound = _audit(factory(aggregators.TopKSignSumQuery), canary)
  assert not sound.refuted and sound.mu_lower_bound > 0.1


def test_an_event_is_a_claim():
  plan = examples.plan(
    population=1000, expected_clients_per_round=10, noise_multiplier=0.5
  )
  factory = aggregators.gaussian_mean_factory(plan, 1.0)
  canary = auditing.mean_canary(1.0)
  result = _audit(factory, canary, claim=plan.round_event)
  # The claim is about the sample, whatever sampling does for the others.
  assert result.claimed_mu == 2.0
  assert not result.refuted


@pytest.mark.parametrize("scale", [1e-6, -3.0])
def test_a_sum_without_noise_tells_all_there_is_in_any_scale(scale):
  result = _audit(
    changed_sum.ChangedSumFactory(lambda total: total * scale),
    auditing.mean_canary(1.0),
    num_calls=1,
  )
  assert result.refuted
  assert 3 < result.epsilon_lower_bound < np.log(result.num_out)


def test_a_result_that_hides_the_canaries_says_nothing():
  result = _audit(
    changed_sum.ChangedSumFactory(lambda total: 0.0 * total),
    auditing.mean_canary(1.0),
    num_calls=1,
  )
  assert (result.mu_lower_bound, result.epsilon_lower_bound) == (0, 0)


def test_a_canary_can_be_alone_in_its_call():
  """As it has to be where noise may be correlated over coordinates."""
  result = _audit(
    _gaussian_sum(1.0, 0.01),
    auditing.mean_canary(1.0),
    num_calls=60,
    clients_per_call=1,
    neighboring_relation="replace_one",
  )
  # Of 60 trials 40 are counted, or one more.
  assert 40 <= result.num_in + result.num_out <= 41
  assert result.refuted


def test_canaries_are_longer_than_what_is_allowed():
  assert np.linalg.norm(auditing.mean_canary(0.25)) == 25
  canary = auditing.vote_canary(3)
  assert len(canary) == 12
  assert np.all(np.diff(canary) < 0)
  # A vote with the entry is certain to within 1 %.
  assert np.all(0.5 + canary / (2 * canary[0]) > 0.99)


@pytest.mark.parametrize(
  "settings, error, message",
  [
    (dict(canary=np.ones([2, 2])), ValueError, "canary"),
    (dict(canary=np.array([np.nan])), ValueError, "canary"),
    (dict(neighboring_relation="none"), ValueError, "neighboring_relation"),
    (dict(num_calls=0), ValueError, "num_calls"),
    (dict(clients_per_call=0), ValueError, "clients_per_call"),
    (dict(inclusion_probability=1), ValueError, "inclusion_probability"),
    (
      dict(value_type=tff.TensorType(np.float32, [9])),
      ValueError,
      "at least 1250 coordinates for 1250 canaries of 1 each, got 9",
    ),
    (
      dict(factory=tff.aggregators.MeanFactory()),
      TypeError,
      "factory must be.*Unweighted",
    ),
    (dict(claim="1"), TypeError, "claim"),
    (
      dict(
        factory=changed_sum.ChangedSumFactory(lambda x: x[:3]),
        clients_per_call=2,
      ),
      ValueError,
      "the 10 coordinates of an update, got 3",
    ),
    (
      dict(
        factory=changed_sum.ChangedSumFactory(lambda x: x / 0.0),
        clients_per_call=2,
      ),
      ValueError,
      "finite results",
    ),
  ],
)
def test_bad_arguments_are_named(settings, error, message):
  arguments = dict(
    factory=tff.aggregators.SumFactory(), canary=np.ones(1), num_calls=1
  )
  with pytest.raises(error, match=message):
    _audit(**{**arguments, **settings})


@pytest.mark.parametrize("clip_norm", [0.0, -1.0, np.nan])
def test_a_clip_norm_must_be_positive(clip_norm):
  with pytest.raises(ValueError, match="clip_norm"):
    auditing.mean_canary(clip_norm)


def test_there_must_be_something_to_vote_on():
  with pytest.raises(ValueError, match="top_k"):
    auditing.vote_canary(0)
