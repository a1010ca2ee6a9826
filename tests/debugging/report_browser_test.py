"""Tests of the report in a real browser: read, sorted, narrow and dark."""

import base64
import dataclasses
import hashlib
import html
import json
import re

import numpy as np
import pytest

from tests import browser
from tff_gen_debug.debugging import findings
from tff_gen_debug.debugging import pictures
from tff_gen_debug.debugging import report as report_lib
from tff_gen_debug.privacy import releases

_WIDTHS = (360, 1100)

# Rows, in the order that they are given in, and the names of the rows in the
# order that sorting a column upwards and downwards has to give. No column is in
# order as text.
_COLUMNS = ("name", "share", "count", "p", "gap", "outcome", "level")
_ROWS = [
  ("b", "9.5%", 1024, 2.4e-3, None, "3 of 40", "item 10"),
  ("a", "12.3 %", 98, 5e-13, 3, "20 of 40", "item 9"),
  ("d", "100.0%", 12345, 0.5, 20, "1,000 of 4,000", "Item 1"),
  ("c", "\N{EN DASH}", 7, np.inf, -1.5, "\N{MINUS SIGN}4 (-9 to 2)", "item 2"),
]
_SORTED = {
  "name": ("abcd", "dcba"),
  # What is missing comes last in both directions.
  "share": ("badc", "dabc"),
  "count": ("cabd", "dbac"),
  "p": ("abdc", "cdba"),
  "gap": ("cadb", "dacb"),
  "outcome": ("cbad", "dabc"),
  "level": ("dcab", "bacd"),
}

# Watches a page from its start, opens all that is folded, and sends what it has
# become to the page around it.
_WATCH = r"""
(() => {
  const errors = [];
  addEventListener("error", (event) => {
    errors.push(event.message || `not loaded: ${event.target.outerHTML}`);
  }, true);
  addEventListener("securitypolicyviolation", (event) => {
    errors.push(`${event.violatedDirective}: ${event.blockedURI}`);
  });

  function backgroundOf(element) {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (color !== "rgba(0, 0, 0, 0)") return color;
    }
    return "none";
  }

  function colours() {
    const pairs = {};
    for (const element of document.querySelectorAll("body *")) {
      const words = [...element.childNodes]
        .filter((node) => node.nodeType === Node.TEXT_NODE)
        .map((node) => node.textContent.trim()).join(" ").trim();
      if (!words || !element.getClientRects().length) continue;
      const pair = [getComputedStyle(element).color, backgroundOf(element)];
      pairs[pair.join(" on ")] ??= [...pair, words.slice(0, 60)];
    }
    return Object.values(pairs);
  }

  const tableOf = (title) => [...document.querySelectorAll("section")]
    .find((one) => one.querySelector("h2")?.textContent === title)
    .querySelector("table");

  function sortings() {
    const table = tableOf("Kinds of cells");
    const heads = [...table.tHead.rows[0].cells];
    const names = () => [...table.tBodies[0].rows]
      .map((row) => row.cells[0].textContent.trim()).join("");
    const marks = () => heads.map((head) => head.getAttribute("aria-sort"));
    return heads.map((head) => {
      const button = head.querySelector("button");
      button.focus();
      return {
        column: button.textContent,
        type: button.type,
        reached: document.activeElement === button && button.tabIndex === 0,
        clicks: [0, 1, 2].map(() => {
          button.click();
          return [names(), marks()];
        }),
      };
    });
  }

  addEventListener("load", () => {
    const folds = [...document.querySelectorAll("details")].map((fold) => ({
      summary: fold.querySelector("summary").textContent.trim(),
      open: fold.open,
      tableIsShown: fold.querySelector("table").checkVisibility(
        { contentVisibilityAuto: true }),
    }));
    for (const fold of document.querySelectorAll("details")) fold.open = true;
    const box = tableOf("Wide").parentElement;
    const result = {
      folds,
      images: [...document.images].map((image) => image.naturalWidth),
      page: [document.documentElement.scrollWidth, innerWidth],
      wideTable: [box.scrollWidth, box.clientWidth],
      background: getComputedStyle(document.body).backgroundColor,
      colours: colours(),
      sortings: sortings(),
      errors,
    };
    parent.postMessage(result, "*");
  });
})();
"""

# Shows the page at several widths side by side: a window has a least width.
_FRAMES = """<!doctype html>
<meta name="color-scheme" content="light dark">
<pre id="results"></pre>
<script>
const results = {};
addEventListener("message", (event) => {
  for (const frame of document.querySelectorAll("iframe")) {
    if (frame.contentWindow === event.source) results[frame.width] = event.data;
  }
  document.querySelector("#results").textContent = JSON.stringify(results);
});
for (const width of WIDTHS) {
  const frame = document.createElement("iframe");
  Object.assign(frame, { width, height: 800, src: "report.html" });
  document.body.append(frame);
}
</script>
"""


def _digest(script):
  digest = hashlib.sha256(script.encode()).digest()
  return f"'sha256-{base64.b64encode(digest).decode()}'"


def _picture(value):
  return pictures.sample_grid(np.full((4, 6, 6, 1), value), 2, 2)


def _report():
  long_word = "abcdefghij" * 12
  claim = "the low slice is inverted: 100 % of samples against 0 % (p < 1e-12)"
  return report_lib.Report(
    title="What do the users look like on whom the model does badly?",
    question="Nobody may look at their images. Do samples show why?",
    findings=[
      findings.Finding("low_inverted", True, claim, "Fisher's exact test."),
      findings.Finding("control", False, "the control is not", "The same."),
    ],
    sections=[
      report_lib.Table("Kinds of cells", _COLUMNS, _ROWS),
      report_lib.ImageGrid(
        "Pictures",
        [
          report_lib.Figure("generated", _picture(-1.0), "of 31 users"),
          report_lib.Figure("real", _picture(1.0), simulation_only=True),
        ],
        text="Samples after the last round.",
      ),
      report_lib.ImageGrid(
        "Over rounds",
        [report_lib.Figure(f"round {i}", _picture(0.0)) for i in range(5)],
        compact=True,
      ),
      report_lib.ShareBars(
        "Shares", {"low accuracy, with the bug": findings.Share(3, 4)}
      ),
      report_lib.Table("Short", ["n", "m"], [[i, -i] for i in range(25)]),
      report_lib.Table(
        "Long",
        ["n", "m"],
        [[i, -i] for i in range(26)],
        simulation_only=True,
      ),
      report_lib.Table(
        "Wide",
        [f"a column, number {i}" for i in range(12)],
        [["a cell"] * 12] * 2,
      ),
      report_lib.Text("Words", [long_word]),
    ],
    privacy=dict(
      epsilon=1.5,
      delta=1e-6,
      sampling="poisson",
      neighboring_relation="add_or_remove_one",
      simulated=True,
    ),
    privacy_statement=f"One user. {long_word}",
    releases=[releases.Release(name="user accuracies", what="exact")],
    config={"rounds": 3, "cache_dir": f"/{long_word}", "gan": {"latent": 8}},
    metrics={},
    wall_seconds=512.0,
  )


def _scripts(page):
  return re.findall(r"<script>(.*?)</script>", page, re.S)


def test_the_page_allows_its_one_script_and_nothing_else():
  page = report_lib.render_html(_report())
  assert page.count("<script") == 1
  (script,) = _scripts(page)
  (policy,) = re.findall(
    r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page
  )
  assert dict(one.split(" ", 1) for one in policy.split("; ")) == {
    "default-src": "'none'",
    "img-src": "data:",
    "style-src": "'unsafe-inline'",
    "script-src": _digest(script),
  }
  # Before everything that it is for.
  assert page.index("Content-Security-Policy") < page.index("<style")


def test_text_of_data_adds_no_script():
  evil = "</script><script>alert('&')</script>"
  table = report_lib.Table(evil, [evil] * 2, [[evil] * 2] * 13, evil)
  benign = report_lib.Table("t", ["a"] * 2, [["b"] * 2] * 13)

  def scripts(section):
    report = dataclasses.replace(_report(), sections=[section])
    return _scripts(report_lib.render_html(report))

  assert scripts(table) == scripts(benign)


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
  """What the browser says of the report: by "light" and "dark", by width."""
  if browser.find() is None:
    pytest.skip("Chromium is not installed")
  folder = tmp_path_factory.mktemp("report")
  page = report_lib.render_html(_report())
  page = page.replace("script-src ", f"script-src {_digest(_WATCH)} ", 1)
  page = page.replace("<style>", f"<script>{_WATCH}</script><style>", 1)
  (folder / "report.html").write_text(page, "utf-8")
  frames = folder / "frames.html"
  frames.write_text(_FRAMES.replace("WIDTHS", str(list(_WIDTHS))), "utf-8")
  results = {}
  for scheme in ("light", "dark"):
    seen = browser.show(frames, folder, dark=scheme == "dark")
    text = re.search(r'<pre id="results">(.*?)</pre>', seen.dom, re.S).group(1)
    results[scheme] = {
      int(width): {**result, "console": seen.console}
      for width, result in json.loads(html.unescape(text)).items()
    }
    assert sorted(results[scheme]) == sorted(_WIDTHS)
  return results


def _pages(shown):
  return [page for by_width in shown.values() for page in by_width.values()]


def _numbers(colour):
  """From "rgb(1, 2, 3)" to its numbers; anything transparent is refused."""
  red, green, blue = re.fullmatch(
    r"rgb\((\d+), (\d+), (\d+)\)", colour
  ).groups()
  return int(red), int(green), int(blue)


def _luminance(colour):
  """Relative luminance, in [0, 1]; WCAG 2.1, section "Relative luminance"."""
  red, green, blue = (
    value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4
    for value in (number / 255 for number in _numbers(colour))
  )
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one, other):
  """Contrast ratio, in [1, 21]; WCAG 2.1, section "Contrast ratio"."""
  low, high = sorted((_luminance(one), _luminance(other)))
  return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_wcag():
  white = "rgb(255, 255, 255)"
  assert _contrast(white, "rgb(0, 0, 0)") == pytest.approx(21)
  # The lightest grey on white that passes for text, and the next one.
  assert _contrast("rgb(118, 118, 118)", white) > 4.5
  assert _contrast("rgb(119, 119, 119)", white) < 4.5


@pytest.mark.slow
def test_it_opens_without_an_error(shown):
  for page in _pages(shown):
    assert page["errors"] == []
    assert page["console"] == []


@pytest.mark.slow
def test_every_picture_is_there(shown):
  for page in _pages(shown):
    assert len(page["images"]) == 7
    assert min(page["images"]) > 0


@pytest.mark.slow
def test_a_click_on_a_heading_sorts_and_the_third_restores(shown):
  given = "".join(row[0] for row in _ROWS)
  for page in _pages(shown):
    assert [one["column"] for one in page["sortings"]] == list(_COLUMNS)
    for index, one in enumerate(page["sortings"]):
      orders = [order for order, _ in one["clicks"]]
      assert orders == [*_SORTED[one["column"]], given], one["column"]
      for (_, marks), mark in zip(
        one["clicks"], ("ascending", "descending", None)
      ):
        expected = [None] * len(_COLUMNS)
        expected[index] = mark
        assert marks == expected


@pytest.mark.slow
def test_headings_can_be_reached_by_keyboard(shown):
  for page in _pages(shown):
    for one in page["sortings"]:
      assert one["reached"] and one["type"] == "button", one["column"]


@pytest.mark.slow
def test_long_tables_and_the_configuration_are_folded(shown):
  for page in _pages(shown):
    assert [fold["summary"] for fold in page["folds"]][:2] == [
      "26 rows: n, m",
      "3 settings",
    ]
    assert len(page["folds"]) == 3
    for fold in page["folds"]:
      assert not fold["open"] and not fold["tableIsShown"], fold["summary"]


@pytest.mark.slow
def test_the_page_never_scrolls_sideways_but_a_wide_table_does(shown):
  for by_width in shown.values():
    for width, page in by_width.items():
      needed, available = page["page"]
      assert available == width
      assert needed <= available
      assert page["wideTable"][0] > page["wideTable"][1]


@pytest.mark.slow
def test_dark_mode_is_dark_and_text_stands_out_in_both(shown):
  backgrounds = {
    scheme: {page["background"] for page in by_width.values()}
    for scheme, by_width in shown.items()
  }
  assert all(_luminance(colour) > 0.8 for colour in backgrounds["light"])
  assert all(_luminance(colour) < 0.05 for colour in backgrounds["dark"])
  for page in _pages(shown):
    # Headline, quiet text, badge, headings and panels differ.
    assert len(page["colours"]) >= 6
    for colour, background, words in page["colours"]:
      ratio = _contrast(colour, background)
      assert ratio >= 4.5, f"{words}: {colour} on {background}: {ratio:.2f}"
