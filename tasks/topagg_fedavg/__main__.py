"""`python -m tasks.topagg_fedavg --preset demo --out DIR`."""

from tasks import command
from tasks.topagg_fedavg import config as config_lib
from tasks.topagg_fedavg import experiment
from tff_gen_debug.datasets import emnist
from tff_gen_debug.datasets import fashion_mnist

if __name__ == "__main__":
  command.main(
    config_lib.PRESETS,
    experiment.run,
    (
      emnist.EmnistDownloadError,
      emnist.EmnistFileError,
      fashion_mnist.FashionMnistDownloadError,
      fashion_mnist.FashionMnistFileError,
    ),
  )
