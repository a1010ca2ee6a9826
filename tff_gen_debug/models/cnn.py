"""The network of the paper's primary model, as pure functions.

Augenstein et al. (2020, arXiv 1911.06679, section 5, and the authors' code):
Conv 32 3x3 - MaxPool - Conv 64 3x3 - MaxPool - Conv 64 3x3 - Dense 64 - Dense
classes, ReLU between, valid padding. It reads float32 `[n, 28, 28, 1]` images
in [-1, 1], background -1.

The network exists as the function `apply`, which is what runs inside a TFF
client computation, and as a Keras model, both with the same weights in the same
order.
"""

import dataclasses
from typing import Any, List, Optional, Sequence, Tuple

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

IMAGE_SHAPE = (28, 28, 1)

_NUM_CONVOLUTIONS = 3
_NUM_DENSE = 2


@dataclasses.dataclass(frozen=True)
class Architecture:
  """Sizes of the CNN; the defaults are the paper's, for ten digits.

  Attributes:
    num_classes: Number of classes, >= 2: 10 for digits, 36 for EMNIST with
      folded labels.
    conv_widths: Channels of the three convolutions, each >= 1.
    dense_width: Units of the hidden dense layer, >= 1.
  """

  num_classes: int = 10
  conv_widths: Tuple[int, ...] = (32, 64, 64)
  dense_width: int = 64

  def __post_init__(self):
    if self.num_classes < 2:
      raise ValueError(
        f"num_classes must be at least 2, got {self.num_classes}"
      )
    if len(self.conv_widths) != _NUM_CONVOLUTIONS or min(self.conv_widths) < 1:
      raise ValueError(
        f"conv_widths must be {_NUM_CONVOLUTIONS} positive integers, got "
        f"{self.conv_widths}"
      )
    if self.dense_width < 1:
      raise ValueError(
        f"dense_width must be at least 1, got {self.dense_width}"
      )

  @property
  def weight_shapes(self) -> List[Tuple[int, ...]]:
    """Shapes of kernels and biases, layer by layer, as `apply` takes them."""
    shapes: List[Tuple[int, ...]] = []
    channels = IMAGE_SHAPE[2]
    for width in self.conv_widths:
      shapes += [(3, 3, channels, width), (width,)]
      channels = width
    # 28 -> 26 -> 13 -> 11 -> 5 -> 3 pixels.
    inputs = 3 * 3 * channels
    for width in (self.dense_width, self.num_classes):
      shapes += [(inputs, width), (width,)]
      inputs = width
    return shapes

  @classmethod
  def of_weights(cls, weights: Sequence[np.ndarray]) -> "Architecture":
    """The architecture whose `weight_shapes` are those of `weights`.

    Args:
      weights: Ten arrays, as `apply` takes them.

    Returns:
      The architecture.

    Raises:
      ValueError: If there is none.
    """
    shapes = [np.shape(w) for w in weights]
    widths = [shape[0] for shape in shapes[1::2] if len(shape) == 1]
    if len(widths) == _NUM_CONVOLUTIONS + _NUM_DENSE and min(widths) > 0:
      architecture = cls(widths[-1], tuple(widths[:-_NUM_DENSE]), widths[-2])
      if architecture.weight_shapes == shapes:
        return architecture
    raise ValueError(
      "weights must be kernel and bias of three convolutions and two dense "
      f"layers as in Architecture.weight_shapes, got shapes {shapes}"
    )


def initial_weights(
  architecture: Architecture, seed: int
) -> Tuple[np.ndarray, ...]:
  """Glorot-uniform kernels and zero biases, float32, a function of `seed`."""
  rng = np.random.default_rng(seed)
  weights = []
  for shape in architecture.weight_shapes:
    if len(shape) == 1:
      weights.append(np.zeros(shape, np.float32))
    else:
      receptive_field = int(np.prod(shape[:-2]))
      limit = np.sqrt(6 / (receptive_field * (shape[-2] + shape[-1])))
      weights.append(rng.uniform(-limit, limit, shape).astype(np.float32))
  return tuple(weights)


def apply(weights: Sequence[Any], images: Any) -> tf.Tensor:
  """The network as a pure function of plain TensorFlow operations.

  Args:
    weights: Ten float32 tensors or arrays: kernel and bias of three
      convolutions and two dense layers, as in `Architecture.weight_shapes`.
    images: float32 tensor `[n, 28, 28, 1]` in [-1, 1]; n = 0 is legal.

  Returns:
    float32 logits `[n, num_classes]`.
  """
  x = tf.convert_to_tensor(images)
  for layer in range(_NUM_CONVOLUTIONS):
    kernel, bias = weights[2 * layer : 2 * layer + 2]
    x = tf.nn.relu(tf.nn.conv2d(x, kernel, strides=1, padding="VALID") + bias)
    if layer < _NUM_CONVOLUTIONS - 1:
      x = tf.nn.max_pool2d(x, ksize=2, strides=2, padding="VALID")
  hidden_kernel, hidden_bias, kernel, bias = weights[2 * _NUM_CONVOLUTIONS :]
  # An empty batch leaves -1 undetermined, so both sizes are spelled out.
  x = tf.reshape(x, [tf.shape(x)[0], tf.shape(hidden_kernel)[0]])
  x = tf.nn.relu(tf.matmul(x, hidden_kernel) + hidden_bias)
  return tf.matmul(x, kernel) + bias


def build_keras_model(
  architecture: Architecture, weights: Optional[Sequence[np.ndarray]] = None
) -> tf.keras.Model:
  """The same network as an uncompiled Keras model that returns logits.

  Args:
    architecture: Sizes.
    weights: Optional weights in the order of `Architecture.weight_shapes`; by
      default Keras draws its own.

  Returns:
    A `tf.keras.Sequential` from `[n, 28, 28, 1]` to logits.
  """
  layers = tf.keras.layers
  first, second, third = architecture.conv_widths
  model = tf.keras.Sequential(
    [
      layers.InputLayer(IMAGE_SHAPE),
      layers.Conv2D(first, 3, activation="relu"),
      layers.MaxPooling2D(),
      layers.Conv2D(second, 3, activation="relu"),
      layers.MaxPooling2D(),
      layers.Conv2D(third, 3, activation="relu"),
      layers.Flatten(),
      layers.Dense(architecture.dense_width, activation="relu"),
      layers.Dense(architecture.num_classes),
    ]
  )
  if weights is not None:
    model.set_weights(list(weights))
  return model


def as_functional_model(
  architecture: Architecture, seed: int = 0
) -> tff.learning.models.FunctionalModel:
  """The network for `tff.learning` algorithms, with cross entropy on logits.

  It reports no metrics, so that a process built on it releases nothing but its
  weights.

  Args:
    architecture: Sizes.
    seed: Seed of the initial weights.

  Returns:
    A functional model of batches `(images float32 [n, 28, 28, 1], labels int32
    [n])`.
  """

  @tf.function
  def predict_on_batch(model_weights, images, training):
    del training  # The network has no layer that depends on it.
    trainable, _ = model_weights
    return apply(trainable, images)

  @tf.function
  def loss(output, label, sample_weight=None):
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
      labels=label, logits=output
    )
    if sample_weight is not None:
      losses = losses * sample_weight
    return tf.reduce_mean(losses)

  return tff.learning.models.FunctionalModel(
    initial_weights=(initial_weights(architecture, seed), ()),
    predict_on_batch_fn=predict_on_batch,
    loss_fn=loss,
    input_spec=(
      tf.TensorSpec((None, *IMAGE_SHAPE), tf.float32),
      tf.TensorSpec((None,), tf.int32),
    ),
  )
