"""Runnable experiments, one package each: `python -m tasks.NAME --help`."""
