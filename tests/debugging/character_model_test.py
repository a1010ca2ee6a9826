"""Tests of the character model as an auxiliary model, with closed forms.

With all weights 0 but the last bias, each character, and the end of a word, is
drawn independently with the softmax of the bias.
"""

import types

import numpy as np
import pytest
import tensorflow as tf

from tff_gen_debug import privacy
from tff_gen_debug.datasets import alphabet as alphabet_lib
from tff_gen_debug.datasets import client_data as client_data_lib
from tff_gen_debug.datasets import vocabulary as vocabulary_lib
from tff_gen_debug.debugging import character_model
from tff_gen_debug.debugging import readable_words
from tff_gen_debug.debugging import report as report_lib

_VOCABULARY = vocabulary_lib.Vocabulary(("a",))


def _model(**changes):
  return character_model.CharacterModel(
    **{
      **dict(
        vocabulary=_VOCABULARY,
        alphabet=alphabet_lib.Alphabet("ab "),
        embedding=2,
        units=3,
        max_characters=4,
        num_draws=4000,
      ),
      **changes,
    }
  )


def _weights(end, a, b, space):
  """Of a model that draws characters with these probabilities."""
  weights = [np.zeros(s, np.float32) for s in _model().model.weight_shapes]
  # PAD, START, END, UNKNOWN and the alphabet's.
  with np.errstate(divide="ignore"):
    weights[-1][:] = np.log([1, 1, end, 1e-30, a, b, space])
  return types.SimpleNamespace(trainable=tuple(weights))


@pytest.fixture(scope="module")
def samples():
  model = _model()
  return (
    model.sample(_weights(0.5, 0.2, 0.2, 0.1)),
    model.sample(_weights(0.5, 0.1, 0.35, 0.05)),
  )


def test_the_most_probable_words_are_news(samples):
  words = dict(samples[0].words.top_words)
  # "a" is known, and nothing is no word.
  assert not {"a", ""} & set(words)
  assert words["b"] == pytest.approx(0.2 * 0.5, rel=1e-4)
  assert words["ab"] == pytest.approx(0.2 * 0.2 * 0.5, rel=1e-4)
  assert list(words)[0] == "b"
  assert samples[0].words.num_draws == 4000


def test_ratios_of_densities(samples):
  rows = {word: row for word, *row in _model().log_ratios(*samples)}
  for word, (probability, ratio) in rows.items():
    counts = [word.count(c) for c in "ab "]
    one = np.prod(np.power([0.2, 0.2, 0.1], counts)) * 0.5
    other = np.prod(np.power([0.1, 0.35, 0.05], counts)) * 0.5
    assert probability == pytest.approx(one, rel=1e-3)
    assert ratio == pytest.approx(np.log(one / other), abs=1e-3)
  assert "a" not in rows and len(rows) > 20
  ratios = [ratio for _, ratio in rows.values()]
  assert ratios == sorted(ratios, reverse=True)


def test_a_report_shows_both_directions(samples):
  sections = _model().sections({"serving": samples[0], "training": samples[1]})
  assert [type(s) for s in sections] == [report_lib.Table] * 3
  generated, more, less = sections
  assert generated.columns[1] == "serving, generated"
  assert more.title == "More frequent in serving than in training"
  assert less.title == "More frequent in training than in serving"
  # Spaces and a's are what the one has more of, b's the other.
  assert set(more.rows[0][0].text) <= {"a", " "}
  assert set(less.rows[0][0].text) == {"b"}
  assert isinstance(generated.rows[0][1], readable_words.Word)
  assert len(_model().sections({"alone": samples[0]})) == 1


def test_findings_carry_the_names_of_slices(samples):
  # One in nine of these draws has a space between letters.
  found = _model().find(*samples, ("Low accuracy", "rest"), None)
  names = {finding.name for finding in found}
  assert "low_accuracy_with_space" in names
  alone = _model().find(samples[0], None, ("x", "public"), None)
  assert {finding.name for finding in alone} == {
    name.replace("low_accuracy", "x") for name in names
  }


def test_examples_are_words(tmp_path):
  words = client_data_lib.TracedClientData(
    ["u"], lambda _: tf.data.Dataset.from_tensor_slices({"word": ["ab", "b"]})
  )
  inputs, targets = _model().examples(words).tensors("u")
  assert inputs.shape == targets.shape == [2, 5]
  with pytest.raises(ValueError, match="word"):
    _model().examples(words.preprocess(lambda ds: ds.map(lambda x: x["word"])))


def test_training_moves_it_towards_the_words(tff_runtime):
  words = client_data_lib.TracedClientData(
    ["u", "v"], lambda _: tf.data.Dataset.from_tensor_slices({"word": ["bb"]})
  )
  model = _model(num_draws=500, embedding=8, units=16)
  plan = privacy.PrivacyPlan(
    population=2,
    expected_clients_per_round=2,
    rounds=1,
    noise_multiplier=0.0,
    delta=0.1,
  )
  process = model.build_process(plan)
  state, examples = process.initialize(), model.examples(words)
  for _ in range(60):
    state = process.next(state, [examples["u"], examples["v"]]).state
  words = model.sample(process.get_model_weights(state)).words
  assert words.top_words[0][0] == "bb" and words.top_words[0][1] > 0.5


def test_what_it_is_fits_into_json():
  content = _model().to_dict()
  assert content["kind"] == "character model"
  assert content["vocabulary"] == 1 and content["units"] == 3
  assert content["alphabet"] == {"characters": "ab "}


def test_too_few_draws():
  with pytest.raises(ValueError, match="num_draws must be at least 50"):
    _model(num_draws=49)
