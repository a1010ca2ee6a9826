"""Draws which rooms of the package import which, for docs/architecture.md.

  python -m tools.architecture_diagram           writes the picture
  python -m tools.architecture_diagram --check   exit code 1 if it is not so

The arrows are the imports of the code, read from its source. The picture is an
SVG in one set of colours that can be read on white and on black: a picture that
a page embeds as a file does not know which theme a reader chose.
"""

import argparse
import math
import pathlib
import sys
from typing import Dict, Iterable, List, Tuple

from tools import module_graph
from tools import rooms

_ROOT = pathlib.Path(__file__).resolve().parent.parent
PATH = pathlib.PurePosixPath("docs/images/architecture.svg")

# Clockwise from the top. On an ellipse no straight line between two rooms runs
# through a third one; what imports most is at the top.
ROOMS_ON_ELLIPSE = (
  "debugging",
  "runtime",
  "learning",
  "aggregators",
  "privacy",
  "models",
  "evaluation",
  "datasets",
)
_LABELS = {
  "datasets": "client data",
  "debugging": "bugs, criteria, findings",
  "models": "networks and losses",
  "aggregators": "clip, noise, vote, sum",
  "privacy": "plan, ledger, statement",
  "learning": "training processes",
  "evaluation": "scores of samples",
  "runtime": "workers and checkpoints",
}
_WIDTH, _HEIGHT = 900, 580
_CENTER = (450.0, 290.0)
_RADII = (347.0, 235.0)
BOX = (176.0, 54.0)
_GAP = 3.0  # Between an arrow's ends and the boxes.

_BOX_FILL, _BOX_LINE, _TEXT = "#eef2ff", "#6b7fd7", "#1f2430"
_ARROWS = {"debugging": "#8250df", "learning": "#1f7fd1", "runtime": "#bf6a02"}
_OTHER_ARROWS = "#7a7f87"


def centers() -> Dict[str, Tuple[float, float]]:
  """Returns the centre of each room's box, in the picture's units."""
  step = 2 * math.pi / len(ROOMS_ON_ELLIPSE)
  return {
    room: (
      _CENTER[0] + _RADII[0] * math.sin(i * step),
      _CENTER[1] - _RADII[1] * math.cos(i * step),
    )
    for i, room in enumerate(ROOMS_ON_ELLIPSE)
  }


def _to_edge(
  start: Tuple[float, float], end: Tuple[float, float]
) -> Tuple[float, float]:
  """The point where the line to `end` leaves the box around `start`."""
  dx, dy = end[0] - start[0], end[1] - start[1]
  half_width, half_height = BOX[0] / 2 + _GAP, BOX[1] / 2 + _GAP
  scale = min(
    half_width / abs(dx) if dx else math.inf,
    half_height / abs(dy) if dy else math.inf,
  )
  return start[0] + scale * dx, start[1] + scale * dy


def _arrow(importer: str, imported: str) -> str:
  at = centers()
  x1, y1 = _to_edge(at[importer], at[imported])
  x2, y2 = _to_edge(at[imported], at[importer])
  kind = importer if importer in _ARROWS else "other"
  return (
    f'  <line data-from="{importer}" data-to="{imported}"'
    f' x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    f' stroke="{_ARROWS.get(importer, _OTHER_ARROWS)}" stroke-width="1.8"'
    f' marker-end="url(#head-{kind})"/>'
  )


def _box(room: str) -> List[str]:
  x, y = centers()[room]
  return [
    f'  <rect x="{x - BOX[0] / 2:.1f}" y="{y - BOX[1] / 2:.1f}"'
    f' width="{BOX[0]:.0f}" height="{BOX[1]:.0f}" rx="8"'
    f' fill="{_BOX_FILL}" stroke="{_BOX_LINE}" stroke-width="1.5"/>',
    f'  <text data-room="{room}" x="{x:.1f}" y="{y - 4:.1f}" font-size="16"'
    f' font-weight="bold" fill="{_TEXT}">{room}</text>',
    f'  <text x="{x:.1f}" y="{y + 15:.1f}" font-size="12.5" fill="{_TEXT}">'
    f"{_LABELS[room]}</text>",
  ]


def _head(kind: str, color: str) -> str:
  return (
    f'  <marker id="head-{kind}" viewBox="0 0 10 10" refX="9" refY="5"'
    ' markerWidth="7" markerHeight="7" orient="auto">'
    f'<path d="M 0 0 L 10 5 L 0 10 z" fill="{color}"/></marker>'
  )


def svg(arrows: Iterable[Tuple[str, str]]) -> str:
  """Draws the rooms and the arrows between them.

  Args:
    arrows: Pairs of an importing and an imported room.

  Returns:
    The SVG document, the same text for the same arrows in any order. Arrows
    are `line` elements with the attributes `data-from` and `data-to`.

  Raises:
    ValueError: If an arrow's end is no room of `rooms.ROOMS`, or a room of it
      has no place in the picture.
  """
  if set(ROOMS_ON_ELLIPSE) != set(rooms.ROOMS):
    raise ValueError(
      f"ROOMS_ON_ELLIPSE must be the rooms {sorted(rooms.ROOMS)}, got"
      f" {sorted(ROOMS_ON_ELLIPSE)}"
    )
  place = {room: i for i, room in enumerate(ROOMS_ON_ELLIPSE)}
  arrows = set(arrows)
  for room in sorted({room for arrow in arrows for room in arrow}):
    if room not in place:
      raise ValueError(f"arrows must be between rooms, got {room!r}")
  ordered = sorted(arrows, key=lambda arrow: (place[arrow[0]], place[arrow[1]]))
  words = "; ".join(f"{one} imports {other}" for one, other in ordered)
  heads = [*_ARROWS.items(), ("other", _OTHER_ARROWS)]
  lines = [
    f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{_WIDTH}"'
    f' height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    ' font-family="Helvetica, Arial, sans-serif" text-anchor="middle">',
    "  <!-- Written by tools/architecture_diagram.py from the imports. -->",
    f"  <title>The rooms of {rooms.PACKAGE} and their imports</title>",
    f"  <desc>{words}.</desc>",
    "  <defs>",
    *(f"  {_head(kind, color)}" for kind, color in heads),
    "  </defs>",
    *(_arrow(*arrow) for arrow in ordered),
    *(line for room in ROOMS_ON_ELLIPSE for line in _box(room)),
    "</svg>",
  ]
  return "\n".join(lines) + "\n"


def main() -> int:
  """Writes or checks the picture; returns the exit code."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--check", action="store_true")
  args = parser.parse_args()
  path = _ROOT / PATH
  new = svg(rooms.imports_between(module_graph.load(_ROOT)))
  old = path.read_text(encoding="utf-8") if path.exists() else ""
  if new == old:
    print(f"{PATH} shows the imports")
    return 0
  if args.check:
    print(
      f"error: {PATH} does not show the imports: run"
      " `python -m tools.architecture_diagram` and commit the result",
      file=sys.stderr,
    )
    return 1
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(new, encoding="utf-8")
  print(f"{PATH} was written")
  return 0


if __name__ == "__main__":
  sys.exit(main())
