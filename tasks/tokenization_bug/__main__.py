"""`python -m tasks.tokenization_bug --preset demo --out DIR`."""

from tasks import command
from tasks.tokenization_bug import config as config_lib
from tasks.tokenization_bug import investigation
from tff_gen_debug.datasets import stackoverflow

if __name__ == "__main__":
  command.main(
    config_lib.PRESETS,
    investigation.run,
    (
      stackoverflow.StackOverflowDownloadError,
      stackoverflow.StackOverflowFileError,
    ),
  )
