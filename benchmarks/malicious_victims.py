"""What `malicious_clients` attacks: a GAN and a language model, both small.

A victim has its users in memory, builds a training process around an
aggregation, and measures what came out of the training.
"""

from collections.abc import Callable, Mapping
import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from benchmarks import oov_users
from tasks.preprocessing_bug import config as gan_config
from tasks.preprocessing_bug import population
from tff_gen_debug import datasets
from tff_gen_debug import evaluation
from tff_gen_debug import learning
from tff_gen_debug import token_ids
from tff_gen_debug.datasets import alphabet as alphabet_lib
from tff_gen_debug.datasets import docstrings
from tff_gen_debug.datasets import handwriting
from tff_gen_debug.datasets import language_examples
from tff_gen_debug.datasets import tokenization
from tff_gen_debug.models import gan
from tff_gen_debug.models import text

BuildProcess = Callable[
  [
    tff.aggregators.UnweightedAggregationFactory,
    tff.learning.optimizers.Optimizer,
    int,
  ],
  tff.learning.templates.LearningProcess,
]


@dataclasses.dataclass(frozen=True, eq=False)
class Victim:
  """A training that clients may attack.

  Attributes:
    name: What it is called in the table.
    measures: Names of what `measure` returns, the most telling one first, and
      how many decimals of each are worth printing.
    datasets: The users' data sets, by id.
    rounds: How long it is trained.
    clients_per_round: Expected number of users a round.
    clip_norm: The L2 norm that the task clips its updates to.
    num_weights: The size of an update.
    build: `(aggregator, server_optimizer, seed) -> process`.
    measure: Turns what `get_model_weights` returned into numbers; into none if
      the model is not finite.
    server_optimizer: What the server does with a mean of updates.
    vote_step: How far the server goes in a round of votes.
  """

  name: str
  measures: Mapping[str, int]
  datasets: Mapping[str, tf.data.Dataset]
  rounds: int
  clients_per_round: float
  clip_norm: float
  num_weights: int
  build: BuildProcess
  measure: Callable[[Any], Mapping[str, float]]
  server_optimizer: tff.learning.optimizers.Optimizer
  vote_step: float


def federated_gan(folder: str, rounds: int = 30) -> Victim:
  """The GAN of the demo with half of its filters, on clean handwriting.

  It is judged by a classifier of images of other users: the classifier score
  (1 to 10, more is better) and the Frechet distance on logits to images of yet
  other users (less is better).

  Args:
    folder: Where the classifier is kept for the next time.
    rounds: How long it is trained.

  Returns:
    The victim.
  """
  users, others = handwriting.load_data()
  held_out = population.train_primary_model(gan_config.Config(), others, folder)
  reference = held_out.classifier.features(held_out.reference)
  model = gan.GanModel(
    gan.small_generator(latent_dim=32, filters=16),
    gan.small_discriminator(filters=16),
    gan.NonSaturatingLoss(),
  )

  def build(aggregator, server_optimizer, seed):
    optimizers = tff.learning.optimizers
    return learning.build_dp_fed_gan(
      model,
      aggregator=aggregator,
      client_optimizer=optimizers.build_sgdm(0.1),
      server_optimizer=server_optimizer,
      generator_optimizer=optimizers.build_adam(3e-3, beta_1=0.5),
      discriminator_steps=3,
      generator_steps=8,
      generator_batch_size=32,
      averaging_decay=0.8,
      seed=seed,
    )

  def measure(weights):
    images = learning.generate_images(model, weights, 1000, seed=7)
    if not np.all(np.isfinite(images)):
      return {}
    return {
      "classifier score": evaluation.classifier_score(
        held_out.classifier.probabilities(images)
      ),
      "Frechet distance": evaluation.frechet_distance(
        held_out.classifier.features(images), reference
      ),
    }

  return Victim(
    name="GAN",
    measures={"classifier score": 1, "Frechet distance": 0},
    datasets={
      key: tf.data.Dataset.from_tensor_slices(
        population.read_client(users.create_tf_dataset_for_client(key))[0]
      )
      for key in users.client_ids
    },
    rounds=rounds,
    clients_per_round=10.0,
    clip_norm=gan_config.Config().clip_norm,
    num_weights=sum(
      int(np.prod(w.shape))
      for w in model.discriminator.init(tf.constant([0, 0]))
    ),
    build=build,
    measure=measure,
    server_optimizer=tff.learning.optimizers.build_sgdm(1.0),
    vote_step=0.005,
  )


_MAX_CHARACTERS = 12
_WORDS_PER_USER = 64
_USERS, _HELD_OUT_USERS = 400, 60


def char_lm(folder: str, rounds: int = 50) -> Victim:
  """A character model of the words of docstrings, of the private preset's size.

  It is judged by bits a character on words of modules of other packages (less
  is better).

  Args:
    folder: Not used.
    rounds: How long it is trained.

  Returns:
    The victim.
  """
  del folder
  alphabet = alphabet_lib.Alphabet()
  length = _MAX_CHARACTERS + 1
  model = text.LanguageModel(alphabet.num_tokens, embedding=16, units=64)
  train, other = (
    _words(client_data, alphabet, count)
    for client_data, count in zip(
      docstrings.load_data(), (_USERS, _HELD_OUT_USERS)
    )
  )
  inputs, targets = (np.concatenate(part) for part in zip(*other.values()))

  def build(aggregator, server_optimizer, seed):
    return learning.build_dp_fed_avg(
      model.as_functional_model(length, seed),
      aggregator=aggregator,
      client_optimizer=tff.learning.optimizers.build_sgdm(1.0),
      server_optimizer=server_optimizer,
      batch_size=32,
      client_steps=1,
      max_client_examples=_WORDS_PER_USER,
      seed=seed,
    )

  @tf.function
  def bits(weights):
    nats = tf.nn.sparse_softmax_cross_entropy_with_logits(
      labels=targets, logits=model.logits(weights, inputs)
    )
    counted = tf.cast(targets != token_ids.PAD, nats.dtype)
    return tf.reduce_sum(nats * counted) / tf.reduce_sum(counted) / np.log(2.0)

  def measure(weights):
    value = float(bits(tuple(tf.constant(w) for w in weights.trainable)))
    return {"bits a character": value} if np.isfinite(value) else {}

  return Victim(
    name="char-LM",
    measures={"bits a character": 2},
    datasets={
      key: tf.data.Dataset.from_tensor_slices(pairs)
      for key, pairs in train.items()
    },
    rounds=rounds,
    clients_per_round=30.0,
    clip_norm=1.0,
    num_weights=sum(int(np.prod(shape)) for shape in model.weight_shapes),
    build=build,
    measure=measure,
    # Adam, as in the task, with a rate for fewer rounds.
    server_optimizer=tff.learning.optimizers.build_adam(0.1, epsilon=1e-4),
    vote_step=0.03,
  )


def _words(client_data, alphabet, count: int) -> dict[str, Any]:
  """Inputs and targets of some random users' first words, by user."""
  rng = np.random.default_rng(0)
  keys = rng.permutation(client_data.client_ids)[:count].tolist()

  def split(dataset):
    # `language_examples` reads words, one an element.
    words = dataset.map(lambda sentence: {"word": sentence["words"]})
    return words.unbatch().take(_WORDS_PER_USER)

  chosen = datasets.TracedClientData(
    keys, tokenization.split_words(client_data).serializable_dataset_fn
  )
  examples = language_examples.char_lm_examples(
    chosen.preprocess(split), alphabet, _MAX_CHARACTERS
  )
  return dict(zip(keys, oov_users.read_clients(examples)))


# By name; takes the folder for what is worth keeping.
VICTIMS: Mapping[str, Callable[[str], Victim]] = {
  "GAN": federated_gan,
  "char-LM": char_lm,
}
