"""Tests of the GAN as an auxiliary model."""

import collections
import json

import numpy as np
import pytest
import tensorflow as tf

from tests.debugging import coded_images
from tests.learning import toy_gan
from tff_gen_debug.datasets import client_data as client_data_lib
from tff_gen_debug.debugging import image_gan
from tff_gen_debug.learning import gan_weights
from tff_gen_debug.models import gan


def _images(shade, count=60):
  """Blocks of ink on paper, of slightly different shades."""
  images = np.full([count, 28, 28, 1], -1.0, np.float32)
  ink = np.random.default_rng(0).uniform(0.8, 1.0, [count, 1, 1, 1])
  images[:, 8:20, 11:17] = shade * ink
  return images


def test_examples_are_the_images_alone():
  data = client_data_lib.TracedClientData(
    ["u"],
    lambda _: tf.data.Dataset.from_tensor_slices(
      collections.OrderedDict(image=_images(1, 5), label=[1] * 5, extra=[2] * 5)
    ),
  )
  examples = image_gan.ImageGan(max_client_images=3).examples(data)
  np.testing.assert_array_equal(examples.tensors("u"), _images(1, 5)[:3])


def test_findings_carry_the_names_of_slices():
  found = image_gan.ImageGan().find(
    -_images(1), _images(1), ("Class 3, 4", "public"), None
  )
  assert found[0].name == "class_3_4_inverted" and found[0].holds


def test_a_class_is_missing_by_another_generator_alone():
  suspect = coded_images.make(20, 20, 20, 0)
  reference = coded_images.make(20, 20, 20, 20)
  verdicts = {}
  for name in ("other versions", "public"):
    found = image_gan.ImageGan().find(
      suspect, reference, ("version 2", name), coded_images.Scorer()
    )
    verdicts[name] = {f.name: f.verdict for f in found}
  missing = "version_2_missing_class"
  assert verdicts["other versions"].pop(missing) == "found"
  # The weaker a generator, the more classes does it leave out by itself.
  assert verdicts["public"].pop(missing) == "undecided"
  assert verdicts["public"] == verdicts["other versions"]


def test_alone_there_is_nothing_to_find():
  (finding,) = image_gan.ImageGan().find(_images(1), None, ("x", "y"), None)
  assert not finding.holds and finding.verdict == "undecided"


def test_a_report_shows_samples_and_where_they_differ():
  model = image_gan.ImageGan()
  one, two = model.sections({"low": _images(1), "high": _images(0.2)})
  assert [f.label for f in one.figures] == ["low, generated", "high, generated"]
  assert "1.00; 0.5 would be no difference" in two.text
  assert len(model.sections({"low": _images(1)})) == 1


def test_samples_are_the_same_for_the_same_weights():
  model = image_gan.ImageGan(
    model=toy_gan.model(gan.NonSaturatingLoss(), spread=1.0), num_samples=50
  )
  weights = gan_weights.GanWeights((), (tf.constant([2.0]),), (), ())
  first, again = model.sample(weights), model.sample(weights)
  np.testing.assert_array_equal(first, again)
  # 2 plus standard normal numbers: four standard errors.
  assert first.shape == (50, 1) and abs(first.mean() - 2) < 4 / 50**0.5


def test_what_it_is_fits_into_json():
  content = json.loads(json.dumps(image_gan.ImageGan().to_dict()))
  assert content["image_shape"] == [28, 28, 1]
  assert content["loss"] == "NonSaturatingLoss" and content["clip_norm"] == 0.5


def test_too_few_samples():
  with pytest.raises(ValueError, match="num_samples must be at least 50"):
    image_gan.ImageGan(num_samples=49)
