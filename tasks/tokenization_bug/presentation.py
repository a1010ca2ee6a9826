"""From positions and generated words to findings and the report."""

from collections.abc import Mapping
import dataclasses
from typing import Any, Optional

import numpy as np

from tasks import deployment
from tasks.tokenization_bug import config as config_lib
from tasks.tokenization_bug import population
from tff_gen_debug import privacy
from tff_gen_debug.debugging import charts
from tff_gen_debug.debugging import findings as findings_lib
from tff_gen_debug.debugging import generated_words
from tff_gen_debug.debugging import oov_positions
from tff_gen_debug.debugging import position_findings
from tff_gen_debug.debugging import readable_words
from tff_gen_debug.debugging import report as report_lib
from tff_gen_debug.debugging import text_findings
from tff_gen_debug.debugging import word_tables

_SCENARIOS = {"bug": "with the bug", "control": "control, no bug"}


@dataclasses.dataclass(frozen=True, eq=False)
class ScenarioResult:
  """All that the report says of one scenario.

  Attributes:
    positions: Where unknown words are, as the users' devices measure it.
    generated_shares: Where the word model puts them, float64
      `[sentence_length]`; None if there is no word model.
    words: What the character model generates.
    ledger: What the users have spent.
    rounds: In how many rounds, of both models.
    real_words: By unknown word, how many users have it; simulation only.
  """

  positions: oov_positions.OovPositions
  generated_shares: Optional[np.ndarray]
  words: generated_words.GeneratedWords
  ledger: privacy.PrivacyLedger
  rounds: int
  real_words: Mapping[str, int]


def make_report(
  config: config_lib.Config,
  users: population.Users,
  plan: privacy.PrivacyPlan,
  results: Mapping[str, ScenarioResult],
  wall_seconds: float,
) -> report_lib.Report:
  """Makes findings and the report.

  Args:
    config: The config of the run.
    users: The users before the bug.
    plan: The plan of the training.
    results: Of "bug" and "control".
    wall_seconds: How long the run took.

  Returns:
    The report.
  """
  bug, control = results["bug"], results["control"]
  at_start = position_findings.find_oov_at_start(
    bug.positions, control.positions
  )
  joined = text_findings.find_joined_words(
    bug.words, users.vocabulary, control.words, at_start
  )
  first_pairs = population.count_first_pairs(users)
  releases = [
    *users.releases,
    bug.positions.release,
    *deployment.client_metric_releases(config),
  ]
  return report_lib.Report(
    title="Which words does the model not know, and why so many?",
    question=(
      "A word model meets more words outside its vocabulary than it used to, "
      "and nobody may look at the users' text. Do the words that a "
      "differentially private character model generates, trained on those "
      "words only, show why?"
    ),
    findings=(joined, at_start),
    sections=(
      word_tables.most_probable(
        {_SCENARIOS[name]: result.words for name, result in results.items()}
      ),
      _positions_chart(results),
      _share_bars(results, users),
      _real_table(results, users, first_pairs),
    ),
    privacy=plan.to_dict(releases, rounds=bug.rounds),
    privacy_statement=plan.statement(releases, rounds=bug.rounds),
    releases=releases,
    config=dataclasses.asdict(config),
    metrics={
      "num_users": len(users.sentences.client_ids),
      "vocabulary_size": users.vocabulary.size,
      "scenarios": {
        name: _metrics(result, users, first_pairs)
        for name, result in results.items()
      },
    },
    wall_seconds=wall_seconds,
  )


def _positions_chart(
  results: Mapping[str, ScenarioResult],
) -> report_lib.ImageGrid:
  figures = [
    report_lib.Figure(
      label="On the users' devices",
      png=charts.line_chart(
        {
          _SCENARIOS[name]: result.positions.shares.tolist()
          for name, result in results.items()
        },
        errors={
          _SCENARIOS[name]: result.positions.standard_errors.tolist()
          for name, result in results.items()
        },
        x_label="position in the sentence",
        y_label="unknown words",
        as_percent=True,
      ),
      caption="Summed over users with noise; bars are standard errors.",
    )
  ]
  generated = {
    _SCENARIOS[name]: result.generated_shares.tolist()
    for name, result in results.items()
    if result.generated_shares is not None
  }
  if generated:
    figures.append(
      report_lib.Figure(
        label="In sentences that the word model generates",
        png=charts.line_chart(
          generated,
          x_label="position in the sentence",
          y_label="unknown words",
          as_percent=True,
        ),
        caption="Its training is all that it knows of the users.",
      )
    )
  return report_lib.ImageGrid(
    title="Where unknown words are",
    figures=figures,
    text="Share of words outside the vocabulary by position in the sentence.",
  )


def _share_bars(
  results: Mapping[str, ScenarioResult], users: population.Users
) -> report_lib.ShareBars:
  return report_lib.ShareBars(
    title="Generated words that are vocabulary words joined by a space",
    shares={
      _SCENARIOS[name]: _joined_share(result, users)
      for name, result in results.items()
    },
    text="Bars are shares of all draws, whiskers exact 95 % intervals.",
  )


def _joined_share(
  result: ScenarioResult, users: population.Users
) -> findings_lib.Share:
  return result.words.share_of_draws(
    lambda word: bool(text_findings.joined_parts(word, users.vocabulary))
  )


def _real_table(
  results: Mapping[str, ScenarioResult],
  users: population.Users,
  first_pairs: Mapping[str, int],
) -> report_lib.Table:
  rows = []
  for name, result in results.items():
    for word, probability in result.words.top_words:
      parts = text_findings.joined_parts(word, users.vocabulary)
      rows.append(
        (
          readable_words.Word(word),
          _SCENARIOS[name],
          f"{probability:.2e}",
          result.real_words.get(word, 0),
          " + ".join(parts) if parts else None,
          first_pairs.get(word, 0) if parts else None,
        )
      )
  return report_lib.Table(
    title="How true the generated words are",
    columns=(
      "generated word",
      "scenario",
      "probability",
      "users who have it",
      "vocabulary words",
      "users with a sentence that starts so",
    ),
    rows=rows,
    text="Nobody counts these outside a simulation; they are here to compare.",
    simulation_only=True,
  )


def _metrics(
  result: ScenarioResult,
  users: population.Users,
  first_pairs: Mapping[str, int],
) -> dict[str, Any]:
  words = [word for word, _ in result.words.top_words]
  top = words[: generated_words.NUM_TOP]
  joined = [w for w in top if text_findings.joined_parts(w, users.vocabulary)]
  return {
    "top_words": [
      {"word": word, "probability": probability}
      for word, probability in result.words.top_words
    ],
    "top_10_with_space": sum(" " in word for word in top),
    "top_10_joined": len(joined),
    "share_of_draws_joined": _joined_share(result, users).to_dict(),
    "share_of_draws_finished": result.words.finished.to_dict(),
    "unknown_shares": result.positions.to_dict(),
    "generated_unknown_shares": result.generated_shares,
    "rounds": result.rounds,
    "epsilon": result.ledger.epsilon(),
    "simulation_only": {
      "top_10_joined_that_start_sentences": sum(
        w in first_pairs for w in joined
      ),
      "top_20_that_users_have": sum(
        word in result.real_words for word in words
      ),
      "top_20_without_space_that_users_have": sum(
        word in result.real_words and " " not in word for word in words
      ),
    },
  }
