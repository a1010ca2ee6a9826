"""The auxiliary model for words: a character model, trained by DP-FedAvg."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any, Optional

import numpy as np
import tensorflow_federated as tff

from tff_gen_debug import arguments
from tff_gen_debug import privacy
from tff_gen_debug.aggregators import gaussian
from tff_gen_debug.datasets import alphabet as alphabet_lib
from tff_gen_debug.datasets import client_examples
from tff_gen_debug.datasets import language_examples
from tff_gen_debug.datasets import vocabulary as vocabulary_lib
from tff_gen_debug.debugging import findings as findings_lib
from tff_gen_debug.debugging import generated_words
from tff_gen_debug.debugging import readable_words
from tff_gen_debug.debugging import report as report_lib
from tff_gen_debug.debugging import word_differences
from tff_gen_debug.debugging import word_tables
from tff_gen_debug.learning import dp_fed_avg
from tff_gen_debug.models import image_classifier
from tff_gen_debug.models import text

# Adam divides by the root of the second moment plus this. The noise on a mean
# keeps second moments away from 0, so the customary 1e-7 would do no harm, but
# weights that hardly any user touches would then move on noise alone.
_ADAM_EPSILON = 1e-4

_SHOWN = 20

# Of the most probable draws, how many are looked through for what is shown.
_CANDIDATES = 1000


@dataclasses.dataclass(frozen=True, eq=False)
class WordSamples:
  """What a trained character model generates.

  Attributes:
    words: Independent draws and the most probable words.
    ids: int32 `[n, length]`: the distinct draws that are most probable, for
      whoever asks how probable another model finds them.
    weights: The model's weights.
  """

  words: generated_words.GeneratedWords
  ids: np.ndarray
  weights: tuple[np.ndarray, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class CharacterModel:
  """A federated model of the characters of each `word`; see `build_dp_fed_avg`.

  Examples are `OrderedDict(word=...)`, as `oov.OovCriterion` selects them. The
  defaults are those of `tasks.tokenization_bug`.

  Attributes:
    vocabulary: What the primary model knows. The most probable words that are
      shown are those that it lacks; None for all.
    alphabet: The characters that words are spelled with.
    cell: The recurrent layer, `lstm` or `cifg`.
    embedding: Width of the embedding.
    units: Recurrent units.
    projection: As for `text.LanguageModel`.
    max_characters: Longer words are cut and have no end.
    max_words_per_user: At most how many words of a user are kept and used.
    clip_norm: L2 norm that no user's update exceeds.
    client_learning_rate: SGD of users.
    server_learning_rate: Adam's, of the server.
    batch_size: A user's words a batch.
    client_steps: At most how many batches of a user a round.
    num_draws: How many words are drawn, at least 50.
    seed: Makes all randomness but the privacy noise.
  """

  vocabulary: Optional[vocabulary_lib.Vocabulary] = None
  alphabet: alphabet_lib.Alphabet = alphabet_lib.Alphabet()
  cell: str = "lstm"
  embedding: int = 32
  units: int = 128
  projection: int = 0
  max_characters: int = 20
  max_words_per_user: int = 64
  clip_norm: float = 1.0
  client_learning_rate: float = 1.0
  server_learning_rate: float = 0.02
  batch_size: int = 32
  client_steps: int = 2
  num_draws: int = 20_000
  seed: int = 0

  def __post_init__(self):
    arguments.integer("num_draws", self.num_draws, 50)

  @property
  def model(self) -> text.LanguageModel:
    """The sizes of the language model."""
    return text.LanguageModel(
      num_tokens=self.alphabet.num_tokens,
      embedding=self.embedding,
      cell=self.cell,
      units=self.units,
      projection=self.projection,
    )

  def examples(
    self, client_data: tff.simulation.datasets.ClientData
  ) -> client_examples.ClientExamples:
    return client_examples.ClientExamples(
      language_examples.char_lm_examples(
        client_data, self.alphabet, self.max_characters
      ),
      self.max_words_per_user,
    )

  def build_process(
    self, plan: privacy.PrivacyPlan
  ) -> tff.learning.templates.LearningProcess:
    optimizers = tff.learning.optimizers
    return dp_fed_avg.build_dp_fed_avg(
      # A word and its END.
      self.model.as_functional_model(self.max_characters + 1, self.seed),
      aggregator=gaussian.gaussian_mean_factory(plan, self.clip_norm),
      client_optimizer=optimizers.build_sgdm(self.client_learning_rate),
      server_optimizer=optimizers.build_adam(
        self.server_learning_rate, epsilon=_ADAM_EPSILON
      ),
      batch_size=self.batch_size,
      client_steps=self.client_steps,
      max_client_examples=self.max_words_per_user,
      seed=self.seed,
    )

  def sample(self, weights: Any) -> WordSamples:
    return generate(
      self.model,
      weights.trainable,
      self.alphabet,
      self.vocabulary,
      num_draws=self.num_draws,
      max_characters=self.max_characters,
      seed=self.seed,
    )

  def find(
    self,
    suspect: WordSamples,
    reference: Optional[WordSamples],
    names: tuple[str, str],
    primary: Optional[image_classifier.ImageClassifier],
  ) -> list[findings_lib.Finding]:
    """See `word_differences.compare_words`."""
    del primary
    suspect_name, reference_name = names
    return word_differences.compare_words(
      suspect.words,
      None if reference is None else reference.words,
      None if self.vocabulary is None else self.vocabulary.words,
      suspect_name=suspect_name,
      reference_name=reference_name,
    )

  def sections(
    self, samples: Mapping[str, WordSamples]
  ) -> Sequence[report_lib.Section]:
    sections: list[report_lib.Section] = [
      word_tables.most_probable(
        {f"{name}, generated": s.words for name, s in samples.items()}
      )
    ]
    if len(samples) == 2:
      (one, first), (other, second) = samples.items()
      sections += [
        self._ratio_table(one, first, other, second),
        self._ratio_table(other, second, one, first),
      ]
    return sections

  def to_dict(self) -> dict[str, Any]:
    settings = dataclasses.asdict(
      dataclasses.replace(self, vocabulary=None)  # Too long to be listed.
    )
    size = None if self.vocabulary is None else self.vocabulary.size
    return {"kind": "character model", **settings, "vocabulary": size}

  def log_ratios(
    self, samples: WordSamples, other: WordSamples
  ) -> list[tuple[str, float, float]]:
    """How much more probable one model finds its words than another does.

    The ratio of two densities, exactly, of two DP models: post-processing. It
    is the question of task T6 of Table 1 of Augenstein et al. (ICLR 2020).

    Args:
      samples: Of one model.
      other: Of the other, of the same sizes.

    Returns:
      For each of `samples.ids` that ends and is not in the vocabulary: the
      word, its probability in the one model, and the logarithm of the ratio to
      its probability in the other; largest ratio first.
    """
    of_one = text.generation.log_probability(
      self.model, samples.weights, samples.ids
    )
    of_other = text.generation.log_probability(
      self.model, other.weights, samples.ids
    )
    words = self.alphabet.decode(samples.ids)
    rows = [
      (word, float(np.exp(p)), float(p - q))
      for word, p, q in zip(words, of_one, of_other)
      if is_news(word, self.vocabulary)
    ]
    return sorted(rows, key=lambda row: -row[2])

  def _ratio_table(
    self, one: str, first: WordSamples, other: str, second: WordSamples
  ) -> report_lib.Table:
    return report_lib.Table(
      title=f"More frequent in {one} than in {other}",
      columns=("generated word", f"probability, {one}", "times as probable"),
      rows=[
        (readable_words.Word(word), f"{probability:.2e}", float(np.exp(ratio)))
        for word, probability, ratio in self.log_ratios(first, second)[:_SHOWN]
      ],
      text=(
        f"Of the {len(first.ids)} most probable words of the one model, those "
        "that the other finds least probable."
      ),
    )


def generate(
  model: text.LanguageModel,
  weights: Sequence[Any],
  alphabet: alphabet_lib.Alphabet,
  vocabulary: Optional[vocabulary_lib.Vocabulary],
  *,
  num_draws: int,
  max_characters: int,
  seed: int,
) -> WordSamples:
  """Draws words from a character model.

  A model that is trained on words outside of the vocabulary only and generates
  a word of the vocabulary, mostly a beginning of longer ones, makes a known
  mistake: the most probable words are those of the others.

  Args:
    model: The sizes of the character model.
    weights: Its weights.
    alphabet: The characters that it spells with.
    vocabulary: What the primary model knows; None for nothing.
    num_draws: How many words are drawn, at least 1.
    max_characters: Draws of more characters are given up.
    seed: Makes the draws.

  Returns:
    All draws, and the 20 most probable words that the vocabulary lacks.
  """
  draws = text.generation.sample(
    model, weights, num_draws, length=max_characters + 1, seed=seed
  ).ids
  top_ids, log_probabilities = text.generation.most_probable(
    model, weights, draws, _CANDIDATES
  )
  chosen = [
    k
    for k, word in enumerate(alphabet.decode(top_ids))
    if is_news(word, vocabulary)
  ][:_SHOWN]
  words = generated_words.GeneratedWords.from_ids(
    alphabet.decode, draws, top_ids[chosen], log_probabilities[chosen]
  )
  return WordSamples(words, top_ids, tuple(weights))


def is_news(word: str, vocabulary: Optional[vocabulary_lib.Vocabulary]) -> bool:
  """Whether something is a word, and none that the primary model knows."""
  return bool(word) and (vocabulary is None or word not in vocabulary)
