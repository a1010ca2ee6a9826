"""`python -m tasks.topagg_fedavg --preset demo --out DIR`."""

from absl import flags

from tasks import command
from tasks.topagg_fedavg import config as config_lib
from tasks.topagg_fedavg import experiment
from tasks.topagg_fedavg import training_pool
from tff_gen_debug.datasets import emnist
from tff_gen_debug.datasets import fashion_mnist


def _run(config: config_lib.Config, folder: str) -> str:
  processes = flags.FLAGS.processes
  if processes > 1 and flags.FLAGS.remote_workers:
    raise ValueError(
      "--processes train on this machine; leave it out with --remote_workers"
    )
  return experiment.run(config, folder, processes)


if __name__ == "__main__":
  # No part of the config: a run may go on with other processes.
  flags.DEFINE_integer(
    "processes", 1, "How many trainings run at a time.", lower_bound=1
  )
  command.main(
    config_lib.PRESETS,
    _run,
    (
      emnist.EmnistDownloadError,
      emnist.EmnistFileError,
      fashion_mnist.FashionMnistDownloadError,
      fashion_mnist.FashionMnistFileError,
      training_pool.TrainingPoolError,
    ),
  )
