"""Checks that the picture of the rooms is the import graph, and legible."""

import pathlib
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from tools import architecture_diagram
from tools import module_graph
from tools import rooms

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_SVG = "{http://www.w3.org/2000/svg}"
# Of GitHub and Material for MkDocs, light and dark.
_PAGES = ("#ffffff", "#0d1117", "#1e2129")
_IMPORT = re.compile(
  r"^\s*(?:from|import) tff_gen_debug\.?(?P<room>\w*)"
  r"(?:\.[\w.]+)?(?: import (?P<member>\w+))?",
  re.M,
)


@pytest.fixture(scope="module")
def picture():
  return ElementTree.parse(str(_ROOT / "docs/images/architecture.svg"))


def _arrows(tree):
  return [
    (line.get("data-from"), line.get("data-to"))
    for line in tree.iter(f"{_SVG}line")
  ]


def _imports_by_pattern():
  """The imports between rooms, by other means than `module_graph`."""
  found = set()
  for folder in (_ROOT / "tff_gen_debug").iterdir():
    for path in folder.rglob("*.py"):
      for match in _IMPORT.finditer(path.read_text("utf-8")):
        room = match["room"] or match["member"]
        if room != folder.name and (folder.parent / str(room)).is_dir():
          found.add((folder.name, room))
  return found


def test_every_arrow_is_an_import_and_every_import_an_arrow(picture):
  arrows = _arrows(picture)
  assert len(arrows) == len(set(arrows))
  assert set(arrows) == _imports_by_pattern(), (
    "run `python -m tools.architecture_diagram`"
  )


def test_every_room_is_in_the_picture_once(picture):
  named = [
    text.text
    for text in picture.iter(f"{_SVG}text")
    if text.get("data-room") is not None
  ]
  folders = (_ROOT / "tff_gen_debug").glob("*/__init__.py")
  assert sorted(named) == sorted(path.parent.name for path in folders)


def test_the_arrows_are_said_in_words_for_those_who_cannot_see_them(picture):
  words = picture.find(f"{_SVG}desc").text.rstrip(".").split("; ")
  assert sorted(words) == sorted(
    f"{importer} imports {imported}" for importer, imported in _arrows(picture)
  )


def test_the_page_shows_the_picture():
  page = (_ROOT / "docs" / "architecture.md").read_text("utf-8")
  assert "](images/architecture.svg)" in page


def _boxes(tree):
  """Left, top, right and bottom of each room's box."""
  names = [t.get("data-room") for t in tree.iter(f"{_SVG}text")]
  names = [name for name in names if name is not None]
  boxes = {}
  for name, rect in zip(names, tree.iter(f"{_SVG}rect")):
    x, y, width, height = (
      float(rect.get(key)) for key in ("x", "y", "width", "height")
    )
    boxes[name] = (x, y, x + width, y + height)
  return boxes


def _passes_through(line, box):
  """Whether a segment meets a box, by many points along it."""
  x1, y1, x2, y2 = (float(line.get(key)) for key in ("x1", "y1", "x2", "y2"))
  left, top, right, bottom = box
  for i in range(2001):
    x, y = x1 + (x2 - x1) * i / 2000, y1 + (y2 - y1) * i / 2000
    if left < x < right and top < y < bottom:
      return True
  return False


def test_no_arrow_that_may_come_runs_through_a_box():
  allowed = [(one, to) for one in rooms.ROOMS for to in rooms.ROOMS[one]]
  tree = ElementTree.fromstring(architecture_diagram.svg(allowed))
  boxes = _boxes(tree)
  assert len(boxes) == len(rooms.ROOMS)
  lines = list(tree.iter(f"{_SVG}line"))
  assert len(lines) == len(allowed)
  wrong = [
    (line.get("data-from"), line.get("data-to"), room)
    for line in lines
    for room, box in boxes.items()
    if _passes_through(line, box)
  ]
  assert wrong == []


def test_everything_is_inside_the_picture_and_no_boxes_overlap(picture):
  root = picture.getroot()
  width, height = float(root.get("width")), float(root.get("height"))
  boxes = _boxes(picture)
  for left, top, right, bottom in boxes.values():
    assert 0 < left < right < width and 0 < top < bottom < height
  for one in boxes.values():
    for other in boxes.values():
      apart = (
        one[2] < other[0]
        or other[2] < one[0]
        or one[3] < other[1]
        or other[3] < one[1]
      )
      assert one == other or apart


def _luminance(color):
  """Relative luminance of WCAG 2.1 of a color "#rrggbb", in [0, 1]."""
  channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
  linear = [
    c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4
    for c in channels
  ]
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one, other):
  low, high = sorted((_luminance(one), _luminance(other)))
  return (high + 0.05) / (low + 0.05)


def test_contrast_is_measured_as_the_standard_does():
  assert _contrast("#000000", "#ffffff") == pytest.approx(21)
  # The grey that just passes for text on white, by common tables: 4.54.
  assert _contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("page", _PAGES)
def test_arrows_can_be_seen_on_light_and_dark_pages(picture, page):
  """WCAG 2.1 asks for 3 of graphics (1.4.11)."""
  colors = {line.get("stroke") for line in picture.iter(f"{_SVG}line")}
  colors |= {path.get("fill") for path in picture.iter(f"{_SVG}path")}
  assert {c: _contrast(c, page) for c in colors if _contrast(c, page) < 3} == {}


def test_text_can_be_read_on_its_box(picture):
  """WCAG 2.1 asks for 4.5 of text (1.4.3)."""
  (fill,) = {rect.get("fill") for rect in picture.iter(f"{_SVG}rect")}
  for text in picture.iter(f"{_SVG}text"):
    assert _contrast(text.get("fill"), fill) >= 4.5


def test_the_picture_needs_nothing_from_elsewhere():
  text = (_ROOT / "docs/images/architecture.svg").read_text("utf-8")
  text = text.replace('xmlns="http://www.w3.org/2000/svg"', "")
  assert "http" not in text and "<style" not in text and "<script" not in text


def test_the_same_arrows_give_the_same_picture():
  arrows = [("learning", "models"), ("debugging", "privacy")]
  assert architecture_diagram.svg(arrows) == architecture_diagram.svg(
    reversed(arrows)
  )


def test_an_arrow_to_no_room_is_refused():
  with pytest.raises(ValueError, match="'cellar'"):
    architecture_diagram.svg([("learning", "cellar")])


def test_only_imports_between_rooms_count(tmp_path):
  files = {
    "learning/gan.py": "from tff_gen_debug.models import gan\n",
    "learning/other.py": "from tff_gen_debug.learning import gan\n",
    "models/gan.py": "import tff_gen_debug.arguments\nimport numpy\n",
    "privacy/plan.py": "RUN = 'tff_gen_debug.runtime.worker'\n",
    "runtime/worker.py": "",
    "arguments.py": "",
  }
  for name, text in files.items():
    path = tmp_path / "tff_gen_debug" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
  assert rooms.imports_between(module_graph.load(tmp_path)) == {
    ("learning", "models"),
    ("privacy", "runtime"),
  }


def test_check_agrees_with_the_file():
  result = subprocess.run(
    [sys.executable, "-m", "tools.architecture_diagram", "--check"],
    cwd=str(_ROOT),
    stdin=subprocess.DEVNULL,
    capture_output=True,
    text=True,
  )
  assert result.returncode == 0, result.stderr
