"""Checks of the documentation site: complete, offline, with sound links."""

import pathlib
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from tools import check_site
from tools import docstring_markdown

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_ROOMS = (
  "aggregators",
  "datasets",
  "debugging",
  "evaluation",
  "learning",
  "models",
  "privacy",
  "runtime",
)


def _config():
  return yaml.safe_load((_ROOT / "mkdocs.yml").read_text("utf-8"))


def _pages(nav):
  """The files that a part of the navigation names."""
  if isinstance(nav, str):
    return [nav]
  parts = nav if isinstance(nav, list) else nav.values()
  return [page for part in parts for page in _pages(part)]


def test_every_page_is_in_the_navigation_once():
  docs = _ROOT / "docs"
  found = [p.relative_to(docs).as_posix() for p in docs.rglob("*.md")]
  assert sorted(_pages(_config()["nav"])) == sorted(found)


def test_every_room_has_a_page():
  assert set(_ROOMS) == {
    path.parent.name for path in (_ROOT / "tff_gen_debug").glob("*/__init__.py")
  }
  for room in _ROOMS:
    page = (_ROOT / "docs" / "api" / f"{room}.md").read_text("utf-8")
    assert f"\n::: tff_gen_debug.{room}\n" in page


def test_every_kind_of_bad_link_is_a_warning():
  validation = _config()["validation"]
  assert validation == {
    "nav": dict.fromkeys(
      ("omitted_files", "not_found", "absolute_links"), "warn"
    ),
    "links": dict.fromkeys(
      ("not_found", "anchors", "absolute_links", "unrecognized_links"), "warn"
    ),
  }


_PLAN = """A plan.

  plan = Plan(
    rounds=1,

    noise=2.0,
  )
  plan.epsilon()  # 0.87

Formal guarantees: (1, 2)-DP, and so on
over two lines.

| a | b |
|---|---|
| 1 | 2 |

*   One thing
    over two lines.

    And a second paragraph of it.

Edge cases: none.

    python -m tool --flag value

Args:
  rounds: How many.

    Not code.

Returns:
  A number.
"""
_PLAN_IN_MARKDOWN = """A plan.

```python
plan = Plan(
  rounds=1,

  noise=2.0,
)
plan.epsilon()  # 0.87
```

**Formal guarantees:** (1, 2)-DP, and so on
over two lines.

| a | b |
|---|---|
| 1 | 2 |

*   One thing
    over two lines.

    And a second paragraph of it.

**Edge cases:** none.

```text
python -m tool --flag value
```

Args:
  rounds: How many.

    Not code.

Returns:
  A number.
"""


def test_docstrings_become_markdown():
  assert docstring_markdown.to_markdown(_PLAN) == _PLAN_IN_MARKDOWN


@pytest.mark.parametrize(
  "text",
  [
    "One line.",
    "A sentence\n  that goes on, indented without a blank line.",
    "Raises:\n  ValueError: If so.\n\n  KeyError: If not.",
    "1. First\n\n   still the first.",
    "It says: Formal guarantees: are good.",
    "",
  ],
)
def test_other_docstrings_stay_as_they_are(text):
  assert docstring_markdown.to_markdown(text) == text


def test_code_after_a_section_or_list_is_code_again():
  text = "Args:\n  x: A number.\n\nText.\n\n  f(x)"
  assert docstring_markdown.to_markdown(text).endswith(
    "Text.\n\n```python\nf(x)\n```"
  )
  text = "* A thing.\n\nText.\n\n  f(x)"
  assert docstring_markdown.to_markdown(text).endswith(
    "Text.\n\n```python\nf(x)\n```"
  )


def test_html_is_shown_and_not_obeyed():
  text = 'Leaves "<p>a &amp; b</p>" as `<p>\n&amp;</p>`; a < b & c.\n\n  a<b>c'
  assert docstring_markdown.to_markdown(text) == (
    'Leaves "&lt;p>a &amp;amp; b&lt;/p>" as `<p>\n&amp;</p>`; a < b & c.'
    "\n\n```python\na<b>c\n```"
  )


def _write(folder, name, text):
  path = folder / name
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(text)


@pytest.mark.parametrize(
  "name, text",
  [
    ("a.html", '<script src="https://far.example/x.js"></script>'),
    ("a.html", '<script src="//far.example/x.js"></script>'),
    ("a.html", '<link rel="stylesheet" href="https://far.example/x.css">'),
    ("a.html", '<link rel="preconnect" href="https://far.example">'),
    ("b/c.html", '<img alt="" src="http://far.example/x.png"/>'),
    ("a.html", '<img srcset="x.png 1x, https://far.example/x.png 2x">'),
    ("a.html", '<p style="background: url(https://far.example/x.png)">'),
    ("a.html", "<style>@import 'https://far.example/x.css';</style>"),
    ("a.html", "<style>p {src: url(//far.example/x.woff2)}</style>"),
    ("a.html", '<pre class="mermaid">graph</pre>'),
    ("x.css", "@font-face {src: url('https://far.example/x.woff2')}"),
    ("x.svg", "<style>@import url(https://far.example/x.css)</style>"),
  ],
)
def test_what_is_loaded_from_elsewhere_is_found(tmp_path, name, text):
  _write(tmp_path, name, text)
  (found,) = check_site.foreign_loads(tmp_path)
  assert found.startswith(f"{name} loads ")


@pytest.mark.parametrize(
  "name, text",
  [
    ("a.html", '<a href="https://far.example">there</a>'),
    ("a.html", '<script src="assets/x.js"></script><img src="../x.png">'),
    ("a.html", "<p>@import 'https://far.example/x.css'</p>"),
    ("a.html", '<link rel="icon" href="assets/x.png">'),
    ("x.css", "p {background: url(data:image/png;base64,AA//AA==)}"),
    ("x.css", "/* https://far.example */ p {src: url(../x.woff2)}"),
  ],
)
def test_links_and_own_files_are_fine(tmp_path, name, text):
  _write(tmp_path, name, text)
  assert check_site.foreign_loads(tmp_path) == []


def test_a_name_without_an_entry_is_found(tmp_path):
  root, site = tmp_path / "root", tmp_path / "site"
  _write(root, "tff_gen_debug/models/__init__.py", "__all__ = ['cnn', 'gan']")
  _write(root, "tff_gen_debug/models/gan/__init__.py", "__all__ = ['Loss']")
  _write(root, "tff_gen_debug/privacy/__init__.py", "__all__ = ['Plan']")
  _write(
    site,
    "api/models.html",
    '<h2 id="tff_gen_debug.models.cnn">tff_gen_debug.models.gan</h2>'
    '<p id="tff_gen_debug.models.gan.Loss"></p>',
  )
  assert sorted(check_site.missing_names(site, root)) == [
    "api/models.html has no entry for tff_gen_debug.models.gan",
    "api/privacy.html has no entry for tff_gen_debug.privacy.Plan",
  ]


def test_the_names_are_those_that_the_package_offers():
  from tff_gen_debug import privacy

  names = check_site.public_names(_ROOT)
  assert sorted(names) == sorted(_ROOMS)
  assert names["privacy"] == [
    f"tff_gen_debug.privacy.{n}" for n in privacy.__all__
  ]
  assert "tff_gen_debug.models.gan.GanModel" in names["models"]


def _mkdocs(folder, site):
  return subprocess.run(
    [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir"]
    + [str(site)],
    cwd=str(folder),
    stdin=subprocess.DEVNULL,
    capture_output=True,
    text=True,
  )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
  """The folder of the built site."""
  folder = tmp_path_factory.mktemp("site")
  done = _mkdocs(_ROOT, folder)
  assert done.returncode == 0, done.stderr
  return folder


@pytest.mark.slow
def test_the_site_is_complete_and_loads_nothing_foreign(site):
  done = subprocess.run(
    [sys.executable, "-m", "tools.check_site", str(site)],
    cwd=str(_ROOT),
    stdin=subprocess.DEVNULL,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr


def _text(html):
  """What a reader sees, with single spaces."""
  return " ".join(re.sub(r"<[^>]*>", "", html).split())


@pytest.mark.slow
def test_docstrings_read_well(site):
  page = (site / "api" / "privacy.html").read_text("utf-8")
  start = page.index('id="tff_gen_debug.privacy.PrivacyPlan"')
  entry = page[start : page.index('id="tff_gen_debug.privacy.Release"')]
  # The code is a block of its own, indented as in the source.
  blocks = re.findall(r"<pre>.*?</pre>", entry, re.S)
  code = [re.sub(r"<[^>]*>", "", block) for block in blocks]
  assert any("PrivacyPlan(\n  population=1_000_000,\n" in c for c in code)
  assert "<strong>Formal guarantees:</strong>" in entry
  assert "<strong>Edge cases:</strong>" in entry
  # The table is a table, and the sections are sections.
  assert re.search(r"<td>\s*fixed_size\s*</td>", entry)
  assert "PrivacyLedger" in _text(page) and "delta" in _text(entry)


@pytest.mark.slow
def test_no_section_of_a_docstring_is_left_as_text(site):
  for room in _ROOMS:
    page = (site / "api" / f"{room}.html").read_text("utf-8")
    wrong = re.findall(r"<p>(?:Args|Attributes|Raises|Returns|Yields):.*", page)
    assert wrong == [], room
    # Code that Markdown took for text.
    assert re.findall(r"<p>[^<]*= \w+\(\s*$", page, re.M) == [], room


@pytest.mark.slow
def test_links_between_pages_lead_to_what_they_name(site):
  """By the built pages and not by what MkDocs says of them."""
  pages = {p: p.read_text("utf-8") for p in site.rglob("*.html")}
  ids = {
    p: set(re.findall(r'\bid="([^"]+)"', text)) for p, text in pages.items()
  }
  wrong = []
  checked = 0
  for path, text in pages.items():
    if path.name == "404.html":
      continue
    for link in re.findall(r'<a\s[^>]*?href="([^"]+)"', text):
      if re.match(r"[a-z]+:", link):
        continue
      name, _, anchor = link.partition("#")
      target = (path.parent / name).resolve() if name else path
      checked += 1
      if not target.exists():
        wrong.append((path.name, link))
      elif anchor and target in ids and anchor not in ids[target]:
        wrong.append((path.name, link))
  assert checked > 500
  assert wrong == []


@pytest.mark.slow
def test_names_can_be_searched_for(site):
  index = (site / "search" / "search_index.json").read_text("utf-8")
  assert "private_accuracy_histogram" in index


@pytest.mark.slow
def test_a_bad_link_a_bad_anchor_and_a_lost_page_stop_the_build(tmp_path):
  """On a small site with the real settings, but without the reference."""
  config = _config()
  config["nav"] = ["index.md", "concepts.md"]
  config["plugins"] = ["search"]
  (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(config))
  docs = tmp_path / "docs"
  _write(docs, "index.md", "# Home\n\n[fine](concepts.md#round)\n")
  _write(docs, "concepts.md", "# Concepts\n\n## Round\n")
  assert _mkdocs(tmp_path, tmp_path / "site").returncode == 0
  for text in (
    "[a](gone.md)",
    "[a](concepts.md#gone)",
    "[a](#gone)",
    "[a](/x)",
  ):
    _write(docs, "index.md", f"# Home\n\n{text}\n")
    done = _mkdocs(tmp_path, tmp_path / "site")
    assert done.returncode != 0 and "WARNING" in done.stderr, text
  _write(docs, "index.md", "# Home\n")
  _write(docs, "lost.md", "# Lost\n")
  done = _mkdocs(tmp_path, tmp_path / "site")
  assert done.returncode != 0 and "lost.md" in done.stderr


@pytest.mark.slow
def test_a_name_that_is_no_more_stops_the_build(tmp_path):
  shutil.copy(str(_ROOT / "mkdocs.yml"), str(tmp_path))
  for name in ("docs", "tff_gen_debug", "tools"):
    shutil.copytree(
      str(_ROOT / name),
      str(tmp_path / name),
      ignore=shutil.ignore_patterns("__pycache__", "*.npz"),
    )
  with open(tmp_path / "docs" / "api" / "runtime.md", "a") as page:
    page.write("\n::: tff_gen_debug.runtime.cellar\n")
  done = _mkdocs(tmp_path, tmp_path / "site")
  assert done.returncode != 0
  assert "tff_gen_debug.runtime.cellar" in done.stderr
