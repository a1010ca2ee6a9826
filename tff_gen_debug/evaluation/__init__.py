"""Scores and statistics of generated samples, on plain NumPy arrays.

Importing it imports NumPy only: what the classifiers of `downstream` need,
TensorFlow or scikit-learn, comes when one is trained.
"""

from tff_gen_debug.evaluation.downstream import DownstreamClassifier
from tff_gen_debug.evaluation.downstream import confusion
from tff_gen_debug.evaluation.downstream import train
from tff_gen_debug.evaluation.image_statistics import border_intensity
from tff_gen_debug.evaluation.image_statistics import ink_polarity
from tff_gen_debug.evaluation.memorization import nearest_distances
from tff_gen_debug.evaluation.scores import classifier_score
from tff_gen_debug.evaluation.scores import frechet_distance

__all__ = [
  "DownstreamClassifier",
  "border_intensity",
  "classifier_score",
  "confusion",
  "frechet_distance",
  "ink_polarity",
  "nearest_distances",
  "train",
]
