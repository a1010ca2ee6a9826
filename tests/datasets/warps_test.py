"""Tests for warps."""

import numpy as np
import pytest
from scipy import ndimage
import tensorflow as tf

from tff_gen_debug.datasets import warps

_PLAIN = {
  "rotation": 0.0,
  "shear": 0.0,
  "width": 1.0,
  "height": 1.0,
  "right": 0.0,
  "down": 0.0,
  "stroke": 0.0,
}


def _apply(pixels, **style):
  style = {k: tf.constant(v) for k, v in {**_PLAIN, **style}.items()}
  return warps.apply_style(
    tf.constant(np.asarray(pixels, np.float32)[np.newaxis]), style
  )[0].numpy()


def _smooth_image(seed=0):
  """Blurred random ink that leaves a margin of paper."""
  ink = np.zeros([28, 28])
  ink[7:21, 7:21] = np.random.RandomState(seed).uniform(size=[14, 14])
  return 1.0 - ndimage.gaussian_filter(ink, 1.0, truncate=3.0)


def _dot(row, column):
  pixels = np.ones([28, 28])
  pixels[row, column] = 0.0
  return pixels


def _ink_centre(pixels):
  return np.array(ndimage.center_of_mass(1.0 - pixels))


def test_plain_style_changes_nothing():
  image = _smooth_image().astype(np.float32)

  np.testing.assert_allclose(_apply(image), image, atol=1e-6)


def test_moves_right_and_down():
  np.testing.assert_allclose(
    _apply(_dot(10, 12), right=3.0, down=2.0), _dot(12, 15), atol=1e-6
  )


def test_what_comes_from_outside_is_paper():
  moved = _apply(np.zeros([28, 28]), right=5.0)

  np.testing.assert_allclose(moved[:, :4], 1.0)
  np.testing.assert_allclose(moved[:, 5:], 0.0, atol=1e-6)


def test_rotates_counterclockwise_about_the_centre():
  # A dot right of the centre (13.5, 13.5) goes to above it.
  turned = _apply(_dot(13, 20), rotation=np.pi / 2)

  np.testing.assert_allclose(turned, _dot(7, 13), atol=1e-5)


def test_shear_leans_to_the_right():
  # 8 rows up and 8 rows down move by 4 pixels in opposite directions.
  above = _ink_centre(_apply(_dot(5, 13), shear=0.5))
  below = _ink_centre(_apply(_dot(21, 13), shear=0.5))

  np.testing.assert_allclose(above, [5, 17.25], atol=0.1)
  np.testing.assert_allclose(below, [21, 9.25], atol=0.1)


def test_scales_about_the_centre():
  box = np.ones([28, 28])
  box[9:19, 9:19] = 0.0

  wide = _apply(box, width=1.5)
  flat = _apply(box, height=0.5)

  assert (1 - wide[13]).sum() == pytest.approx(15, abs=0.2)
  assert (1 - wide[:, 13]).sum() == pytest.approx(10, abs=0.2)
  assert (1 - flat[13]).sum() == pytest.approx(10, abs=0.2)
  assert (1 - flat[:, 13]).sum() == pytest.approx(5, abs=0.2)


@pytest.mark.parametrize("seed", range(5))
def test_whole_affine_map_against_scipy(seed):
  image = _smooth_image(seed)
  draw = np.random.RandomState(100 + seed).uniform
  style = {
    name: np.float32(draw(low, high))
    for name, (low, high) in warps.STYLE_BOUNDS.items()
    if name != "stroke"
  }
  # Rows and columns, rows downwards: scale, then shear, then rotate, then move.
  cos, sin = np.cos(style["rotation"]), np.sin(style["rotation"])
  forward = (
    np.array([[cos, -sin], [sin, cos]])
    @ np.array([[1, 0], [-style["shear"], 1]])
    @ np.diag([style["height"], style["width"]])
  )
  centre = np.array([13.5, 13.5])
  backward = np.linalg.inv(forward)
  offset = centre - backward @ (centre + [style["down"], style["right"]])
  expected = ndimage.affine_transform(
    image, backward, offset, order=1, mode="constant", cval=1.0
  )

  np.testing.assert_allclose(_apply(image, **style), expected, atol=1e-4)


def test_thicker_by_half_a_dilation():
  pixels = np.ones([28, 28])
  pixels[13, 13] = 0.2
  # Half way from each pixel to the darkest of its neighbourhood of 9.
  expected = np.ones([28, 28])
  expected[12:15, 12:15] = 0.6
  expected[13, 13] = 0.2

  np.testing.assert_allclose(_apply(pixels, stroke=0.5), expected, atol=1e-6)


def test_thinner_fades_grey_and_keeps_black():
  pixels = np.ones([28, 28])
  pixels[10:18, 12:16] = [0.5, 0.0, 0.0, 0.5]
  # Half ink to the third power is an eighth.
  expected = np.ones([28, 28])
  expected[10:18, 12:16] = [0.875, 0.0, 0.0, 0.875]

  np.testing.assert_allclose(_apply(pixels, stroke=-1.0), expected, atol=1e-6)


def test_pixels_a_rounding_error_out_of_range_stay_finite():
  warped = _apply(np.full([28, 28], 1.0 + 1e-6), stroke=-0.5, rotation=0.1)

  np.testing.assert_allclose(warped, 1.0)


def test_styles_are_uniform_in_their_bounds_and_independent():
  ids = [f"client_{i}" for i in range(2_000)]
  draw = tf.function(
    lambda client_id: tf.stack(list(warps.client_style(client_id, 3).values()))
  )

  styles = np.stack([draw(tf.constant(client_id)) for client_id in ids])

  low, high = np.transpose(list(warps.STYLE_BOUNDS.values()))
  assert (styles >= low - 1e-6).all() and (styles <= high + 1e-6).all()
  position = (styles - low) / (high - low)
  # Of 2,000 uniforms: the mean has sd 0.0065, the variance sd 0.0017, the
  # correlation of two columns sd 0.022.
  np.testing.assert_allclose(position.mean(0), 0.5, atol=5 * 0.0065)
  np.testing.assert_allclose(position.var(0), 1 / 12, atol=5 * 0.0017)
  correlation = np.corrcoef(position.T) - np.eye(len(low))
  assert np.abs(correlation).max() < 5 * 0.022


def test_style_depends_on_id_and_seed_alone():
  def style(client_id, seed):
    drawn = warps.client_style(tf.constant(client_id), seed)
    return [float(value) for value in drawn.values()]

  assert style("a", 1) == style("a", 1)
  assert style("a", 1) != style("a", 2)
  assert style("a", 1) != style("b", 1)
