"""The LSTM as one fused operation over a whole sequence.

Hochreiter and Schmidhuber (1997) with the forget gate of Gers et al. (2000):

    i, f, o = sigmoid(x W + h R + b), each with its own columns
    c' = f * c + i * tanh(x W_c + h R_c + b_c)
    h' = o * tanh(c')

The same layer as `tf.keras.layers.LSTM`, but run by the kernel `BlockLSTM`: one
operation a sequence, which keeps the graph of a client that takes many steps
small. Keras's own layer is a loop with functions inside, which TFF's worker
instantiates anew for each client; that took several times as long.
"""

import dataclasses
from typing import Any, List, Sequence, Tuple

import numpy as np
import tensorflow as tf

from tff_gen_debug.models.text import initializers


@dataclasses.dataclass(frozen=True)
class LSTM:
  """A layer of LSTM units; its weights are arguments of its functions.

  The weights are a kernel float32 `[inputs + units, 4 * units]`, Keras's
  kernel above its recurrent kernel, and a bias float32 `[4 * units]`; the
  columns are those of the input gate, the candidate, the forget gate and the
  output gate (Keras has the forget gate before the candidate).

  Attributes:
    units: Number of units, >= 1.
  """

  units: int

  @property
  def outputs(self) -> int:
    """Width of the layer's outputs."""
    return self.units

  def weight_shapes(self, inputs: int) -> List[Tuple[int, ...]]:
    """Shapes of the weights for inputs of the given width."""
    return [(inputs + self.units, 4 * self.units), (4 * self.units,)]

  def initial_weights(
    self, inputs: int, rng: np.random.Generator
  ) -> Tuple[np.ndarray, ...]:
    """Weights as Keras initialises them.

    Args:
      inputs: Width of the inputs.
      rng: Where the draws come from.

    Returns:
      The kernel, Glorot-uniform for the inputs and orthogonal for the
      recurrence, and the bias, 1 for forget gates (Jozefowicz et al., 2015)
      and 0 elsewhere.
    """
    kernel = initializers.glorot_uniform(rng, (inputs, 4 * self.units))
    recurrent = initializers.orthogonal(rng, (self.units, 4 * self.units))
    bias = np.zeros(4 * self.units, np.float32)
    bias[2 * self.units : 3 * self.units] = 1
    return np.concatenate([kernel, recurrent]), bias

  def initial_state(self, batch_size: Any) -> Tuple[tf.Tensor, ...]:
    """Zero cells and outputs, two float32 tensors `[n, units]`."""
    zeros = tf.zeros([batch_size, self.units])
    return zeros, zeros

  def unroll(
    self, weights: Sequence[Any], inputs: tf.Tensor, state: Sequence[tf.Tensor]
  ) -> Tuple[tf.Tensor, Tuple[tf.Tensor, ...]]:
    """Runs the layer over a batch of sequences.

    Args:
      weights: As in `weight_shapes`.
      inputs: float32 tensor `[t, n, inputs]`, time first, t >= 1; n = 0 is
        legal.
      state: Cells and outputs before the first step, as in `initial_state`.

    Returns:
      The outputs, float32 `[t, n, units]`, and the state after the last step.
    """
    kernel, bias = weights
    batch_size = tf.shape(inputs)[1]
    # The kernel's gradient leaves that of the weights uninitialised when the
    # batch is empty, so an empty batch gets a sequence that nothing reads.
    missing = tf.maximum(1 - batch_size, 0)
    cells, outputs = (tf.pad(s, [[0, missing], [0, 0]]) for s in state)
    no_peephole = tf.zeros([self.units])
    # Not BlockLSTMV2: the gradient that TensorFlow registers for it mixes up
    # the forget gate and the candidate.
    block = tf.raw_ops.BlockLSTM(
      seq_len_max=tf.cast(tf.shape(inputs)[0], tf.int64),
      x=tf.pad(inputs, [[0, 0], [0, missing], [0, 0]]),
      cs_prev=cells,
      h_prev=outputs,
      w=kernel,
      wci=no_peephole,
      wcf=no_peephole,
      wco=no_peephole,
      b=bias,
      # The bias of the forget gate is part of the weights.
      forget_bias=0.0,
      # Nothing is clipped; the kernel's gradient would ignore it.
      cell_clip=-1.0,
      use_peephole=False,
    )
    cells, outputs = block.cs[:, :batch_size], block.h[:, :batch_size]
    return outputs, (cells[-1], outputs[-1])
