"""What labelled synthetic images are worth: train on them, test on real ones.

The protocol by which Wang et al. (2021, "DataLens", arXiv 2103.11109, section
5), Harder et al. (2021, "DP-MERF", arXiv 2002.11603) and Chen et al. (2020,
"GS-WGAN", arXiv 2006.08265) compare private generators: a classifier sees
nothing but synthetic images while it trains, and its accuracy on real test
images is the figure.

Only `DownstreamClassifier.accuracy` ever takes real images. What a figure tells
of them is not covered by the generator's privacy guarantee, so test on images
that may be looked at.
"""

import dataclasses
import numbers
from typing import Any, Callable, Dict, Optional, Tuple
import warnings

import numpy as np

from tff_gen_debug.evaluation import downstream_cnn

# The kinds of classifiers and their settings, which `train` explains.
_SETTINGS: Dict[str, Dict[str, Any]] = {
  "cnn": dict(epochs=5, batch_size=128, learning_rate=1e-3, patience=2),
  "logistic_regression": dict(penalty=1.0, iterations=100, tolerance=1e-3),
  "random_forest": dict(trees=100),
}
KINDS = tuple(_SETTINGS)

_SMALLEST_SIDE = 8


@dataclasses.dataclass(frozen=True, eq=False)
class DownstreamClassifier:
  """A classifier of images, as `train` returns it.

  Attributes:
    kind: One of `KINDS`.
    num_classes: Number of classes that labels are checked against.
    classes: int32, sorted: those seen in training, and no others are predicted.
    image_shape: Height, width and channels of an image.
    scorer: From checked images, float32 `[n, *image_shape]` with n >= 1, to
      floats `[n, len(classes)]`, larger for what is more probable.
  """

  kind: str
  num_classes: int
  classes: np.ndarray
  image_shape: Tuple[int, ...]
  scorer: Callable[[np.ndarray], np.ndarray] = dataclasses.field(repr=False)

  def scores(self, images: np.ndarray) -> np.ndarray:
    """What speaks for each class: the logits of a CNN, else probabilities.

    Args:
      images: As for `predict`, n >= 1.

    Returns:
      float64 `[n, len(classes)]`.

    Raises:
      TypeError: If `images` does not hold floats.
      ValueError: As `predict` does, or if there are no images.
    """
    images = _check_images(images, self.image_shape)
    if len(images) == 0:
      raise ValueError("images must hold at least one image")
    return np.asarray(self.scorer(images), np.float64)

  def predict(self, images: np.ndarray) -> np.ndarray:
    """The most probable class of each image.

    Args:
      images: Floats `[n, *image_shape]` in [-1, 1]; n = 0 is legal.

    Returns:
      int32 `[n]`, values among `classes`.

    Raises:
      TypeError: If `images` does not hold floats.
      ValueError: If `images` has another shape or values that are not finite or
        outside [-1, 1].
    """
    images = _check_images(images, self.image_shape)
    if len(images) == 0:
      return np.zeros(0, np.int32)
    return self.classes[self.scores(images).argmax(axis=1)]

  def accuracy(self, images: np.ndarray, labels: np.ndarray) -> float:
    """Share of the images that `predict` gives their label.

    Args:
      images: Floats `[n, *image_shape]` in [-1, 1], n >= 1.
      labels: Integers `[n]` in [0, num_classes), also of classes that were not
        seen in training.

    Returns:
      A number in [0, 1].

    Raises:
      TypeError: If a dtype is wrong.
      ValueError: If there are no images, or a shape or a value is wrong.
    """
    images = _check_images(images, self.image_shape)
    labels = _check_labels(labels, len(images), self.num_classes)
    return float(np.mean(self.predict(images) == labels))


def train(
  kind: str,
  images: np.ndarray,
  labels: np.ndarray,
  *,
  num_classes: int,
  seed: int = 0,
  **settings: Any,
) -> DownstreamClassifier:
  """Trains a classifier on synthetic images and on nothing else.

  Equal arguments give equal classifiers, as far as TensorFlow's CPU kernels
  repeat themselves; no global random state is read or changed. A class without
  images is never predicted, and if there is only one class, it always is.

  "cnn" is Conv 32 3x3 - MaxPool - Conv 64 3x3 - MaxPool - Dense 128 - dropout
  of a half - Dense classes, with ReLU, trained by Adam. It holds out a tenth of
  `images` (none of fewer than ten), stops when the accuracy on them no longer
  grows and keeps the best weights. An epoch is a pass over the others, or as
  many as make 100 steps. Settings: `epochs` (5, at most), `batch_size` (128),
  `learning_rate` (1e-3) and `patience` (2, epochs without gain after which it
  stops).

  "logistic_regression" is scikit-learn's, multinomial with L-BFGS on flattened
  images less their mean. Settings: `penalty` (1, of half the squared weights
  against the summed losses), `iterations` (100) and `tolerance` (1e-3, of the
  gradient). To reach `iterations` first is one more regularizer and no reason
  for a warning.

  "random_forest" is scikit-learn's, on flattened images. Settings: `trees`
  (100).

  Args:
    kind: One of `KINDS`.
    images: Floats `[n, height, width, channels]` in [-1, 1], n >= 1, at least
      8x8 pixels, 1 or 3 channels.
    labels: Integers `[n]` in [0, num_classes).
    num_classes: Number of classes, >= 1.
    seed: Of all that is random in the training, >= 0.
    **settings: Of the kind; see above.

  Returns:
    The trained classifier.

  Raises:
    TypeError: If a dtype or an argument's type is wrong, or the kind has no
      such setting.
    ValueError: If there are no images, or a shape or a value is wrong.
  """
  if kind not in KINDS:
    raise ValueError(f"kind must be one of {list(KINDS)}, got {kind!r}")
  _check_whole("num_classes", num_classes, 1)
  _check_whole("seed", seed, 0)
  settings = _check_settings(kind, settings)
  images = _check_images(images)
  labels = _check_labels(labels, len(images), num_classes)
  classes, positions = np.unique(labels, return_inverse=True)
  fits: Dict[str, Callable[..., Any]] = {
    "cnn": downstream_cnn.fit,
    "logistic_regression": _fit_logistic_regression,
    "random_forest": _fit_random_forest,
    "constant": _fit_constant,
  }
  # In one class there is nothing to learn, and scikit-learn refuses.
  fit = fits[kind if len(classes) > 1 else "constant"]
  scorer = fit(images, positions, np.random.default_rng(seed), **settings)
  return DownstreamClassifier(
    kind, int(num_classes), classes, images.shape[1:], scorer
  )


def confusion(
  predicted: np.ndarray, labels: np.ndarray, num_classes: int
) -> np.ndarray:
  """Counts images by their label and by the class that was predicted.

  Args:
    predicted: Integers `[n]` in [0, num_classes).
    labels: Integers `[n]` in [0, num_classes); n = 0 is legal.
    num_classes: Number of classes, >= 1.

  Returns:
    int64 `[num_classes, num_classes]`: the entry `[i, j]` is the number of
    images of label i that were taken for class j.

  Raises:
    TypeError: If an argument does not hold integers.
    ValueError: If the shapes differ or a value is out of range.
  """
  _check_whole("num_classes", num_classes, 1)
  num_images = np.size(labels)
  labels = _check_classes("labels", labels, num_images, num_classes)
  predicted = _check_classes("predicted", predicted, num_images, num_classes)
  counts = np.zeros((num_classes, num_classes), np.int64)
  np.add.at(counts, (labels, predicted), 1)
  return counts


def _flatten(images):
  return images.reshape(len(images), -1)


def _fit_constant(images, labels, rng, **settings):
  del images, labels, rng, settings
  return lambda images: np.ones([len(images), 1])


def _fit_logistic_regression(
  images, labels, rng, *, penalty, iterations, tolerance
):
  # Here, since what uses no scikit-learn need not wait for its import.
  from sklearn import exceptions
  from sklearn import linear_model

  del rng  # L-BFGS starts at zero.
  # The intercept takes up the mean, so this changes nothing but the speed.
  mean = _flatten(images).mean(axis=0)
  model = linear_model.LogisticRegression(
    C=1 / penalty, max_iter=iterations, tol=tolerance
  )
  with warnings.catch_warnings():
    warnings.simplefilter("ignore", exceptions.ConvergenceWarning)
    model.fit(_flatten(images) - mean, labels)
  return lambda images: model.predict_proba(_flatten(images) - mean)


def _fit_random_forest(images, labels, rng, *, trees):
  from sklearn import ensemble

  model = ensemble.RandomForestClassifier(
    trees, n_jobs=2, random_state=int(rng.integers(2**31))
  )
  model.fit(_flatten(images), labels)
  # Threads would add up the trees' votes in an order that changes.
  model.n_jobs = 1
  return lambda images: model.predict_proba(_flatten(images))


def _check_whole(name: str, value: Any, least: int) -> None:
  if isinstance(value, bool) or not isinstance(value, numbers.Integral):
    raise TypeError(f"{name} must be an integer, got {value!r}")
  if value < least:
    raise ValueError(f"{name} must be at least {least}, got {value}")


def _check_settings(kind: str, settings: Dict[str, Any]) -> Dict[str, Any]:
  """Returns all settings of `kind`, by default where none is given."""
  defaults = _SETTINGS[kind]
  for name, value in settings.items():
    if name not in defaults:
      raise TypeError(f"{kind} has the settings {list(defaults)}, got {name!r}")
    if isinstance(defaults[name], int):
      _check_whole(name, value, 1)
    elif isinstance(value, bool) or not isinstance(value, numbers.Real):
      raise TypeError(f"{name} must be a number, got {value!r}")
    elif not 0 < value < np.inf:
      raise ValueError(f"{name} must be positive and finite, got {value}")
  return {**defaults, **settings}


def _check_images(
  images: np.ndarray, image_shape: Optional[Tuple[int, ...]] = None
) -> np.ndarray:
  """Returns `images` as float32 of the shape, or says what is wrong."""
  images = np.asarray(images)
  if not np.issubdtype(images.dtype, np.floating):
    raise TypeError(f"images must hold floats, got dtype {images.dtype}")
  if image_shape is not None and images.shape[1:] != image_shape:
    raise ValueError(
      "images must have the shape of those in training, [n, "
      f"{', '.join(map(str, image_shape))}], got {list(images.shape)}"
    )
  if (
    images.ndim != 4
    or min(images.shape[1:3]) < _SMALLEST_SIDE
    or images.shape[3] not in (1, 3)
  ):
    raise ValueError(
      "images must have shape [n, height, width, channels] with height and "
      f"width of at least {_SMALLEST_SIDE} and 1 or 3 channels, got "
      f"{list(images.shape)}"
    )
  # The comparison is also False for NaN.
  if not np.all(np.abs(images) <= 1 + 1e-6):
    raise ValueError("images must be finite and in [-1, 1]")
  return images.astype(np.float32, copy=False)


def _check_labels(
  labels: np.ndarray, num_images: int, num_classes: int
) -> np.ndarray:
  if num_images == 0:
    raise ValueError("images must hold at least one image")
  return _check_classes("labels", labels, num_images, num_classes)


def _check_classes(
  name: str, values: np.ndarray, num_images: int, num_classes: int
) -> np.ndarray:
  """Returns `values` as int32 `[num_images]`, or says what is wrong."""
  values = np.asarray(values)
  if not np.issubdtype(values.dtype, np.integer):
    raise TypeError(f"{name} must hold integers, got dtype {values.dtype}")
  if values.shape != (num_images,):
    raise ValueError(
      f"{name} must have shape [{num_images}], got {list(values.shape)}"
    )
  if num_images and (values.min() < 0 or values.max() >= num_classes):
    raise ValueError(
      f"{name} must be in [0, {num_classes}), got values in "
      f"[{values.min()}, {values.max()}]"
    )
  return values.astype(np.int32)
