"""Scores and statistics of generated samples, on plain NumPy arrays."""

from tff_gen_debug.evaluation.image_statistics import border_intensity
from tff_gen_debug.evaluation.image_statistics import ink_polarity
from tff_gen_debug.evaluation.scores import classifier_score
from tff_gen_debug.evaluation.scores import frechet_distance

__all__ = [
  "border_intensity",
  "classifier_score",
  "frechet_distance",
  "ink_polarity",
]
