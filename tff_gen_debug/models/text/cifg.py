"""The LSTM with coupled gates that learns out-of-vocabulary words.

Chen et al. (2019, arXiv 1903.10635) train it federatedly on the words that a
keyboard's vocabulary lacks: coupled input and forget gates (CIFG; Greff et al.,
2017, arXiv 1503.04069), peepholes and a recurrent projection (Sak et al., 2014,
arXiv 1402.1128):

    f  = sigmoid(x W_f + r R_f + p_f * c  + b_f)
    c' = f * c + (1 - f) * tanh(x W_c + r R_c + b_c)
    o  = sigmoid(x W_o + r R_o + p_o * c' + b_o)
    r' = (o * tanh(c')) P

Three quarters of an LSTM's weights, and what the projection saves. TensorFlow
has no fused kernel for it, so the steps are unrolled in the graph.
"""

import dataclasses
from typing import Any, List, Sequence, Tuple

import numpy as np
import tensorflow as tf

from tff_gen_debug.models.text import initializers


@dataclasses.dataclass(frozen=True)
class CIFG:
  """A layer of CIFG-LSTM units; its weights are arguments of its functions.

  The weights are a kernel `[inputs, 3 * units]`, a recurrent kernel `[outputs,
  3 * units]`, a bias `[3 * units]`, whose columns are those of the forget gate,
  the candidate and the output gate; the peepholes of the forget and the output
  gate, each `[units]`; and with a projection its kernel `[units, projection]`.

  Attributes:
    units: Number of units, >= 1.
    projection: Width of the outputs, which the recurrence reads too; 0 for
      unprojected outputs of width `units`.
  """

  units: int
  projection: int = 0

  @property
  def outputs(self) -> int:
    """Width of the layer's outputs."""
    return self.projection or self.units

  def weight_shapes(self, inputs: int) -> List[Tuple[int, ...]]:
    """Shapes of the weights for inputs of the given width."""
    gates = 3 * self.units
    shapes: List[Tuple[int, ...]] = [
      (inputs, gates),
      (self.outputs, gates),
      (gates,),
      (self.units,),
      (self.units,),
    ]
    if self.projection:
      shapes.append((self.units, self.projection))
    return shapes

  def initial_weights(
    self, inputs: int, rng: np.random.Generator
  ) -> Tuple[np.ndarray, ...]:
    """Weights that start the layer as one without peepholes.

    Args:
      inputs: Width of the inputs.
      rng: Where the draws come from.

    Returns:
      Glorot-uniform kernels (the recurrent one orthogonal), peepholes 0, and
      the bias, 1 for forget gates (Jozefowicz et al., 2015) and 0 elsewhere.
    """
    bias = np.zeros(3 * self.units, np.float32)
    bias[: self.units] = 1
    weights = [
      initializers.glorot_uniform(rng, (inputs, 3 * self.units)),
      initializers.orthogonal(rng, (self.outputs, 3 * self.units)),
      bias,
      np.zeros(self.units, np.float32),
      np.zeros(self.units, np.float32),
    ]
    if self.projection:
      shape = (self.units, self.projection)
      weights.append(initializers.glorot_uniform(rng, shape))
    return tuple(weights)

  def initial_state(self, batch_size: Any) -> Tuple[tf.Tensor, ...]:
    """Zero cells `[n, units]` and outputs `[n, outputs]`, float32."""
    return (
      tf.zeros([batch_size, self.units]),
      tf.zeros([batch_size, self.outputs]),
    )

  def unroll(
    self, weights: Sequence[Any], inputs: tf.Tensor, state: Sequence[tf.Tensor]
  ) -> Tuple[tf.Tensor, Tuple[tf.Tensor, ...]]:
    """Runs the layer over a batch of sequences.

    Args:
      weights: As in `weight_shapes`, of the dtype of `inputs`.
      inputs: float tensor `[t, n, inputs]`, time first, of a static t >= 1; n =
        0 is legal.
      state: Cells and outputs before the first step, as in `initial_state`.

    Returns:
      The outputs `[t, n, outputs]` and the state after the last step.

    Raises:
      ValueError: If the number of steps is not known when the graph is built.
    """
    steps = inputs.shape[0]
    if steps is None:
      raise ValueError(
        f"inputs must have a static number of steps, got shape {inputs.shape}"
      )
    kernel, recurrent_kernel, bias, forget_peephole, output_peephole = weights[
      :5
    ]
    batch_size = tf.shape(inputs)[1]
    # What the steps need of the inputs is one product, not one a step.
    flat = tf.reshape(inputs, [steps * batch_size, inputs.shape[2]])
    fed = tf.reshape(
      tf.matmul(flat, kernel) + bias, [steps, batch_size, 3 * self.units]
    )
    cells, last = state
    outputs = []
    for step_inputs in tf.unstack(fed):
      gates = step_inputs + tf.matmul(last, recurrent_kernel)
      forget, candidate, output = tf.split(gates, 3, axis=1)
      forget = tf.sigmoid(forget + forget_peephole * cells)
      candidate = tf.tanh(candidate)
      cells = candidate + forget * (cells - candidate)
      output = tf.sigmoid(output + output_peephole * cells)
      last = output * tf.tanh(cells)
      if self.projection:
        last = tf.matmul(last, weights[5])
      outputs.append(last)
    return tf.stack(outputs), (cells, last)
