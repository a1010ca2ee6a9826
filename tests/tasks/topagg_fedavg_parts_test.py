"""Tests of the parts of the TopAgg task that need no training."""

import math

import numpy as np
import pytest

from tasks.topagg_fedavg import comparisons
from tasks.topagg_fedavg import conclusions
from tasks.topagg_fedavg import config as config_lib
from tasks.topagg_fedavg import overlap
from tasks.topagg_fedavg import population as population_lib
from tasks.topagg_fedavg import settings

_CONFIG = config_lib.PRESETS["smoke"]


def _measured(accuracies, validation=0.5, **setting):
  arguments = {"method": "topagg", "epsilon": 8.0, **setting}
  one = settings.Setting(**arguments)
  return comparisons.Measured(
    one, settings.Trial(one, 0.1, 0.0, 1), validation, tuple(accuracies)
  )


def test_users_who_choose_the_same_weights_gain_the_most():
  # Six users, sixteen weights; the four largest are everybody's, with the same
  # signs, and so are all other signs.
  update = np.concatenate([[5, -6, 7, 8], np.ones(12)]).astype(np.float32)
  measured = overlap.measure(np.tile(update, (6, 1)), 4)
  assert measured.shared == 1.0
  assert measured.gain == pytest.approx(2.0)
  assert measured.same_weights_gain == 2.0
  assert measured.uniform_gain == 0.5


def test_users_who_share_no_weight_lose():
  # Four users with a block of four each: a vote of the top four meets no other,
  # one of the full vote meets three that agree.
  updates = np.ones((4, 16), np.float32)
  for user in range(4):
    updates[user, 4 * user : 4 * user + 4] = 3
  measured = overlap.measure(updates, 4)
  assert measured.shared == 0.0
  assert measured.gain == pytest.approx(2.0 * 1 / 4)


def test_uniform_choice_is_shared_by_chance():
  rng = np.random.default_rng(0)
  # Signs agree, magnitudes say nothing.
  updates = rng.uniform(1, 2, size=(60, 2000)).astype(np.float32)
  measured = overlap.measure(updates, 200)
  # A share of 200 weights with a tenth of them in common, over 1,770 pairs.
  assert measured.shared == pytest.approx(0.1, abs=0.005)
  # A vote meets itself and a tenth of 59 others, instead of 60 in all.
  expected = math.sqrt(10) * (1 + 59 / 10) / 60
  assert measured.gain == pytest.approx(expected, rel=0.02)


def test_two_settings_differ_clearly_by_the_spread_of_their_trainings():
  # Both deviate by s = 0.01 in 4 trainings, so the difference of their means
  # has the standard error 0.01 / sqrt(2), and t of 6 degrees of freedom is
  # 2.447 at 5 %: they differ from 0.0173 on.
  half = 0.01 * math.sqrt(3) / 2
  low = [0.5 - half, 0.5 + half, 0.5 - half, 0.5 + half]
  assert _measured(low).stddev == pytest.approx(0.01)
  near = _measured([x + 0.0165 for x in low])
  far = _measured([x + 0.0181 for x in low])
  assert not near.clearly_above(_measured(low))
  assert far.clearly_above(_measured(low))
  assert not _measured(low).clearly_above(far)


def test_settings_whose_seeds_all_agree_are_not_told_apart():
  # Trainings of few rounds call all images the same class: there is no
  # spread to judge by. Three times 0.1 spread by rounding in NumPy.
  low, high = _measured([0.1] * 3), _measured([0.12373482] * 3)
  assert not low.clearly_above(low)
  assert not high.clearly_above(low)
  assert _measured([0.12, 0.121, 0.122]).clearly_above(low)


def test_a_finding_holds_only_if_it_is_better_at_every_budget():
  def rows(*means):
    return {
      "dense Gaussian": [
        _measured([0.5, 0.5012], method="gaussian", epsilon=e) for e in (1, 8)
      ],
      "TopAgg, stochastic": [
        _measured([mean, mean + 0.0012], epsilon=e)
        for mean, e in zip(means, (1, 8))
      ],
    }

  differ, beats = conclusions.FINDINGS["epsilon"](_CONFIG, rows(0.6, 0.7))
  assert beats.holds and beats.name == "users_stochastic_votes_beat_gaussian"
  assert differ.holds
  differ, beats = conclusions.FINDINGS["epsilon"](_CONFIG, rows(0.6, 0.4))
  assert not beats.holds
  # A difference is one whichever way it goes.
  assert differ.holds
  for finding in (differ, beats):
    assert "better than a dense Gaussian at 1 of 2 budgets" in finding.claim
    assert "worse at 1 (" in finding.claim
    assert "epsilon 8: 40.1 ± 0.1 % against 50.1 ± 0.1 %" in finding.claim
  differ, beats = conclusions.FINDINGS["epsilon"](_CONFIG, rows(0.5, 0.5))
  assert not differ.holds and not beats.holds


def test_what_is_reported_as_best_was_chosen_by_validation():
  rows = {
    "TopAgg, stochastic": [
      _measured([0.9, 0.91], validation=0.5, top_share=0.1),
      _measured([0.4, 0.41], validation=0.6, top_share=0.01),
      _measured([0.3, 0.31], validation=0.2, top_share=1.0),
    ]
  }
  (finding,) = conclusions.FINDINGS["top_k"](_CONFIG, rows)
  assert finding.holds
  assert "prefers 1.0%, with 40.5" in finding.claim
  assert "; 100.0% gives 30.5" in finding.claim


def test_every_training_costs_its_budget_and_no_more():
  for unit in (settings.USER, settings.EXAMPLE):
    for method in ("topagg", "gaussian"):
      setting = settings.Setting(method, 2.0, unit=unit)
      plan = settings.make_plan(config_lib.Config(), setting, 3000)
      assert 1.98 <= plan.epsilon() <= 2.0
      assert plan.simulation is None
  free = settings.make_plan(_CONFIG, settings.Setting("topagg", math.inf), 300)
  assert free.noise_multiplier == 0


def test_trainings_differ_in_key_if_in_anything():
  trials = [
    settings.Trial(settings.Setting(method, 1.0, stochastic=drawn), rate, 0, s)
    for method in settings.METHODS
    for drawn in (True, False)
    for rate in (0.1, 0.2)
    for s in (1, 2)
  ]
  assert len({trial.key for trial in trials}) == len(trials)


def test_no_image_is_both_trained_on_and_measured_with():
  population = population_lib.load(_CONFIG)
  counts: dict[bytes, set] = {}
  for name, examples in (
    ("users", population.pooled),
    ("validation", population.validation),
    ("test", population.test),
  ):
    for image in examples.images:
      counts.setdefault(image.tobytes(), set()).add(name)
  assert all(len(names) == 1 for names in counts.values())
  assert len(counts) == 203 * 104
  sizes = {len(examples) for examples in population.users.values()}
  assert sizes == {13}


@pytest.mark.parametrize(
  "changes, name",
  [
    (dict(dataset="cifar"), "dataset"),
    (dict(questions="epsilon,why"), "questions"),
    (dict(epsilons="1,one"), "epsilons"),
    (dict(epsilons="1,1"), "epsilons"),
    (dict(thresholds="-1"), "thresholds"),
    (dict(top_shares="2"), "top_shares"),
    (dict(seeds="1"), "seeds"),
    (dict(seeds="1,100"), "tuning_seed"),
    (dict(rounds=0), "rounds"),
  ],
)
def test_a_config_that_makes_no_sense_is_refused(changes, name):
  with pytest.raises(ValueError, match=name):
    config_lib.Config(**changes)
