"""Tests of the statistics of audits: how often they are wrong, and right."""

import math

import numpy as np
import pytest
from scipy import integrate
from scipy import stats

from tests.privacy import closed_forms
from tff_gen_debug.privacy import audit

_DELTA = 1e-5
_REPEATS = 400


def _gaussian(rng, mu, num_in, num_out):
  """Scores of a mechanism that is exactly mu-GDP."""
  return rng.normal(mu, 1.0, num_in), rng.normal(0.0, 1.0, num_out)


def _bits(rng, rate_in, rate_out, num_in, num_out):
  """Scores of a mechanism that answers yes or no."""
  yes_in, yes_out = rng.random(num_in) < rate_in, rng.random(num_out) < rate_out
  return yes_in.astype(float), yes_out.astype(float)


def _one_or_the_other(rng, num_in, num_out):
  """One of two vectors by a fair coin, with the canary as without it."""
  vectors = rng.normal(size=(2, 50))
  draws = vectors[rng.integers(2, size=num_in + num_out)]
  return draws[:num_in], draws[num_in:]


def _share_above(draw, bound, truth, confidence=0.95, repeats=_REPEATS):
  """How often a bound exceeds the truth."""
  rng = np.random.default_rng(0)
  results = [
    audit.lower_bounds(
      *draw(rng), delta=_DELTA, confidence=confidence, seed=repeat
    )
    for repeat in range(repeats)
  ]
  return np.mean([getattr(result, bound) > truth for result in results])


def _most(share):
  """What a share of `_REPEATS` exceeds once in 10,000 times."""
  return stats.binom.ppf(1 - 1e-4, _REPEATS, share) / _REPEATS


def _exact_epsilon(rate_in, rate_out):
  return max(
    math.log((rate_in - _DELTA) / rate_out),
    math.log((1 - rate_out - _DELTA) / (1 - rate_in)),
  )


@pytest.mark.parametrize(
  "mu, num_in, num_out", [(0.0, 300, 300), (0.3, 300, 300), (3.0, 200, 1000)]
)
def test_mu_of_a_gaussian_is_exceeded_as_seldom_as_said(mu, num_in, num_out):
  share = _share_above(
    lambda rng: _gaussian(rng, mu, num_in, num_out), "mu_lower_bound", mu
  )
  assert share <= _most(0.05)


def test_the_failure_probability_is_kept_and_used_up():
  share = _share_above(
    lambda rng: _gaussian(rng, 1.0, 300, 300), "mu_lower_bound", 1.0
  )
  # Two confidence intervals that both have to hold would be wrong less often.
  assert stats.binom.ppf(1e-4, _REPEATS, 0.045) / _REPEATS <= share
  assert share <= _most(0.05)


def test_failures_become_as_rare_as_asked_for():
  share = _share_above(
    lambda rng: _gaussian(rng, 1.0, 300, 300), "mu_lower_bound", 1.0, 0.999
  )
  assert share <= _most(0.001)


@pytest.mark.parametrize(
  "rate_in, rate_out",
  # The last shows more by the canary's absence.
  [(0.6, 0.2), (0.5, 0.005), (0.99, 0.95)],
)
def test_epsilon_of_an_answer_is_exceeded_as_seldom_as_said(rate_in, rate_out):
  share = _share_above(
    lambda rng: _bits(rng, rate_in, rate_out, 300, 600),
    "epsilon_lower_bound",
    _exact_epsilon(rate_in, rate_out),
  )
  assert share <= _most(0.05)


@pytest.mark.parametrize(
  "rate_in, rate_out", [(0.6, 0.2), (0.3, 0.03), (0.9, 0.5), (0.97, 0.7)]
)
def test_epsilon_of_an_answer_is_found(rate_in, rate_out):
  rng = np.random.default_rng(0)
  result = audit.lower_bounds(
    *_bits(rng, rate_in, rate_out, 30_000, 30_000), delta=_DELTA, seed=0
  )
  truth = _exact_epsilon(rate_in, rate_out)
  assert 0.9 * truth < result.epsilon_lower_bound <= truth


def test_what_delta_allows_is_no_evidence():
  rng = np.random.default_rng(0)
  # Exposes a tenth of the clients outright.
  scores = _bits(rng, 0.1, 0.0, 10_000, 10_000)
  # A tenth of the thousands that are counted, give or take three deviations.
  assert (
    audit.lower_bounds(*scores, delta=0.11, seed=0).epsilon_lower_bound == 0
  )
  assert audit.lower_bounds(*scores, delta=0.05, seed=0).epsilon_lower_bound > 4


@pytest.mark.parametrize("num_in, num_out", [(40, 300), (150, 151)])
def test_equal_scores_are_not_told_apart(num_in, num_out):
  share = _share_above(
    lambda rng: _one_or_the_other(rng, num_in, num_out), "mu_lower_bound", 0.0
  )
  assert share <= _most(0.05)


def test_as_many_thresholds_and_directions_as_one_likes_make_no_false_alarm():
  share = _share_above(
    lambda rng: (rng.normal(size=(100, 50)), rng.normal(size=(100, 50))),
    "mu_lower_bound",
    0.0,
  )
  assert share <= _most(0.05)


@pytest.mark.parametrize("order_in", [-1, 1])
@pytest.mark.parametrize("order_out", [-1, 1])
def test_scores_may_come_in_any_order(order_in, order_out):
  rng = np.random.default_rng(0)
  scores_in, scores_out = (
    order * np.sort(order * scores)
    for order, scores in zip(
      (order_in, order_out), _gaussian(rng, 2.0, 1000, 1000)
    )
  )
  result = audit.lower_bounds(scores_in, scores_out, delta=_DELTA, seed=0)
  assert 1.6 < result.mu_lower_bound < 2.0


@pytest.mark.parametrize("mu", [0.25, 1.0, 2.0])
@pytest.mark.parametrize("confidence, clients", [(0.95, 100), (0.999, 200)])
def test_twice_the_claimed_mu_is_found(mu, confidence, clients):
  """With the numbers of clients that `audit_factory` recommends."""
  num_in = round(clients / mu**2)
  share = _share_above(
    lambda rng: _gaussian(rng, 2 * mu, num_in, 9 * num_in),
    "mu_lower_bound",
    mu,
    confidence,
    100,
  )
  # Nine in ten of a hundred, if it is found in 96 %.
  assert share >= 0.9


def test_bounds_come_close_to_the_truth_with_many_trials():
  rng = np.random.default_rng(0)
  result = audit.lower_bounds(
    *_gaussian(rng, 1.0, 50_000, 50_000), delta=0.1, seed=0
  )
  assert 0.95 < result.mu_lower_bound < 1.0
  truth = closed_forms.epsilon_of(
    lambda e: closed_forms.gaussian_delta(e, 1.0), 0.1
  )
  for bound in (
    result.epsilon_lower_bound,
    result.gaussian_epsilon_lower_bound,
  ):
    assert 0.9 * truth < bound < truth


@pytest.mark.parametrize(
  "rank, above", [(1, 200), (1, 40), (4, 40), (250, 150)]
)
def test_a_bound_is_where_the_counts_become_as_unlikely_as_said(rank, above):
  without = np.arange(600.0)
  # Just above the threshold, which is 600 - rank, or below all.
  with_it = np.where(np.arange(200) < above, 600.25 - rank, -1.0)
  epsilon = audit._bound(
    audit._Scores(with_it, without),
    rank / 600,
    lambda epsilon, share: np.minimum(np.exp(epsilon) * share, 1.0),
    0.05,
    np.random.default_rng(0),
  )
  factor = math.exp(epsilon)
  # By the definitions: the share of all scores that are above the rank-th
  # largest of 600, and how many of 200 then are.
  tail, _ = integrate.quad(
    lambda u: (
      stats.beta.pdf(u, rank, 601 - rank)
      * stats.binom.sf(above - 1, 200, min(factor * u, 1.0))
    ),
    0,
    1,
    points=[rank / 600, 1 / factor, 5 * rank / 600 if rank < 100 else 0.6],
    limit=500,
  )
  assert 0.045 < tail <= 0.0501


def test_a_clear_difference_is_bounded_by_the_number_of_trials():
  result = audit.lower_bounds(
    np.full(300, 1.0), np.full(900, 0.0), delta=1e-300, seed=0
  )
  assert (result.num_in, result.num_out) == (200, 600)
  assert math.log(600 / 3) - 0.2 < result.epsilon_lower_bound < math.log(200.5)


def test_scale_and_sign_of_scores_do_not_matter():
  rng = np.random.default_rng(0)
  scores = _gaussian(rng, 1.0, 500, 500)
  result = audit.lower_bounds(*scores, delta=_DELTA, seed=0)
  turned = audit.lower_bounds(
    *(-1e-20 * x for x in scores), delta=_DELTA, seed=0
  )
  assert turned == result
  assert result.mu_lower_bound > 0.5


def test_the_direction_of_vectors_is_learned():
  rng = np.random.default_rng(0)
  mean = np.zeros(10)
  mean[[2, 5, 7]] = 2.0, -3.0, 6.0  # Norm 7.
  noise = 7 * rng.normal(size=(20_000, 10))
  result = audit.lower_bounds(
    mean + noise[:10_000], noise[10_000:], delta=_DELTA, seed=0
  )
  assert 0.9 < result.mu_lower_bound < 1.0


def test_scores_that_are_all_the_same_tell_nothing():
  result = audit.lower_bounds(
    np.full(50, 0.1), np.full(80, 0.1), delta=_DELTA, seed=0
  )
  assert result.epsilon_lower_bound == 0


@pytest.mark.parametrize("num_in, num_out", [(2, 2), (2, 1000), (1000, 2)])
def test_few_trials_are_enough_to_say_little(num_in, num_out):
  result = audit.lower_bounds(
    np.ones(num_in), np.zeros(num_out), delta=_DELTA, seed=0
  )
  assert 0 <= result.mu_lower_bound < 2
  assert result.num_in >= 1 and result.num_out >= 1


def _result(**changes):
  values = dict(
    epsilon_lower_bound=1.5,
    mu_lower_bound=0.5,
    delta=_DELTA,
    confidence=0.95,
    num_in=10,
    num_out=20,
    claimed_mu=1.0,
  )
  values.update(changes)
  return audit.AuditResult(**values)


def test_a_claim_is_refuted_by_what_exceeds_it():
  # Published for a noise multiplier of 1 at 1e-5, e.g. by Balle and Wang's own
  # code: 4.377.
  assert _result().epsilon_of_claim == pytest.approx(4.377, abs=5e-4)
  assert not _result().refuted
  assert not _result(mu_lower_bound=1.0).refuted
  assert _result(mu_lower_bound=1.01).refuted
  assert not _result(epsilon_lower_bound=4.37).epsilon_refuted
  assert _result(epsilon_lower_bound=4.38).epsilon_refuted
  assert _result(
    mu_lower_bound=1.0
  ).gaussian_epsilon_lower_bound == pytest.approx(4.377, abs=5e-4)


def test_the_summary_says_it():
  assert "epsilon 4.38 at delta 1e-05 is not refuted" in _result().summary()
  refuted = _result(mu_lower_bound=2.0).summary()
  assert "is REFUTED at confidence 0.95" in refuted
  assert "1.5 whatever it is (10 trials with a canary, 20 with" in refuted


def test_without_a_claim_there_is_nothing_to_refute():
  rng = np.random.default_rng(0)
  result = audit.lower_bounds(
    *_gaussian(rng, 9.0, 99, 99), delta=_DELTA, seed=0
  )
  assert result.mu_lower_bound > 2
  assert result.epsilon_of_claim == math.inf
  assert not result.refuted and not result.epsilon_refuted


def test_the_claim_is_kept():
  result = audit.lower_bounds(
    np.zeros(9), np.ones(9), delta=_DELTA, confidence=0.9, claim=4
  )
  assert (result.claimed_mu, result.confidence) == (0.25, 0.9)


@pytest.mark.parametrize(
  "scores_in, scores_out, settings, error, message",
  [
    (np.ones(1), np.ones(9), {}, ValueError, "scores_in must be"),
    (np.ones(9), np.ones((3, 3, 3)), {}, ValueError, "scores_out must be"),
    (np.ones((9, 0)), np.ones(9), {}, ValueError, "scores_in must be"),
    (np.ones((9, 3)), np.ones((9, 2)), {}, ValueError, "3 features.*got 2"),
    (np.full(9, np.nan), np.ones(9), {}, ValueError, "scores_in must be fini"),
    (np.ones(9), np.full(9, np.inf), {}, ValueError, "scores_out must be f"),
    (np.ones(9), np.ones(9), dict(delta=0), ValueError, "delta"),
    (np.ones(9), np.ones(9), dict(confidence=1), ValueError, "confidence"),
    (np.ones(9), np.ones(9), dict(claim=-1), ValueError, "claim"),
    (np.ones(9), np.ones(9), dict(claim="1"), TypeError, "claim"),
  ],
)
def test_bad_arguments_are_named(
  scores_in, scores_out, settings, error, message
):
  with pytest.raises(error, match=message):
    audit.lower_bounds(scores_in, scores_out, **{"delta": 0.1, **settings})
