"""A character model learns five words by DP-FedAvg, as noise lets it."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug import aggregators
from tff_gen_debug import learning
from tff_gen_debug import privacy
from tff_gen_debug.datasets import alphabet as alphabet_lib
from tff_gen_debug.models import text

pytestmark = pytest.mark.usefixtures("tff_runtime")

_WORDS = ["cab", "bad", "ad", "i c", "dab"]
_ALPHABET = alphabet_lib.Alphabet(" abcdi")
_LENGTH = 4
_CLIENTS = 8
_ROUNDS = 60


@pytest.fixture(scope="module")
def clients():
  ids = _ALPHABET.encode(_WORDS, _LENGTH - 1)
  examples = tf.data.Dataset.from_tensor_slices((ids[:, :-1], ids[:, 1:]))
  return [examples] * _CLIENTS


def _mass_on_the_words(clients, noise_multiplier: float) -> float:
  """The probability of the five words after training with so much noise."""
  model = text.LanguageModel(_ALPHABET.num_tokens, embedding=8, units=16)
  plan = privacy.PrivacyPlan(
    population=_CLIENTS,
    expected_clients_per_round=_CLIENTS,
    rounds=_ROUNDS,
    noise_multiplier=noise_multiplier,
    delta=1e-2,
  )
  process = learning.build_dp_fed_avg(
    model.as_functional_model(_LENGTH),
    aggregator=aggregators.gaussian_mean_factory(plan, clip_norm=1.0),
    client_optimizer=tff.learning.optimizers.build_sgdm(0.5),
    server_optimizer=tff.learning.optimizers.build_adam(0.05),
  )
  state = process.initialize()
  for _ in range(_ROUNDS):
    state = process.next(state, clients).state
  weights = process.get_model_weights(state).trainable
  # END closes each word; PAD, as the encoder puts it after, is not drawn.
  words = np.array(_ALPHABET.encode(_WORDS, _LENGTH - 1))[:, 1:]
  log_probabilities = text.generation.log_probability(model, weights, words)
  return float(np.exp(log_probabilities).sum())


def test_learns_the_words_and_noise_costs_what_it_must(clients):
  # Both bounds matter: a run whose noise is missing is as good as the first.
  assert _mass_on_the_words(clients, 0.0) > 0.95
  assert 0.01 < _mass_on_the_words(clients, 0.4) < 0.8
