"""What synthetic images are worth, by real ones that no teacher had."""

import dataclasses
import logging
from typing import Optional

import numpy as np

from tasks.datalens import config as config_lib
from tasks.datalens import population as population_lib
from tff_gen_debug import evaluation
from tff_gen_debug.evaluation import downstream

_logger = logging.getLogger(__name__)

# Of the images that distances and scores are computed for.
_MOST_COMPARED = 5000
# A random forest needs no more, and takes minutes with more.
_MOST_FOR_FORESTS = 20_000


@dataclasses.dataclass(frozen=True)
class Scores:
  """What a CNN that was trained on real images says of samples.

  Attributes:
    classifier_score: exp(E KL(p(y|x) || p(y))), at most the number of classes.
    real_classifier_score: That of real images.
    frechet_distance: Between its logits for samples and for real images.
    real_frechet_distance: Between those for two halves of the real images.
  """

  classifier_score: float
  real_classifier_score: float
  frechet_distance: float
  real_frechet_distance: float


@dataclasses.dataclass(frozen=True)
class Measured:
  """Numbers about samples, by real images, without differential privacy.

  Attributes:
    split: The real images that were used, "validation" or "test".
    accuracies: By kind of classifier, its accuracy on real images after
      training on synthetic ones.
    real_accuracies: The same of classifiers that were trained on real images:
      what a generator without loss would give. Empty if not asked for.
    class_accuracies: Of the CNN, class by class.
    scores: None if not asked for.
    nearest_train: Median distance of samples to the nearest training image.
    nearest_held_out: The same to the nearest of as many other real images.
  """

  split: str
  accuracies: dict[str, float]
  real_accuracies: dict[str, float]
  class_accuracies: list[float]
  scores: Optional[Scores]
  nearest_train: float
  nearest_held_out: float


def measure(
  config: config_lib.Config,
  population: population_lib.Population,
  samples: population_lib.Synthetic,
) -> Measured:
  """Measures synthetic images.

  Args:
    config: Says by which real images; the test images are loaded only if it is
      by them.
    population: The real images.
    samples: The synthetic ones.

  Returns:
    The numbers.
  """
  by_test = config.measured_on == "test"
  real = population.load_test() if by_test else population.validation
  classes = population.num_classes
  accuracies: dict[str, float] = {}
  references: dict[str, evaluation.DownstreamClassifier] = {}
  class_accuracies: list[float] = []
  for kind in downstream.KINDS:
    part = slice(_MOST_FOR_FORESTS if kind == "random_forest" else None)
    classifier = evaluation.train(
      kind,
      samples.images[part],
      samples.labels[part],
      num_classes=classes,
      seed=config.seed,
    )
    accuracies[kind] = classifier.accuracy(real.pixels, real.labels)
    _logger.info("%s: %.2f %%", kind, 100 * accuracies[kind])
    if kind == "cnn":
      counts = evaluation.confusion(
        classifier.predict(real.pixels), real.labels, classes
      )
      class_accuracies = (
        np.diag(counts) / np.maximum(counts.sum(axis=1), 1)
      ).tolist()
    if config.references and kind != "random_forest":
      references[kind] = evaluation.train(
        kind,
        population.train.pixels,
        population.train.labels,
        num_classes=classes,
        seed=config.seed,
      )
  near = min(len(real), len(population.train))
  return Measured(
    split=config.measured_on,
    accuracies=accuracies,
    real_accuracies={
      kind: reference.accuracy(real.pixels, real.labels)
      for kind, reference in references.items()
    },
    class_accuracies=class_accuracies,
    scores=(
      _score(references["cnn"], samples, real, config.seed)
      if references
      else None
    ),
    nearest_train=_nearest(samples.images, population.train.pixels[:near]),
    nearest_held_out=_nearest(samples.images, real.pixels[:near]),
  )


def _score(
  judge: evaluation.DownstreamClassifier,
  samples: population_lib.Synthetic,
  real: population_lib.Examples,
  seed: int,
) -> Scores:
  some = np.random.RandomState(seed).permutation(len(real))[
    : 2 * _MOST_COMPARED
  ]
  real_logits = judge.scores(real.pixels[some])
  fake_logits = judge.scores(samples.images[:_MOST_COMPARED])
  one, other = np.array_split(real_logits, 2)
  return Scores(
    classifier_score=evaluation.classifier_score(_softmax(fake_logits)),
    real_classifier_score=evaluation.classifier_score(_softmax(real_logits)),
    frechet_distance=evaluation.frechet_distance(fake_logits, real_logits),
    real_frechet_distance=evaluation.frechet_distance(one, other),
  )


def _softmax(logits: np.ndarray) -> np.ndarray:
  unnormalized = np.exp(logits - logits.max(axis=1, keepdims=True))
  return unnormalized / unnormalized.sum(axis=1, keepdims=True)


def _nearest(images: np.ndarray, references: np.ndarray) -> float:
  distances = evaluation.nearest_distances(images[:1000], references)
  return float(np.median(distances))
