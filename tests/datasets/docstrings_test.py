"""Tests for docstrings, on distributions made for them and on the real ones."""

import collections
import re
import time

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.datasets import docstrings
from tff_gen_debug.datasets import docstrings_source


def _sentences(module):
  """16 sentences of a module, none of which another one has."""
  return [f"this is the very best line {k} of {module} ." for k in range(16)]


def _install(site, package, modules):
  lines = []
  for module in modules:
    text = " ".join(s.capitalize() for s in _sentences(module))
    (site / f"{module}.py").write_text(f'"""{text.replace(" .", ".")}"""\n')
    lines.append(f"{module}.py,,\n")
  info = site / f"{package}-1.0.dist-info"
  info.mkdir()
  (info / "METADATA").write_text(f"Name: {package}\nVersion: 1.0\n")
  (info / "RECORD").write_text("".join(lines))


@pytest.fixture(name="site")
def _site(tmp_path, monkeypatch):
  """Three packages with modules m0 to m4; toyb's are in the test half."""
  site = tmp_path / "site"
  site.mkdir()
  _install(site, "toya", ["m0", "m3"])
  _install(site, "toyb", ["m1", "m2"])
  _install(site, "toyc", ["m4"])
  monkeypatch.syspath_prepend(str(site))
  monkeypatch.setattr(
    docstrings_source, "PACKAGES", ("toyc", "toyb", "toya", "not-there")
  )
  monkeypatch.setattr(
    docstrings, "_is_test_package", lambda package: package == "toyb"
  )
  return site


def _cached(cache):
  (path,) = cache.iterdir()
  return path


def _examples(data, client_id):
  dataset = data.create_tf_dataset_for_client(client_id)
  return next(iter(dataset.batch(10000).as_numpy_iterator()))


def test_clients_are_modules_split_by_package(site, tmp_path):
  train, test = docstrings.load_data(str(tmp_path / "cache"))

  assert train.client_ids == ["m0", "m3", "m4"]
  assert test.client_ids == ["m1", "m2"]


def test_examples_are_of_the_type_of_tffs_stack_overflow(site, tmp_path):
  synthetic = tff.simulation.datasets.stackoverflow.get_synthetic()

  for half in docstrings.load_data(str(tmp_path / "cache")):
    assert half.element_type_structure == synthetic.element_type_structure
    assert list(half.element_type_structure) == [
      "creation_date",
      "score",
      "tags",
      "title",
      "tokens",
      "type",
    ]


def test_examples(site, tmp_path):
  train, test = docstrings.load_data(str(tmp_path / "cache"))

  for data, client_id, package in [
    (train, "m0", b"toya"),
    (test, "m2", b"toyb"),
    (train, "m4", b"toyc"),
  ]:
    found = _examples(data, client_id)
    assert [t.decode() for t in found["tokens"]] == _sentences(client_id)
    assert set(found["creation_date"]) == {b"1970-01-01 00:00:00 UTC"}
    assert found["score"].tolist() == [0] * 16
    assert set(found["tags"]) == {package}
    assert set(found["title"]) == {client_id.encode()}
    assert set(found["type"]) == {b"docstring"}


def test_unknown_client(site, tmp_path):
  train, test = docstrings.load_data(str(tmp_path / "cache"))

  with pytest.raises(ValueError, match="got 'm1'"):
    train.create_tf_dataset_for_client("m1")
  with pytest.raises(tf.errors.OpError):
    test.serializable_dataset_fn(tf.constant("m0"))


def test_tffs_workers_read_the_text(site, tmp_path, tff_runtime):
  _, test = docstrings.load_data(str(tmp_path / "cache"))

  @tff.tensorflow.computation(test.dataset_computation.type_signature.result)
  def count_characters(dataset):
    return dataset.reduce(
      np.int64(0),
      lambda total, example: (
        total + tf.cast(tf.strings.length(example["tokens"]), tf.int64)
      ),
    )

  @tff.federated_computation(tff.FederatedType(np.str_, tff.CLIENTS))
  def total(client_ids):
    datasets = tff.federated_map(test.dataset_computation, client_ids)
    return tff.federated_sum(tff.federated_map(count_characters, datasets))

  # 10 lines of 36 characters and 6 of 37, of two clients.
  assert total(["m1", "m2"]) == 2 * (10 * 36 + 6 * 37)


def test_second_load_reads_the_cache(site, tmp_path, monkeypatch):
  cache = tmp_path / "cache"
  docstrings.load_data(str(cache))

  monkeypatch.setattr(docstrings_source, "extract", None)
  train, _ = docstrings.load_data(str(cache))

  assert train.client_ids == ["m0", "m3", "m4"]


def test_extraction_gives_the_same_bytes_again(site, tmp_path, monkeypatch):
  docstrings.load_data(str(tmp_path / "one"))
  monkeypatch.setattr(
    docstrings_source, "PACKAGES", ("toyb", "toya", "not-there", "toyc")
  )
  docstrings.load_data(str(tmp_path / "two"))

  one, two = _cached(tmp_path / "one"), _cached(tmp_path / "two")
  assert one.name == two.name
  assert re.fullmatch("docstrings_[0-9a-f]{16}.txt", one.name)
  assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize(
  "damage",
  [
    lambda content: b"",
    lambda content: content[:-10],
    lambda content: content.replace(b"line 3", b"line 4"),
  ],
)
def test_damaged_cache_is_made_again(site, tmp_path, caplog, damage):
  cache = tmp_path / "cache"
  docstrings.load_data(str(cache))
  whole = _cached(cache).read_bytes()
  _cached(cache).write_bytes(damage(whole))

  train, _ = docstrings.load_data(str(cache))

  assert len(_examples(train, "m0")["tokens"]) == 16
  assert _cached(cache).read_bytes() == whole
  assert f"{_cached(cache)} is damaged" in caplog.text


def test_other_versions_are_another_file(site, tmp_path):
  cache = tmp_path / "cache"
  docstrings.load_data(str(cache))
  (site / "toya-1.0.dist-info" / "METADATA").write_text(
    "Name: toya\nVersion: 1.1\n"
  )
  (site / "m0.py").write_text("")

  train, _ = docstrings.load_data(str(cache))

  assert train.client_ids == ["m3", "m4"]
  assert len(list(cache.iterdir())) == 2


def test_interrupted_extraction_leaves_nothing(site, tmp_path, monkeypatch):
  def interrupt(path):
    raise KeyboardInterrupt

  monkeypatch.setattr(docstrings_source, "read_docstrings", interrupt)

  with pytest.raises(KeyboardInterrupt):
    docstrings.load_data(str(tmp_path / "cache"))
  assert list((tmp_path / "cache").iterdir()) == []


def test_too_few_packages(site, tmp_path, monkeypatch):
  monkeypatch.setattr(docstrings_source, "PACKAGES", ("toya", "toyc"))

  with pytest.raises(RuntimeError, match=r"only \['toya', 'toyc'\] have"):
    docstrings.load_data(str(tmp_path / "cache"))


def test_default_cache_dir(site, tmp_path, monkeypatch):
  monkeypatch.setenv("HOME", str(tmp_path / "home"))

  docstrings.load_data()

  assert _cached(tmp_path / "home" / ".tff_gen_debug").suffix == ".txt"


def test_packages_are_dealt_by_their_names_alone():
  # sha256 of "docstrings 0 numpy" begins with 0x08, tensorflow's with 0xd3.
  assert docstrings._is_test_package("numpy")
  assert not docstrings._is_test_package("tensorflow")
  names = [f"package-{k}" for k in range(2000)]
  share = np.mean([docstrings._is_test_package(name) for name in names])
  # 51 of 256 are 19.9 %; 4 standard deviations are 3.6 %.
  assert 0.163 < share < 0.235


@pytest.fixture(scope="module", name="real_cache")
def _real_cache(tmp_path_factory):
  """A cache with the text of the installed packages, extracted once."""
  cache = tmp_path_factory.mktemp("real")
  docstrings.load_data(str(cache))
  return str(cache)


@pytest.mark.slow
def test_real_text(real_cache):
  train, test = docstrings.load_data(real_cache)

  assert len(train.client_ids) >= 1700
  assert len(test.client_ids) >= 300
  assert not set(train.client_ids) & set(test.client_ids)
  seen = set()
  packages = []
  openings = collections.Counter()
  for half in (train, test):
    packages.append(set())
    for client_id in half.client_ids:
      examples = _examples(half, client_id)
      sentences = [tokens.decode("ascii") for tokens in examples["tokens"]]
      assert len(sentences) >= 16
      assert len(set(sentences)) == len(sentences)
      assert seen.isdisjoint(sentences)
      seen.update(sentences)
      packages[-1].update(examples["tags"])
      openings.update(" ".join(s.split(" ")[:2]) for s in sentences)
  assert not packages[0] & packages[1]
  assert len(seen) > 100_000

  token = r"(<URL>|[a-z0-9]+(['-][a-z0-9]+)*|[!-/:-@\[-`{-~])"
  sentence = re.compile(f"{token}( {token})+")
  assert [s for s in seen if not sentence.fullmatch(s)] == []
  common = [opening for opening, _ in openings.most_common(40)]
  assert set(common[:10]) >= {"if the", "this is", "note that", "returns the"}
  # None of the common ways to begin a sentence is code or markup, or so common
  # that it would stand out among joined words.
  assert [o for o in common if not re.fullmatch("[a-z]+ ([a-z]+|,)", o)] == []
  assert openings[common[0]] < 0.05 * len(seen)


@pytest.mark.slow
def test_real_data_is_quick_and_light(real_cache):
  start = time.process_time()
  train, _ = docstrings.load_data(real_cache)
  assert time.process_time() - start < 2

  ids = train.client_ids[:200]
  times = []
  for client_id in ids:
    start = time.perf_counter()
    train.create_tf_dataset_for_client(client_id)
    times.append(time.perf_counter() - start)
  # About 1 ms; whoever shares the machine must not fail this.
  assert np.percentile(times, 20) < 4e-3

  function = tf.function(
    train.serializable_dataset_fn,
    input_signature=[tf.TensorSpec([], tf.string)],
  )
  graph = function.get_concrete_function().graph.as_graph_def()
  assert graph.ByteSize() < 300_000
