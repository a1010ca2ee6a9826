"""Tests for bugs."""

import collections

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.debugging import bugs

_IDS = [f"f{i:04d}_{i % 37:02d}" for i in range(10_000)]


def _image():
  """An image in which every pixel has its own value."""
  return np.arange(28 * 28, dtype=np.float32).reshape(28, 28) / (28 * 28)


def _run(bug, image):
  """Runs a bug where it will run: mapped over a data set."""
  dataset = tf.data.Dataset.from_tensors(image).map(bug)
  return next(iter(dataset)).numpy()


def _small_data(num_clients=16):
  """Clients with two images each, of which no two are alike."""
  draw = np.random.RandomState(0).uniform
  return tff.simulation.datasets.TestClientData(
    {
      f"client_{i}": collections.OrderedDict(
        label=np.array([i, i + 1], np.int32),
        pixels=draw(size=[2, 28, 28]).astype(np.float32),
      )
      for i in range(num_clients)
    }
  )


def _examples(data, client_id):
  dataset = data.create_tf_dataset_for_client(client_id)
  return next(iter(dataset.batch(10).as_numpy_iterator()))


def _expected(name):
  image = _image()
  if name == "invert_pixels":
    return 1 - image
  if name == "rotate_90":
    return np.rot90(image)
  if name == "low_contrast":
    return 0.75 + image / 4
  expected = np.ones([28, 28], np.float32)
  if name == "blank_half":
    expected[:, :14] = image[:, :14]
  elif name == "shifted_crop":
    expected[7:, 7:] = image[:21, :21]
  return expected


@pytest.mark.parametrize("channels", [None, 1])
@pytest.mark.parametrize(
  "name",
  [
    "invert_pixels",
    "rotate_90",
    "blank_half",
    "shifted_crop",
    "blank",
    "low_contrast",
  ],
)
def test_image(name, channels):
  image, expected = _image(), _expected(name)
  if channels:
    image, expected = image[..., np.newaxis], expected[..., np.newaxis]

  found = _run(getattr(bugs, name), image)

  assert found.dtype == np.float32
  if name == "low_contrast":
    # Two roundings of numbers below 1.
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-7)
  else:
    np.testing.assert_array_equal(found, expected)


def test_low_contrast_keeps_paper_white():
  assert _run(bugs.low_contrast, np.ones([28, 28], np.float32)).min() == 1.0


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("probability", [0.01, 0.1, 0.5, 0.9])
def test_share_of_affected_clients(probability, seed):
  affected = bugs.affected_clients(_IDS, probability, seed)

  sd = np.sqrt(10_000 * probability * (1 - probability))
  assert abs(len(affected) - 10_000 * probability) < 4.5 * sd


def test_nobody_and_everybody():
  assert bugs.affected_clients(_IDS, 0.0, 3) == []
  assert bugs.affected_clients(_IDS, 1.0, 3) == _IDS
  assert bugs.affected_clients(_IDS, 1, 3) == _IDS
  assert bugs.affected_clients([], 0.5, 3) == []


def test_draw_does_not_depend_on_the_others():
  affected = bugs.affected_clients(_IDS, 0.3, 3)

  assert bugs.affected_clients(_IDS[::-1], 0.3, 3) == affected[::-1]
  assert bugs.affected_clients(_IDS[100:200], 0.3, 3) == [
    i for i in _IDS[100:200] if i in set(affected)
  ]


def test_higher_probability_adds_clients():
  few = set(bugs.affected_clients(_IDS, 0.2, 3))

  assert few < set(bugs.affected_clients(_IDS, 0.4, 3))


def test_seeds_are_independent():
  first = set(bugs.affected_clients(_IDS, 0.5, 3))
  second = set(bugs.affected_clients(_IDS, 0.5, 4))

  # Of independent draws a quarter is in both: Binomial(10,000, 1/4), sd 43.
  assert abs(len(first & second) - 2_500) < 5 * 43


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_inject_breaks_the_affected_clients_and_no_others(probability):
  data = _small_data()

  broken = bugs.inject(data, bugs.invert_pixels, probability, seed=11)

  affected = bugs.affected_clients(data.client_ids, probability, 11)
  assert broken.client_ids == data.client_ids
  assert broken.element_type_structure == data.element_type_structure
  for client_id in data.client_ids:
    before, after = _examples(data, client_id), _examples(broken, client_id)
    np.testing.assert_array_equal(after["label"], before["label"])
    pixels = before["pixels"]
    np.testing.assert_array_equal(
      after["pixels"], 1 - pixels if client_id in affected else pixels
    )
  if probability == 0.5:
    assert 0 < len(affected) < len(data.client_ids)


def test_inject_keeps_further_fields_and_channels():
  data = tff.simulation.datasets.TestClientData(
    {
      "a": collections.OrderedDict(
        label=[1], pixels=_image()[np.newaxis, ..., np.newaxis], weight=[2.0]
      )
    }
  )

  found = _examples(bugs.inject(data, bugs.rotate_90, 1.0, 0), "a")

  assert found["weight"].tolist() == [2.0]
  np.testing.assert_array_equal(found["pixels"][0, ..., 0], np.rot90(_image()))


def test_inject_client_bug_tells_affected_clients_from_others():
  data = _small_data()

  broken = bugs.inject_client_bug(
    data,
    lambda dataset, affected: dataset.take(
      tf.where(affected, tf.constant(1, tf.int64), -1)
    ),
    0.5,
    11,
  )

  affected = bugs.affected_clients(data.client_ids, 0.5, 11)
  assert [len(_examples(broken, i)["label"]) for i in data.client_ids] == [
    1 if i in affected else 2 for i in data.client_ids
  ]
  assert 0 < len(affected) < len(data.client_ids)
  with pytest.raises(ValueError, match=r"probability must be in \[0, 1\], got"):
    bugs.inject_client_bug(data, lambda dataset, _: dataset, 1.1, 0)


def test_bugs_add_up():
  data = _small_data(4)
  once = bugs.inject(data, bugs.invert_pixels, 1.0, 1)
  twice = bugs.inject(once, bugs.blank_half, 1.0, 2)

  pixels = _examples(data, "client_0")["pixels"]
  expected = np.ones_like(pixels)
  expected[:, :, :14] = 1 - pixels[:, :, :14]
  np.testing.assert_array_equal(
    _examples(twice, "client_0")["pixels"], expected
  )


def test_worker_draws_the_same_clients(tff_runtime):
  del tff_runtime
  data = _small_data(12)
  broken = bugs.inject(data, bugs.invert_pixels, 0.5, seed=11)
  affected = bugs.affected_clients(data.client_ids, 0.5, 11)
  darkness = tff.tensorflow.computation(
    lambda dataset: dataset.reduce(
      np.float32(0), lambda total, e: total + tf.reduce_sum(e["pixels"])
    ),
    tff.SequenceType(broken.dataset_computation.type_signature.result.element),
  )

  @tff.federated_computation(tff.FederatedType(np.str_, tff.CLIENTS))
  def totals(client_ids):
    return tff.federated_map(
      darkness, tff.federated_map(broken.dataset_computation, client_ids)
    )

  expected = []
  for client_id in data.client_ids:
    pixels = _examples(data, client_id)["pixels"]
    expected.append((1 - pixels if client_id in affected else pixels).sum())
  np.testing.assert_allclose(totals(data.client_ids), expected, rtol=1e-5)
  assert 0 < len(affected) < 12


@pytest.mark.parametrize("probability", [-0.1, 1.1, float("nan")])
def test_probability_out_of_range(probability):
  with pytest.raises(ValueError, match=r"probability must be in \[0, 1\], got"):
    bugs.affected_clients(_IDS, probability, 0)
  with pytest.raises(ValueError, match=r"probability must be in \[0, 1\], got"):
    bugs.inject(_small_data(1), bugs.invert_pixels, probability, 0)


def test_wrong_types():
  data = _small_data(1)
  with pytest.raises(TypeError, match="probability must be a number, got str"):
    bugs.inject(data, bugs.invert_pixels, "0.5", 0)
  with pytest.raises(TypeError, match="seed must be an int, got float"):
    bugs.inject(data, bugs.invert_pixels, 0.5, 0.5)
  with pytest.raises(TypeError, match="bug must be callable, got str"):
    bugs.inject(data, "invert_pixels", 0.5, 0)


def test_data_without_images():
  text = tff.simulation.datasets.TestClientData({"a": {"tokens": ["x"]}})

  with pytest.raises(ValueError, match="must have examples with `pixels`"):
    bugs.inject(text, bugs.invert_pixels, 0.5, 0)


@pytest.mark.parametrize(
  "bug", [lambda x: x[:14], lambda x: tf.cast(x, tf.float64), tf.reduce_sum]
)
def test_bug_that_changes_the_type(bug):
  with pytest.raises(ValueError, match="bug must keep pixels of"):
    bugs.inject(_small_data(1), bug, 0.5, 0)
