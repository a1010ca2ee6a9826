"""Any `tff.learning` or Keras classifier of images as a primary model."""

import dataclasses
from typing import Any, Sequence, Tuple

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.models import image_classifier

_INPUT, _OUTPUT = "images:0", "logits:0"


@dataclasses.dataclass(frozen=True, eq=False)
class FunctionalClassifier(image_classifier.ImageClassifier):
  """A `tff.learning` model with its weights.

  With the weights of a process of TFF:

    weights = process.get_model_weights(state)
    primary = FunctionalClassifier(
      model, (weights.trainable, weights.non_trainable)
    )

  and of a Keras model that has been trained elsewhere:

    primary = FunctionalClassifier.from_keras(keras_model)

  Attributes:
    model: A `tff.learning.models.FunctionalModel` whose input is a batch of
      images, float32 `[None, height, width, channels]`, and whose output are
      logits `[n, classes]` (any scores whose largest is the prediction will do
      for `accuracy`, but not for `probabilities`).
    weights: Its trainable and its non-trainable weights, two sequences of
      arrays.

  Raises:
    TypeError: If `model` is not a functional model.
    ValueError: If its input or output has another shape, or the weights don't
      fit or are not finite.
  """

  model: tff.learning.models.FunctionalModel
  weights: Tuple[Sequence[Any], Sequence[Any]]

  def __post_init__(self):
    if not isinstance(self.model, tff.learning.models.FunctionalModel):
      raise TypeError(
        "model must be a tff.learning.models.FunctionalModel, got "
        f"{type(self.model).__name__}"
      )
    trainable, non_trainable = self.weights
    weights = tuple(
      tuple(np.asarray(w) for w in group)
      for group in (trainable, non_trainable)
    )
    object.__setattr__(self, "weights", weights)
    expected = [
      [np.shape(w) for w in group] for group in self.model.initial_weights
    ]
    actual = [[w.shape for w in group] for group in weights]
    if actual != expected:
      raise ValueError(f"weights must have shapes {expected}, got {actual}")
    for group in weights:
      for w in group:
        if np.issubdtype(w.dtype, np.floating) and not np.isfinite(w).all():
          raise ValueError("weights must be finite")
    shape = self._input_spec.shape
    if shape.rank != 4 or not shape[1:].is_fully_defined():
      raise ValueError(
        "model must take images [None, height, width, channels], got "
        f"{self._input_spec}"
      )
    graph_def, output = self._freeze()
    object.__setattr__(self, "_graph_def", graph_def)
    if output.rank != 2 or output[1] is None:
      raise ValueError(f"model must return logits [n, classes], got {output}")
    object.__setattr__(self, "_num_classes", int(output[1]))

  @classmethod
  def from_keras(cls, model: tf.keras.Model) -> "FunctionalClassifier":
    """Takes a Keras model with its present weights.

    Args:
      model: From images, float32 `[None, height, width, channels]`, to logits.
        As `tff.learning.models.functional_model_from_keras` demands, its layers
        share no variables, and batch normalization is not among them.

    Returns:
      The classifier; training the Keras model further does not change it.
    """
    functional = tff.learning.models.functional_model_from_keras(
      model,
      tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
      (
        tf.TensorSpec(model.input_shape, tf.float32),
        tf.TensorSpec([None], tf.int32),
      ),
    )
    return cls(functional, functional.initial_weights)

  @property
  def image_shape(self) -> Tuple[int, ...]:
    return tuple(self._input_spec.shape[1:])

  @property
  def num_classes(self) -> int:
    return self._num_classes  # type: ignore[attr-defined]

  def logits(self, images: tf.Tensor) -> tf.Tensor:
    if tf.executing_eagerly():
      return self._traced_logits(images)
    (result,) = tf.graph_util.import_graph_def(
      self._graph_def,  # type: ignore[attr-defined]
      {_INPUT: images},
      [_OUTPUT],
    )
    return tf.ensure_shape(result, [None, self.num_classes])

  @property
  def _input_spec(self) -> tf.TensorSpec:
    return self.model.input_spec[0]

  def _freeze(self) -> Tuple[Any, tf.TensorShape]:
    """The model with its weights as a graph, and the shape of its logits.

    The models that TFF makes of Keras's build themselves anew wherever they are
    called, which they can in a `tf.Graph` only.
    """
    with tf.Graph().as_default() as graph:
      images = tf.compat.v1.placeholder(
        tf.float32, [None, *self._input_spec.shape[1:]], _INPUT.split(":")[0]
      )
      weights = tf.nest.map_structure(tf.constant, self.weights)
      output = self.model.predict_on_batch(weights, images, training=False)
      output = tf.cast(output, tf.float32)
      tf.identity(output, _OUTPUT.split(":")[0])
    # In a graph Keras turns all models, the caller's too, into those of
    # TensorFlow 1; the next one that is made turns them back.
    tf.keras.Sequential()
    return graph.as_graph_def(), output.shape
