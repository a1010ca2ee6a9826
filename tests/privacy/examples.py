"""Events and plans that several tests of this room use."""

import dp_accounting

from tff_gen_debug.privacy import accounting
from tff_gen_debug.privacy import plan as plan_lib

GAUSSIAN = dp_accounting.GaussianDpEvent

FIXED = dict(sampling="fixed_size", neighboring_relation="replace_one")
# Augenstein et al. (2020), the word language model.
WORD_LM = dict(population=342477, expected_clients_per_round=5000, rounds=2000)


def poisson(probability, noise_multiplier):
  return dp_accounting.PoissonSampledDpEvent(
    probability, GAUSSIAN(noise_multiplier)
  )


def without_replacement(population, cohort, noise_multiplier):
  return dp_accounting.SampledWithoutReplacementDpEvent(
    population, cohort, GAUSSIAN(noise_multiplier)
  )


def epsilon(
  *events, accountant="rdp", relation="add_or_remove_one", delta=1e-6
):
  return accounting.epsilon(
    events,
    delta=delta,
    accountant=accountant,
    neighboring_relation=relation,
  )


def plan(**changes):
  values = dict(
    population=1_000_000,
    expected_clients_per_round=1000,
    rounds=1000,
    noise_multiplier=1.0,
  )
  values.update(changes)
  return plan_lib.PrivacyPlan(**values)
