"""Tests for handwriting."""

import time

import numpy as np
import psutil
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.datasets import handwriting
from tff_gen_debug.datasets import handwriting_file
from tff_gen_debug.datasets import warps


@pytest.fixture(scope="module", name="data")
def _data():
  return handwriting.load_data()


def _arrays(dataset):
  """One batch with all of a client's examples, as NumPy arrays."""
  return next(iter(dataset.batch(1000).as_numpy_iterator()))


def _client(data, client_id):
  return _arrays(data.create_tf_dataset_for_client(client_id))


def test_examples_are_of_the_type_of_tffs_emnist(data):
  for half in data:
    assert isinstance(half, tff.simulation.datasets.ClientData)
    assert (
      half.element_type_structure
      == tff.simulation.datasets.emnist.get_synthetic().element_type_structure
    )
    assert list(half.element_type_structure) == ["label", "pixels"]


def test_clients_are_split_and_named_for_their_blocks(data):
  train, test = data

  assert len(train.client_ids) == 165
  assert len(test.client_ids) == 38
  assert not set(train.client_ids) & set(test.client_ids)
  numbers = [int(i[6:]) for i in sorted(train.client_ids + test.client_ids)]
  assert numbers == np.rint(np.arange(203) * 287 / 202).astype(int).tolist()


def test_split_is_by_runs_of_neighbouring_blocks(data):
  train, test = data
  in_test = {int(i[6:]) // 8 for i in test.client_ids}

  assert len(in_test) == 7
  assert not in_test & {int(i[6:]) // 8 for i in train.client_ids}


def test_first_digits_are_the_known_ones(data):
  # MNIST's training labels begin 5 0 4 1 9 2 1 3 1 4 3 5 3 6 1 7 2 8 6 9, as
  # printed in any tutorial; every second one is ours.
  train, test = data
  half = train if "block_000" in train.client_ids else test

  labels = _client(half, "block_000")["label"]

  assert labels[:10].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_clients_have_104_digits_of_all_classes_black_on_white(data):
  for half in data:
    for client_id in half.client_ids[::3]:
      examples = _client(half, client_id)
      pixels, labels = examples["pixels"], examples["label"]
      assert pixels.shape == (104, 28, 28)
      assert np.bincount(labels, minlength=10).min() >= 1
      assert labels.max() == 9
      assert pixels.min() == 0.0 and pixels.max() == 1.0
      # Most of every image is paper.
      assert np.median(pixels, axis=(1, 2)).min() == 1.0
      assert (pixels.mean((1, 2)) > 0.5).all()


def test_pixels_are_the_files_with_polarity_turned(data):
  train, test = data
  blocks = handwriting_file.read(
    handwriting.EMBEDDED_PATH, handwriting.EMBEDDED_DIGEST, repair=""
  )

  chosen = (values[::3] for values in blocks[:3])
  for number, labels, ink in zip(*chosen):
    client_id = f"block_{number:03d}"
    half = train if client_id in train.client_ids else test
    examples = _client(half, client_id)
    np.testing.assert_array_equal(examples["label"], labels)
    np.testing.assert_array_equal(
      np.rint(255 * examples["pixels"].astype(np.float64)),
      255 - ink.astype(int),
    )


def test_label_fits_the_image(data):
  # A label off by one place would give a nearest mean no better than chance.
  train, test = data
  examples = [_client(train, i) for i in train.client_ids[::4]]
  pixels = np.concatenate([e["pixels"] for e in examples])
  labels = np.concatenate([e["label"] for e in examples])
  means = np.stack([pixels[labels == c].mean(0) for c in range(10)])

  right = []
  for client_id in test.client_ids[::4]:
    found = _client(test, client_id)
    distance = ((found["pixels"][:, None] - means) ** 2).sum((2, 3))
    right.append((distance.argmin(1) == found["label"]).mean())

  assert np.mean(right) > 0.75


def test_graph_of_a_client_is_small(data):
  train, _ = data

  @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
  def graph(client_id):
    return train.serializable_dataset_fn(client_id)

  size = graph.get_concrete_function().graph.as_graph_def().ByteSize()

  # All of the clients, to look any of them up; 13.5 MB if they lay open.
  assert size < 3_000_000


def test_unknown_client_is_an_error_even_in_the_graph(data):
  train, test = data
  stranger = test.client_ids[0]

  with pytest.raises(ValueError, match=stranger):
    train.create_tf_dataset_for_client(stranger)
  with pytest.raises(tf.errors.InvalidArgumentError):
    _arrays(train.serializable_dataset_fn(tf.constant(stranger)))


def test_all_blocks_without_the_file(tmp_path):
  with pytest.raises(
    FileNotFoundError,
    match=f"make_handwriting --cache_dir {tmp_path}",
  ):
    handwriting.load_data(all_blocks=True, cache_dir=str(tmp_path))


def test_all_blocks_with_a_damaged_file(tmp_path):
  path = tmp_path / "handwriting_all_blocks.npz"
  path.write_bytes(b"half a file")

  with pytest.raises(
    handwriting_file.HandwritingFileError, match="damaged.*make_handwriting"
  ):
    handwriting.load_data(all_blocks=True, cache_dir=str(tmp_path))


def test_cache_dir_without_all_blocks(tmp_path):
  with pytest.raises(ValueError, match="cache_dir must be None unless"):
    handwriting.load_data(cache_dir=str(tmp_path))


def test_pseudo_clients_follow_from_id_and_seed_alone(data):
  train, _ = data
  many = handwriting.pseudo_clients(400, train, seed=5)
  few = handwriting.pseudo_clients(170, train, seed=5)
  others = handwriting.pseudo_clients(170, train, seed=6)

  assert many.client_ids[:170] == few.client_ids
  assert len(set(many.client_ids)) == 400
  backwards = {
    i: _client(many, i)["pixels"] for i in reversed(few.client_ids[-8:])
  }
  for client_id, pixels in backwards.items():
    np.testing.assert_array_equal(pixels, _client(few, client_id)["pixels"])
    assert np.abs(pixels - _client(others, client_id)["pixels"]).max() > 0.5


def test_pseudo_clients_take_turns_at_the_real_ones(data):
  train, _ = data
  first, second = train.client_ids[:2]
  pseudo = handwriting.pseudo_clients(165 * 2 + 1, train)

  assert pseudo.client_ids[0] == f"{first}~1"
  assert pseudo.client_ids[1] == f"{second}~1"
  assert pseudo.client_ids[165] == f"{first}~2"
  assert pseudo.client_ids[330] == f"{first}~3"


def test_pseudo_client_is_its_block_in_one_style(data):
  train, _ = data
  pseudo = handwriting.pseudo_clients(200, train, seed=5)
  assert pseudo.element_type_structure == train.element_type_structure

  for client_id in pseudo.client_ids[::40]:
    real = _client(train, client_id.split("~")[0])
    found = _client(pseudo, client_id)
    style = warps.client_style(tf.constant(client_id), 5)
    np.testing.assert_array_equal(found["label"], real["label"])
    np.testing.assert_allclose(
      found["pixels"], warps.apply_style(real["pixels"], style), atol=1e-5
    )
    assert np.abs(found["pixels"] - real["pixels"]).mean() > 0.01


def test_pseudo_clients_stay_black_on_white_and_on_the_sheet(data):
  pseudo = handwriting.pseudo_clients(1_000, data[0])
  border = np.ones([28, 28], bool)
  border[2:-2, 2:-2] = False

  for client_id in pseudo.client_ids[::20]:
    pixels = _client(pseudo, client_id)["pixels"]
    assert pixels.min() >= 0.0 and pixels.max() <= 1.0
    assert pixels[:, border].mean() > 0.95
    assert 0.05 < (1 - pixels).mean() < 0.25
    # Digits stay dark, whatever the stroke.
    assert (pixels.min((1, 2)) < 0.3).mean() > 0.95


def test_hundred_thousand_pseudo_clients_cost_no_memory(data):
  process = psutil.Process()
  before = process.memory_info().rss

  pseudo = handwriting.pseudo_clients(100_000, data[0])
  for client_id in pseudo.client_ids[::2_000]:
    _client(pseudo, client_id)
  for client_id in pseudo.client_ids[:1_000]:
    pseudo.create_tf_dataset_for_client(client_id)
  grown = process.memory_info().rss - before

  assert len(pseudo.client_ids) == 100_000
  # The ids take 12 MB. The images would take 33 GB, and a thousand data sets of
  # TFF's own client data leave 340 MB behind.
  assert grown < 100 * 2**20


def test_pseudo_client_is_made_fast(data):
  pseudo = handwriting.pseudo_clients(1_000, data[0])
  _client(pseudo, pseudo.client_ids[0])

  seconds = []
  for client_id in pseudo.client_ids[1:31]:
    start = time.perf_counter()
    _client(pseudo, client_id)
    seconds.append(time.perf_counter() - start)

  # Made and read. The fastest, because tests share their machine.
  assert min(seconds) < 0.05


def test_pseudo_clients_of_other_client_data():
  synthetic = tff.simulation.datasets.emnist.get_synthetic()

  pseudo = handwriting.pseudo_clients(3, synthetic)

  assert pseudo.client_ids == ["synthetic1~1", "synthetic2~1", "synthetic1~2"]
  examples = _client(pseudo, "synthetic1~2")
  assert examples["label"].tolist() == list(range(10))
  assert examples["pixels"].shape == (10, 28, 28)


def test_clients_are_the_same_inside_a_worker(data, tff_runtime):
  del tff_runtime
  train, _ = data
  pseudo = handwriting.pseudo_clients(200, train, seed=5)

  for half in (train, pseudo):
    client_id = half.client_ids[77]
    inside = _arrays(half.dataset_computation(client_id))
    outside = _client(half, client_id)
    np.testing.assert_array_equal(inside["label"], outside["label"])
    np.testing.assert_allclose(inside["pixels"], outside["pixels"], atol=1e-6)


@pytest.mark.parametrize("n", [0, -1])
def test_no_pseudo_clients(n):
  with pytest.raises(ValueError, match=f"n must be at least 1, got {n}"):
    handwriting.pseudo_clients(n)


@pytest.mark.parametrize("n", [1.5, "3", True])
def test_number_of_pseudo_clients_of_a_wrong_type(n):
  with pytest.raises(TypeError, match="n must be an int, got"):
    handwriting.pseudo_clients(n)


def test_pseudo_clients_of_something_else():
  text = tff.simulation.datasets.TestClientData({"a": {"tokens": ["x"]}})

  with pytest.raises(ValueError, match="must have examples with `pixels`"):
    handwriting.pseudo_clients(3, text)
