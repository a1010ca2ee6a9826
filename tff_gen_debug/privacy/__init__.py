"""What a private run costs: plan, sampler, ledger, calibration, statement.

Needs dp-accounting and NumPy only; importing it does not load TensorFlow.
"""

from tff_gen_debug.privacy.audit import AuditResult
from tff_gen_debug.privacy.distributed import DistributedPlan
from tff_gen_debug.privacy.epoch_sampling import ShuffledEpochSampler
from tff_gen_debug.privacy.ledger import PrivacyLedger
from tff_gen_debug.privacy.plan import PrivacyPlan
from tff_gen_debug.privacy.releases import Release
from tff_gen_debug.privacy.sampling import ClientSampler
from tff_gen_debug.privacy.simulation import Simulation
from tff_gen_debug.privacy.tree_plan import TreePlan

__all__ = [
  "AuditResult",
  "ClientSampler",
  "DistributedPlan",
  "PrivacyLedger",
  "PrivacyPlan",
  "Release",
  "ShuffledEpochSampler",
  "Simulation",
  "TreePlan",
]
