"""Tests of user accuracies and of what each criterion selects on the clients.

The classifier says "3" whatever it sees, so a user's accuracy is the share of
the label 3 among their examples, and everything can be counted by hand.
"""

import collections

import dp_accounting
import numpy as np
import pytest

from tests.debugging import image_users
from tff_gen_debug.datasets import handwriting
from tff_gen_debug.debugging import bugs
from tff_gen_debug.debugging import selection
from tff_gen_debug.debugging import user_accuracy
from tff_gen_debug.models import classifier as classifier_lib
from tff_gen_debug.models import cnn

# Labels a client: 4 of 4 correct, 3 of 4, 1 of 2, none of 1, no examples.
_LABELS = {
  "all": [3, 3, 3, 3],
  "most": [3, 1, 3, 3],
  "half": [0, 3],
  "none": [0],
  "empty": [],
}


def _client_data(labels_by_client, pixel=1.0):
  """Clients with these labels; pixels tell the position of an example."""
  return image_users.client_data(labels_by_client).preprocess(
    lambda ds: ds.map(
      lambda x: collections.OrderedDict(
        label=x["label"], pixels=pixel * 10.0 * x["image"][..., 0]
      )
    )
  )


def _kept(client_data):
  """Client id -> (position, label) of every example, read from its tensors."""
  return {
    client_id: [
      (round(float(x["pixels"][0, 0]) * 10), int(x["label"]))
      for x in client_data.create_tf_dataset_for_client(client_id)
    ]
    for client_id in client_data.client_ids
  }


@pytest.fixture(scope="module")
def client_data():
  return _client_data(_LABELS)


@pytest.fixture(scope="module")
def evaluation(client_data, tff_runtime):
  return user_accuracy.evaluate_users(image_users.always(3), client_data)


def test_user_accuracies_are_counted_on_the_clients(evaluation):
  assert evaluation.num_correct == dict(all=4, most=3, half=1, none=0, empty=0)
  assert evaluation.num_examples == dict(all=4, most=4, half=2, none=1, empty=0)
  assert evaluation.accuracies == dict(all=1.0, most=0.75, half=0.5, none=0.0)
  assert evaluation.num_without_examples == 1


def test_user_accuracies_of_some_users_in_their_order(client_data, tff_runtime):
  accuracies = user_accuracy.user_accuracies(
    image_users.always(0), client_data, ["none", "empty", "half"]
  )
  assert list(accuracies.items()) == [("none", 1.0), ("half", 0.5)]


def test_more_users_than_fit_into_one_call(tff_runtime):
  labels = {f"u{i}": [3] * (i % 3) + [0] for i in range(230)}
  accuracies = user_accuracy.user_accuracies(
    image_users.always(3), _client_data(labels)
  )
  expected = {f"u{i}": [0, 1 / 2, 2 / 3][i % 3] for i in range(230)}
  assert accuracies == expected


def test_an_image_with_nan_is_misclassified(tff_runtime):
  # Whatever the network makes of NaN, it must not count as a correct 0.
  broken = _client_data({"a": [0, 0, 0]}, pixel=np.nan)
  accuracies = user_accuracy.user_accuracies(image_users.always(0), broken)
  assert accuracies == {"a": 0.0}


def test_unknown_users_are_named(client_data):
  with pytest.raises(ValueError, match="nobody"):
    user_accuracy.evaluate_users(
      image_users.always(3), client_data, ["all", "nobody"]
    )
  with pytest.raises(ValueError, match="client_ids"):
    user_accuracy.evaluate_users(image_users.always(3), client_data, [])


@pytest.mark.parametrize(
  "example_fn, message",
  [
    (lambda batch: batch["label"], "mapping"),
    (
      lambda batch: dict(image=batch["pixels"], label=batch["label"]),
      r"\[n, 28, 28, 1\]",
    ),
    (
      lambda batch: dict(
        image=batch["pixels"][..., None], label=batch["pixels"][:, 0, 0]
      ),
      "integer labels",
    ),
  ],
)
def test_a_wrong_example_fn_is_explained(client_data, example_fn, message):
  with pytest.raises(ValueError, match=message):
    user_accuracy.evaluate_users(
      image_users.always(3), client_data, example_fn=example_fn
    )


@pytest.mark.parametrize(
  "criterion, expected",
  [
    (selection.by_user(below=0.75), ["half", "none"]),
    (selection.by_user(above=0.5), ["all", "most"]),
    (selection.by_user(below=1.0, above=0.0), ["most", "half"]),
    (selection.by_user(below=0.0), []),
  ],
  ids=str,
)
def test_by_user_keeps_all_or_nothing(
  client_data, evaluation, criterion, expected
):
  selected = criterion.select(client_data, image_users.always(3))
  assert selected.client_ids == client_data.client_ids
  assert selected.element_type_structure == client_data.element_type_structure
  whole = _kept(client_data)
  assert _kept(selected) == {
    client_id: whole[client_id] if client_id in expected else []
    for client_id in _LABELS
  }
  assert criterion.eligible_clients(evaluation) == expected


def test_by_example_keeps_the_right_or_the_wrong_ones(client_data, evaluation):
  right = selection.by_example("correct", min_examples=2)
  assert _kept(right.select(client_data, image_users.always(3))) == dict(
    all=[(0, 3), (1, 3), (2, 3), (3, 3)],
    most=[(0, 3), (2, 3), (3, 3)],
    half=[],
    none=[],
    empty=[],
  )
  assert right.eligible_clients(evaluation) == ["all", "most"]
  wrong = selection.by_example("misclassified", min_examples=1)
  assert _kept(wrong.select(client_data, image_users.always(3))) == dict(
    all=[], most=[(1, 1)], half=[(0, 0)], none=[(0, 0)], empty=[]
  )
  assert wrong.eligible_clients(evaluation) == ["most", "half", "none"]
  # Five by default, as in the paper.
  default = selection.by_example("correct")
  assert not any(
    _kept(default.select(client_data, image_users.always(3))).values()
  )


def test_selection_happens_in_the_clients_own_computation(
  client_data, tff_runtime
):
  # What a client of a federated computation gets is selected already.
  selected = selection.by_example("correct", min_examples=1).select(
    client_data, image_users.always(3)
  )
  evaluation = user_accuracy.evaluate_users(image_users.always(3), selected)
  assert evaluation.num_examples == dict(all=4, most=3, half=1, none=0, empty=0)


@pytest.mark.parametrize(
  "criterion, below, above",
  [
    # Accuracies .1 .2 .2 .4: shares below the gaps .15 and .3 are 1/4 and 3/4.
    (selection.by_user(below=selection.Percentile(25)), 0.15, None),
    (selection.by_user(below=selection.Percentile(60)), 0.3, None),
    (selection.by_user(above=selection.Percentile(75)), None, 0.3),
    (selection.by_user(above=selection.Percentile(1)), None, 0.15),
    (selection.by_user(below=0.4, above=selection.Percentile(30)), 0.4, 0.15),
  ],
  ids=str,
)
def test_percentiles_resolve_between_accuracies(criterion, below, above):
  accuracies = dict(a=0.2, b=0.1, c=0.4, d=0.2)
  resolved = criterion.resolve(accuracies)
  assert resolved.below == pytest.approx(below)
  assert resolved.above == pytest.approx(above)
  (release,) = resolved.releases
  assert not release.private and release.event is None
  assert "4 users" in release.what


def test_ties_never_empty_a_slice():
  accuracies = {str(i): 1.0 for i in range(9)}
  accuracies["worst"] = 0.5
  high = selection.by_user(above=selection.Percentile(75)).resolve(accuracies)
  low = selection.by_user(below=selection.Percentile(25)).resolve(accuracies)
  assert high.above == low.below == 0.75


def test_nothing_is_released_for_thresholds_that_are_given():
  criterion = selection.by_user(below=0.882).resolve(dict(a=1.0))
  assert criterion.below == 0.882
  assert criterion.releases == ()
  assert selection.by_example("correct").releases == ()


def test_thresholds_that_cannot_be_found_are_explained():
  criterion = selection.by_user(below=selection.Percentile(25))
  with pytest.raises(ValueError, match="differ"):
    criterion.resolve(dict(a=0.5, b=0.5))
  with pytest.raises(ValueError, match="at least one user"):
    criterion.resolve({})
  with pytest.raises(ValueError, match=r"\[0, 1\]"):
    criterion.resolve(dict(a=0.5, b=float("nan")))


def test_an_unresolved_criterion_selects_nothing(client_data, evaluation):
  criterion = selection.by_user(below=selection.Percentile(25))
  with pytest.raises(ValueError, match="resolve"):
    criterion.select(client_data, image_users.always(3))
  with pytest.raises(ValueError, match="resolve"):
    criterion.eligible_clients(evaluation)


@pytest.mark.parametrize(
  "make, message",
  [
    (lambda: selection.by_user(), "below or above"),
    (lambda: selection.by_user(below=88.2), r"below must be .*\[0, 1\]"),
    (lambda: selection.by_user(above=-0.1), "above"),
    (lambda: selection.Percentile(0), "percent"),
    (lambda: selection.Percentile(100), "percent"),
    (lambda: selection.by_example("wrong"), "outcome"),
    (lambda: selection.by_example("correct", 0), "min_examples"),
  ],
)
def test_bad_criteria_are_named(make, message):
  with pytest.raises(ValueError, match=message):
    make()


def test_a_histogram_counts_users_by_accuracy(client_data, tff_runtime):
  histogram = user_accuracy.private_accuracy_histogram(
    image_users.always(3), client_data, noise_multiplier=1e-6, num_bins=4
  )
  # 0 | .5 | .75 and 1: a bin holds its lower edge, the last also 1. The user
  # without examples is in none.
  np.testing.assert_allclose(histogram.counts, [1, 0, 1, 2], atol=1e-4)
  np.testing.assert_allclose(histogram.edges, [0, 0.25, 0.5, 0.75, 1])
  assert histogram.event == dp_accounting.GaussianDpEvent(1e-6)


@pytest.mark.parametrize(
  "relation, stddev",
  [("add_or_remove_one", 2.0), ("replace_one", 2.0 * np.sqrt(2.0))],
)
def test_the_histograms_noise_has_its_standard_deviation(
  client_data, tff_runtime, relation, stddev
):
  histogram = user_accuracy.private_accuracy_histogram(
    image_users.always(3),
    client_data,
    noise_multiplier=2.0,
    neighboring_relation=relation,
    num_bins=100_000,
  )
  # Four users do not show among 100,000 bins; the relative deviation of the
  # estimate is 0.002, so that 0.8 and 1.25 times the noise are far outside.
  assert np.std(histogram.counts) == pytest.approx(stddev, rel=0.02)
  assert np.mean(histogram.counts) == pytest.approx(0.0, abs=0.05)
  assert histogram.event == dp_accounting.GaussianDpEvent(2.0)


def test_percentiles_of_a_noised_histogram():
  histogram = user_accuracy.AccuracyHistogram(
    edges=np.linspace(0, 1, 6),
    counts=np.array([-3.0, 10.0, -0.5, 20.0, 10.0]),
    noise_multiplier=1.5,
  )
  # Of 40 users, 10 are in [.2, .4], 20 in [.6, .8] and 10 in [.8, 1].
  low = selection.by_user(below=selection.Percentile(12.5))
  high = selection.by_user(above=selection.Percentile(50))
  low, high = (
    low.resolve_privately(histogram),
    high.resolve_privately(histogram),
  )
  assert low.below == pytest.approx(0.3)
  assert high.above == pytest.approx(0.7)
  assert low.releases == high.releases
  (release,) = low.releases
  assert release.private
  assert release.event == dp_accounting.GaussianDpEvent(1.5)
  only_noise = user_accuracy.AccuracyHistogram(
    np.linspace(0, 1, 3), np.array([-1.0, 0.0]), 1.0
  )
  with pytest.raises(ValueError, match="counts"):
    only_noise.percentile(50)


@pytest.mark.parametrize(
  "kwargs, message",
  [
    (dict(noise_multiplier=0), "noise_multiplier"),
    (dict(noise_multiplier=float("inf")), "noise_multiplier"),
    (dict(noise_multiplier=1, num_bins=1), "num_bins"),
    (
      dict(noise_multiplier=1, neighboring_relation="replace_special"),
      "neighboring_relation",
    ),
  ],
)
def test_bad_histograms_are_named(client_data, kwargs, message):
  with pytest.raises(ValueError, match=message):
    user_accuracy.private_accuracy_histogram(
      image_users.always(3), client_data, **kwargs
    )


def test_the_low_slice_holds_the_users_with_inverted_pixels(tff_runtime):
  """The primary model of the paper's experiment finds the users of the bug."""
  train, test = handwriting.load_data()
  examples = [
    next(iter(train.create_tf_dataset_for_client(c).batch(1000)))
    for c in train.client_ids[:30]
  ]
  pixels = np.concatenate([x["pixels"] for x in examples])
  labels = np.concatenate([x["label"] for x in examples])
  model = classifier_lib.train_classifier(
    (1 - 2 * pixels)[..., np.newaxis],
    labels,
    num_classes=10,
    architecture=cnn.Architecture(conv_widths=(16, 32, 32), dense_width=32),
  )
  buggy = bugs.inject(test, bugs.invert_pixels, probability=0.5, seed=4)
  affected = bugs.affected_clients(test.client_ids, probability=0.5, seed=4)
  assert 10 < len(affected) < 30
  evaluation = user_accuracy.evaluate_users(model, buggy)
  low = selection.by_user(below=0.6)
  high = selection.by_user(above=0.6)
  assert low.eligible_clients(evaluation) == affected
  others = [c for c in test.client_ids if c not in affected]
  assert high.eligible_clients(evaluation) == others
  # Selection is by what the bug does to the data, not by its name.
  selected = low.select(buggy, model)
  sizes = {
    c: int(selected.create_tf_dataset_for_client(c).cardinality())
    for c in (affected[0], others[0])
  }
  assert sizes == {affected[0]: 104, others[0]: 0}
