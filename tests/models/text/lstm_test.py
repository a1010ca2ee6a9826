"""Tests of the LSTM's gradient with respect to each of its arguments."""

import numpy as np
import pytest
import tensorflow as tf

from tff_gen_debug.models.text import lstm

_STEPS, _BATCH, _INPUTS, _UNITS = 4, 3, 2, 5
_SHAPES = {
  "inputs": (_STEPS, _BATCH, _INPUTS),
  "cells": (_BATCH, _UNITS),
  "outputs": (_BATCH, _UNITS),
  "kernel": (_INPUTS + _UNITS, 4 * _UNITS),
  "bias": (4 * _UNITS,),
}


def _random(shapes, seed):
  rng = np.random.default_rng(seed)
  return {
    name: rng.normal(scale=0.7, size=shape) for name, shape in shapes.items()
  }


def _sigmoid(x):
  return 1 / (1 + np.exp(-x))


def _reference(inputs, cells, outputs, kernel, bias):
  """The docstring's equations, a step at a time, in float64."""
  every = []
  for x in inputs:
    z = np.concatenate([x, outputs], axis=1) @ kernel + bias
    i, candidate, f, o = np.split(z, 4, axis=1)
    cells = _sigmoid(f) * cells + _sigmoid(i) * np.tanh(candidate)
    outputs = _sigmoid(o) * np.tanh(cells)
    every.append(outputs)
  return {"every": np.array(every), "cells": cells, "outputs": outputs}


def _unroll(inputs, cells, outputs, kernel, bias):
  every, (cells, outputs) = lstm.LSTM(_UNITS).unroll(
    (kernel, bias), inputs, (cells, outputs)
  )
  return {"every": every, "cells": cells, "outputs": outputs}


def _gradients(arguments, factors):
  """Gradients by name of the results' sum, each weighed by its factor."""
  with tf.GradientTape() as tape:
    tape.watch(arguments)
    results = _unroll(**arguments)
    loss = tf.add_n(
      [tf.reduce_sum(results[name] * f) for name, f in factors.items()]
    )
  return tape.gradient(loss, arguments)


def _tensors(arrays):
  return {
    name: tf.constant(array, tf.float32) for name, array in arrays.items()
  }


# Each result alone too: a term that one of them lacks must not hide.
@pytest.mark.parametrize(
  "results", [("every",), ("cells",), ("outputs",), ("every", "cells")]
)
@pytest.mark.parametrize("steps", [1, _STEPS])
@pytest.mark.parametrize("traced", [False, True])
def test_gradients_are_finite_differences_of_the_reference(
  results, steps, traced
):
  shapes = {**_SHAPES, "inputs": (steps, _BATCH, _INPUTS)}
  arguments = _random(shapes, seed=0)
  values = _reference(**arguments)
  factors = _random({name: values[name].shape for name in results}, seed=1)

  def loss(moved):
    values = _reference(**moved)
    return sum(np.sum(values[name] * f) for name, f in factors.items())

  compute = tf.function(_gradients) if traced else _gradients
  gradients = compute(_tensors(arguments), _tensors(factors))
  assert set(gradients) == set(arguments)
  for name, gradient in gradients.items():
    assert gradient.shape == arguments[name].shape
    expected = np.zeros(gradient.shape)
    for entry in np.ndindex(*gradient.shape):
      losses = []
      for step in (1e-5, -1e-5):
        moved = dict(arguments)
        moved[name] = moved[name].copy()
        moved[name][entry] += step
        losses.append(loss(moved))
      expected[entry] = (losses[0] - losses[1]) / 2e-5
    np.testing.assert_allclose(
      gradient, expected, rtol=1e-4, atol=2e-6, err_msg=name
    )


@pytest.mark.parametrize("batch_size", [0, 1, 3])
def test_results_are_those_of_the_reference(batch_size):
  arguments = _random(_SHAPES, seed=2)
  arguments["inputs"] = arguments["inputs"][:, :batch_size]
  for name in ("cells", "outputs"):
    arguments[name] = arguments[name][:batch_size]
  results = _unroll(**_tensors(arguments))
  for name, expected in _reference(**arguments).items():
    assert results[name].shape == expected.shape
    np.testing.assert_allclose(results[name], expected, rtol=1e-5, atol=1e-6)


def test_an_empty_batch_has_zero_gradients():
  arguments = _random(_SHAPES, seed=3)
  arguments["inputs"] = arguments["inputs"][:, :0]
  for name in ("cells", "outputs"):
    arguments[name] = arguments[name][:0]
  gradients = _gradients(
    _tensors(arguments), {"every": tf.zeros([_STEPS, 0, _UNITS])}
  )
  for name, gradient in gradients.items():
    np.testing.assert_array_equal(gradient, np.zeros(arguments[name].shape))


def test_an_unknown_number_of_steps_has_results_but_no_gradient():
  arguments = _tensors(_random(_SHAPES, seed=4))
  inputs = arguments.pop("inputs")
  signature = [tf.TensorSpec((None, _BATCH, _INPUTS))]

  @tf.function(input_signature=signature)
  def run(inputs):
    return _unroll(inputs, **arguments)["every"]

  @tf.function(input_signature=signature)
  def differentiate(inputs):
    with tf.GradientTape() as tape:
      tape.watch(inputs)
      results = _unroll(inputs, **arguments)["every"]
    return tape.gradient(results, inputs)

  np.testing.assert_allclose(
    run(inputs), _unroll(inputs, **arguments)["every"], rtol=0, atol=1e-6
  )
  with pytest.raises(ValueError, match="static number of steps.*None, 3, 2"):
    differentiate(inputs)
