"""Tests of the walk from users' data to findings, with a toy auxiliary model.

The model is a GAN of one number (`toy_gan`), brought along as a user's own
would be; its findings are about the mean of its samples.
"""

import collections
import dataclasses
import functools
import json
import logging
from typing import Any

import dp_accounting
import numpy as np
import pytest
import tensorflow as tf

from tests.debugging import coded_images
from tests.learning import toy_gan
from tff_gen_debug import learning
from tff_gen_debug import privacy
from tff_gen_debug import run_folder
from tff_gen_debug.datasets import client_data as client_data_lib
from tff_gen_debug.datasets import client_examples
from tff_gen_debug.debugging import findings as findings_lib
from tff_gen_debug.debugging import investigation as investigation_lib
from tff_gen_debug.debugging import report as report_lib
from tff_gen_debug.debugging import splits
from tff_gen_debug.models import gan

pytestmark = pytest.mark.usefixtures("tff_runtime")

_USERS = [f"u{i}" for i in range(8)]
_ROUNDS = 3


def _numbers(has_examples):
  """Clients whose example is one number; none where `has_examples` is false."""
  flags = [has_examples(i) for i in range(len(_USERS))]

  def dataset_fn(client_id):
    index = tf.argmax(tf.cast(tf.equal(_USERS, client_id), tf.int32))
    count = tf.cast(tf.constant(flags)[index], tf.int64)
    return tf.data.Dataset.from_tensors(tf.ones([1])).take(count)

  return client_data_lib.TracedClientData(_USERS, dataset_fn)


@dataclasses.dataclass(frozen=True)
class _Halves:
  """Users of even and of odd number."""

  exclusive: bool = True
  releases: tuple[privacy.Release, ...] = ()
  least: int = 0

  def split(self, client_data, context):
    del client_data, context

    def chosen(name, remainder):
      return splits.Slice(
        name,
        f"{name} users",
        _numbers(lambda i: i % 2 == remainder and i >= self.least),
      )

    return splits.Split(
      "Odd or even?",
      chosen("even", 0),
      chosen("odd", 1),
      self.exclusive,
      self.releases,
    )


@functools.cache
def _process():
  # Without noise, so that it is the same for all plans.
  return toy_gan.process()


@dataclasses.dataclass
class _OwnModel:
  """Records what it is asked; finds whether means are above a half."""

  asked: dict[str, Any] = dataclasses.field(default_factory=dict)

  def examples(self, client_data):
    return client_examples.ClientExamples(client_data, max_examples=4)

  def build_process(self, plan):
    self.asked["plan"] = plan
    self.asked["processes"] = self.asked.get("processes", 0) + 1
    return _process()

  def sample(self, weights):
    return learning.generate_images(
      toy_gan.model(gan.NonSaturatingLoss(), spread=1.0), weights, 100
    )

  def find(self, suspect, reference, names, primary):
    self.asked.update(reference=reference, names=names, primary=primary)
    above = bool(np.mean(suspect) > 0.5)
    return [findings_lib.Finding("above", above, "mean above 0.5", "by hand")]

  def sections(self, samples):
    return [report_lib.Text("Samples", [", ".join(samples)])]

  def to_dict(self):
    return {"kind": "toy"}


def _plan(**changes):
  arguments = dict(
    population=len(_USERS),
    expected_clients_per_round=4,
    rounds=_ROUNDS,
    noise_multiplier=1.0,
    delta=0.01,
  )
  return privacy.PrivacyPlan(**{**arguments, **changes})


def _investigation(criterion=_Halves(), plan=None, **changes):
  return investigation_lib.Investigation(
    client_data=_numbers(lambda i: True),
    criterion=criterion,
    auxiliary=_OwnModel(),
    plan=plan or _plan(),
    **changes,
  )


def test_a_slice_by_label_is_asked_for_other_classes():
  asked = _investigation(primary=coded_images.Scorer())
  samples = {
    "class 1": coded_images.make(0, 60, 40),
    "other classes": coded_images.make(50, 0, 50),
  }
  first, *rest = asked.find(samples, labels=[1])
  assert first.holds and first.name == "class_1_another_class"
  assert [f.name for f in rest] == ["above"]
  # Counts of classes would differ whatever is wrong.
  assert asked.auxiliary.asked["primary"] is None


def test_a_model_for_each_slice(tmp_path):
  asked = _investigation(primary="primary")
  result = asked.run(str(tmp_path))
  assert list(result.samples) == ["even", "odd"]
  assert [t.rounds for t in result.trained] == [_ROUNDS, _ROUNDS]
  assert asked.auxiliary.asked["names"] == ("even", "odd")
  assert asked.auxiliary.asked["primary"] == "primary"
  assert asked.auxiliary.asked["processes"] == 1
  # Cohorts are drawn independently, so the two models differ.
  assert not np.array_equal(*result.samples.values())
  assert (tmp_path / "suspect" / "metrics.csv").exists()


def test_all_users_pay_where_nothing_is_simulated(tmp_path):
  result = _investigation().run(str(tmp_path))
  # No user has examples in both slices: the same as one model costs.
  assert result.ledger.epsilon() == pytest.approx(_plan().epsilon())
  assert result.rounds_of_a_user == _ROUNDS
  assert all(t.plan.run_population == len(_USERS) for t in result.trained)


def test_a_user_of_two_slices_pays_for_two_models(tmp_path):
  release = privacy.Release(
    "histogram", "a noised one", dp_accounting.GaussianDpEvent(2.0)
  )
  result = _investigation(_Halves(exclusive=False, releases=(release,))).run(
    str(tmp_path)
  )
  expected = _plan().new_ledger()
  expected.record(dp_accounting.GaussianDpEvent(2.0))
  expected.record(_plan().round_event, 2 * _ROUNDS)
  assert result.ledger.epsilon() == pytest.approx(expected.epsilon())
  content = result.report().to_dict()
  assert content["privacy"]["epsilon"] == pytest.approx(expected.epsilon())
  assert content["privacy"]["rounds"] == 2 * _ROUNDS


def test_investigations_of_the_same_users_share_a_ledger(tmp_path):
  first = _investigation().run(str(tmp_path / "first"))
  second = _investigation().run(str(tmp_path / "second"), first.ledger)
  assert second.ledger.epsilon() == pytest.approx(
    _plan(rounds=2 * _ROUNDS).epsilon()
  )
  assert first.ledger.epsilon() == pytest.approx(_plan().epsilon())


def test_a_ledger_of_another_neighbouring_relation(tmp_path):
  ledger = privacy.PrivacyLedger(
    0.01, neighboring_relation="replace_one", accountant="rdp"
  )
  with pytest.raises(ValueError, match="relation of the plan.*'replace_one'"):
    _investigation().run(str(tmp_path), ledger)


def test_no_two_models_of_the_same_users_share_cohorts(tmp_path, monkeypatch):
  """Rounds with a common cohort cost more than two rounds of the ledger."""
  seeds = []
  sampler = privacy.PrivacyPlan.sampler

  def recorded(self, client_ids, seed):
    seeds.append(seed)
    return sampler(self, client_ids, seed)

  monkeypatch.setattr(privacy.PrivacyPlan, "sampler", recorded)
  _investigation().run(str(tmp_path / "a"))
  _investigation(_Halves(exclusive=False)).run(str(tmp_path / "b"))
  _investigation(seed=1).run(str(tmp_path / "c"))
  assert len(set(seeds)) == len(seeds) == 6
  _investigation().run(str(tmp_path / "a"))
  assert seeds[6:] == seeds[:2]


def test_the_limit_holds_for_the_whole_ledger(tmp_path):
  limit = _plan().epsilon_after(4) * 1.01
  asked = _investigation(_Halves(exclusive=False), epsilon_limit=limit)
  result = asked.run(str(tmp_path))
  assert [t.rounds for t in result.trained] == [3, 1]
  assert result.ledger.epsilon() <= limit


def test_a_simulated_slice_stands_for_users_who_are_in_it(tmp_path):
  plan = _plan(
    population=1000, expected_clients_per_round=100, delta=1e-3
  ).simulated_by(population=len(_USERS), clients_per_round=2)
  result = _investigation(plan=plan).run(str(tmp_path / "whole"))
  assert [t.plan.run_population for t in result.trained] == [4, 4]
  assert result.report().to_dict()["privacy"]["simulated"] is True
  # Only users 6 and 7 have examples: too few for a cohort of 3.
  plan = plan.simulated_by(population=len(_USERS), clients_per_round=3)
  result = _investigation(_Halves(least=6), plan).run(str(tmp_path / "few"))
  assert [t.plan.run_population for t in result.trained] == [3, 3]


def test_a_run_goes_on_where_it_was(tmp_path):
  first = _investigation().run(str(tmp_path))
  again = _investigation().run(str(tmp_path))
  for name, samples in first.samples.items():
    np.testing.assert_array_equal(again.samples[name], samples)
  assert again.ledger == first.ledger


def test_a_folder_of_another_investigation(tmp_path):
  _investigation().run(str(tmp_path))
  with pytest.raises(run_folder.DifferentRunError, match="seed: 0 there, 1"):
    _investigation(seed=1).run(str(tmp_path))


@dataclasses.dataclass(frozen=True)
class _Everything:
  def split(self, client_data, context):
    del context
    return splits.Split("?", splits.Slice("all", "all users", client_data))


def test_one_slice_is_held_against_public_examples(tmp_path):
  public = np.ones([5, 1])
  asked = _investigation(_Everything(), public=public)
  result = asked.run(str(tmp_path))
  assert asked.auxiliary.asked["reference"] is public
  assert asked.auxiliary.asked["names"] == ("all", "public")
  assert list(result.samples) == ["all"]


def test_what_is_found_is_said(tmp_path, caplog, monkeypatch):
  monkeypatch.setattr(
    _OwnModel, "sample", lambda self, weights: np.ones([5, 1])
  )
  with caplog.at_level(logging.INFO):
    result = _investigation().run(str(tmp_path))
  assert [finding.name for finding in result.found] == ["above"]
  assert "mean above 0.5" in caplog.text


def test_the_report_can_be_written(tmp_path):
  result = _investigation().run(str(tmp_path))
  report_lib.write_report(
    tmp_path, result.report([report_lib.Text("More", ["of it"])])
  )
  content = json.loads((tmp_path / "report.json").read_text())
  assert content["config"]["auxiliary"] == {"kind": "toy"}
  assert set(content["metrics"]["slices"]) == {"even", "odd"}
  page = (tmp_path / "report.html").read_text()
  assert "Odd or even?" in page and "of it" in page


@pytest.mark.parametrize(
  "changes, error",
  [
    (dict(checkpoint_every=0), "checkpoint_every"),
    (dict(epsilon_limit=-1.0), "epsilon_limit"),
    (dict(seed=-1), "seed"),
  ],
)
def test_numbers_out_of_range(changes, error):
  with pytest.raises(ValueError, match=error):
    _investigation(**changes)


def test_a_population_that_is_not_the_users(tmp_path):
  with pytest.raises(ValueError, match="whole population of 9"):
    _investigation(plan=_plan(population=9)).run(str(tmp_path))


def test_types_of_the_parts():
  """A GAN of images takes no data without images."""
  from tff_gen_debug.debugging import image_gan

  with pytest.raises(ValueError, match="examples with `image`"):
    image_gan.ImageGan().examples(_numbers(lambda i: True))
  with pytest.raises(ValueError, match="float32 .28, 28, 1."):
    image_gan.ImageGan().examples(
      _numbers(lambda i: True).preprocess(
        lambda ds: ds.map(lambda x: collections.OrderedDict(image=x))
      )
    )
