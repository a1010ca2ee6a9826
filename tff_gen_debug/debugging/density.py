"""Where two generative models differ most: density ratios from their samples.

Task T6 of Table 1 of Augenstein et al. (ICLR 2020, arXiv 1911.06679) looks for
examples whose density differs between two sets of data, in both directions. The
data may not be looked at, but a classifier that tells the samples of two
generative models apart estimates the logarithm of the ratio of their densities
(up to a constant), and being a function of samples costs no privacy.
"""

import dataclasses

import numpy as np

_FOLDS = 2

# Means of blocks of 4 by 4 pixels. Single pixels would tell any two generators
# apart by their grain.
_BLOCK = 4

# A weak pull to 0: 49 features, some thousand samples.
_INVERSE_PENALTY = 0.1


@dataclasses.dataclass(frozen=True, eq=False)
class TypicalSamples:
  """The samples by which two models differ most.

  Attributes:
    suspect: `[k, height, width, channels]`: samples of the suspect model of
      which the other is least likely to make the like, the least likely first.
    reference: The same the other way round.
    auc: Chance that a sample of the suspect model has a higher density ratio
      than one of the reference model, estimated on samples that the classifier
      has not seen; 0.5 if the two are alike to it.
  """

  suspect: np.ndarray
  reference: np.ndarray
  auc: float


def most_typical(
  suspect: np.ndarray, reference: np.ndarray, count: int = 64
) -> TypicalSamples:
  """Ranks samples by the ratio of the two densities.

  Logistic regression on block means and their squares, fitted to one half of
  the samples and applied to the other, and the other way round.

  Args:
    suspect: Floats `[n, height, width, channels]` in [-1, 1], n >= 2.
    reference: The same, m >= 2.
    count: How many of each kind, at least 1; fewer if there are no more.

  Returns:
    The samples, and how well the kinds can be told apart.

  Raises:
    ValueError: If shapes differ, a kind has fewer than 2 samples or `count` is
      below 1.
  """
  if suspect.ndim != 4 or suspect.shape[1:] != reference.shape[1:]:
    raise ValueError(
      "suspect and reference must have shapes [n, height, width, channels] and"
      f" [m, height, width, channels], got {list(suspect.shape)} and"
      f" {list(reference.shape)}"
    )
  if min(len(suspect), len(reference)) < _FOLDS or count < 1:
    raise ValueError(
      f"suspect and reference must hold at least {_FOLDS} images and count be"
      f" at least 1, got {len(suspect)}, {len(reference)} and {count}"
    )
  # Takes a second to import, which only this function needs.
  from sklearn import linear_model
  from sklearn import metrics
  from sklearn import pipeline
  from sklearn import preprocessing

  features = np.concatenate([_features(suspect), _features(reference)])
  is_suspect = np.repeat([True, False], [len(suspect), len(reference)])
  fold = np.concatenate(
    [np.arange(len(suspect)) % _FOLDS, np.arange(len(reference)) % _FOLDS]
  )
  log_ratios = np.zeros(len(features))
  for held_out in range(_FOLDS):
    unseen = fold == held_out
    classifier = pipeline.make_pipeline(
      preprocessing.StandardScaler(),
      linear_model.LogisticRegression(C=_INVERSE_PENALTY, max_iter=1000),
    )
    classifier.fit(features[~unseen], is_suspect[~unseen])
    log_ratios[unseen] = classifier.decision_function(features[unseen])
  auc = np.mean(
    [
      metrics.roc_auc_score(is_suspect[fold == f], log_ratios[fold == f])
      for f in range(_FOLDS)
    ]
  )
  of_suspect = np.argsort(-log_ratios[: len(suspect)], kind="stable")
  of_reference = np.argsort(log_ratios[len(suspect) :], kind="stable")
  return TypicalSamples(
    suspect[of_suspect[:count]], reference[of_reference[:count]], float(auc)
  )


def _features(images: np.ndarray) -> np.ndarray:
  """Means of blocks and their squares, float64 `[n, features]`."""
  height, width = (size // _BLOCK * _BLOCK for size in images.shape[1:3])
  cut = np.asarray(images[:, :height, :width], np.float64)
  blocks = cut.reshape(
    len(cut), height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK, -1
  ).mean(axis=(2, 4))
  blocks = blocks.reshape(len(cut), -1)
  return np.concatenate([blocks, blocks**2], axis=1)
