"""Tests for dirichlet."""

import math

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from tff_gen_debug.datasets import dirichlet


def _sum_of_squared_shares(labels, parts, num_classes):
  """The sum of a client's squared class shares, for each client."""
  counts = np.array(
    [np.bincount(labels[part], minlength=num_classes) for part in parts]
  )
  shares = counts / counts.sum(axis=1, keepdims=True)
  return (shares**2).sum(axis=1)


def _expected_sum_of_squares(prior, alpha, num_examples):
  """Of q ~ Dir(alpha p), E q_k^2 = p_k (1 + alpha p_k) / (1 + alpha).

  Of the shares s in n draws from q, E s_k^2 = q_k / n + (1 - 1/n) q_k^2.
  """
  if alpha == math.inf:
    of_mixture = sum(p * p for p in prior)
  else:
    of_mixture = sum(p * (1 + alpha * p) / (1 + alpha) for p in prior)
  return 1 / num_examples + (1 - 1 / num_examples) * of_mixture


def _partition_one_by_one(labels, num_clients, alpha, rng):
  """A slow reference: each example's class drawn by itself.

  Needs an alpha that NumPy's Dirichlet can do, and mixtures whose classes never
  run out all at once.
  """
  num_classes = labels.max() + 1
  prior = np.bincount(labels) / len(labels)
  left = [list(np.flatnonzero(labels == k)) for k in range(num_classes)]
  size = len(labels) // num_clients
  parts = []
  for _ in range(num_clients):
    mixture = rng.dirichlet(alpha * prior)
    part = []
    while len(part) < size:
      weights = np.array([m if rows else 0 for m, rows in zip(mixture, left)])
      label = rng.choice(num_classes, p=weights / weights.sum())
      part.append(left[label].pop(rng.integers(len(left[label]))))
    parts.append(np.array(part))
  return parts


@hypothesis.settings(deadline=None, max_examples=200)
@hypothesis.given(data=st.data())
def test_every_example_goes_to_one_client(data):
  labels = data.draw(st.lists(st.integers(-3, 5), min_size=1, max_size=60))
  num_clients = data.draw(st.integers(1, len(labels)))
  alpha = data.draw(
    st.sampled_from([5e-324, 1e-12, 0.1, 1.0, 30.0, 1e308, math.inf])
  )
  seed = data.draw(st.integers(0, 2**63 - 1))

  parts = dirichlet.partition(np.array(labels), num_clients, alpha, seed)

  assert len(parts) == num_clients
  assert all(part.dtype == np.int64 for part in parts)
  assert sorted(np.concatenate(parts)) == list(range(len(labels)))
  sizes = [len(part) for part in parts]
  larger = len(labels) % num_clients
  size = len(labels) // num_clients
  assert sizes == [size + 1] * larger + [size] * (num_clients - larger)


@pytest.mark.parametrize("alpha", [0.01, 1.0, math.inf])
def test_seed_decides_the_partition(alpha):
  labels = np.arange(600) % 10

  def flat(seed):
    return np.concatenate(dirichlet.partition(labels, 7, alpha, seed)).tolist()

  assert flat(3) == flat(3)
  assert len({tuple(flat(seed)) for seed in range(20)}) == 20


@pytest.mark.parametrize(
  "prior", [(0.1,) * 10, (0.5, 0.2, 0.1, 0.1, 0.05, 0.05)]
)
@pytest.mark.parametrize("alpha", [0.1, 1.0, 10.0, math.inf])
def test_clients_are_as_skewed_as_the_dirichlet(prior, alpha):
  num_clients, num_examples, observed = 10_000, 40, 8_000
  labels = np.repeat(np.arange(len(prior)), [round(400_000 * p) for p in prior])

  parts = dirichlet.partition(labels, num_clients, alpha, seed=8)[:observed]
  squares = _sum_of_squared_shares(labels, parts, len(prior))

  # So far no class has run out, and every client's draw is its mixture's.
  taken = np.bincount(labels[np.concatenate(parts)])
  assert (taken < np.bincount(labels)).all()
  margin = 4 * squares.std() / math.sqrt(observed)
  error = squares.mean() - _expected_sum_of_squares(prior, alpha, num_examples)
  assert abs(error) < margin
  if alpha < math.inf:
    for factor in (0.8, 1.25):
      other = _expected_sum_of_squares(prior, factor * alpha, num_examples)
      assert abs(squares.mean() - other) > margin


def test_mixtures_have_the_prior_as_their_mean():
  prior = np.array([0.6, 0.3, 0.1])
  labels = np.repeat(np.arange(3), (prior * 200_000).astype(int))

  parts = dirichlet.partition(labels, 10_000, 0.5, seed=1)[:3_000]

  shares = np.array([np.bincount(labels[p], minlength=3) / 20 for p in parts])
  margin = 4 * shares.std(axis=0) / math.sqrt(3_000)
  assert (abs(shares.mean(axis=0) - prior) < margin).all()
  # The tightest way to have the right mean is not to be random at all.
  assert (margin > 0.01).all()


@pytest.mark.parametrize("alpha", [1e-300, 1e-9])
def test_small_alpha_gives_one_class_a_client(alpha):
  # Classes that clients divide evenly: each can be served to the end.
  labels = np.random.default_rng(0).permutation(np.arange(1_000) % 10)

  parts = dirichlet.partition(labels, 100, alpha, seed=0)

  for part in parts:
    assert len(set(labels[part])) == 1
  # And the order of the classes is random, not that of their numbers.
  order = [labels[part[0]] for part in parts]
  assert np.count_nonzero(np.diff(order)) > 50


def test_classes_that_run_out_are_left_out():
  """Clients later than the first, against the reference."""
  labels = np.repeat([0, 1, 2], [6, 4, 2])
  num_runs = 2_000
  rng = np.random.default_rng(0)
  found, expected = [], []
  for seed in range(num_runs):
    for partition, runs in (
      (dirichlet.partition(labels, 3, 2.0, seed), found),
      (_partition_one_by_one(labels, 3, 2.0, rng), expected),
    ):
      counts = [np.bincount(labels[part], minlength=3) for part in partition]
      # All counts, and the second moments that tell a skewed client.
      runs.append(np.concatenate([np.ravel(counts), np.ravel(counts) ** 2]))

  found, expected = np.array(found), np.array(expected)
  error = found.mean(axis=0) - expected.mean(axis=0)
  margin = np.sqrt((found.var(axis=0) + expected.var(axis=0)) / num_runs)
  assert (abs(error) < 4.5 * margin).all()


def test_examples_of_a_client_are_in_random_order():
  labels = np.arange(1_000) % 10

  (part,) = dirichlet.partition(labels, 1, 1.0, seed=0)

  # Of 999 neighbours in random order 99.9 +- 9.5 have the same class.
  same = np.count_nonzero(np.diff(labels[part]) == 0)
  assert 60 < same < 140


def test_any_example_of_a_class_may_be_taken():
  labels = np.zeros(10, np.uint8)
  first = np.array(
    [dirichlet.partition(labels, 10, 1.0, s)[0][0] for s in range(2_000)]
  )

  counts = np.bincount(first, minlength=10)
  # Chi-squared with 9 degrees of freedom: above 33.7 once in 10,000.
  assert ((counts - 200) ** 2 / 200).sum() < 33.7


def test_labels_may_be_a_list():
  parts = dirichlet.partition([5, 5, -1], 3, 1.0, 0)

  assert sorted(int(part[0]) for part in parts) == [0, 1, 2]


@pytest.mark.parametrize(
  "change, error, message",
  [
    ({"labels": np.zeros([4, 1], int)}, ValueError, r"labels.*\(4, 1\)"),
    ({"labels": np.zeros(4)}, TypeError, "labels must be int.*float64"),
    ({"labels": []}, ValueError, r"num_clients must be in \[1, 0\]"),
    ({"num_clients": 0}, ValueError, r"num_clients must be in \[1, 4\].*0"),
    ({"num_clients": 5}, ValueError, r"num_clients must be in \[1, 4\].*5"),
    ({"num_clients": 2.0}, TypeError, "num_clients must be an int.*float"),
    ({"num_clients": True}, TypeError, "num_clients must be an int.*bool"),
    ({"alpha": 0}, ValueError, "alpha must be positive, got 0"),
    ({"alpha": -1.5}, ValueError, "alpha must be positive, got -1.5"),
    ({"alpha": math.nan}, ValueError, "alpha must be positive, got nan"),
    ({"alpha": "1"}, TypeError, "alpha must be a real number, got '1'"),
    ({"seed": -1}, ValueError, "seed must be in"),
    ({"seed": None}, TypeError, "seed must be an int"),
  ],
)
def test_bad_arguments(change, error, message):
  arguments = {"labels": [0, 1, 0, 1], "num_clients": 2, "alpha": 1, "seed": 0}

  with pytest.raises(error, match=message):
    dirichlet.partition(**{**arguments, **change})
