"""The word and the character model of one scenario, trained with DP-FedAvg."""

from collections.abc import Sequence
import dataclasses
import os

import tensorflow_federated as tff

from tasks import deployment
from tasks.tokenization_bug import config as config_lib
from tasks.tokenization_bug import population
from tff_gen_debug import aggregators
from tff_gen_debug import learning
from tff_gen_debug import privacy
from tff_gen_debug import token_ids
from tff_gen_debug.datasets import client_examples
from tff_gen_debug.models import text
from tff_gen_debug.runtime import program

# Adam divides by the root of the second moment plus this. The noise on a mean
# keeps second moments away from 0, so the customary 1e-7 would do no harm, but
# weights that hardly any user touches, such as rare words' embeddings, would
# then move on noise alone.
_ADAM_EPSILON = 1e-4

# Folded into the seed, so that the models' cohorts are drawn independently.
_WORD, _CHAR = 1, 2


@dataclasses.dataclass(frozen=True, eq=False)
class Trainer:
  """How to train one of the two models.

  Attributes:
    model: Its sizes.
    process: The training process.
    plan: What makes sampler, noise and accounting.
    rounds: How many rounds it is trained.
    purpose: Tells its cohorts from the other model's.
  """

  model: text.LanguageModel
  process: tff.learning.templates.LearningProcess
  plan: privacy.PrivacyPlan
  rounds: int
  purpose: int


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedModel:
  """What is left of a training run.

  Attributes:
    weights: As `text.LanguageModel` takes them.
    ledger: What the users have spent, also before this training.
    rounds: How many rounds were run.
  """

  weights: tuple
  ledger: privacy.PrivacyLedger
  rounds: int


def make_plan(config: config_lib.Config, num_users: int) -> privacy.PrivacyPlan:
  """The plan of all rounds that a user pays for: those of both models."""
  plan = deployment.make_plan(
    config, num_users, config.word_rounds + config.char_rounds
  )
  if config.target_epsilon:
    plan = plan.calibrate(target_epsilon=config.target_epsilon)
  return plan


def word_trainer(
  config: config_lib.Config, vocabulary_size: int, plan: privacy.PrivacyPlan
) -> Trainer:
  """The word model and how to train it."""
  model = text.LanguageModel(
    num_tokens=token_ids.FIRST + vocabulary_size,
    embedding=config.word_embedding,
    units=config.word_units,
    projection=config.word_projection,
  )
  process = _build_process(
    config,
    plan,
    model.as_functional_model(config.sentence_length, config.seed),
    clip_norm=config.word_clip_norm,
    batch_size=config.word_batch_size,
    client_steps=config.word_client_steps,
    client_learning_rate=config.word_client_learning_rate,
    max_examples=config.max_sentences,
  )
  return Trainer(model, process, plan, config.word_rounds, _WORD)


def char_trainer(
  config: config_lib.Config, plan: privacy.PrivacyPlan
) -> Trainer:
  """The character model and how to train it."""
  model = text.LanguageModel(
    num_tokens=population.ALPHABET.num_tokens,
    embedding=config.char_embedding,
    cell=config.char_cell,
    units=config.char_units,
    projection=config.char_projection,
  )
  process = _build_process(
    config,
    plan,
    # A word and its END.
    model.as_functional_model(config.max_characters + 1, config.seed),
    clip_norm=config.char_clip_norm,
    batch_size=config.char_batch_size,
    client_steps=config.char_client_steps,
    client_learning_rate=config.char_client_learning_rate,
    max_examples=config.max_words_per_user,
  )
  return Trainer(model, process, plan, config.char_rounds, _CHAR)


def train(
  config: config_lib.Config,
  trainer: Trainer,
  examples: client_examples.ClientExamples,
  ledger: privacy.PrivacyLedger,
  description: str,
  folder: str,
) -> TrainedModel:
  """Trains a model, or goes on with an earlier run in `folder`.

  Args:
    config: The config.
    trainer: The model and how to train it.
    examples: What each user trains on.
    ledger: What the users have spent so far; it is not changed.
    description: Names the model where progress is shown.
    folder: Where its checkpoints and metrics go.

  Returns:
    The trained model.
  """
  os.makedirs(folder, exist_ok=True)
  sampler = trainer.plan.sampler(
    list(examples), (config.seed << 8) + trainer.purpose
  )

  def cohort(round_num: int) -> Sequence[str]:
    client_ids = sampler.sample(round_num)
    examples.read(client_ids)
    return client_ids

  result = program.train(
    trainer.process,
    sample_clients=cohort,
    client_datasets=examples,
    rounds=trainer.rounds,
    budget=program.Budget(
      round_event=trainer.plan.round_event,
      ledger=ledger,
      stop_at_epsilon=config.stop_at_epsilon or None,
    ),
    directory=os.path.join(folder, "checkpoints"),
    checkpoint_every=config.checkpoint_every,
    release_managers=deployment.release_managers(folder),
    description=description,
  )
  weights = trainer.process.get_model_weights(result.state).trainable
  return TrainedModel(tuple(weights), result.ledger, result.rounds)


def _build_process(
  config: config_lib.Config,
  plan: privacy.PrivacyPlan,
  model: tff.learning.models.FunctionalModel,
  *,
  clip_norm: float,
  batch_size: int,
  client_steps: int,
  client_learning_rate: float,
  max_examples: int,
) -> tff.learning.templates.LearningProcess:
  optimizers = tff.learning.optimizers
  if config.server_optimizer == "adam":
    server_optimizer = optimizers.build_adam(
      config.server_learning_rate, epsilon=_ADAM_EPSILON
    )
  else:
    server_optimizer = optimizers.build_sgdm(
      config.server_learning_rate, momentum=0.9
    )
  if config.clipping == "adaptive":
    aggregator = aggregators.adaptive_gaussian_mean_factory(
      plan, initial_clip_norm=clip_norm
    )
  else:
    aggregator = aggregators.gaussian_mean_factory(plan, clip_norm)
  return learning.build_dp_fed_avg(
    model,
    aggregator=aggregator,
    client_optimizer=optimizers.build_sgdm(client_learning_rate),
    server_optimizer=server_optimizer,
    batch_size=batch_size,
    client_steps=client_steps,
    max_client_examples=max_examples,
    client_metrics=deployment.client_metrics(config),
    seed=config.seed,
  )
