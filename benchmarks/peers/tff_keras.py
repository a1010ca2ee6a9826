"""The round as a tutorial of TFF writes it: Keras, FedAvg, TFF's defaults.

The model has Keras's GRU, as in TFF's tutorial on text generation.
"""

import tensorflow as tf
import tensorflow_federated as tff

from benchmarks.peers import task


def _model() -> tff.learning.models.VariableModel:
  keras_model = tf.keras.Sequential(
    [
      tf.keras.layers.Embedding(
        task.NUM_TOKENS, task.EMBEDDING, input_length=task.LENGTH
      ),
      tf.keras.layers.GRU(task.UNITS, return_sequences=True),
      tf.keras.layers.Dense(task.NUM_TOKENS),
    ]
  )
  spec = tf.TensorSpec((None, task.LENGTH), tf.int32)
  return tff.learning.models.from_keras_model(
    keras_model,
    loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    input_spec=(spec, spec),
  )


def main() -> None:
  process = tff.learning.algorithms.build_unweighted_fed_avg(
    _model,
    tff.learning.optimizers.build_sgdm(task.CLIENT_LEARNING_RATE),
    tff.learning.optimizers.build_sgdm(1.0),
    model_aggregator=tff.aggregators.DifferentiallyPrivateFactory.gaussian_fixed(
      noise_multiplier=task.NOISE_MULTIPLIER,
      clients_per_round=float(task.CLIENTS),
      clip=task.CLIP,
    ),
  )
  datasets = [
    tf.data.Dataset.from_tensor_slices(one)
    .shuffle(task.BATCH)
    .batch(task.BATCH)
    for one in zip(*task.client_tokens())
  ]
  state = process.initialize()

  def run():
    nonlocal state
    state = process.next(state, datasets).state

  task.serve(run)


if __name__ == "__main__":
  main()
