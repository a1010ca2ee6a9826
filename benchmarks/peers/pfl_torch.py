"""The round in pfl-research: PyTorch's LSTM, FedAvg, the Gaussian mechanism."""

import numpy as np
from pfl.aggregate.simulate import SimulatedBackend
from pfl.algorithm.base import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.data.federated_dataset import FederatedDataset
from pfl.data.pytorch import PyTorchTensorDataset
from pfl.data.sampling import get_user_sampler
from pfl.hyperparam import NNEvalHyperParams
from pfl.hyperparam import NNTrainHyperParams
from pfl.metrics import Weighted
from pfl.model.pytorch import PyTorchModel
from pfl.privacy.gaussian_mechanism import GaussianMechanism
from pfl.privacy.privacy_mechanism import CentrallyAppliedPrivacyMechanism
import torch

from benchmarks.peers import task


class _CharLM(torch.nn.Module):
  def __init__(self):
    super().__init__()
    self.embedding = torch.nn.Embedding(task.NUM_TOKENS, task.EMBEDDING)
    self.lstm = torch.nn.LSTM(task.EMBEDDING, task.UNITS, batch_first=True)
    self.dense = torch.nn.Linear(task.UNITS, task.NUM_TOKENS)

  def loss(self, inputs, targets):
    outputs, _ = self.lstm(self.embedding(inputs))
    return torch.nn.functional.cross_entropy(
      self.dense(outputs).flatten(0, 1), targets.flatten()
    )

  def metrics(self, inputs, targets):
    return {"loss": Weighted.from_unweighted(self.loss(inputs, targets).item())}


def main() -> None:
  module = _CharLM()
  model = PyTorchModel(
    module, torch.optim.SGD, torch.optim.SGD(module.parameters(), lr=1.0)
  )
  inputs, targets = (torch.tensor(t).long() for t in task.client_tokens())

  def dataset(user):
    return PyTorchTensorDataset((inputs[user], targets[user]))

  data = FederatedDataset(
    dataset, get_user_sampler("minimize_reuse", np.arange(task.CLIENTS))
  )
  backend = SimulatedBackend(
    data,
    data,
    [
      CentrallyAppliedPrivacyMechanism(
        GaussianMechanism(task.CLIP, task.NOISE_MULTIPLIER)
      )
    ],
  )
  algorithm = FederatedAveraging()
  rounds = 0

  def run():
    nonlocal rounds
    rounds += 1
    algorithm.run(
      # A run goes on where the last one ended, for one round here; users are
      # not evaluated but in the first, which is not timed.
      NNAlgorithmParams(
        central_num_iterations=rounds,
        evaluation_frequency=10**9,
        train_cohort_size=task.CLIENTS,
        val_cohort_size=None,
      ),
      backend,
      model,
      NNTrainHyperParams(
        local_num_epochs=1,
        local_learning_rate=task.CLIENT_LEARNING_RATE,
        local_batch_size=task.BATCH,
      ),
      NNEvalHyperParams(local_batch_size=None),
      send_metrics_to_platform=False,
    )

  task.serve(run)


if __name__ == "__main__":
  main()
