"""Runs a TFF worker for drivers on other machines, until it is told to stop.

    python -m tff_gen_debug.runtime.worker --port 8000

Drivers reach it by `runtime.use_remote_runtime(["this_host:8000"])`. TFF's
worker runs whatever graph it is sent, file operations included, and asks nobody
who they are; so it listens on the loopback alone unless `--host` says more. Put
a proxy that speaks mutual TLS in front of it: see docs/distributed.md.

On SIGTERM and SIGINT it ends the worker and exits with 0; if the worker itself
ends, with 1, for a supervisor to start it again. `--check` asks a running one
whether it answers, and exits with 0 if it does.

Imports no TensorFlow: the program beside the worker takes 20 MB.
"""

import argparse
import logging
import math
import pathlib
import signal
import sys
from typing import List, Optional

import grpc

from tff_gen_debug.runtime import channels
from tff_gen_debug.runtime import health
from tff_gen_debug.runtime import worker_process

_logger = logging.getLogger("tff_gen_debug.worker")
_POLL_SECONDS = 0.5


def _positive(text: str) -> int:
  number = int(text)
  if number < 1:
    raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
  return number


def _port(text: str) -> int:
  number = int(text)
  if not 1 <= number <= 65535:
    raise argparse.ArgumentTypeError(f"must be from 1 to 65535, got {number}")
  return number


def _seconds(text: str) -> float:
  number = float(text)
  if not 0 < number < math.inf:
    raise argparse.ArgumentTypeError(f"must be more than 0, got {text}")
  return number


def _address(text: str) -> str:
  try:
    channels.parse_address(text)
  except ValueError as error:
    raise argparse.ArgumentTypeError(str(error)) from error
  return text


def _parse(arguments: Optional[List[str]]) -> argparse.Namespace:
  parser = argparse.ArgumentParser(
    prog="python -m tff_gen_debug.runtime.worker",
    description="Runs a TFF worker for drivers on other machines.",
  )
  what = parser.add_mutually_exclusive_group(required=True)
  what.add_argument("--port", type=_port, help="TCP port to listen on")
  what.add_argument(
    "--check",
    type=_address,
    metavar="HOST:PORT",
    help="ask the worker there whether it answers, and run none",
  )
  parser.add_argument(
    "--host",
    default="127.0.0.1",
    help="address to listen on (default: %(default)s; 0.0.0.0 for all)",
  )
  parser.add_argument(
    "--max_concurrent_clients",
    type=_positive,
    default=worker_process.available_cores(),
    help="clients that compute at a time (default: one a core, %(default)s)",
  )
  parser.add_argument(
    "--threads_per_client",
    type=_positive,
    default=1,
    help="threads of one TensorFlow operation (default: %(default)s)",
  )
  parser.add_argument(
    "--without_private_network",
    action="store_true",
    help="where the kernel refuses a private network, run a worker that "
    "listens on one more port, of all interfaces, instead of none",
  )
  parser.add_argument(
    "--log_file",
    type=pathlib.Path,
    help="file to which the worker's output is appended (default: a temporary "
    "one)",
  )
  parser.add_argument(
    "--timeout",
    type=_seconds,
    default=10.0,
    help="--check: seconds to wait for an answer (default: %(default)s)",
  )
  return parser.parse_args(arguments)


def _check(address: str, timeout: float) -> int:
  with channels.open_channel(address, None) as channel:
    try:
      health.check(channel, timeout)
    except grpc.RpcError as error:
      code = error.code() if isinstance(error, grpc.Call) else error
      print(f"{address} does not answer: {code}", file=sys.stderr)
      return 1
  print(f"{address} answers")
  return 0


def _run(arguments: argparse.Namespace) -> int:
  options = worker_process.WorkerOptions(
    max_concurrent_clients=arguments.max_concurrent_clients,
    threads_per_client=arguments.threads_per_client,
    log_file=arguments.log_file,
    listen=(arguments.host, arguments.port),
    must_be_private=not arguments.without_private_network,
  )
  if not channels.is_loopback(arguments.host):
    _logger.warning(
      "Listening beyond this machine, on %s: whoever can connect can run "
      "any code as this user. See docs/distributed.md.",
      arguments.host,
    )
  signals: List[int] = []
  for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda received, _: signals.append(received))
  scratch = worker_process.Scratch(arguments.log_file)
  try:
    worker = worker_process.WorkerProcess(options, scratch)
    _logger.info(
      "TFF's worker (process %d) listens on %s; its log is %s",
      worker.pid,
      worker.target,
      scratch.log_file,
    )
    while not signals:
      end = worker.ended(_POLL_SECONDS)
      # A supervisor may order the worker's processes to stop with this one.
      if end is not None and not signals:
        _logger.error("TFF's worker %s.\n%s", end, worker.log_tail())
        return 1
    _logger.info("Stopping, by %s.", signal.Signals(signals[0]).name)
    worker.stop()
    return 0
  # An OSError is that of a log file that can't be written, and names it.
  except (worker_process.WorkerStartError, OSError) as error:
    _logger.error("%s", error)
    return 1
  finally:
    scratch.remove()


def main(arguments: Optional[List[str]] = None) -> int:
  """Runs the program; returns its exit code."""
  parsed = _parse(arguments)
  if parsed.check is not None:
    return _check(parsed.check, parsed.timeout)
  logging.basicConfig(
    level=logging.INFO, format="%(asctime)s %(levelname)s: %(message)s"
  )
  return _run(parsed)


if __name__ == "__main__":
  sys.exit(main())
