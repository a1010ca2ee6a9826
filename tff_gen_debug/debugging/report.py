"""What a run leaves for its reader: report.html and report.json.

The HTML file is one self-contained page: pictures are inline, nothing is loaded
from anywhere, and it reads in light and dark mode and on a narrow screen. A
report is a headline, any number of sections made from the data classes below,
and what every report must say: what it cost in privacy, which numbers were
released, the configuration and the versions. Nothing here knows which task it
reports on.
"""

import base64
from collections.abc import Mapping, Sequence
import dataclasses
import decimal
from importlib import metadata
from importlib import resources
import json
import math
import os
import platform
from typing import Any, ClassVar, Union

import jinja2
import numpy as np

import tff_gen_debug
from tff_gen_debug import files
from tff_gen_debug.debugging import findings as findings_lib
from tff_gen_debug.debugging import readable_words
from tff_gen_debug.privacy import releases as release_lib

_PRIVACY_KEYS = (
  "epsilon",
  "delta",
  "sampling",
  "neighboring_relation",
  "simulated",
)

_VERSIONED_PACKAGES = (
  "tensorflow-federated",
  "tensorflow",
  "tensorflow-privacy",
  "dp-accounting",
  "numpy",
  "scipy",
)


@dataclasses.dataclass(frozen=True)
class Figure:
  """One picture of an `ImageGrid`.

  Attributes:
    label: What it shows, in a few words; also its text for screen readers.
    png: The bytes of a PNG file, e.g. from `pictures.sample_grid` or
      `charts.line_chart`.
    caption: A sentence below it.
    simulation_only: Whether it shows real data, which only a simulation may;
      the page says so on the picture.
  """

  label: str
  png: bytes
  caption: str = ""
  simulation_only: bool = False

  def __post_init__(self):
    if not self.png.startswith(b"\x89PNG\r\n"):
      raise ValueError(f"png of figure {self.label!r} must be a PNG file")

  @property
  def data_uri(self) -> str:
    return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


@dataclasses.dataclass(frozen=True)
class ImageGrid:
  """A section of pictures side by side, one below the other where narrow.

  Attributes:
    title: Heading.
    figures: The pictures, in reading order.
    text: A paragraph before them.
    compact: Small pictures, for a series over rounds.
  """

  title: str
  figures: Sequence[Figure]
  text: str = ""
  compact: bool = False
  kind: ClassVar[str] = "images"


@dataclasses.dataclass(frozen=True)
class Table:
  """A section with a table; the first column names the rows.

  Attributes:
    title: Heading.
    columns: Column headings.
    rows: Cells: strings as they are, floats with four significant digits, a
      `readable_words.Word` with its spaces made visible.
    text: A paragraph before it.
    simulation_only: Whether it shows real data, which only a simulation may;
      the page says so on the table.
  """

  title: str
  columns: Sequence[str]
  rows: Sequence[Sequence[Any]]
  text: str = ""
  simulation_only: bool = False
  kind: ClassVar[str] = "table"

  def __post_init__(self):
    for row in self.rows:
      if len(row) != len(self.columns):
        raise ValueError(
          f"rows of table {self.title!r} must have {len(self.columns)} cells, "
          f"got {len(row)}"
        )


@dataclasses.dataclass(frozen=True)
class ShareBars:
  """A section of labelled shares, drawn as bars with their intervals.

  Attributes:
    title: Heading.
    shares: Label -> share, in reading order.
    text: A paragraph before them.
  """

  title: str
  shares: Mapping[str, findings_lib.Share]
  text: str = ""
  kind: ClassVar[str] = "bars"


@dataclasses.dataclass(frozen=True)
class Text:
  """A section of plain paragraphs."""

  title: str
  paragraphs: Sequence[str]
  kind: ClassVar[str] = "text"


Section = Union[ImageGrid, Table, ShareBars, Text]


@dataclasses.dataclass(frozen=True)
class Report:
  """All that `write_report` needs.

  Attributes:
    title: Of the page.
    question: One or two sentences: what was asked of the data.
    findings: In order of importance; the first that holds is the headline.
    sections: What the page shows between the findings and the privacy part.
    privacy: JSON-ready facts with at least `epsilon`, `delta`, `sampling`,
      `neighboring_relation` and `simulated` (bool).
    privacy_statement: The same in words, as `PrivacyPlan.statement()` gives it.
    releases: Everything that left the clients besides the trained models.
    config: The resolved configuration.
    metrics: The numbers of the run.
    wall_seconds: How long it took.
    versions: Package -> version; by default of this environment.
  """

  title: str
  question: str
  findings: Sequence[findings_lib.Finding]
  sections: Sequence[Section]
  privacy: Mapping[str, Any]
  privacy_statement: str
  releases: Sequence[release_lib.Release]
  config: Mapping[str, Any]
  metrics: Mapping[str, Any]
  wall_seconds: float
  versions: Mapping[str, str] = dataclasses.field(
    default_factory=lambda: collect_versions()
  )

  def __post_init__(self):
    if not self.findings:
      raise ValueError("findings must hold at least one finding, got none")
    missing = [key for key in _PRIVACY_KEYS if key not in self.privacy]
    if missing:
      raise ValueError(f"privacy must have the keys {missing}")

  @property
  def headline(self) -> findings_lib.Finding:
    """The first finding that holds, or else the first."""
    for finding in self.findings:
      if finding.holds:
        return finding
    return self.findings[0]

  @property
  def epsilon_text(self) -> str:
    """Epsilon with four digits, rounded up: it must not look smaller."""
    epsilon = self.privacy["epsilon"]
    if epsilon is None or not math.isfinite(epsilon):
      return "no guarantee"
    context = decimal.Context(prec=4, rounding=decimal.ROUND_CEILING)
    # The shortest text of a float, so that 0.1 stays 0.1.
    return f"{float(context.create_decimal(repr(float(epsilon)))):.4g}"

  def to_dict(self) -> dict[str, Any]:
    """The content of report.json, of plain JSON types only."""
    releases = [
      {"name": r.name, "what": r.what, "private": r.private}
      for r in self.releases
    ]
    return _to_json(
      {
        "config": self.config,
        "versions": self.versions,
        "findings": [finding.to_dict() for finding in self.findings],
        "metrics": self.metrics,
        "privacy": {
          **self.privacy,
          "statement": self.privacy_statement,
          "releases": releases,
        },
        "wall_seconds": self.wall_seconds,
      },
      "report",
    )


def write_report(out_dir: Union[str, os.PathLike], report: Report) -> str:
  """Writes report.json and report.html, each atomically.

  JSON knows no infinity, which epsilon is without noise, and no NaN: they are
  written as the strings "inf", "-inf" and "nan".

  Args:
    out_dir: Where; made if it does not exist.
    report: The content.

  Returns:
    The path of report.html.

  Raises:
    TypeError: If something in `config`, `metrics` or `privacy` has no JSON
      form.
  """
  out_dir = os.fspath(out_dir)
  content = json.dumps(report.to_dict(), indent=2, allow_nan=False)
  page = render_html(report)
  os.makedirs(out_dir, exist_ok=True)
  files.write_atomically(
    os.path.join(out_dir, "report.json"), (content + "\n").encode()
  )
  html_path = os.path.join(out_dir, "report.html")
  files.write_atomically(html_path, page.encode())
  return html_path


def render_html(report: Report) -> str:
  """The self-contained page, as text."""
  environment = jinja2.Environment(
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
  )
  environment.filters["cell"] = _cell
  environment.filters["sentence"] = lambda text: text[:1].upper() + text[1:]
  environment.filters["duration"] = _duration
  environment.filters["percent"] = lambda share: f"{100 * share:.2f}%"
  template = resources.files("tff_gen_debug.debugging").joinpath(
    "report.html.jinja"
  )
  return environment.from_string(template.read_text("utf-8")).render(
    report=report, config=_flatten(report.config)
  )


def collect_versions() -> dict[str, str]:
  """Versions of Python and of the packages that results depend on."""
  versions = {
    "tff-gen-debug": tff_gen_debug.__version__,
    "python": platform.python_version(),
  }
  for package in _VERSIONED_PACKAGES:
    try:
      versions[package] = metadata.version(package)
    except metadata.PackageNotFoundError:
      versions[package] = "not installed"
  return versions


def _to_json(value: Any, path: str) -> Any:
  """NumPy's and Python's values as JSON types, or an error that says where."""
  if isinstance(value, Mapping):
    return {str(k): _to_json(v, f"{path}.{k}") for k, v in value.items()}
  if isinstance(value, np.ndarray):
    value = value.tolist()
  elif isinstance(value, np.generic):
    value = value.item()
  if value is None or isinstance(value, (bool, int, str)):
    return value
  if isinstance(value, float):
    return value if math.isfinite(value) else str(value)
  if isinstance(value, (list, tuple)):
    return [_to_json(v, f"{path}[{i}]") for i, v in enumerate(value)]
  if isinstance(value, os.PathLike):
    return os.fspath(value)
  if dataclasses.is_dataclass(value) and not isinstance(value, type):
    return _to_json(dataclasses.asdict(value), path)
  raise TypeError(f"{path} has no JSON form: {type(value).__name__}")


def _flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
  """Nested mappings as one, keys joined by dots."""
  flat: dict[str, Any] = {}
  for key, value in config.items():
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
      value = dataclasses.asdict(value)
    if isinstance(value, Mapping):
      flat.update(_flatten(value, f"{prefix}{key}."))
    else:
      flat[f"{prefix}{key}"] = value
  return flat


def _cell(value: Any) -> Union[str, readable_words.Word]:
  if isinstance(value, (bool, np.bool_)):
    return "yes" if value else "no"
  if isinstance(value, (int, np.integer)):
    return f"{value:,}"
  if isinstance(value, (float, np.floating)):
    return f"{value:.4g}"
  if value is None:
    return "\N{EN DASH}"
  if isinstance(value, readable_words.Word):
    return value  # Brings its own markup.
  return str(value)


def _duration(seconds: float) -> str:
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  if hours:
    return f"{hours} h {minutes} min"
  if minutes:
    return f"{minutes} min {seconds} s"
  return f"{seconds} s"
