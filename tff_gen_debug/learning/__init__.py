"""Training processes on TFF."""

from tff_gen_debug.learning.dp_fed_avg import FED_AVG_CLIENT_METRICS
from tff_gen_debug.learning.dp_fed_avg import build_dp_fed_avg
from tff_gen_debug.learning.dp_fed_gan import CLIENT_METRICS
from tff_gen_debug.learning.dp_fed_gan import DPFedGanState
from tff_gen_debug.learning.dp_fed_gan import build_dp_fed_gan
from tff_gen_debug.learning.gan_weights import GanWeights
from tff_gen_debug.learning.gan_weights import generate_images
from tff_gen_debug.learning.labelled_samples import generate_labelled_images
from tff_gen_debug.learning.topagg_gan import TopAggGanState
from tff_gen_debug.learning.topagg_gan import build_topagg_gan

__all__ = [
  "CLIENT_METRICS",
  "DPFedGanState",
  "FED_AVG_CLIENT_METRICS",
  "GanWeights",
  "TopAggGanState",
  "build_dp_fed_avg",
  "build_dp_fed_gan",
  "build_topagg_gan",
  "generate_images",
  "generate_labelled_images",
]
