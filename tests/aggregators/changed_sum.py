"""A sum that is none, to plant in what expects one."""

import tensorflow_federated as tff


class ChangedSumFactory(tff.aggregators.UnweightedAggregationFactory):
  """Sums, without noise, and applies a TensorFlow function to the sum."""

  def __init__(self, change):
    self._change = change

  def create(self, value_type):
    process = tff.aggregators.SumFactory().create(value_type)
    change = tff.tensorflow.computation(self._change, value_type)

    @tff.federated_computation(
      process.initialize.type_signature.result,
      tff.FederatedType(value_type, tff.CLIENTS),
    )
    def next_fn(state, value):
      output = process.next(state, value)
      return tff.templates.MeasuredProcessOutput(
        output.state,
        tff.federated_map(change, output.result),
        output.measurements,
      )

    return tff.templates.AggregationProcess(process.initialize, next_fn)
