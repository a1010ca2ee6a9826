"""Tests of the report: complete, self-contained, escaped and atomic."""

import dataclasses
import json
import os
import pathlib
import re

import numpy as np
import pytest

from tff_gen_debug.debugging import findings
from tff_gen_debug.debugging import pictures
from tff_gen_debug.debugging import readable_words
from tff_gen_debug.debugging import report as report_lib
from tff_gen_debug.privacy import releases as release_lib


def _finding(holds, claim="the low slice is inverted", name="inversion"):
  return findings.Finding(name, holds, claim, "an exact test", {"p_value": 0.5})


def _png():
  return pictures.sample_grid(np.zeros((1, 2, 2, 1)), 1, 1, scale=1)


def _report(**changes):
  values = dict(
    title="A title",
    question="What do they hold?",
    findings=[_finding(True)],
    sections=[],
    privacy=dict(
      epsilon=1.5,
      delta=1e-5,
      sampling="poisson",
      neighboring_relation="add_or_remove_one",
      simulated=False,
    ),
    privacy_statement="One user. Epsilon 1.5.",
    releases=[],
    config={"rounds": 3, "gan": {"latent": 8}},
    metrics={"score": 2.5},
    wall_seconds=12.0,
  )
  values.update(changes)
  return report_lib.Report(**values)


def test_report_json_has_what_the_design_names(tmp_path):
  release = release_lib.Release(name="user accuracies", what="all of them")
  report_lib.write_report(tmp_path / "new" / "dir", _report(releases=[release]))
  content = json.loads((tmp_path / "new" / "dir" / "report.json").read_text())
  assert sorted(content) == [
    "config",
    "findings",
    "metrics",
    "privacy",
    "versions",
    "wall_seconds",
  ]
  assert content["config"] == {"rounds": 3, "gan": {"latent": 8}}
  assert content["metrics"] == {"score": 2.5}
  assert content["wall_seconds"] == 12.0
  assert content["findings"] == [
    {
      "name": "inversion",
      "holds": True,
      "claim": "the low slice is inverted",
      "evidence": "an exact test",
      "numbers": {"p_value": 0.5},
      "decided": True,
    }
  ]
  assert content["privacy"] == {
    "epsilon": 1.5,
    "delta": 1e-5,
    "sampling": "poisson",
    "neighboring_relation": "add_or_remove_one",
    "simulated": False,
    "statement": "One user. Epsilon 1.5.",
    "releases": [
      {"name": "user accuracies", "what": "all of them", "private": False}
    ],
  }
  assert content["versions"]["tensorflow-federated"].startswith("0.")


def test_json_of_numpy_values_paths_and_infinities():
  metrics = {
    "count": np.int64(3),
    "mean": np.float32(0.5),
    "list": np.arange(2),
    "flag": np.bool_(True),
    "none": None,
    "path": pathlib.PurePosixPath("a/b"),
    "epsilon": float("inf"),
    "missing": np.nan,
    7: (1, "x"),
  }
  content = _report(metrics=metrics).to_dict()["metrics"]
  assert json.loads(json.dumps(content, allow_nan=False)) == {
    "count": 3,
    "mean": 0.5,
    "list": [0, 1],
    "flag": True,
    "none": None,
    "path": "a/b",
    "epsilon": "inf",
    "missing": "nan",
    "7": [1, "x"],
  }


def test_a_value_without_json_form_is_located(tmp_path):
  report = _report(metrics={"slices": [{"low": object()}]})
  with pytest.raises(TypeError, match=r"report\.metrics\.slices\[0\]\.low"):
    report_lib.write_report(tmp_path, report)
  assert os.listdir(tmp_path) == []


def test_missing_privacy_facts_are_named():
  with pytest.raises(ValueError, match=r"\['delta', 'simulated'\]"):
    _report(
      privacy=dict(
        epsilon=1.0, sampling="poisson", neighboring_relation="replace_one"
      )
    )


def test_a_report_without_a_finding_is_refused():
  with pytest.raises(ValueError, match="findings"):
    _report(findings=[])


def test_the_headline_is_the_first_finding_that_holds():
  absent, present = _finding(False, "nothing here"), _finding(True, "this one")
  page = report_lib.render_html(_report(findings=[absent, present]))
  assert re.search(r'<p class="claim">This one</p>', page)
  assert "<strong>Not found:</strong>" in page and "nothing here" in page
  page = report_lib.render_html(_report(findings=[absent]))
  assert re.search(r'<p class="claim">Nothing here</p>', page)
  assert re.search(r'<div class="verdict">Not found</div>', page)
  assert "headline found" not in page


def test_an_undecided_finding_is_neither_found_nor_absent():
  undecided = findings.Finding(
    "inversion", False, "too early to say", "no strokes", {}, decided=False
  )
  page = report_lib.render_html(_report(findings=[undecided]))
  assert '<section class="headline">' in page
  assert re.search(r'<div class="verdict">Undecided</div>', page)


@pytest.mark.parametrize(
  "epsilon, text",
  [
    (1.16301, "1.164"),
    (0.1, "0.1"),
    (12.0, "12"),
    (12345678.9, "1.235e+07"),
    (float("inf"), "no guarantee"),
    (None, "no guarantee"),
  ],
)
def test_epsilon_never_looks_smaller_than_it_is(epsilon, text):
  report = _report(privacy={**_report().privacy, "epsilon": epsilon})
  assert f"<dd>{text}</dd>" in report_lib.render_html(report)


def test_every_kind_of_section_is_shown():
  sections = [
    report_lib.Text("Words", ["First paragraph.", "Second paragraph."]),
    report_lib.Table(
      "Numbers",
      ["Slice", "Score", "Count", "Good", "Gone"],
      [["low", 0.123456, 12345, True, None]],
    ),
    report_lib.ShareBars("Shares", {"low slice": findings.Share(3, 4)}),
    report_lib.ImageGrid(
      "Pictures", [report_lib.Figure("a grid", _png(), "a caption")]
    ),
  ]
  page = report_lib.render_html(_report(sections=sections))
  for text in ("Words", "Second paragraph.", "Numbers", "Shares", "Pictures"):
    assert text in page
  cells = re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", page)
  start = cells.index("low")
  assert cells[start : start + 5] == [
    "low",
    "0.1235",
    "12,345",
    "yes",
    "\u2013",
  ]
  assert 'style="width: 75.00%"' in page
  assert "a caption" in page
  # The configuration is flattened.
  assert "gan.latent" in page


def test_the_privacy_part_is_shown():
  release = release_lib.Release(name="user accuracies", what="of 7 users")
  page = report_lib.render_html(_report(releases=[release]))
  assert "One user. Epsilon 1.5." in page
  assert "user accuracies" in page and "of 7 users" in page
  assert "(simulated)" not in page
  simulated = {**_report().privacy, "simulated": True}
  assert "(simulated)" in report_lib.render_html(_report(privacy=simulated))


def test_real_data_is_marked_and_only_real_data():
  mark = "simulation only: real data"
  generated = report_lib.Figure("samples", _png())
  real = report_lib.Figure("examples", _png(), simulation_only=True)

  def page(*figures):
    section = report_lib.ImageGrid("Pictures", figures)
    return report_lib.render_html(_report(sections=[section]))

  assert mark not in page(generated)
  assert page(generated, real).count(mark) == 1
  figure = re.search(r"<figure class=.real.>.*?</figure>", page(real), re.S)
  assert mark in figure.group() and "examples" in figure.group()


def test_a_table_of_real_data_is_marked():
  mark = "simulation only: real data"
  generated = report_lib.Table("Generated", ["Word"], [["regex"]])
  real = report_lib.Table("True", ["Word"], [["xcode"]], simulation_only=True)

  def page(*tables):
    return report_lib.render_html(_report(sections=tables))

  assert mark not in page(generated)
  assert page(generated, real).count(mark) == 1
  section = re.search(r"<h2>True</h2>.*?</section>", page(real), re.S).group()
  assert mark in section and '<div class="scroll real">' in section


def test_spaces_within_words_can_be_seen():
  word = readable_words.Word("i <have>\u202e")
  rows = [[word, "i am", word]]
  table = report_lib.Table("Words", ["Word", "Text", "Again"], rows)
  page = report_lib.render_html(_report(sections=[table]))
  cell = (
    '<code class="word">i<span class="space"> </span>&lt;have&gt;\\u202e</code>'
  )
  # The first column names the row, others don't.
  assert f'<th scope="row">{cell}</th>' in page
  assert f"<td>{cell}</td>" in page
  assert "<td>i am</td>" in page
  assert ".word .space {" in page


def test_nothing_is_loaded_from_elsewhere():
  section = report_lib.ImageGrid("Pictures", [report_lib.Figure("a", _png())])
  page = report_lib.render_html(_report(sections=[section]))
  sources = re.findall(r"(?:src|href)\s*=\s*[\"']?([^\"'>\s]+)", page)
  assert sources and all(s.startswith("data:image/png;") for s in sources)
  for word in ("http:", "https:", "url(", "@import", "<script ", "<link"):
    assert word not in page
  assert "prefers-color-scheme: dark" in page
  assert 'name="viewport"' in page


def test_whatever_comes_from_data_is_escaped():
  evil = "<script>alert('&')</script>"
  page = report_lib.render_html(
    _report(
      title=evil,
      question=evil,
      findings=[_finding(True, evil, evil), _finding(False, evil)],
      sections=[
        report_lib.Text(evil, [evil]),
        report_lib.Table(evil, [evil], [[evil]], evil),
        report_lib.ShareBars(evil, {evil: findings.Share(1, 2)}, evil),
        report_lib.ImageGrid(
          evil, [report_lib.Figure(evil, _png(), evil)], evil
        ),
      ],
      privacy_statement=evil,
      config={evil: evil},
      versions={evil: evil},
    )
  )
  # The page's own, which makes tables sortable.
  assert page.count("<script") == 1
  assert page.count("&lt;script&gt;") >= 15


def test_a_failed_write_leaves_the_old_report(tmp_path, monkeypatch):
  report_lib.write_report(tmp_path, _report(title="old"))
  before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

  def fail(*_):
    raise OSError("disk full")

  monkeypatch.setattr(os, "replace", fail)
  with pytest.raises(OSError, match="disk full"):
    report_lib.write_report(tmp_path, _report(title="new"))
  assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_bad_sections_are_named():
  with pytest.raises(ValueError, match="PNG"):
    report_lib.Figure("a", b"GIF89a")
  with pytest.raises(ValueError, match="2 cells, got 1"):
    report_lib.Table("t", ["a", "b"], [["x"]])


def test_durations_read_well():
  pages = [
    report_lib.render_html(dataclasses.replace(_report(), wall_seconds=s))
    for s in (59.4, 60, 3725)
  ]
  for page, text in zip(pages, ("59 s", "1 min 0 s", "1 h 2 min")):
    assert f"<dd>{text}</dd>" in page
