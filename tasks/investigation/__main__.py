"""`python -m tasks.investigation --criterion users --out DIR`."""

from tasks import command
from tasks.investigation import config as config_lib
from tasks.investigation import experiment

if __name__ == "__main__":
  command.main(config_lib.PRESETS, experiment.run)
