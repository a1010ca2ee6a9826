"""Checks that a run of the main job left a whole report in a folder.

  python .ci/check_report.py DIR

Says nothing of what the report found: a smoke run is too short to find it.
"""

import json
import math
import pathlib
import sys

_PARTS = {
  "config": dict,
  "versions": dict,
  "findings": list,
  "metrics": dict,
  "privacy": dict,
  "wall_seconds": float,
}


def problems(folder: pathlib.Path) -> list:
  """Returns what is wrong with the report in `folder`, a line each."""
  found = []
  report = json.loads((folder / "report.json").read_text("utf-8"))
  for name, kind in _PARTS.items():
    if not isinstance(report.get(name), kind):
      found.append(f"{name} must be a {kind.__name__}: {report.get(name)!r}")
  if found:
    return found
  for name in ("config", "versions", "findings", "metrics"):
    if not report[name]:
      found.append(f"{name} is empty")
  privacy = report["privacy"]
  epsilon, delta = privacy.get("epsilon"), privacy.get("delta")
  if not (isinstance(epsilon, float) and epsilon > 0):
    found.append(f"privacy.epsilon must be a positive number: {epsilon!r}")
  if not (isinstance(delta, float) and 0 < delta < 1):
    found.append(f"privacy.delta must be in (0, 1): {delta!r}")
  if not math.isfinite(report["wall_seconds"]):
    found.append(f"wall_seconds must be finite: {report['wall_seconds']!r}")
  page = (folder / "report.html").read_text("utf-8")
  if "data:image/png;base64," not in page:
    found.append("report.html shows no picture")
  if 'src="http' in page or 'href="http' in page:
    found.append("report.html needs the network")
  return found


def main() -> int:
  """Prints the problems; returns the exit code."""
  found = problems(pathlib.Path(sys.argv[1]))
  for problem in found:
    print(problem)
  return 1 if found else 0


if __name__ == "__main__":
  sys.exit(main())
