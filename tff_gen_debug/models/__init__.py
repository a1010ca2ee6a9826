"""Pure models: networks, losses and classifiers, without any process."""

from tff_gen_debug.models import classifier
from tff_gen_debug.models import cnn
from tff_gen_debug.models import gan
from tff_gen_debug.models import text

__all__ = ["classifier", "cnn", "gan", "text"]
