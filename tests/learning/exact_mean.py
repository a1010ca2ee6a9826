"""A mean without noise or clipping, which can be done by hand."""

import tensorflow_federated as tff


def factory() -> tff.aggregators.UnweightedAggregationFactory:
  """The sum over a fixed denominator of 2, whatever the cohort."""
  return tff.aggregators.DifferentiallyPrivateFactory.gaussian_fixed(
    noise_multiplier=0.0, clients_per_round=2.0, clip=1e6
  )
