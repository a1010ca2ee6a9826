"""Pure models: networks, losses and classifiers, without any process."""

from tff_gen_debug.models import classifier
from tff_gen_debug.models import cnn
from tff_gen_debug.models import gan
from tff_gen_debug.models import text
from tff_gen_debug.models.functional_classifier import FunctionalClassifier
from tff_gen_debug.models.image_classifier import ImageClassifier

__all__ = [
  "FunctionalClassifier",
  "ImageClassifier",
  "classifier",
  "cnn",
  "gan",
  "text",
]
