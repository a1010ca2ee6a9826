"""Which finds out-of-vocabulary words better: a char-LM or heavy hitters?

    python -m benchmarks.oov_discovery --out=/tmp/oov_discovery

Both get the same users of `datasets.docstrings`, the same words outside the
vocabulary and the same (epsilon, delta), with delta = 1 / number of users:

*   a character model trained with DP-FedAvg, whose answer is the words that it
    gives the highest probability, and
*   `debugging.heavy_hitters`, whose answer is the words of the highest noised
    counts.

The truth is the words that most users have. Every epsilon is what these users
really spend: the noise is calibrated for them, nothing stands for a larger
population, and the vocabulary comes from the held-out users, so that it costs
nothing. What was chosen by trying (the model's size, rounds, cohort, clip,
learning rates; for heavy hitters the words a user contributes) was chosen on
held-out users too, with `--split=tuning`: those of every second held-out
package, with a vocabulary from the others. As everywhere, the search itself is
not charged to epsilon.

The noise has no seed, so that repetitions differ.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import json
import math
import os
import time
from typing import Any, Optional

from absl import app
from absl import flags
from absl import logging
import numpy as np
from scipy import stats
import tensorflow as tf
import tensorflow_federated as tff

from benchmarks import oov_users
from tff_gen_debug import aggregators
from tff_gen_debug import files
from tff_gen_debug import learning
from tff_gen_debug import privacy
from tff_gen_debug import runtime
from tff_gen_debug.datasets import alphabet as alphabet_lib
from tff_gen_debug.datasets import language_examples
from tff_gen_debug.datasets import vocabulary as vocabulary_lib
from tff_gen_debug.debugging import heavy_hitters
from tff_gen_debug.debugging import word_ranking
from tff_gen_debug.models import text

_OUT = flags.DEFINE_string("out", None, "Directory of results and caches.")
_SPLIT = flags.DEFINE_enum(
  "split", "train", oov_users.SPLITS, "Whose words are searched for."
)
_METHODS = flags.DEFINE_list("methods", ["char-LM", "heavy hitters"], "Which.")
_EPSILONS = flags.DEFINE_list(
  "epsilons", ["1", "4", "8", "inf"], "The budgets; inf is without privacy."
)
_VOCABULARY_SIZE = flags.DEFINE_integer("vocabulary_size", 5000, "Known words.")
_BUG_PROBABILITY = flags.DEFINE_float(
  "bug_probability", 0.0, "Share of sentences whose first words are joined."
)
_MAX_CHARACTERS = flags.DEFINE_integer(
  "max_characters", 20, "Longer words are left out."
)
_CAP = flags.DEFINE_integer(
  "cap", 0, "Words of a user for heavy hitters; 0 for `choose_cap`."
)
_MAX_WORDS = flags.DEFINE_integer(
  "max_words_per_user", 64, "Words of a user that the char-LM trains on."
)
_UNITS = flags.DEFINE_integer("units", 64, "LSTM units of the char-LM.")
_EMBEDDING = flags.DEFINE_integer("embedding", 16, "Width of its embedding.")
_CLIENTS = flags.DEFINE_float("clients_per_round", 150.0, "Expected cohort.")
_ROUNDS = flags.DEFINE_integer("rounds", 500, "Rounds of the char-LM.")
_CLIP = flags.DEFINE_float("clip_norm", 1.0, "L2 norm of an update, at most.")
_CLIENT_RATE = flags.DEFINE_float("client_learning_rate", 1.0, "Of SGD.")
_SERVER_RATE = flags.DEFINE_float("server_learning_rate", 0.02, "Of Adam.")
_BATCH = flags.DEFINE_integer("batch_size", 16, "Words a batch.")
_STEPS = flags.DEFINE_integer(
  "client_steps", 4, "Batches of a client, at most."
)
_DRAWS = flags.DEFINE_integer("num_draws", 100_000, "Words that it generates.")
_SEED = flags.DEFINE_integer("seed", 1, "Makes all but the privacy noise.")

_TOP = (50, 200, 1000)
_ALPHABET = alphabet_lib.Alphabet()

# As in the tokenization bug's task: weights that hardly any user touches shall
# not move on noise alone.
_ADAM_EPSILON = 1e-4

_LOG_EVERY = 25

# Above the number of distinct words, so that the first sketch decodes.
_SKETCH_CAPACITY = 30_000

_CAPS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
# The cap is chosen for the middle one of `_TOP`.
_CAP_TOP = 200


@dataclasses.dataclass(frozen=True)
class Answer:
  """What a method found, best word first, and how.

  Attributes:
    words: At most as many as the largest of `_TOP`.
    details: Numbers for the JSON file.
  """

  words: Sequence[str]
  details: Mapping[str, Any]


def choose_cap(
  users: oov_users.Users, population: int, epsilon: float, delta: float
) -> int:
  """How many words a user should contribute to heavy hitters.

  Many words lose few of a user's, but need more noise. The choice is the cap
  that is expected to release most of the 200 most frequent words if
  `population` users were like `users`; the smallest of equal ones.

  Args:
    users: Users other than those who will be asked.
    population: How many will be asked.
    epsilon: Their budget.
    delta: Their budget.

  Returns:
    One of `_CAPS`.
  """
  scale = population / len(users.words)
  truth = oov_users.most_used_first(users.count_users())[:_CAP_TOP]

  def expected(cap: int) -> float:
    mechanism = heavy_hitters.ThresholdedGaussian.calibrate(
      epsilon=epsilon, delta=delta, max_words_per_user=cap
    )
    counts = users.count_users(cap)
    margins = [
      scale * counts[word] - mechanism.threshold
      for word in truth
      if word in counts
    ]
    return float(
      np.sum(stats.norm.cdf(np.array(margins) / mechanism.noise_stddev))
    )

  return max(_CAPS, key=expected)


def score(words: Sequence[str], truth: Mapping[str, int]) -> dict[str, Any]:
  """Precision, recall and share of words that anyone has, by top k."""
  result: dict[str, Any] = {}
  for k in _TOP:
    compared = word_ranking.precision_recall(words, truth, k)
    found = words[:k]
    result[str(k)] = dict(
      precision=compared.precision,
      recall=compared.recall,
      num_found=compared.num_found,
      real=sum(w in truth for w in found) / len(found) if found else 1.0,
    )
  return result


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
  """The table of results; a precision of nothing found is a dash."""
  head = ["epsilon", "method", "words found"]
  head += [f"{what} top {k}" for k in _TOP for what in ("P", "R", "real")]
  lines = [head, ["---"] * len(head)]
  for row in rows:
    line = [f"{row['epsilon']:g}", row["method"], str(row["num_found"])]
    for k in _TOP:
      one = row["scores"][str(k)]
      line += [
        f"{one[what]:.1%}" if one["num_found"] or what == "recall" else "-"
        for what in ("precision", "recall", "real")
      ]
    lines.append(line)
  return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plan(users: oov_users.Users, epsilon: float) -> privacy.PrivacyPlan:
  """What the char-LM may cost; simulated with fewer users while tuning."""
  plan = privacy.PrivacyPlan(
    population=users.population,
    expected_clients_per_round=_CLIENTS.value,
    rounds=_ROUNDS.value,
    noise_multiplier=0.0,
  )
  if math.isfinite(epsilon):
    plan = plan.calibrate(target_epsilon=epsilon)
  num_users = len(users.words)
  if num_users == users.population:
    return plan
  return plan.simulated_by(
    population=num_users,
    clients_per_round=_CLIENTS.value * num_users / users.population,
  )


def _language_model(users: oov_users.Users, epsilon: float) -> Answer:
  """Trains the char-LM and lets it write."""
  model = text.LanguageModel(
    _ALPHABET.num_tokens, embedding=_EMBEDDING.value, units=_UNITS.value
  )
  length = _MAX_CHARACTERS.value + 1
  plan = _plan(users, epsilon)
  optimizers = tff.learning.optimizers
  process = learning.build_dp_fed_avg(
    model.as_functional_model(length, _SEED.value),
    aggregator=aggregators.gaussian_mean_factory(plan, _CLIP.value),
    client_optimizer=optimizers.build_sgdm(_CLIENT_RATE.value),
    server_optimizer=optimizers.build_adam(
      _SERVER_RATE.value, epsilon=_ADAM_EPSILON
    ),
    batch_size=_BATCH.value,
    client_steps=_STEPS.value,
    max_client_examples=_MAX_WORDS.value,
    # Exact, and not private: what this benchmark shows of a run beside its
    # words, not what a deployment would release.
    client_metrics=("num_examples", "loss"),
    seed=_SEED.value,
  )
  # The words are in random order, so the first ones are a random sample.
  some = users.client_data.preprocess(lambda d: d.take(_MAX_WORDS.value))
  examples = language_examples.char_lm_examples(
    some, _ALPHABET, _MAX_CHARACTERS.value
  )
  client_datasets = {
    key: tf.data.Dataset.from_tensor_slices(arrays)
    for key, arrays in zip(
      examples.client_ids, oov_users.read_clients(examples)
    )
  }
  sampler = plan.sampler(examples.client_ids, _SEED.value)
  state = process.initialize()
  losses = []
  for round_num in range(plan.rounds):
    cohort = [client_datasets[key] for key in sampler.sample(round_num)]
    state, metrics = process.next(state, cohort)
    sums = metrics["client_work"]
    losses.append(float(sums["loss"] / max(sums["num_examples"], 1)))
    if (round_num + 1) % _LOG_EVERY == 0:
      logging.info("round %d: loss %.3f", round_num + 1, losses[-1])
  weights = process.get_model_weights(state).trainable
  draws = text.generation.sample(
    model, weights, _DRAWS.value, length=length, seed=_SEED.value
  ).ids
  ids, _ = text.generation.most_probable(model, weights, draws, len(draws))
  words = [
    w for w in _ALPHABET.decode(ids) if is_candidate(w, users.vocabulary)
  ]
  run = plan.as_run()
  return Answer(
    words[: _TOP[-1]],
    dict(
      epsilon_of_the_plan=_finite(plan.epsilon()),
      epsilon_of_the_run=_finite(run.epsilon()),
      delta=plan.delta,
      noise_multiplier=plan.noise_multiplier,
      weights=sum(int(np.prod(shape)) for shape in model.weight_shapes),
      distinct_draws=len(ids),
      losses=losses,
    ),
  )


def is_candidate(word: str, vocabulary: vocabulary_lib.Vocabulary) -> bool:
  """Whether a generated word could be one that the clients selected."""
  return word not in vocabulary and any(c.isalpha() for c in word)


def _heavy_hitters(
  users: oov_users.Users, tuning: oov_users.Users, epsilon: float
) -> Answer:
  """Asks for the most frequent words."""
  delta: Optional[float]
  if math.isfinite(epsilon):
    # Of the users of the plan, whoever they are while tuning.
    delta = 1 / users.population
    cap = _CAP.value or choose_cap(tuning, users.population, epsilon, delta)
  else:
    # Nothing is gained by a cap without privacy.
    delta, cap = None, _CAP.value or max(map(len, users.words.values()))
  found = heavy_hitters.private_heavy_hitters(
    users.client_data,
    max_words_per_user=cap,
    epsilon=epsilon,
    delta=delta,
    capacity=_SKETCH_CAPACITY,
  )
  return Answer(
    found.words[: _TOP[-1]],
    dict(
      epsilon_of_the_run=_finite(found.epsilon),
      delta=found.delta,
      cap=cap,
      noise_stddev=found.mechanism.noise_stddev,
      threshold=found.mechanism.threshold,
      num_released=len(found.words),
    ),
  )


def _finite(number: float) -> Optional[float]:
  """JSON has no infinity."""
  return number if math.isfinite(number) else None


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f"Unknown arguments: {' '.join(argv[1:])}")
  os.makedirs(_OUT.value, exist_ok=True)
  users, tuning = (
    oov_users.load(
      split,
      directory=_OUT.value,
      vocabulary_size=_VOCABULARY_SIZE.value,
      bug_probability=_BUG_PROBABILITY.value,
      max_characters=_MAX_CHARACTERS.value,
      seed=_SEED.value,
    )
    for split in (_SPLIT.value, "tuning")
  )
  truth = users.count_users()
  ordered = oov_users.most_used_first(truth)
  logging.info(
    "%d users, %d words, of which no. 1, 50, 200 and 1000 have %s users",
    len(users.words),
    len(truth),
    [truth[ordered[k - 1]] for k in (1, *_TOP) if k <= len(ordered)],
  )
  rows = []
  with runtime.use_local_runtime():
    for epsilon in map(float, _EPSILONS.value):
      for method in _METHODS.value:
        start = time.perf_counter()
        if method == "char-LM":
          answer = _language_model(users, epsilon)
        else:
          answer = _heavy_hitters(users, tuning, epsilon)
        rows.append(
          dict(
            epsilon=epsilon,
            method=method,
            num_found=len(answer.words),
            scores=score(answer.words, truth),
            seconds=time.perf_counter() - start,
            words=list(answer.words),
            **answer.details,
          )
        )
        logging.info("%s", {**rows[-1], "words": answer.words[:20]})
        _write_json(users, truth, rows)
  print(markdown(rows), flush=True)


def _write_json(users, truth, rows) -> None:
  ordered = oov_users.most_used_first(truth)
  content = dict(
    flags={
      f.name: f.value for f in flags.FLAGS.get_key_flags_for_module(__name__)
    },
    num_users=len(users.words),
    num_words=len(truth),
    users_of_top_words={
      k: truth[ordered[k - 1]] for k in (1, *_TOP) if k <= len(ordered)
    },
    top_words=[[w, truth[w]] for w in ordered[: _TOP[0]]],
    results=[{**row, "epsilon": _finite(row["epsilon"])} for row in rows],
  )
  files.write_atomically(
    os.path.join(_OUT.value, f"results_{_SPLIT.value}.json"),
    json.dumps(content, indent=1).encode(),
  )


if __name__ == "__main__":
  flags.mark_flag_as_required("out")
  app.run(main)
