"""The task that all sides of `char_lm_rounds` do, and how a peer is run.

A peer is a process of its own, in an environment of its own: nothing here needs
more than NumPy. It answers each line on its standard input by a round, and
that by a line with the round's seconds, so that a caller can take turns.
"""

import sys
import time
from typing import Callable, Tuple

import numpy as np

CLIENTS = 50
BATCH = 16
LENGTH = 20

# PAD, START, END, UNKNOWN, and printable ASCII.
NUM_TOKENS = 4 + 95
EMBEDDING = 96
UNITS = 256

CLIENT_LEARNING_RATE = 0.5
CLIP = 0.3
NOISE_MULTIPLIER = 0.01

# What a peer's timings begin with; frameworks print other things too.
PREFIX = "seconds "


def client_tokens(
  clients: int = CLIENTS, batch: int = BATCH
) -> Tuple[np.ndarray, np.ndarray]:
  """Inputs and targets of the clients, int32 `[clients, batch, length]`."""
  rng = np.random.default_rng(0)
  # Sequences of full length: no framework gains by skipping padding.
  tokens = rng.integers(4, NUM_TOKENS, (clients, batch, LENGTH + 1), np.int32)
  return tokens[..., :-1], tokens[..., 1:]


def serve(run: Callable[[], object]) -> None:
  """Runs a round whenever standard input has a line, until it ends."""
  run()  # Traces and compiles.
  print(f"{PREFIX}0", flush=True)
  for _ in sys.stdin:
    start = time.perf_counter()
    run()
    print(f"{PREFIX}{time.perf_counter() - start}", flush=True)
