"""`python -m tasks.datalens --preset demo --out DIR`."""

from tasks import command
from tasks.datalens import config as config_lib
from tasks.datalens import experiment
from tff_gen_debug.datasets import celeba
from tff_gen_debug.datasets import fashion_mnist
from tff_gen_debug.datasets import mnist
from tff_gen_debug.datasets import places365

if __name__ == "__main__":
  command.main(
    config_lib.PRESETS,
    experiment.run,
    (
      celeba.CelebaDownloadError,
      celeba.CelebaFileError,
      fashion_mnist.FashionMnistDownloadError,
      fashion_mnist.FashionMnistFileError,
      mnist.MnistDownloadError,
      mnist.MnistFileError,
      places365.Places365DownloadError,
      places365.Places365FileError,
    ),
  )
