"""Tests of the language models: the whole function, its gradients, its loss."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug import token_ids
from tff_gen_debug.models.text import language_model

_MODELS = {
  "lstm": language_model.LanguageModel(7, embedding=5, units=6),
  "lstm projected": language_model.LanguageModel(
    7, embedding=5, units=6, projection=4
  ),
  "cifg": language_model.LanguageModel(7, embedding=5, cell="cifg", units=6),
  "cifg projected": language_model.LanguageModel(
    7, embedding=5, cell="cifg", units=6, projection=4
  ),
}

each_model = pytest.mark.parametrize(
  "model", list(_MODELS.values()), ids=list(_MODELS)
)


def _random_weights(model, seed=0, scale=0.7):
  """Weights that are all different, biases and peepholes too."""
  rng = np.random.default_rng(seed)
  return tuple(
    rng.normal(scale=scale, size=shape).astype(np.float32)
    for shape in model.weight_shapes
  )


def _sigmoid(x):
  return 1 / (1 + np.exp(-x))


def _reference_logits(model, weights, ids):
  """One sequence and one token at a time, in float64."""
  weights = [np.asarray(w, np.float64) for w in weights]
  embedding, rest = weights[0], weights[1:]
  result = np.zeros((*np.shape(ids), model.num_tokens))
  for row, sequence in enumerate(ids):
    cell = np.zeros(model.units)
    output = None
    for position, token in enumerate(sequence):
      x = embedding[token]
      if model.cell == "lstm":
        kernel, bias = rest[:2]
        output = np.zeros(model.units) if output is None else output
        z = np.concatenate([x, output]) @ kernel + bias
        i, c, f, o = z.reshape(4, model.units)
        cell = _sigmoid(f) * cell + _sigmoid(i) * np.tanh(c)
        output = _sigmoid(o) * np.tanh(cell)
        dense = rest[2:]
      else:
        kernel, recurrent, bias, forget_peephole, output_peephole = rest[:5]
        width = model.projection or model.units
        output = np.zeros(width) if output is None else output
        f, c, o = (x @ kernel + output @ recurrent + bias).reshape(3, -1)
        f = _sigmoid(f + forget_peephole * cell)
        cell = f * cell + (1 - f) * np.tanh(c)
        output = _sigmoid(o + output_peephole * cell) * np.tanh(cell)
        dense = rest[5:]
        if model.projection:
          output = output @ dense[0]
          dense = dense[1:]
      top = output
      for kernel, bias in zip(dense[::2], dense[1::2]):
        top = top @ kernel + bias
      result[row, position] = top
  return result


def _reference_loss(model, weights, ids, targets):
  logits = _reference_logits(model, weights, ids)
  normalizer = np.log(np.exp(logits).sum(axis=-1))
  losses = [
    normalizer[row, position] - logits[row, position, target]
    for (row, position), target in np.ndenumerate(targets)
    if target != token_ids.PAD
  ]
  return np.mean(losses)


_IDS = np.array([[1, 4, 5, 6, 4], [1, 6, 3, 0, 0], [1, 0, 0, 0, 0]], np.int32)
_TARGETS = np.array(
  [[4, 5, 6, 4, 2], [6, 3, 2, 0, 0], [2, 0, 0, 0, 0]], np.int32
)


@each_model
@pytest.mark.parametrize("batch_size", [0, 1, 3])
def test_logits_are_those_of_the_slow_reference(model, batch_size):
  weights = _random_weights(model)
  ids = _IDS[:batch_size]
  logits = model.logits(weights, ids)
  assert logits.shape == (batch_size, 5, 7)
  np.testing.assert_allclose(
    logits, _reference_logits(model, weights, ids), rtol=1e-4, atol=1e-5
  )


@each_model
def test_stepping_gives_the_logits_of_the_whole_sequence(model):
  weights = _random_weights(model)
  whole = model.logits(weights, _IDS).numpy()
  state = model.initial_state(len(_IDS))
  for position in range(_IDS.shape[1]):
    logits, state = model.step(weights, state, _IDS[:, position])
    np.testing.assert_allclose(logits, whole[:, position], rtol=0, atol=1e-6)


@each_model
def test_padding_and_later_tokens_touch_no_earlier_logits(model):
  weights = _random_weights(model)
  whole = model.logits(weights, _IDS).numpy()
  short = model.logits(weights, _IDS[:, :3]).numpy()
  np.testing.assert_allclose(whole[:, :3], short, rtol=0, atol=1e-6)


@each_model
def test_gradients_are_finite_differences_of_the_reference(model):
  weights = _random_weights(model)
  functional = model.as_functional_model(5)
  variables = tuple(tf.constant(w) for w in weights)
  with tf.GradientTape() as tape:
    tape.watch(variables)
    output = functional.predict_on_batch((variables, ()), _IDS, True)
    loss = functional.loss(output, tf.constant(_TARGETS))
  gradients = [
    tf.convert_to_tensor(g).numpy() for g in tape.gradient(loss, variables)
  ]
  assert float(loss) == pytest.approx(
    _reference_loss(model, weights, _IDS, _TARGETS), rel=1e-5
  )
  rng = np.random.default_rng(1)
  for index, gradient in enumerate(gradients):
    assert gradient.shape == model.weight_shapes[index]
    # Along a random direction, so that every entry counts.
    direction = rng.normal(size=gradient.shape)
    losses = []
    for step in (1e-5, -1e-5):
      moved = [np.asarray(w, np.float64) for w in weights]
      moved[index] = moved[index] + step * direction
      losses.append(_reference_loss(model, moved, _IDS, _TARGETS))
    slope = (losses[0] - losses[1]) / 2e-5
    assert np.sum(gradient * direction) == pytest.approx(
      slope, rel=1e-3, abs=1e-5
    )


@each_model
def test_each_gradient_entry_of_the_recurrence_is_right(model):
  weights = _random_weights(model)
  tensors = [tf.constant(w) for w in weights]
  with tf.GradientTape() as tape:
    tape.watch(tensors)
    logits = model.logits(tensors, _IDS)
    loss = tf.reduce_sum(tf.square(logits))
  gradient = tape.gradient(loss, tensors[1]).numpy()
  rng = np.random.default_rng(2)
  for _ in range(12):
    entry = tuple(rng.integers(gradient.shape))
    losses = []
    for step in (1e-5, -1e-5):
      moved = [np.asarray(w, np.float64) for w in weights]
      moved[1][entry] += step
      losses.append(np.sum(_reference_logits(model, moved, _IDS) ** 2))
    slope = (losses[0] - losses[1]) / 2e-5
    assert gradient[entry] == pytest.approx(slope, rel=1e-3, abs=1e-3)


@each_model
def test_an_empty_batch_has_no_loss_and_zero_gradients(model):
  functional = model.as_functional_model(5)
  weights = tuple(tf.constant(w) for w in _random_weights(model))

  @tf.function(
    input_signature=[tf.TensorSpec((None, 5), tf.int32) for _ in range(2)]
  )
  def gradients_of(inputs, targets):
    with tf.GradientTape() as tape:
      tape.watch(weights)
      output = functional.predict_on_batch((weights, ()), inputs, True)
      loss = functional.loss(output, targets)
    return loss, [tf.convert_to_tensor(g) for g in tape.gradient(loss, weights)]

  # More than once: memory that nobody initialised is sometimes zero.
  for _ in range(5):
    gradients_of(_IDS, _TARGETS)
    loss, gradients = gradients_of(_IDS[:0], _TARGETS[:0])
    assert float(loss) == 0
    assert not any(np.any(g.numpy()) for g in gradients)


def test_lstm_is_keras_lstm():
  model = _MODELS["lstm projected"]
  weights = _random_weights(model)
  layers = tf.keras.layers
  keras = tf.keras.Sequential(
    [
      layers.Embedding(7, 5, input_length=5),
      layers.LSTM(6, return_sequences=True),
      layers.Dense(4),
      layers.Dense(7),
    ]
  )
  embedding, kernel, bias, *dense = weights
  # Keras has the forget gate's columns before the candidate's.
  columns = np.r_[0:6, 12:18, 6:12, 18:24]
  kernel, bias = kernel[:, columns], bias[columns]
  keras.set_weights([embedding, kernel[:5], kernel[5:], bias, *dense])
  np.testing.assert_allclose(
    model.logits(weights, _IDS), keras(_IDS), rtol=1e-4, atol=1e-5
  )


def test_the_baseline_has_its_number_of_weights():
  # Embedding 10,004 x 96; LSTM 4 x 670 x (96 + 670 + 1); 670 x 96 + 96; 97 x
  # 10,004: the 4,050,748 that the benchmark's papers print.
  shapes = language_model.stack_overflow_word_lm().weight_shapes
  total = sum(int(np.prod(shape)) for shape in shapes)
  assert total == 960_384 + 2_055_560 + 64_416 + 970_388 == 4_050_748


@pytest.mark.parametrize(
  "preset",
  [
    language_model.small_word_lm,
    language_model.char_lm,
    language_model.cifg_char_lm,
  ],
)
def test_presets_run(preset):
  model = preset(9)
  weights = model.initial_weights(seed=0)
  assert [w.shape for w in weights] == model.weight_shapes
  assert model.logits(weights, np.ones((2, 3), np.int32)).shape == (2, 3, 9)


@each_model
def test_initial_weights_follow_the_seed(model):
  first, again, other = (model.initial_weights(seed) for seed in (1, 1, 2))
  assert all(np.array_equal(a, b) for a, b in zip(first, again))
  assert not np.array_equal(first[0], other[0])
  assert {w.dtype for w in first} == {np.dtype(np.float32)}
  assert 0.04 < np.abs(first[0]).max() <= 0.05


def test_initial_lstm_is_glorot_orthogonal_and_remembers():
  _, kernel, bias, *_ = _MODELS["lstm"].initial_weights(seed=3)
  limit = np.sqrt(6 / (5 + 24))
  assert 0.9 * limit < np.abs(kernel[:5]).max() <= limit
  recurrent = kernel[5:]
  np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(6), atol=1e-6)
  np.testing.assert_array_equal(bias, [0] * 12 + [1] * 6 + [0] * 6)


def test_initial_cifg_is_orthogonal_without_peepholes_and_remembers():
  model = _MODELS["cifg projected"]
  _, _, recurrent, bias, *peepholes, _, _, _ = model.initial_weights(seed=3)
  np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(4), atol=1e-6)
  np.testing.assert_array_equal(bias, [1] * 6 + [0] * 12)
  assert [p.shape for p in peepholes] == [(6,), (6,)]
  assert not np.any(peepholes)


def test_loss_is_the_mean_over_real_targets():
  functional = _MODELS["lstm"].as_functional_model(3)
  # Probability 1/7 at each position but one, of which it is 1/2: 6 other
  # tokens of weight 1 and one of weight 6.
  output = np.zeros((2, 3, 7), np.float32)
  output[1, 0, 4] = np.log(6)
  targets = tf.constant([[4, 2, 0], [4, 0, 0]])
  expected = (np.log(7) + np.log(7) + np.log(2)) / 3
  assert float(functional.loss(output, targets)) == pytest.approx(expected)
  nothing = tf.zeros([2, 3], tf.int32)
  assert float(functional.loss(output, nothing)) == 0


def test_weights_of_sequences_weigh_the_loss():
  functional = _MODELS["lstm"].as_functional_model(3)
  output = np.zeros((2, 3, 7), np.float32)
  output[1, 0, 4] = np.log(6)
  targets = tf.constant([[4, 2, 0], [4, 0, 0]])

  def loss(weights):
    return float(functional.loss(output, targets, tf.constant(weights)))

  assert loss([1.0, 0.0]) == pytest.approx(np.log(7))
  assert loss([0.0, 1.0]) == pytest.approx(np.log(2))
  assert loss([1.0, 2.0]) == pytest.approx((2 * np.log(7) + 2 * np.log(2)) / 4)
  assert loss([0.0, 0.0]) == 0


def test_functional_model_has_no_metrics_and_its_initial_weights():
  model = _MODELS["lstm"]
  functional = model.as_functional_model(3, seed=4)
  trainable, non_trainable = functional.initial_weights
  assert non_trainable == ()
  expected = model.initial_weights(4)
  assert all(np.array_equal(a, b) for a, b in zip(trainable, expected))
  assert not functional.finalize_metrics(functional.initialize_metrics_state())


@pytest.mark.parametrize(
  "changes, message",
  [
    (dict(num_tokens=2), "num_tokens must be greater than 2"),
    (dict(cell="gru"), "cell must be one of .*'gru'"),
    (dict(embedding=0), "embedding must be at least 1, got 0"),
    (dict(units=0), "units must be at least 1, got 0"),
    (dict(projection=-1), "projection must be at least 0, got -1"),
  ],
)
def test_bad_sizes_are_named(changes, message):
  with pytest.raises(ValueError, match=message):
    language_model.LanguageModel(**{"num_tokens": 7, **changes})


def test_bad_lengths_are_named():
  with pytest.raises(ValueError, match="length must be at least 1, got 0"):
    _MODELS["lstm"].as_functional_model(0)


def test_cifg_wants_a_static_length():
  model = _MODELS["cifg"]
  weights = _random_weights(model)

  @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)])
  def logits(ids):
    return model.logits(weights, ids)

  with pytest.raises(ValueError, match="static number of steps"):
    logits(_IDS)


# Clients of one batch each count equally in FedAvg, by their numbers of
# sequences in FedSGD.
@pytest.mark.parametrize("cell", ["lstm", "cifg"])
@pytest.mark.parametrize(
  "build, shares",
  [
    (tff.learning.algorithms.build_unweighted_fed_avg, (1 / 2, 1 / 2)),
    (tff.learning.algorithms.build_fed_sgd, (2 / 3, 1 / 3)),
  ],
  ids=["fed avg", "fed sgd"],
)
def test_a_round_of_stock_tff_is_a_step_of_sgd(
  tff_runtime, cell, build, shares
):
  model = language_model.LanguageModel(7, embedding=5, cell=cell, units=6)
  process = build(
    model.as_functional_model(5, seed=1),
    tff.learning.optimizers.build_sgdm(0.5),
  )
  batches = [(_IDS[:2], _TARGETS[:2]), (_IDS[2:], _TARGETS[2:])]
  state = process.next(
    process.initialize(),
    [tf.data.Dataset.from_tensors(batch) for batch in batches],
  ).state
  trained = process.get_model_weights(state).trainable

  initial = model.initial_weights(1)
  expected = [np.array(w, np.float64) for w in initial]
  for share, (inputs, targets) in zip(shares, batches):
    tensors = tuple(tf.constant(w) for w in initial)
    with tf.GradientTape() as tape:
      tape.watch(tensors)
      losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=targets, logits=model.logits(tensors, inputs)
      )
      loss = tf.reduce_mean(losses[targets != token_ids.PAD])
    for index, gradient in enumerate(tape.gradient(loss, tensors)):
      expected[index] -= 0.5 * share * tf.convert_to_tensor(gradient).numpy()
  for have, want in zip(trained, expected):
    np.testing.assert_allclose(have, want, rtol=1e-4, atol=1e-6)
