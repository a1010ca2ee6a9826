"""Recurrent language models over words or characters, as pure functions.

Embedding - LSTM or CIFG-LSTM - optional projection - logits. A sequence is read
as token ids (see `token_ids`): its inputs begin with START, its targets are the
inputs one step ahead and close with END, and PAD fills what follows.

Two uses in Augenstein et al. (2020, arXiv 1911.06679, section 4): a word model
shows where out-of-vocabulary words occur, a character model trained on nothing
but those words shows what they are.
"""

import dataclasses
from typing import Any, List, Sequence, Tuple, Union

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug import token_ids
from tff_gen_debug.models.text import cifg
from tff_gen_debug.models.text import initializers
from tff_gen_debug.models.text import lstm

_CELLS = ("lstm", "cifg")

# Keras's default for embeddings.
_EMBEDDING_LIMIT = 0.05


@dataclasses.dataclass(frozen=True)
class LanguageModel:
  """Sizes of a language model, and its functions of plain weights.

  All functions are compositions of plain TensorFlow operations without nested
  `tf.function`s, so they may be unrolled in a client's computation at no cost
  beyond their arithmetic. They read a sequence from left to right only: what
  follows a token, PAD too, does not touch its logits.

  Attributes:
    num_tokens: Number of token ids, special ones included, > `token_ids.END`.
    embedding: Width of the embedding, >= 1.
    cell: `lstm`, or `cifg` for coupled gates with peepholes.
    units: Units of the recurrent layer, >= 1.
    projection: With `lstm`, the width of a linear layer between the recurrence
      and the logits; with `cifg`, of the recurrent projection. 0 for none.
  """

  num_tokens: int
  embedding: int = 96
  cell: str = "lstm"
  units: int = 256
  projection: int = 0

  def __post_init__(self):
    if self.num_tokens <= token_ids.END:
      raise ValueError(
        f"num_tokens must be greater than {token_ids.END}, the id of END, got "
        f"{self.num_tokens}"
      )
    if self.cell not in _CELLS:
      raise ValueError(f"cell must be one of {_CELLS}, got {self.cell!r}")
    for name, least in (("embedding", 1), ("units", 1), ("projection", 0)):
      if getattr(self, name) < least:
        raise ValueError(
          f"{name} must be at least {least}, got {getattr(self, name)}"
        )

  @property
  def _recurrence(self) -> Union[lstm.LSTM, cifg.CIFG]:
    if self.cell == "cifg":
      return cifg.CIFG(self.units, self.projection)
    return lstm.LSTM(self.units)

  @property
  def _dense_shapes(self) -> List[Tuple[int, int]]:
    """Shapes of the kernels between the recurrence and the logits."""
    widths = [self._recurrence.outputs]
    if self.projection and self.cell == "lstm":
      widths.append(self.projection)
    widths.append(self.num_tokens)
    return list(zip(widths, widths[1:]))

  @property
  def weight_shapes(self) -> List[Tuple[int, ...]]:
    """Shapes of the weights: embedding, recurrence, kernels and biases."""
    shapes: List[Tuple[int, ...]] = [(self.num_tokens, self.embedding)]
    shapes += self._recurrence.weight_shapes(self.embedding)
    for shape in self._dense_shapes:
      shapes += [shape, shape[1:]]
    return shapes

  def initial_weights(self, seed: int) -> Tuple[np.ndarray, ...]:
    """float32 weights, a function of `seed`, distributed as Keras's defaults.

    The embedding is uniform in [-0.05, 0.05], kernels are Glorot-uniform,
    recurrent ones orthogonal, forget gates start with bias 1, all other biases
    and peepholes are zero.

    Args:
      seed: A non-negative integer.

    Returns:
      Arrays of `weight_shapes`.
    """
    rng = np.random.default_rng(seed)
    embedding = rng.uniform(
      -_EMBEDDING_LIMIT, _EMBEDDING_LIMIT, (self.num_tokens, self.embedding)
    )
    weights = [embedding.astype(np.float32)]
    weights += self._recurrence.initial_weights(self.embedding, rng)
    for shape in self._dense_shapes:
      weights.append(initializers.glorot_uniform(rng, shape))
      weights.append(np.zeros(shape[1:], np.float32))
    return tuple(weights)

  def initial_state(self, batch_size: Any) -> Tuple[tf.Tensor, ...]:
    """The state before the first token of each of `batch_size` sequences."""
    return self._recurrence.initial_state(batch_size)

  def logits(self, weights: Sequence[Any], ids: Any) -> tf.Tensor:
    """Logits of the next token at each position of a batch of sequences.

    Args:
      weights: float32 tensors or arrays of `weight_shapes`.
      ids: int32 tensor `[n, t]`, values in [0, num_tokens), of a static t >= 1;
        n = 0 is legal.

    Returns:
      float32 tensor `[n, t, num_tokens]`: at position i the logits of token
      i + 1, given the tokens up to i.
    """
    ids = tf.convert_to_tensor(ids)
    outputs, _ = self._unroll(
      weights, tf.transpose(ids), self.initial_state(tf.shape(ids)[0])
    )
    # The outputs are narrower than the logits, so they are turned first.
    outputs = tf.transpose(outputs, [1, 0, 2])
    batch_size, steps = tf.shape(ids)[0], tf.shape(ids)[1]
    width = self._recurrence.outputs
    flat = tf.reshape(outputs, [batch_size * steps, width])
    return tf.reshape(
      self._head(weights, flat), [batch_size, steps, self.num_tokens]
    )

  def step(
    self, weights: Sequence[Any], state: Sequence[tf.Tensor], ids: Any
  ) -> Tuple[tf.Tensor, Tuple[tf.Tensor, ...]]:
    """Reads one token of each sequence; the same arithmetic as `logits`.

    Args:
      weights: float32 tensors or arrays of `weight_shapes`.
      state: As `initial_state` or the previous step returned it.
      ids: int32 tensor `[n]`.

    Returns:
      float32 logits `[n, num_tokens]` of the token that comes next, and the new
      state.
    """
    outputs, state = self._unroll(weights, tf.convert_to_tensor([ids]), state)
    return self._head(weights, outputs[0]), state

  def as_functional_model(
    self, length: int, seed: int = 0
  ) -> tff.learning.models.FunctionalModel:
    """The model for `tff.learning` algorithms, with cross entropy a token.

    The loss is the mean over all targets of a batch that are not PAD, and 0 if
    there are none. Weights of sequences, if a caller passes them, weigh the
    mean: a sequence of weight 0 is as good as absent. It reports no metrics, so
    that a process built on it releases nothing but its weights.

    Args:
      length: Number of steps of a sequence, >= 1.
      seed: Seed of the initial weights.

    Returns:
      A functional model of batches `(inputs int32 [n, length], targets int32
      [n, length])`.

    Raises:
      ValueError: If `length` is less than 1.
    """
    if length < 1:
      raise ValueError(f"length must be at least 1, got {length}")

    @tf.function
    def predict_on_batch(model_weights, inputs, training):
      del training  # The model has no layer that depends on it.
      trainable, _ = model_weights
      return self.logits(trainable, inputs)

    @tf.function
    def loss(output, label, sample_weight=None):
      losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=label, logits=output
      )
      counted = tf.cast(tf.not_equal(label, token_ids.PAD), losses.dtype)
      if sample_weight is not None:
        weight = tf.cast(sample_weight, losses.dtype)
        counted *= weight[:, tf.newaxis]
      return tf.math.divide_no_nan(
        tf.reduce_sum(losses * counted), tf.reduce_sum(counted)
      )

    return tff.learning.models.FunctionalModel(
      initial_weights=(self.initial_weights(seed), ()),
      predict_on_batch_fn=predict_on_batch,
      loss_fn=loss,
      input_spec=(
        tf.TensorSpec((None, length), tf.int32),
        tf.TensorSpec((None, length), tf.int32),
      ),
    )

  def _unroll(
    self, weights: Sequence[Any], ids: tf.Tensor, state: Sequence[tf.Tensor]
  ) -> Tuple[tf.Tensor, Tuple[tf.Tensor, ...]]:
    """The recurrence over ids `[t, n]`, time first."""
    recurrence = self._recurrence
    count = len(recurrence.weight_shapes(self.embedding))
    embedded = tf.gather(weights[0], ids)
    return recurrence.unroll(weights[1 : 1 + count], embedded, state)

  def _head(self, weights: Sequence[Any], outputs: tf.Tensor) -> tf.Tensor:
    """The dense layers, all linear, from `[m, outputs]` to logits."""
    layers = weights[-2 * len(self._dense_shapes) :]
    for kernel, bias in zip(layers[::2], layers[1::2]):
      outputs = tf.matmul(outputs, kernel) + bias
    return outputs


def stack_overflow_word_lm(num_tokens: int = 10_004) -> LanguageModel:
  """The public baseline for next-word prediction on Stack Overflow.

  Reddi et al. (2021, arXiv 2003.00295, appendix C), as in TFF's baselines: one
  LSTM of 670 units between an embedding of 96 and a linear layer of 96. It has
  4,050,748 weights with the default vocabulary and reads 20 words a sentence.

  Args:
    num_tokens: Number of token ids; by default 10,000 words, one id for those
      out of the vocabulary, and PAD, START and END.

  Returns:
    The model.
  """
  return LanguageModel(num_tokens, embedding=96, units=670, projection=96)


def small_word_lm(num_tokens: int) -> LanguageModel:
  """A word model that trains in minutes on two cores; its sizes are ours."""
  return LanguageModel(num_tokens, embedding=64, units=128, projection=64)


def char_lm(num_tokens: int) -> LanguageModel:
  """A character model of out-of-vocabulary words with an LSTM of 256 units.

  Chen et al. (2019) and Augenstein et al. (2020) do not print all sizes of
  theirs; these are ours. A fused kernel makes it the fastest choice here.
  """
  return LanguageModel(num_tokens, embedding=96, units=256)


def cifg_char_lm(num_tokens: int) -> LanguageModel:
  """A character model with the cells of Chen et al. (2019, arXiv 1903.10635).

  Coupled gates, peepholes and a recurrent projection; the sizes are ours.
  """
  return LanguageModel(
    num_tokens, embedding=96, cell="cifg", units=256, projection=128
  )
