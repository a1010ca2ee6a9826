"""`python -m tasks.preprocessing_bug --preset demo --out DIR`."""

from tasks import command
from tasks.preprocessing_bug import config as config_lib
from tasks.preprocessing_bug import investigation
from tff_gen_debug.datasets import emnist

if __name__ == "__main__":
  command.main(
    config_lib.PRESETS,
    investigation.run,
    (emnist.EmnistDownloadError, emnist.EmnistFileError),
  )
