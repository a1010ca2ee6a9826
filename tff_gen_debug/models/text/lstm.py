"""The LSTM as one fused operation over a whole sequence.

Hochreiter and Schmidhuber (1997) with the forget gate of Gers et al. (2000):

    i, f, o = sigmoid(x W + h R + b), each with its own columns
    c' = f * c + i * tanh(x W_c + h R_c + b_c)
    h' = o * tanh(c')

The same layer as `tf.keras.layers.LSTM`, but run by the kernel `BlockLSTM`: one
operation a sequence, which keeps the graph of a client that takes many steps
small. Keras's own layer is a loop with functions inside, which TFF's worker
instantiates anew for each client; that took several times as long. The gradient
is ours: TensorFlow's own for this kernel makes a round more than twice as slow,
and leaves the gradient of the weights uninitialised for an empty batch.
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

    It can be differentiated once, with respect to all that it is given.

    Args:
      weights: As in `weight_shapes`.
      inputs: float32 tensor `[t, n, inputs]`, time first, t >= 1; n = 0 is
        legal. For a gradient t has to be static.
      state: Cells and outputs before the first step, as in `initial_state`.

    Returns:
      The outputs, float32 `[t, n, units]`, and the state after the last step.

    Raises:
      ValueError: From the gradient, if the number of steps is not known when
        the graph is built.
    """
    cells, outputs = _run(inputs, *state, *weights)
    return outputs, (cells[-1], outputs[-1])


@tf.custom_gradient
def _run(inputs, cells, outputs, kernel, bias):
  """Cells and outputs `[t, n, units]` after each step."""
  no_peephole = tf.zeros([kernel.shape[1] // 4])
  block = tf.raw_ops.BlockLSTM(
    seq_len_max=tf.cast(tf.shape(inputs)[0], tf.int64),
    x=inputs,
    cs_prev=cells,
    h_prev=outputs,
    w=kernel,
    wci=no_peephole,
    wcf=no_peephole,
    wco=no_peephole,
    b=bias,
    # The bias of the forget gate is part of the weights.
    forget_bias=0.0,
    # Nothing is clipped; the gradient knows nothing of clipping.
    cell_clip=-1.0,
    use_peephole=False,
  )

  def gradient(cells_gradients, outputs_gradients):
    if inputs.shape[0] is None:
      raise ValueError(
        "inputs must have a static number of steps for a gradient, got shape "
        f"{inputs.shape}"
      )
    # The states that each step began with.
    cells_before = tf.concat([cells[tf.newaxis], block.cs[:-1]], axis=0)
    outputs_before = tf.concat([outputs[tf.newaxis], block.h[:-1]], axis=0)
    read = tf.concat([inputs, outputs_before], axis=2)
    return _gradient(
      read, cells_before, kernel, block, cells_gradients, outputs_gradients
    )

  return (block.cs, block.h), gradient


def _gradient(
  read, cells_before, kernel, block, cells_gradients, outputs_gradients
):
  """Backpropagation through time (Werbos, 1990, Proc. IEEE 78(10)).

  Only what one step hands to the one before is computed a step at a time.

  Args:
    read: `[t, n, inputs + units]`, what the kernel was multiplied by.
    cells_before: `[t, n, units]`, cells before each step.
    kernel: As in `LSTM`.
    block: What `BlockLSTM` returned: gates `i`, `f` and `o`, candidates `ci`,
      cells `cs` and their `co = tanh(cs)`.
    cells_gradients: `[t, n, units]`, of the loss by the cells `cs`.
    outputs_gradients: The same by the outputs.

  Returns:
    The gradients by the arguments of `_run`.
  """
  units = kernel.shape[1] // 4
  # Of the cells by what goes into the gates and the candidate ...
  by_input = tf.unstack(block.ci * block.i * (1 - block.i))
  by_candidate = tf.unstack(block.i * (1 - tf.square(block.ci)))
  by_forget = tf.unstack(cells_before * block.f * (1 - block.f))
  # ... and of the outputs by what goes into their gate, and by the cells.
  by_output = tf.unstack(block.co * block.o * (1 - block.o))
  by_cells = tf.unstack(block.o * (1 - tf.square(block.co)))

  # Turned once: a product with a kernel that has to be turned at each step is
  # what makes TensorFlow's gradient slow.
  to_inputs, to_outputs = tf.split(
    tf.transpose(kernel), [read.shape[2] - units, units], axis=1
  )
  cells = tf.zeros_like(cells_before[0])
  outputs = tf.zeros_like(cells)
  gates = []
  for step in reversed(range(read.shape[0])):
    outputs += outputs_gradients[step]
    cells += cells_gradients[step] + outputs * by_cells[step]
    gates.append(
      tf.concat(
        [
          cells * by_input[step],
          cells * by_candidate[step],
          cells * by_forget[step],
          outputs * by_output[step],
        ],
        axis=1,
      )
    )
    outputs = tf.matmul(gates[-1], to_outputs)
    cells *= block.f[step]

  gates = tf.concat(gates[::-1], axis=0)
  steps, batch_size = tf.shape(read)[0], tf.shape(read)[1]
  inputs = tf.reshape(
    tf.matmul(gates, to_inputs), [steps, batch_size, to_inputs.shape[1]]
  )
  weights = tf.matmul(
    tf.reshape(read, [steps * batch_size, read.shape[2]]),
    gates,
    transpose_a=True,
  )
  return inputs, cells, outputs, weights, tf.reduce_sum(gates, axis=0)
