"""Handwriting styles: an affine map and a stroke width for each client.

The idea is TFF's: its "infinite" EMNIST grew a data set by giving each further
client one random affine map of a real client's images. Here a style also has a
stroke width, and all of it follows from the client's id and a seed.
"""

import collections
import math
from typing import Tuple

import tensorflow as tf

from tff_gen_debug.datasets import client_hash

# Domain of the style's random numbers, so that they are independent of others
# drawn for the same client with the same seed.
_PURPOSE = 0x7374796C65  # "style"

# Each uniform between its bounds: wide enough that two styles of one block look
# like two people, narrow enough that a digit keeps its class and stays on the
# sheet (digits fill the middle 20 of 28 pixels). The share of ink then varies
# between clients somewhat more than between the real blocks.
STYLE_BOUNDS = collections.OrderedDict(
  # Counterclockwise, radians.
  rotation=(-math.radians(12), math.radians(12)),
  # Pixels to the right for each pixel upwards.
  shear=(-0.2, 0.2),
  # Size against the original.
  width=(0.8, 1.1),
  height=(0.8, 1.1),
  # Pixels to the right and downwards.
  right=(-1.5, 1.5),
  down=(-1.5, 1.5),
  # 0 keeps the stroke, 1 adds a pixel on each side, -1 takes the grey edge.
  stroke=(-1.0, 0.5),
)


def client_style(
  client_id: tf.Tensor, seed: int
) -> "collections.OrderedDict[str, tf.Tensor]":
  """Draws the style of one client.

  Args:
    client_id: String scalar.
    seed: Integer in [0, 2**63 - 1].

  Returns:
    OrderedDict with the names and bounds of `STYLE_BOUNDS`, float32 scalars.
  """
  # The algorithm is named because the default may differ between devices.
  numbers = tf.random.stateless_uniform(
    [len(STYLE_BOUNDS)],
    seed=client_hash.stateless_seed(client_id, seed, _PURPOSE),
    alg="philox",
  )
  return collections.OrderedDict(
    (name, low + numbers[i] * (high - low))
    for i, (name, (low, high)) in enumerate(STYLE_BOUNDS.items())
  )


def apply_style(
  pixels: tf.Tensor, style: "collections.OrderedDict[str, tf.Tensor]"
) -> tf.Tensor:
  """Writes images in a style.

  The stroke width changes first, then the image is scaled, sheared, rotated
  (all about its centre) and moved, with bilinear sampling in one step.

  Args:
    pixels: float32 `[n, 28, 28]` in [0, 1], paper 1.0 and ink 0.0.
    style: As `client_style` gives it.

  Returns:
    float32 `[n, 28, 28]` in [0, 1]; what comes from outside is paper.
  """
  height, width = pixels.shape[1:]
  pixels = _change_stroke(pixels[..., tf.newaxis], style["stroke"])
  transform = _output_to_input(style, (width - 1) / 2, (height - 1) / 2)
  warped = tf.raw_ops.ImageProjectiveTransformV3(
    images=pixels,
    transforms=transform[tf.newaxis],
    output_shape=[height, width],
    fill_value=1.0,
    interpolation="BILINEAR",
    fill_mode="CONSTANT",
  )
  # Bilinear weights sum to 1 only up to rounding.
  return tf.clip_by_value(tf.squeeze(warped, -1), 0.0, 1.0)


def _change_stroke(pixels: tf.Tensor, stroke: tf.Tensor) -> tf.Tensor:
  """Makes strokes thicker or thinner.

  Thicker is a share of a 3x3 dilation. Thinner raises ink to a power, which
  fades a stroke's grey edge and leaves its dark middle: an erosion would turn
  most strokes, two or three pixels wide, to grey.

  Args:
    pixels: float32 `[n, height, width, 1]` in [0, 1], paper 1.0 and ink 0.0.
    stroke: float32 scalar in [-1, 1].

  Returns:
    float32 of the shape of `pixels`.
  """
  # A pixel a rounding error above 1 would be NaN in the power.
  ink = tf.nn.relu(1.0 - pixels)
  thicker, thinner = tf.nn.relu(stroke), tf.nn.relu(-stroke)
  dilated = tf.nn.max_pool2d(ink, 3, 1, "SAME")
  ink = ink + thicker * (dilated - ink)
  return 1.0 - ink ** (1.0 + 2.0 * thinner)


def _output_to_input(
  style: "collections.OrderedDict[str, tf.Tensor]",
  centre_x: float,
  centre_y: float,
) -> tf.Tensor:
  """Builds the sampling map of ImageProjectiveTransformV3.

  With y downwards, a point p of the original about the centre lands at
  R K S p + t: S scales, K shears along x, R rotates, t moves. The op wants the
  inverse, from a pixel of the output to the place in the input.

  Args:
    style: As `client_style` gives it.
    centre_x: The centre of rotation, in pixels.
    centre_y: The same for y.

  Returns:
    float32 `[8]`.
  """
  cos, sin = tf.cos(style["rotation"]), tf.sin(style["rotation"])
  back_x: Tuple[tf.Tensor, tf.Tensor] = (cos, -sin)
  back_y = (sin, cos)
  # Undoing the shear: upwards is negative y, so it moved x by -shear * y.
  unsheared_x = tuple(
    bx + style["shear"] * by for bx, by in zip(back_x, back_y)
  )
  a0, a1 = (value / style["width"] for value in unsheared_x)
  b0, b1 = (value / style["height"] for value in back_y)
  moved_x = centre_x + style["right"]
  moved_y = centre_y + style["down"]
  a2 = centre_x - a0 * moved_x - a1 * moved_y
  b2 = centre_y - b0 * moved_x - b1 * moved_y
  zero = tf.zeros_like(a0)
  return tf.stack([a0, a1, a2, b0, b1, b2, zero, zero])
