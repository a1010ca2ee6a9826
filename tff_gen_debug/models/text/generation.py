"""What a language model writes: draws, their probabilities, the likeliest.

Words are found as Chen et al. (2019, arXiv 1903.10635) find them: many
independent Monte-Carlo draws, whose distinct words are then ordered by their
joint probability under the model.

A sequence is complete when it ends with END. PAD and START are never drawn: at
each position the model's probabilities are those of the other tokens, divided
by their sum. So the probabilities of all complete sequences of at most `length`
tokens and of all `length` tokens long beginnings without END sum to 1.

All of this is post-processing of the weights: it costs no privacy beyond what
their training cost.
"""

import functools
from typing import Any, NamedTuple, Sequence, Tuple

import numpy as np
import tensorflow as tf

from tff_gen_debug import token_ids
from tff_gen_debug.models.text import language_model

# What one call of a graph works on, which bounds its memory to some hundred MB:
# sequences, as a char-LM of 256 units holds some 10 kB of each, and logits.
_MAX_DRAWN = 16384
_MAX_SCORED = 512
_MAX_LOGITS = 2**22


class Samples(NamedTuple):
  """Sequences that a model drew.

  Attributes:
    ids: int32 array `[n, length]` without START: tokens, END, then PAD. An
      incomplete sequence has `length` tokens and no END.
    log_probabilities: float32 array `[n]`, natural logarithms of the joint
      probability of the tokens up to END; of an incomplete sequence those of
      its tokens, that is of beginning so.
  """

  ids: np.ndarray
  log_probabilities: np.ndarray


def sample(
  model: language_model.LanguageModel,
  weights: Sequence[Any],
  num_samples: int,
  *,
  length: int,
  seed: int,
  temperature: float = 1.0,
) -> Samples:
  """Draws independent sequences, token by token.

  Args:
    model: The model.
    weights: float32 tensors or arrays of `model.weight_shapes`.
    num_samples: Number of sequences, >= 0.
    length: The most tokens of a sequence, END included, >= 1.
    seed: An integer in [0, 2**31); the same seed gives the same sequences.
    temperature: Positive; the logits are divided by it for the draws. Below 1
      it favours likely tokens. The log probabilities are always the model's
      own, without temperature, so that they compare across temperatures.

  Returns:
    The sequences, in no order that means anything.

  Raises:
    ValueError: If a number is out of its range or the weights have other
      shapes than the model's.
  """
  if num_samples < 0:
    raise ValueError(f"num_samples must be at least 0, got {num_samples}")
  if length < 1:
    raise ValueError(f"length must be at least 1, got {length}")
  if not 0 <= seed < 2**31:
    raise ValueError(f"seed must be in [0, 2**31), got {seed}")
  if not (temperature > 0 and np.isfinite(temperature)):
    raise ValueError(
      f"temperature must be positive and finite, got {temperature}"
    )
  tensors = _weight_tensors(model, weights)
  draw = _build_draw(model, length)
  size = min(_MAX_DRAWN, max(1, _MAX_LOGITS // model.num_tokens))
  ids = [np.zeros((0, length), np.int32)]
  log_probabilities = [np.zeros(0, np.float32)]
  for chunk, start in enumerate(range(0, num_samples, size)):
    some_ids, some_log_probabilities = draw(
      tensors,
      tf.constant(min(size, num_samples - start)),
      tf.constant([seed, chunk]),
      tf.constant(temperature, tf.float32),
    )
    ids.append(some_ids.numpy())
    log_probabilities.append(some_log_probabilities.numpy())
  return Samples(np.concatenate(ids), np.concatenate(log_probabilities))


def log_probability(
  model: language_model.LanguageModel, weights: Sequence[Any], ids: Any
) -> np.ndarray:
  """The joint log probability of given sequences.

  Args:
    model: The model.
    weights: float32 tensors or arrays of `model.weight_shapes`.
    ids: Integer array `[n, length]`, rows as in `Samples.ids`; n = 0 is legal.
      A row without END may also be shorter than `length`, with PAD after it.

  Returns:
    float64 array `[n]` as in `Samples.log_probabilities`; the logits are
    float32, what follows them is float64.

  Raises:
    ValueError: If a row holds START, an id outside of [0, num_tokens), or
      anything but PAD after END or PAD; or if the weights have other shapes
      than the model's.
  """
  ids = _checked_ids(model, ids)
  tensors = _weight_tensors(model, weights)
  score = _build_score(model)
  logits = model.num_tokens * max(1, ids.shape[1])
  size = min(_MAX_SCORED, max(1, _MAX_LOGITS // logits))
  result = [np.zeros(0)]
  for start in range(0, len(ids), size):
    some = tf.constant(ids[start : start + size])
    result.append(score(tensors, some).numpy())
  return np.concatenate(result)


def most_probable(
  model: language_model.LanguageModel,
  weights: Sequence[Any],
  ids: Any,
  k: int,
) -> Tuple[np.ndarray, np.ndarray]:
  """The likeliest distinct sequences among draws.

  Args:
    model: The model.
    weights: float32 tensors or arrays of `model.weight_shapes`.
    ids: Integer array `[n, length]`, rows as in `Samples.ids`. Incomplete
      sequences are left out, the empty one (END at once) is not.
    k: The most sequences to return, >= 0.

  Returns:
    Ids int32 `[k', length]` and log probabilities float64 `[k']`, as
    `log_probability` gives them, best first; k' <= k. Equally probable
    sequences are in the order of their ids.

  Raises:
    ValueError: If `k` is negative, and as in `log_probability`.
  """
  if k < 0:
    raise ValueError(f"k must be at least 0, got {k}")
  ids = _checked_ids(model, ids)
  complete = ids[(ids == token_ids.END).any(axis=1)]
  distinct = np.unique(complete, axis=0)
  log_probabilities = log_probability(model, weights, distinct)
  best = np.argsort(-log_probabilities, kind="stable")[:k]
  return distinct[best], log_probabilities[best]


@functools.cache
def _build_draw(model: language_model.LanguageModel, length: int) -> Any:
  """The graph of `sample` for one chunk."""
  num_choices = model.num_tokens - token_ids.END

  @tf.function
  def draw(weights, num_samples, seed, temperature):
    columns = tf.TensorArray(tf.int32, length, element_shape=[None])
    log_probabilities = tf.zeros([num_samples])
    # Only sequences that have not ended are worked on, and of those that begin
    # alike the model reads one: words are shorter than the longest of them, and
    # few beginnings are likely.
    running = tf.range(num_samples)
    beginnings = tf.zeros([num_samples], tf.int64)
    last = tf.fill([tf.minimum(num_samples, 1)], token_ids.START)
    state = model.initial_state(tf.minimum(num_samples, 1))
    position = 0
    while position < length and tf.size(running) > 0:
      logits, state = model.step(weights, state, last)
      logits = logits[:, token_ids.END :]
      choices = tf.random.stateless_categorical(
        tf.gather(logits / temperature, beginnings),
        1,
        tf.random.experimental.stateless_fold_in(seed, position),
        tf.int64,
      )[:, 0]
      tokens = tf.cast(choices, tf.int32) + token_ids.END
      rows = running[:, tf.newaxis]
      columns = columns.write(
        position, tf.scatter_nd(rows, tokens, [num_samples])
      )
      log_probabilities = tf.tensor_scatter_nd_add(
        log_probabilities,
        rows,
        tf.gather_nd(
          tf.nn.log_softmax(logits), tf.stack([beginnings, choices], axis=1)
        ),
      )
      runs_on = tf.not_equal(tokens, token_ids.END)
      running = tf.boolean_mask(running, runs_on)
      # A beginning and the token after it make a number of their own.
      longer, beginnings = tf.unique(
        tf.boolean_mask(beginnings * num_choices + choices, runs_on), tf.int64
      )
      last = tf.cast(longer % num_choices, tf.int32) + token_ids.END
      state = tuple(tf.gather(s, longer // num_choices) for s in state)
      position += 1
    while position < length:
      columns = columns.write(position, tf.fill([num_samples], token_ids.PAD))
      position += 1
    return tf.transpose(columns.stack()), log_probabilities

  return draw


@functools.cache
def _build_score(model: language_model.LanguageModel) -> Any:
  """The graph of `log_probability` for one chunk."""

  @tf.function(reduce_retracing=True)
  def score(weights, ids):
    start = tf.fill([tf.shape(ids)[0], 1], token_ids.START)
    inputs = tf.concat([start, ids[:, :-1]], axis=1)
    logits = model.logits(weights, inputs)[:, :, token_ids.END :]
    drawn = tf.not_equal(ids, token_ids.PAD)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
      labels=tf.where(drawn, ids - token_ids.END, 0),
      logits=tf.cast(logits, tf.float64),
    )
    return -tf.reduce_sum(tf.where(drawn, losses, 0), axis=1)

  return score


def _weight_tensors(
  model: language_model.LanguageModel, weights: Sequence[Any]
) -> Tuple[tf.Tensor, ...]:
  tensors = tuple(tf.convert_to_tensor(w, tf.float32) for w in weights)
  shapes = [tuple(w.shape) for w in tensors]
  if shapes != model.weight_shapes:
    raise ValueError(
      f"weights must have the model's shapes {model.weight_shapes}, got "
      f"{shapes}"
    )
  return tensors


def _checked_ids(model: language_model.LanguageModel, ids: Any) -> np.ndarray:
  ids = np.asarray(ids)
  if ids.ndim != 2 or not np.issubdtype(ids.dtype, np.integer):
    raise ValueError(
      "ids must be integers of shape [n, length], got "
      f"{ids.dtype} of shape {ids.shape}"
    )
  if ids.size and not 0 <= ids.min() <= ids.max() < model.num_tokens:
    raise ValueError(
      f"ids must be in [0, {model.num_tokens}), got values from {ids.min()} to "
      f"{ids.max()}"
    )
  if (ids == token_ids.START).any():
    raise ValueError("ids must not hold START, which is never drawn")
  closed = (ids == token_ids.END) | (ids == token_ids.PAD)
  if (closed[:, :-1] & (ids[:, 1:] != token_ids.PAD)).any():
    raise ValueError("ids must be PAD after END or PAD")
  return ids.astype(np.int32)
