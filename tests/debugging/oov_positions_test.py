"""Tests of OOV shares by position, against loops over plain sentences."""

import collections
import json

import dp_accounting
import numpy as np
import pytest
import tensorflow as tf

from tff_gen_debug.datasets import client_data as client_data_lib
from tff_gen_debug.datasets import vocabulary as vocabulary_lib
from tff_gen_debug.debugging import oov_positions

pytestmark = pytest.mark.usefixtures("tff_runtime")

_VOCABULARY = vocabulary_lib.Vocabulary(("i", "have", "am", "the", "you"))

_SENTENCES = {
  "plain": [["i", "have", "regex"], ["the", "regex"], ["i", "have", "the"]],
  "bug": [["i have", "regex"], ["you"], ["i am", "you", "you", "regex", "i"]],
  "no sentences": [],
  "no words": [[], []],
  "mixed": [[], ["i"]],
  "hostile": [["", "\x00", "I", " i", "i" * 10_000], [b"\xff\xfe i"] * 3],
  "long": [["regex"] * 1000 + ["i"] * 1000],
}


def _client_data(sentences_by_client):
  ids = list(sentences_by_client)
  sentences = [s for client in sentences_by_client.values() for s in client]
  per_client = np.cumsum([0] + [len(x) for x in sentences_by_client.values()])
  per_sentence = np.cumsum([0] + [len(s) for s in sentences])
  flat = [tf.compat.as_bytes(word) for s in sentences for word in s] + [b""]

  def dataset_fn(client_id):
    index = tf.argmax(tf.cast(tf.equal(ids, client_id), tf.int32))
    start, end = tf.unstack(
      tf.gather(tf.constant(per_client, tf.int64), [index, index + 1])
    )

    def sentence(i):
      bounds = tf.gather(tf.constant(per_sentence, tf.int64), [i, i + 1])
      words = tf.constant(flat)[bounds[0] : bounds[1]]
      return collections.OrderedDict(words=words)

    return tf.data.Dataset.range(start, end).map(sentence)

  return client_data_lib.TracedClientData(ids, dataset_fn)


def _dataset(sentences):
  return _client_data({"one": sentences}).create_tf_dataset_for_client("one")


def _reference(sentences, length, max_sentences=10**9):
  """`[2][length]` shares of one client, by counting."""
  counts = np.zeros((2, length))
  sentences = sentences[:max_sentences]
  for sentence in sentences:
    for position, word in enumerate(sentence[:length]):
      counts[0 if word in _VOCABULARY.words else 1, position] += 1
  return counts / max(len(sentences), 1)


def _shares(sentences, length, max_sentences=1000):
  return oov_positions.sentence_shares(
    _dataset(sentences),
    _VOCABULARY,
    length=length,
    max_sentences=max_sentences,
  ).numpy()


@pytest.mark.parametrize("client", _SENTENCES)
@pytest.mark.parametrize("length, max_sentences", [(4, 1000), (1, 1), (7, 2)])
def test_shares_of_one_client(client, length, max_sentences):
  sentences = _SENTENCES[client]
  np.testing.assert_allclose(
    _shares(sentences, length, max_sentences),
    _reference(sentences, length, max_sentences),
    rtol=1e-6,
  )


def test_exact_sums_over_clients():
  measured = oov_positions.measure_oov_positions(
    _client_data(_SENTENCES), _VOCABULARY, noise_multiplier=0, length=5
  )
  known, unknown = sum(_reference(s, 5) for s in _SENTENCES.values())
  np.testing.assert_allclose(measured.known, known, rtol=1e-6)
  np.testing.assert_allclose(measured.unknown, unknown, rtol=1e-6)
  np.testing.assert_allclose(
    measured.shares, unknown / (known + unknown), rtol=1e-6
  )
  assert measured.num_users == 7 and measured.length == 5
  assert measured.event is None and not measured.release.private
  assert "exactly" in measured.release.what
  json.dumps(measured.to_dict(), allow_nan=False)


def test_some_of_the_clients():
  measured = oov_positions.measure_oov_positions(
    _client_data(_SENTENCES),
    _VOCABULARY,
    ["bug", "no words"],
    noise_multiplier=0,
    length=2,
  )
  # Of three sentences two start with a joined word; two have a second word.
  np.testing.assert_allclose(measured.known, [1 / 3, 1 / 3], rtol=1e-6)
  np.testing.assert_allclose(measured.unknown, [2 / 3, 1 / 3], rtol=1e-6)
  assert measured.num_users == 2


def test_sensitivity_over_random_neighbours():
  rng = np.random.default_rng(0)
  length, words = 4, ["i", "the", "regex", "i have"]
  clients = {
    str(i): [
      rng.choice(words, rng.integers(0, 7), p=rng.dirichlet(np.full(4, 0.3)))
      for _ in range(rng.integers(0, 6))
    ]
    for i in range(300)
  }
  client_data = _client_data(clients)

  @tf.function
  def shares(client_id):
    return oov_positions.sentence_shares(
      client_data.serializable_dataset_fn(client_id),
      _VOCABULARY,
      length=length,
      max_sentences=1000,
    )

  vectors = np.array([shares(tf.constant(c)).numpy().ravel() for c in clients])
  rounding = 1 + 1e-6
  limit = oov_positions.l2_sensitivity(length, "add_or_remove_one")
  assert limit == 2.0
  assert np.linalg.norm(vectors, axis=1).max() <= limit * rounding
  distances = np.linalg.norm(vectors[:, None] - vectors, axis=2)
  limit = oov_positions.l2_sensitivity(length, "replace_one")
  assert 0.8 * limit < distances.max() <= limit * rounding


def test_the_sensitivities_are_reached():
  known, unknown = _shares([["i"] * 4], 4), _shares([["x"] * 4], 4)
  assert np.linalg.norm(known) == pytest.approx(2.0)
  assert np.linalg.norm(known - unknown) == pytest.approx(np.sqrt(8))
  assert oov_positions.l2_sensitivity(4, "replace_one") == np.sqrt(8)


@pytest.mark.parametrize(
  "relation, factor", [("add_or_remove_one", 1.0), ("replace_one", np.sqrt(2))]
)
def test_the_noise_has_its_standard_deviation(relation, factor):
  length = 50_000
  measured = oov_positions.measure_oov_positions(
    _client_data(_SENTENCES),
    _VOCABULARY,
    noise_multiplier=0.5,
    neighboring_relation=relation,
    length=length,
  )
  expected = 0.5 * factor * np.sqrt(length)
  assert measured.noise_stddev == pytest.approx(expected)
  # 50,000 draws each: a relative deviation of 0.3 %, so that 0.8 and 1.25 times
  # the noise are far outside. Seven users do not show.
  for sums in (measured.known, measured.unknown):
    assert np.std(sums) == pytest.approx(expected, rel=0.02)
    assert abs(np.mean(sums)) < 5 * expected / np.sqrt(length)
  correlation = np.corrcoef(measured.known, measured.unknown)[0, 1]
  assert abs(correlation) < 5 / np.sqrt(length)
  assert measured.event == dp_accounting.GaussianDpEvent(0.5)
  assert measured.release.private
  assert measured.release.event == measured.event
  shares = measured.shares
  assert np.all(np.isnan(shares) | ((shares >= 0) & (shares <= 1)))
  assert np.all(np.isinf(measured.standard_errors) == np.isnan(shares))


def _measured(known, unknown, noise_multiplier=0.0, num_users=1000):
  return oov_positions.OovPositions(
    np.asarray(known, np.float64),
    np.asarray(unknown, np.float64),
    noise_multiplier,
    "add_or_remove_one",
    num_users,
  )


def test_standard_errors_of_the_noise():
  rng = np.random.default_rng(0)
  known, unknown = np.array([9e5, 4e5]), np.array([1e5, 4e5])
  # A noise multiplier of 1,000 makes 1,414 on each sum of two positions.
  noise = rng.normal(0, 1000 * np.sqrt(2), (2, 20_000, 2))
  shares = (unknown + noise[1]) / (known + unknown + noise[0] + noise[1])
  measured = _measured(known, unknown, 1000.0)
  by_users = measured.shares * (1 - measured.shares) / measured.present
  expected = np.sqrt(shares.std(axis=0) ** 2 + by_users)
  np.testing.assert_allclose(measured.standard_errors, expected, rtol=0.02)


def test_standard_errors_bound_the_choice_of_users():
  rng = np.random.default_rng(1)
  # Users differ a lot: their own shares are Beta(0.2, 0.6), mean 1/4, and they
  # reach the position in a random share of their sentences.
  present = rng.uniform(0, 1, (2000, 500))
  unknown = present * rng.beta(0.2, 0.6, (2000, 500))
  shares = unknown.sum(axis=1) / present.sum(axis=1)
  sums = [(present - unknown)[0].sum()], [unknown[0].sum()]
  (error,) = _measured(*sums).standard_errors
  assert 0.5 * error < shares.std() < error


def test_positions_that_nobody_reaches():
  measured = _measured([5, 0, -3, -1], [5, 0, 1, 3])
  np.testing.assert_allclose(measured.shares, [0.5, np.nan, np.nan, 1.0])
  assert np.isinf(measured.standard_errors[1:3]).all()


@pytest.mark.parametrize(
  "kwargs, error, message",
  [
    (dict(noise_multiplier=-1), ValueError, "noise_multiplier"),
    (dict(noise_multiplier=float("nan")), ValueError, "noise_multiplier"),
    (dict(noise_multiplier="1"), TypeError, "noise_multiplier"),
    (dict(neighboring_relation="replace_special"), ValueError, "neighboring"),
    (dict(length=0), ValueError, "length"),
    (dict(max_sentences=0), ValueError, "max_sentences"),
    (dict(client_ids=[]), ValueError, "client_ids"),
    (dict(client_ids=["bug", "nobody"]), ValueError, "nobody"),
    # Asked twice, a client would move the sums by twice the sensitivity.
    (dict(client_ids=["bug", "bug"]), ValueError, "distinct"),
  ],
)
def test_bad_arguments_are_named(kwargs, error, message):
  arguments = dict(noise_multiplier=1.0)
  arguments.update(kwargs)
  with pytest.raises(error, match=message):
    oov_positions.measure_oov_positions(
      _client_data(_SENTENCES), _VOCABULARY, **arguments
    )


@pytest.mark.parametrize(
  "element",
  [
    tf.constant(["i"]),
    collections.OrderedDict(tokens=tf.constant("i have")),
    collections.OrderedDict(words=tf.constant("i have")),
    collections.OrderedDict(words=tf.constant([1])),
  ],
)
def test_data_of_another_type_is_explained(element):
  client_data = client_data_lib.TracedClientData(
    ["a"], lambda _: tf.data.Dataset.from_tensors(element)
  )
  with pytest.raises(ValueError, match="words"):
    oov_positions.measure_oov_positions(
      client_data, _VOCABULARY, noise_multiplier=1.0
    )
