"""Generative adversarial networks as pure functions of their weights."""

from tff_gen_debug.models.gan.labelled import LabelledDiscriminator
from tff_gen_debug.models.gan.labelled import LabelledGenerator
from tff_gen_debug.models.gan.losses import GanLoss
from tff_gen_debug.models.gan.losses import NonSaturatingLoss
from tff_gen_debug.models.gan.losses import WassersteinLoss
from tff_gen_debug.models.gan.network import Discriminator
from tff_gen_debug.models.gan.network import GanModel
from tff_gen_debug.models.gan.network import Generator
from tff_gen_debug.models.gan.paper import paper_discriminator
from tff_gen_debug.models.gan.paper import paper_generator
from tff_gen_debug.models.gan.small import small_discriminator
from tff_gen_debug.models.gan.small import small_generator
from tff_gen_debug.models.gan.teacher_networks import conv_discriminator
from tff_gen_debug.models.gan.teacher_networks import dense_discriminator
from tff_gen_debug.models.gan.upsampling import upsampling_generator

__all__ = [
  "Discriminator",
  "GanLoss",
  "GanModel",
  "Generator",
  "LabelledDiscriminator",
  "LabelledGenerator",
  "NonSaturatingLoss",
  "WassersteinLoss",
  "conv_discriminator",
  "dense_discriminator",
  "paper_discriminator",
  "paper_generator",
  "small_discriminator",
  "small_generator",
  "upsampling_generator",
]
