"""What the answers say, in sentences, whichever way they went."""

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.topagg_fedavg import comparisons
from tasks.topagg_fedavg import config as config_lib
from tasks.topagg_fedavg import overlap as overlap_lib
from tasks.topagg_fedavg import settings
from tff_gen_debug.debugging import findings as findings_lib

_EVIDENCE = (
  "Means and standard deviations of {seeds} trainings with settings chosen on "
  "other images; two differ clearly if Welch's t-test gives p < 0.05, not "
  "corrected for the number of comparisons. Other models and data may answer "
  "otherwise"
)
_GAUSSIAN = settings.METHODS["gaussian"]

Rows = Mapping[str, Sequence[comparisons.Measured]]


def _by_epsilon(
  config: config_lib.Config, rows: Rows, name: str, unit: str
) -> list[findings_lib.Finding]:
  gaussian = rows[_GAUSSIAN]
  votes = {method: row for method, row in rows.items() if method != _GAUSSIAN}
  # Of the two kinds of votes, at each budget the better one by validation.
  best = [
    max(kinds, key=lambda m: m.validation) for kinds in zip(*votes.values())
  ]
  findings = [
    _compare(
      config,
      best,
      gaussian,
      f"{name}_differ",
      f"With {unit} as the unit of privacy, TopAgg",
      either_way=True,
    )
  ]
  for method, row in votes.items():
    kind = method.partition(", ")[2]
    findings.append(
      _compare(
        config,
        row,
        gaussian,
        f"{name}_{kind}_votes_beat_gaussian",
        f"With {unit} as the unit of privacy, TopAgg with {kind} votes",
      )
    )
  return findings


def _compare(
  config: config_lib.Config,
  row: Sequence[comparisons.Measured],
  gaussian: Sequence[comparisons.Measured],
  name: str,
  subject: str,
  either_way: bool = False,
) -> findings_lib.Finding:
  """Whether it is clearly better everywhere, or, either way, anywhere."""
  better = [m.clearly_above(g) for m, g in zip(row, gaussian)]
  worse = [g.clearly_above(m) for m, g in zip(row, gaussian)]
  pairs = "; ".join(
    f"epsilon {m.setting.epsilon:g}: {_percent(m)} against {_percent(g)}"
    for m, g in zip(row, gaussian)
  )
  return findings_lib.Finding(
    name=name,
    holds=any(better + worse) if either_way else all(better),
    claim=(
      f"{subject} is clearly better than a dense Gaussian at {sum(better)} of "
      f"{len(row)} budgets and clearly worse at {sum(worse)} ({pairs})"
    ),
    evidence=_evidence(config),
  )


def _users(config: config_lib.Config, rows: Rows):
  return _by_epsilon(config, rows, "users", "a user")


def _examples(config: config_lib.Config, rows: Rows):
  return _by_epsilon(config, rows, "images", "an image")


def _top_share(
  config: config_lib.Config, rows: Rows
) -> list[findings_lib.Finding]:
  return [
    _preferred(
      config,
      row,
      "top_share",
      against=max(row, key=lambda m: m.setting.top_share),
      name=f"fewer_help_{row[0].setting.method}",
      subject=f"{name[:1].upper()}{name[1:]}: of the shares of weights",
    )
    for name, row in rows.items()
  ]


def _threshold(
  config: config_lib.Config, rows: Rows
) -> list[findings_lib.Finding]:
  return [
    _preferred(
      config,
      row,
      "threshold",
      against=min(row, key=lambda m: m.setting.threshold),
      name="threshold_helps",
      subject=f"{name}: of the thresholds",
    )
    for name, row in rows.items()
  ]


def _preferred(
  config: config_lib.Config,
  row: Sequence[comparisons.Measured],
  field: str,
  *,
  against: comparisons.Measured,
  name: str,
  subject: str,
) -> findings_lib.Finding:
  """Whether what validation prefers is clearly better than a default."""
  # The best by validation, not by the accuracies that are reported.
  best = max(row, key=lambda m: m.validation)

  def value(measured: comparisons.Measured) -> str:
    return f"{getattr(measured.setting, field):.1%}"

  claim = f"{subject} validation prefers {value(best)}, with {_percent(best)}"
  if best is not against:
    claim += f"; {value(against)} gives {_percent(against)}"
  kind = row[0].setting.name.partition(", ")[2]
  return findings_lib.Finding(
    name=f"{name}_{kind}" if kind else name,
    holds=best.clearly_above(against),
    claim=claim,
    evidence=_evidence(config),
  )


def _votes(
  config: config_lib.Config, rows: Mapping[str, comparisons.Measured]
) -> list[findings_lib.Finding]:
  signs = rows["deterministic"]
  drawn = {name: m for name, m in rows.items() if m is not signs}
  best_name = max(drawn, key=lambda name: drawn[name].validation)
  best = drawn[best_name]
  return [
    findings_lib.Finding(
      name="drawn_votes_help",
      holds=best.clearly_above(signs),
      claim=(
        f"Votes that are drawn ({best_name}) give {_percent(best)}, plain "
        f"signs {_percent(signs)}"
      ),
      evidence=_evidence(config),
    )
  ]


def _overlap(
  config: config_lib.Config,
  rows: Mapping[str, Sequence[overlap_lib.Overlap]],
) -> list[findings_lib.Finding]:
  del config
  every = [o for row in rows.values() for o in row if o.top_share < 1]
  inside = [o.uniform_gain <= o.gain <= o.same_weights_gain for o in every]
  pays = [o for o in every if o.gain > 1]
  return [
    findings_lib.Finding(
      name="overlap_law",
      holds=all(inside),
      claim=(
        f"In {sum(inside)} of {len(every)} measurements a vote of the top k "
        "gains between what uniform choice and what the same choice of all "
        f"would give; in {len(pays)} it gains at all"
      ),
      evidence=(
        "Updates of one simulated cohort, without noise or stochastic signs. "
        "Both bounds assume that top k and full votes agree equally; larger "
        "entries agree more, which can lift the gain above the upper one"
      ),
    )
  ]


FINDINGS: Mapping[str, Any] = {
  "epsilon": _users,
  "top_k": _top_share,
  "threshold": _threshold,
  "votes": _votes,
  "overlap": _overlap,
  "examples": _examples,
}


def _evidence(config: config_lib.Config) -> str:
  return _EVIDENCE.format(seeds=len(config_lib.integers(config.seeds)))


def _percent(measured: comparisons.Measured) -> str:
  return f"{100 * measured.mean:.1f} ± {100 * measured.stddev:.1f} %"
