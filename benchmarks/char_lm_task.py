"""The benchmarks' character model in our own process; see `peers/task.py`."""

import tensorflow as tf
import tensorflow_federated as tff

from benchmarks.peers import task
from tff_gen_debug import learning
from tff_gen_debug.models.text import language_model


def process() -> tff.learning.templates.LearningProcess:
  """DP-FedAvg of the task's model."""
  model = language_model.LanguageModel(
    task.NUM_TOKENS, embedding=task.EMBEDDING, units=task.UNITS
  )
  return learning.build_dp_fed_avg(
    model.as_functional_model(task.LENGTH),
    aggregator=tff.aggregators.DifferentiallyPrivateFactory.gaussian_fixed(
      noise_multiplier=task.NOISE_MULTIPLIER,
      clients_per_round=float(task.CLIENTS),
      clip=task.CLIP,
    ),
    client_optimizer=tff.learning.optimizers.build_sgdm(
      task.CLIENT_LEARNING_RATE
    ),
    batch_size=task.BATCH,
  )


def datasets(clients: int) -> list[tf.data.Dataset]:
  """Each client's data set: a batch of words."""
  return [
    tf.data.Dataset.from_tensor_slices(one)
    for one in zip(*task.client_tokens(clients))
  ]


class Rounds:
  """Rounds of the process, one after the other, wherever TFF computes."""

  def __init__(self):
    self._process = process()
    self._state = self._process.initialize()

  def run(self, clients) -> None:
    """Runs a round of these clients."""
    self._state = self._process.next(self._state, clients).state
