"""Tests of what each criterion puts into its slices."""

import numpy as np
import pytest

from tests.debugging import image_users
from tff_gen_debug.debugging import criteria
from tff_gen_debug.debugging import splits

_LABELS = {"many": list(range(10)), "few": [3, 3, 7], "none": []}


@pytest.fixture(scope="module")
def client_data():
  return image_users.client_data(_LABELS)


@pytest.fixture
def context(tmp_path):
  return splits.Context(str(tmp_path), primary=image_users.always(3))


def test_a_random_sample_of_each_user(client_data, context):
  split = criteria.RandomExamples(4, seed=1).split(client_data, context)
  kept = image_users.kept(split.suspect)
  assert split.reference is None and split.slices == (split.suspect,)
  assert len(kept["many"]) == 4 and set(kept["many"]) <= set(
    enumerate(_LABELS["many"])
  )
  assert kept["few"] == list(enumerate(_LABELS["few"])) and kept["none"] == []


def test_each_example_is_as_likely_to_be_in_the_sample():
  ids = {f"u{i}": list(range(10)) for i in range(150)}
  split = criteria.RandomExamples(3).split(
    image_users.client_data(ids), splits.Context("")
  )
  chosen = [p for e in image_users.kept(split.suspect).values() for p, _ in e]
  counts = np.bincount(chosen, minlength=10)
  assert counts.sum() == 450
  # Each is Binomial(150, 0.3): 45 with a standard deviation of 5.6.
  assert np.all(np.abs(counts - 45) < 4.5 * 5.6) and np.ptp(counts) > 0


def test_samples_with_another_seed_are_others(client_data, context):
  def sample(seed):
    split = criteria.RandomExamples(4, seed).split(client_data, context)
    return image_users.kept(split.suspect)["many"]

  assert sample(1) == sample(1)
  assert len({tuple(sample(seed)) for seed in range(8)}) > 4


def test_mistakes_against_what_is_right(client_data, context):
  split = criteria.MisclassifiedExamples(min_examples=2).split(
    client_data, context
  )
  others = [x for x in range(10) if x != 3]
  # "few" has one mistake only, "many" one correct example only.
  assert image_users.labels(split.suspect) == dict(many=others, few=[], none=[])
  assert image_users.labels(split.reference) == dict(
    many=[], few=[3, 3], none=[]
  )
  assert not split.exclusive and split.releases == ()


def test_mistakes_need_a_primary_model(client_data):
  with pytest.raises(ValueError, match="primary must be given.*Misclassified"):
    criteria.MisclassifiedExamples().split(client_data, splits.Context(""))


def test_examples_with_a_property_against_the_others(client_data, context):
  split = criteria.ExamplesWhere(
    lambda e: e["image"][0, 0, 0] > 0.045, "late", rest="early"
  ).split(client_data, context)
  assert [s.name for s in split.slices] == ["late", "early"]
  assert image_users.kept(split.suspect)["many"] == [
    (p, p) for p in range(5, 10)
  ]
  assert image_users.kept(split.reference)["many"] == [(p, p) for p in range(5)]


def test_unknown_labels(client_data, context):
  split = criteria.UnknownLabels(range(8)).split(client_data, context)
  assert image_users.labels(split.suspect) == dict(many=[8, 9], few=[], none=[])
  assert image_users.labels(split.reference)["few"] == [3, 3, 7]


@pytest.mark.parametrize(
  "labels, error", [([], ValueError), ([1.5], TypeError)]
)
def test_known_labels_are_integers(labels, error):
  with pytest.raises(error, match="known_labels"):
    criteria.UnknownLabels(labels)


def test_unlabelled_examples(context):
  data = image_users.client_data({"a": [-1, 4, -1], "b": [5]})
  split = criteria.UnlabelledExamples().split(data, context)
  assert image_users.kept(split.suspect) == dict(a=[(0, -1), (2, -1)], b=[])
  assert image_users.labels(split.reference) == dict(a=[4], b=[5])


def test_what_is_served_against_training(client_data, context):
  training = image_users.client_data({"x": [1]})
  split = criteria.ServingAgainstTraining(training).split(client_data, context)
  assert image_users.labels(split.suspect) == _LABELS
  assert image_users.labels(split.reference) == {"x": [1]}
  central = criteria.ServingAgainstTraining().split(client_data, context)
  assert central.reference is None


def test_training_data_of_another_type(client_data, context):
  training = client_data.preprocess(lambda ds: ds.map(lambda e: e["image"]))
  with pytest.raises(ValueError, match="training must have the element type"):
    criteria.ServingAgainstTraining(training).split(client_data, context)


def test_selection_runs_where_the_data_is(client_data, context):
  """Slices are functions of the client's id that a worker can run."""
  split = criteria.UnknownLabels(range(8)).split(client_data, context)
  computation = split.suspect.client_data.dataset_computation
  assert str(computation.type_signature.result) == (
    "<image=float32[28,28,1],label=int32>*"
  )
