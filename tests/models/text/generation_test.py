"""Tests of generation: draws against probabilities, and both by hand."""

import itertools

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from tff_gen_debug import token_ids
from tff_gen_debug.models.text import generation
from tff_gen_debug.models.text import language_model

_PAD, _START, _END = token_ids.PAD, token_ids.START, token_ids.END
# END, UNKNOWN and three letters can be drawn.
_DRAWN = (_END, token_ids.UNKNOWN, 4, 5, 6)
_LENGTH = 3

_MODELS = {
  "lstm": language_model.LanguageModel(7, embedding=4, units=5),
  "cifg": language_model.LanguageModel(
    7, embedding=4, cell="cifg", units=5, projection=3
  ),
}

each_model = pytest.mark.parametrize(
  "model", list(_MODELS.values()), ids=list(_MODELS)
)


def _random_weights(model, seed=0, scale=0.8):
  rng = np.random.default_rng(seed)
  return tuple(
    rng.normal(scale=scale, size=shape).astype(np.float32)
    for shape in model.weight_shapes
  )


def _all_sequences(length=_LENGTH):
  """Every complete sequence and every beginning of full length, as tuples."""
  letters = [token for token in _DRAWN if token != _END]
  for size in range(length):
    for text in itertools.product(letters, repeat=size):
      yield (*text, _END, *[_PAD] * (length - size - 1))
  yield from itertools.product(letters, repeat=length)


def _probabilities(model, weights, temperature=1.0, length=_LENGTH):
  """Probabilities of `_all_sequences`, each a product over its own tokens."""
  scores = {}
  result = {}
  for sequence in _all_sequences(length):
    probability = 1.0
    read = (_START,)
    for token in sequence:
      if read not in scores:
        logits = model.logits(weights, np.array([read], np.int32))[0, -1]
        scores[read] = np.exp(np.float64(logits) / temperature)
      allowed = sum(scores[read][t] for t in _DRAWN)
      probability *= scores[read][token] / allowed
      if token == _END:
        break
      read += (token,)
    result[sequence] = probability
  return result


def _chi_square_p_value(ids, probabilities):
  """p-value of drawn rows against probabilities; rare sequences are pooled."""
  rows, counts = np.unique(ids, axis=0, return_counts=True)
  drawn = {tuple(row): count for row, count in zip(rows.tolist(), counts)}
  assert set(drawn) <= set(probabilities)
  expected, observed = [0.0], [0]
  for sequence, probability in probabilities.items():
    cell = len(ids) * probability
    if cell < 10:
      expected[0] += cell
      observed[0] += drawn.get(sequence, 0)
    else:
      expected.append(cell)
      observed.append(drawn.get(sequence, 0))
  # The pool itself may be too small for a cell of its own.
  if expected[0] < 10:
    expected = [expected[0] + expected[1], *expected[2:]]
    observed = [observed[0] + observed[1], *observed[2:]]
  return scipy.stats.chisquare(observed, expected).pvalue


@each_model
def test_all_sequences_have_probability_one_together(model):
  weights = _random_weights(model)
  sequences = np.array(list(_all_sequences()), np.int32)
  assert len(sequences) == 1 + 4 + 16 + 64
  log_probabilities = generation.log_probability(model, weights, sequences)
  assert log_probabilities.dtype == np.float64
  assert np.sum(np.exp(log_probabilities)) == pytest.approx(1, abs=1e-6)
  expected = _probabilities(model, weights)
  np.testing.assert_allclose(
    np.exp(log_probabilities), list(expected.values()), rtol=1e-5
  )


@each_model
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_draws_have_the_models_frequencies(model, temperature):
  weights = _random_weights(model)
  drawn = generation.sample(
    model, weights, 20_000, length=_LENGTH, seed=11, temperature=temperature
  )
  right = _probabilities(model, weights, temperature)
  assert _chi_square_p_value(drawn.ids, right) > 1e-3
  for wrong in (temperature * 0.9, temperature * 1.1):
    wrong = _probabilities(model, weights, wrong)
    assert _chi_square_p_value(drawn.ids, wrong) < 1e-6


@each_model
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_draws_carry_the_untempered_log_probability(model, temperature):
  weights = _random_weights(model)
  drawn = generation.sample(
    model, weights, 500, length=_LENGTH, seed=0, temperature=temperature
  )
  assert drawn.ids.dtype == np.int32
  assert drawn.log_probabilities.dtype == np.float32
  expected = _probabilities(model, weights)
  np.testing.assert_allclose(
    np.exp(drawn.log_probabilities),
    [expected[tuple(row)] for row in drawn.ids.tolist()],
    rtol=1e-4,
  )
  np.testing.assert_allclose(
    generation.log_probability(model, weights, drawn.ids),
    drawn.log_probabilities,
    atol=1e-5,
  )


@each_model
def test_most_probable_is_what_enumeration_finds(model):
  weights = _random_weights(model)
  # Sequences in no order, each three times, incomplete ones among them.
  sequences = np.array(list(_all_sequences()) * 3, np.int32)
  np.random.default_rng(0).shuffle(sequences)
  ids, log_probabilities = generation.most_probable(
    model, weights, sequences, 6
  )
  complete = [
    (probability, sequence)
    for sequence, probability in _probabilities(model, weights).items()
    if _END in sequence
  ]
  best = sorted(complete, reverse=True)[:6]
  assert [tuple(row) for row in ids.tolist()] == [row for _, row in best]
  np.testing.assert_allclose(
    np.exp(log_probabilities), [probability for probability, _ in best], 1e-5
  )


def test_most_probable_has_no_more_than_there_are():
  model = _MODELS["lstm"]
  weights = _random_weights(model)
  rows = np.array([[4, _END, _PAD], [4, _END, _PAD], [4, 4, 4]], np.int32)
  ids, log_probabilities = generation.most_probable(model, weights, rows, 5)
  np.testing.assert_array_equal(ids, rows[:1])
  assert log_probabilities.shape == (1,)
  for none in (rows[:0], rows[2:]):
    ids, log_probabilities = generation.most_probable(model, weights, none, 5)
    assert ids.shape == (0, 3)
    assert log_probabilities.shape == (0,)
  ids, _ = generation.most_probable(model, weights, rows, 0)
  assert ids.shape == (0, 3)


def _certain_weights(model, biases):
  """Zeros but for the last biases: each token is drawn on its own."""
  weights = [np.zeros(shape, np.float32) for shape in model.weight_shapes]
  for token, bias in biases.items():
    weights[-1][token] = bias
  return weights


def test_pad_and_start_are_never_drawn_however_likely():
  model = _MODELS["lstm"]
  weights = _certain_weights(model, {_PAD: 30.0, _START: 30.0})
  drawn = generation.sample(model, weights, 3000, length=4, seed=0)
  assert not np.any(drawn.ids == _START)
  # PAD is nothing but what follows END.
  ended = np.cumsum(drawn.ids == _END, axis=1) - (drawn.ids == _END)
  np.testing.assert_array_equal(drawn.ids == _PAD, ended > 0)
  # Five tokens are left, all as likely.
  lengths = np.sum(drawn.ids != _PAD, axis=1)
  np.testing.assert_allclose(
    drawn.log_probabilities, -np.log(5) * lengths, rtol=1e-5
  )


def test_sequences_that_do_not_end_are_incomplete():
  model = _MODELS["lstm"]
  weights = _certain_weights(model, {_END: -60.0})
  drawn = generation.sample(model, weights, 50, length=4, seed=0)
  assert np.all(drawn.ids > _END)
  np.testing.assert_allclose(drawn.log_probabilities, -4 * np.log(4), rtol=1e-5)
  # A shorter beginning is scored as such.
  shorter = np.array([[4, 5, _PAD, _PAD]])
  np.testing.assert_allclose(
    generation.log_probability(model, weights, shorter), -2 * np.log(4)
  )


def test_drawing_stops_when_all_have_ended():
  model = _MODELS["lstm"]
  weights = _certain_weights(model, {_END: 60.0})
  drawn = generation.sample(model, weights, 10, length=4, seed=0)
  np.testing.assert_array_equal(drawn.ids, [[_END, _PAD, _PAD, _PAD]] * 10)
  np.testing.assert_allclose(drawn.log_probabilities, 0, atol=1e-6)


def test_draws_follow_the_seed():
  model = _MODELS["lstm"]
  weights = _random_weights(model)

  def draw(seed):
    return generation.sample(model, weights, 200, length=8, seed=seed)

  first, again, other = draw(1), draw(1), draw(2)
  np.testing.assert_array_equal(first.ids, again.ids)
  np.testing.assert_array_equal(
    first.log_probabilities, again.log_probabilities
  )
  assert np.mean(np.any(first.ids != other.ids, axis=1)) > 0.5


def test_several_chunks_are_independent_draws(monkeypatch):
  monkeypatch.setattr(generation, "_MAX_DRAWN", 4000)
  monkeypatch.setattr(generation, "_MAX_SCORED", 7)
  model = _MODELS["lstm"]
  weights = _random_weights(model)
  drawn = generation.sample(model, weights, 18_000, length=_LENGTH, seed=3)
  assert drawn.ids.shape == (18_000, _LENGTH)
  chunks = np.split(drawn.ids[:16_000], 4)
  for one, two in itertools.combinations(chunks, 2):
    assert not np.array_equal(one, two)
  probabilities = _probabilities(model, weights)
  assert _chi_square_p_value(drawn.ids, probabilities) > 1e-3
  np.testing.assert_allclose(
    generation.log_probability(model, weights, drawn.ids[:100]),
    drawn.log_probabilities[:100],
    atol=1e-5,
  )


def test_no_samples_are_legal():
  model = _MODELS["lstm"]
  weights = _random_weights(model)
  drawn = generation.sample(model, weights, 0, length=3, seed=0)
  assert drawn.ids.shape == (0, 3)
  assert drawn.log_probabilities.shape == (0,)
  assert generation.log_probability(model, weights, drawn.ids).shape == (0,)


def test_five_words_are_learnt_and_found_again():
  words = ["i am", "regex", "div", "nginx", "dtype"]
  characters = sorted(set("".join(words)))
  length = 6
  rows = np.zeros((len(words), length), np.int32)
  for row, word in zip(rows, words):
    row[: len(word)] = [
      token_ids.FIRST + characters.index(character) for character in word
    ]
    row[len(word)] = _END
  inputs = np.concatenate(
    [np.full((len(words), 1), _START, np.int32), rows[:, :-1]], axis=1
  )
  # What follows END is PAD on both sides.
  inputs[inputs == _END] = _PAD

  model = language_model.LanguageModel(
    token_ids.FIRST + len(characters), embedding=16, units=32
  )
  functional = model.as_functional_model(length, seed=0)
  variables = [tf.Variable(w) for w in functional.initial_weights[0]]
  optimizer = tf.keras.optimizers.Adam(0.02)

  @tf.function
  def train():
    with tf.GradientTape() as tape:
      output = functional.predict_on_batch((variables, ()), inputs, True)
      loss = functional.loss(output, tf.constant(rows))
    gradients = tape.gradient(loss, variables)
    optimizer.apply_gradients(zip(gradients, variables))

  for _ in range(200):
    train()
  weights = [v.numpy() for v in variables]
  probabilities = np.exp(generation.log_probability(model, weights, rows))
  assert np.sum(probabilities) > 0.95
  assert np.min(probabilities) > 0.1
  drawn = generation.sample(model, weights, 1000, length=length, seed=0)
  ids, _ = generation.most_probable(model, weights, drawn.ids, len(words))
  assert sorted(ids.tolist()) == sorted(rows.tolist())


@pytest.mark.parametrize(
  "changes, message",
  [
    (dict(num_samples=-1), "num_samples must be at least 0, got -1"),
    (dict(length=0), "length must be at least 1, got 0"),
    (dict(seed=-1), "seed must be in .* got -1"),
    (dict(seed=2**31), "seed must be in .* got 2147483648"),
    (dict(temperature=0.0), "temperature must be positive .* got 0.0"),
    (dict(temperature=float("nan")), "temperature must be positive .* got nan"),
    (dict(temperature=float("inf")), "temperature must be positive .* got inf"),
  ],
)
def test_bad_numbers_are_named(changes, message):
  model = _MODELS["lstm"]
  arguments = dict(num_samples=1, length=2, seed=0)
  with pytest.raises(ValueError, match=message):
    generation.sample(model, _random_weights(model), **{**arguments, **changes})


def test_weights_of_another_model_are_refused():
  weights = _random_weights(_MODELS["cifg"])
  with pytest.raises(ValueError, match="weights must have the model's shapes"):
    generation.sample(_MODELS["lstm"], weights, 1, length=2, seed=0)


@pytest.mark.parametrize(
  "ids, message",
  [
    (np.array([4, _END]), "ids must be integers of shape"),
    (np.array([[4.0, 2.0]]), "ids must be integers of shape"),
    (np.array([[4, 7]]), "ids must be in .0, 7., got values from 4 to 7"),
    (np.array([[-1, 2]]), "ids must be in .* from -1 to 2"),
    (np.array([[_START, 4]]), "ids must not hold START"),
    (np.array([[_END, 4]]), "ids must be PAD after END or PAD"),
    (np.array([[_PAD, 4]]), "ids must be PAD after END or PAD"),
    (np.array([[_END, _END]]), "ids must be PAD after END or PAD"),
  ],
)
def test_bad_ids_are_named(ids, message):
  model = _MODELS["lstm"]
  weights = _random_weights(model)
  with pytest.raises(ValueError, match=message):
    generation.log_probability(model, weights, ids)
  with pytest.raises(ValueError, match=message):
    generation.most_probable(model, weights, ids, 1)


def test_most_probable_wants_a_number():
  model = _MODELS["lstm"]
  with pytest.raises(ValueError, match="k must be at least 0, got -1"):
    generation.most_probable(
      model, _random_weights(model), np.array([[_END]]), -1
    )
