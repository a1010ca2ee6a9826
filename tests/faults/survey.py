"""Injects faults into 50 small runs and prints a table of what became of them.

    python -m tests.faults.survey

Some of the faults need root, Linux and `ip`: without, they are left out, which
the table says. Exits with 0 if every run survived: it finished, with the ledger
of an undisturbed run (plus that of the rounds which a damaged checkpoint made
it repeat), it saw the loss of a worker where one was lost, no round left TFF in
two versions, and none was released twice (again but for those rounds). A run
that ended before its fault came is not counted, and tried again.
"""

import argparse
import os
import pathlib
import platform
import random
import subprocess
import sys
import tempfile
import time
from typing import Callable, List, NamedTuple

import pytest

from tests.faults import kinds
from tests.faults import running
from tests.runtime import machines
from tests.runtime import worker_programs

_ROUNDS = 16


class Row(NamedTuple):
  """What became of the runs with one fault.

  Attributes:
    name: What the fault was.
    runs: How many runs it was tried in.
    problems: What was wrong with those that didn't survive.
  """

  name: str
  runs: int
  problems: List[str]


def expected_ledger(repeated: int, rounds: int) -> str:
  """The ledger that a run must have, as JSON."""
  # The import takes as long as TensorFlow Federated's.
  from tests.faults import victim

  return victim.unbroken_ledger(rounds, repeated)


def problem(
  site: kinds.Site, fault: Callable[[kinds.Site], kinds.Injury]
) -> str:
  """Runs a victim with a fault; returns what is wrong afterwards, or ""."""
  try:
    injury = fault(site)
  except (RuntimeError, OSError, AssertionError) as error:
    return f"{error}\n{kinds.report(site.folder)}"
  found = running.outcome(site.folder, site.rounds)
  if not found.finished:
    return f"did not finish\n{kinds.report(site.folder)}"
  if found.losses < injury.losses:
    return f"lost {found.losses} worker(s), expected {injury.losses}"
  if found.ledger != expected_ledger(injury.repeated, site.rounds):
    return f"another ledger: {found.ledger}"
  if not injury.repeated and (found.forked_rounds or found.repeated_releases):
    return (
      f"rounds {found.forked_rounds} in two versions, "
      f"{found.repeated_releases} released twice"
    )
  return ""


def survey(share: float, seed: int, keep: pathlib.Path) -> List[Row]:
  """Runs all faults, each `share` of its times but once at least."""
  rows = []
  with running.Victims() as victims:
    workers = [worker_programs.Program() for _ in range(2)]
    try:
      for worker in workers:
        worker.wait_until_up()
      for fault, runs in kinds.RUNS.items():
        rows.append(Row(_title(fault), 0, []))
        if fault in kinds.NEED_ROOT and not can_change_the_machine():
          continue
        wanted, attempt = max(1, round(share * runs)), 0
        while rows[-1].runs < wanted and attempt < 3 * wanted:
          name = f"{fault.__name__}_{attempt}"
          attempt += 1
          site = kinds.Site(
            victims=victims,
            folder=keep / name,
            rounds=_ROUNDS,
            random=random.Random(f"{seed} {name}"),
            workers=workers,
          )
          try:
            wrong = problem(site, fault)
          except kinds.TooLateError:
            print(f"{name}: too late", file=sys.stderr, flush=True)
            continue
          problems = rows[-1].problems + ([wrong] if wrong else [])
          rows[-1] = Row(rows[-1].name, rows[-1].runs + 1, problems)
          print(f"{name}: {wrong or 'survived'}", file=sys.stderr, flush=True)
    finally:
      for worker in workers:
        worker.close()
  return rows


def can_change_the_machine() -> bool:
  """Whether namespaces can be made and file systems be mounted."""
  if sys.platform != "linux" or os.geteuid() != 0:
    return False
  try:
    with tempfile.TemporaryDirectory() as folder, machines.machines(1):
      with kinds.small_disk(pathlib.Path(folder) / "disk"):
        return True
  except (pytest.skip.Exception, subprocess.CalledProcessError, OSError):
    return False


def _title(fault: Callable[[kinds.Site], kinds.Injury]) -> str:
  return (fault.__doc__ or "").strip().splitlines()[0].rstrip(".")


def markdown(rows: List[Row]) -> str:
  """The table."""
  lines = ["| fault | runs | survived |", "|---|---|---|"]
  for row in rows:
    survived = row.runs - len(row.problems)
    shown = f"{row.runs} | {survived}" if row.runs else "not tried here |"
    lines.append(f"| {row.name} | {shown} |")
  total = sum(row.runs for row in rows)
  lost = sum(len(row.problems) for row in rows)
  lines.append(f"| **all** | **{total}** | **{total - lost}** |")
  return "\n".join(lines)


def main() -> int:
  """Runs the survey; returns the exit code."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument(
    "--share", type=float, default=1.0, help="of the 50 runs, at least one each"
  )
  parser.add_argument("--seed", type=int, default=int(time.time()))
  parser.add_argument(
    "--keep", type=pathlib.Path, help="where the runs' files go"
  )
  arguments = parser.parse_args()
  with tempfile.TemporaryDirectory() as scratch:
    keep = arguments.keep or pathlib.Path(scratch)
    rows = survey(arguments.share, arguments.seed, keep)
  print(f"seed {arguments.seed}, {platform.platform()}, {os.cpu_count()} cores")
  print(markdown(rows))
  return 1 if any(row.problems for row in rows) else 0


if __name__ == "__main__":
  sys.exit(main())
