"""Scores and statistics of generated samples, on plain NumPy arrays.

Importing it imports NumPy only: what the classifiers of `downstream` need,
TensorFlow or scikit-learn, comes when one is trained.
"""

from tff_gen_debug.evaluation.downstream import DownstreamClassifier
from tff_gen_debug.evaluation.downstream import confusion
from tff_gen_debug.evaluation.downstream import train
from tff_gen_debug.evaluation.image_shapes import has_strokes
from tff_gen_debug.evaluation.image_shapes import is_blank
from tff_gen_debug.evaluation.image_shapes import is_faint
from tff_gen_debug.evaluation.image_shapes import is_half_empty
from tff_gen_debug.evaluation.image_shapes import is_near_copy
from tff_gen_debug.evaluation.image_shapes import is_off_centre
from tff_gen_debug.evaluation.image_shapes import is_wider_than_tall
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
  "has_strokes",
  "ink_polarity",
  "is_blank",
  "is_faint",
  "is_half_empty",
  "is_near_copy",
  "is_off_centre",
  "is_wider_than_tall",
  "nearest_distances",
  "train",
]
