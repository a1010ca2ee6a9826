"""Training processes on TFF."""

from tff_gen_debug.learning.client_store import ClientStore
from tff_gen_debug.learning.dp_fed_avg import FED_AVG_CLIENT_METRICS
from tff_gen_debug.learning.dp_fed_avg import build_dp_fed_avg
from tff_gen_debug.learning.dp_fed_gan import CLIENT_METRICS
from tff_gen_debug.learning.dp_fed_gan import DPFedGanState
from tff_gen_debug.learning.dp_fed_gan import build_dp_fed_gan
from tff_gen_debug.learning.energy_teacher import EnergyTeacher
from tff_gen_debug.learning.field_student import FieldStudent
from tff_gen_debug.learning.gan_weights import GanWeights
from tff_gen_debug.learning.gan_weights import generate_images
from tff_gen_debug.learning.labelled_samples import generate_labelled_images
from tff_gen_debug.learning.students import GeneratorWeights
from tff_gen_debug.learning.students import GradientStudent
from tff_gen_debug.learning.teacher_data import client_datasets
from tff_gen_debug.learning.teachers import DiscriminatorTeacher
from tff_gen_debug.learning.topagg_gan import TopAggGanState
from tff_gen_debug.learning.topagg_gan import build_topagg_gan

__all__ = [
  "CLIENT_METRICS",
  "ClientStore",
  "DPFedGanState",
  "DiscriminatorTeacher",
  "EnergyTeacher",
  "FED_AVG_CLIENT_METRICS",
  "FieldStudent",
  "GanWeights",
  "GeneratorWeights",
  "GradientStudent",
  "TopAggGanState",
  "build_dp_fed_avg",
  "build_dp_fed_gan",
  "build_topagg_gan",
  "client_datasets",
  "generate_images",
  "generate_labelled_images",
]
