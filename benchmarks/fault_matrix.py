"""Which faults do investigations find, and how often do they find one in vain?

    python -m benchmarks.fault_matrix --matrix images

Runs `tasks.investigation` for each criterion and fault, on the embedded data
with the fault in half of the users (images) or a tenth of the sentences
(words), and for each criterion `--control_seeds` times without any fault; then
prints a Markdown table. A finding that names the fault counts as found; other
findings that hold are in parentheses, since they do point to something. In the
control, any finding that holds is a false alarm.

The samples of each cell are kept, so that an interrupted run goes on where it
was; use a new folder after changing a setting of a training. A cell of images
takes about a minute, one of words a minute and a half, on two cores.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import os
import shutil

from absl import app
from absl import flags

from benchmarks import fault_samples
from benchmarks import measuring
from tasks.investigation import config as config_lib
from tasks.investigation import experiment
from tff_gen_debug import runtime
from tff_gen_debug.debugging import findings as findings_lib

_MATRIX = flags.DEFINE_enum(
  "matrix", "images", ["images", "words"], "Which data."
)
_FOLDER = flags.DEFINE_string(
  "matrix_folder", "out/fault_matrix", "Where finished cells are kept."
)
_SEEDS = flags.DEFINE_integer(
  "control_seeds", 10, "Investigations without a fault, by criterion."
)
_CRITERIA = flags.DEFINE_list(
  "criteria_names", None, "Names of criteria; default all."
)
_FAULTS = flags.DEFINE_list("faults", None, "Names of faults; default all.")

# Fewer rounds between checkpoints would cost time, and a cell is short.
_SETTINGS = {
  "images": dataclasses.replace(
    config_lib.PRESETS["demo"], checkpoint_every=1000
  ),
  "words": dataclasses.replace(
    config_lib.PRESETS["words"], checkpoint_every=1000
  ),
}

_CRITERIA_OF = {
  "images": (
    "random",
    "mistakes",
    "unknown_labels",
    "users",
    "classes",
    "version",
    "unlabelled",
    "serving",
  ),
  "words": config_lib.WORD_CRITERIA,
}

# Ends of the names of findings that say the fault by its name.
EXPECTED: Mapping[str, tuple[str, ...]] = {
  "inverted": ("inverted",),
  "rotated": ("rotated",),
  "wrong_crop": ("off_centre",),
  "blank": ("blank",),
  "low_contrast": ("faint",),
  "duplicates": ("near_copies",),
  "class_mislabelled": ("one_class", "another_class"),
  "label_unknown": ("one_class",),
  "class_missing": ("missing_class",),
  "words_joined": ("with_space",),
  "apostrophes_lost": ("apostrophe_lost",),
  "words_doubled": ("doubled",),
  "wrong_encoding": ("misread_bytes",),
  "html_left_in": ("markup",),
}

_FAULT_SEED = 1


def verdict(
  findings: Sequence[findings_lib.Finding], expected: Sequence[str]
) -> str:
  """What the table says of a cell with a fault.

  Args:
    findings: What samples show.
    expected: Ends of the names of findings that name the fault.

  Returns:
    "found", or else the names of the findings that hold, "undecided" or
    "missed".
  """
  named = [f for f in findings if f.name.endswith(tuple(expected))]
  if any(f.holds for f in named):
    return "found"
  held = [f.name.replace("_", " ") for f in findings if f.holds]
  if held:
    return f"({', '.join(held)})"
  return "missed" if any(f.decided for f in named) else "undecided"


def false_alarms(
  controls: Sequence[Sequence[findings_lib.Finding]],
) -> str:
  """How many controls have a finding that holds, and which.

  Args:
    controls: What the samples of each control show.

  Returns:
    Such as "1 of 10 (suspect one class)".
  """
  held = [[f.name for f in findings if f.holds] for findings in controls]
  names = sorted({name.replace("_", " ") for cell in held for name in cell})
  text = f"{sum(map(bool, held))} of {len(controls)}"
  return f"{text} ({', '.join(names)})" if names else text


def table(
  faults: Mapping[str, Mapping[str, Sequence[findings_lib.Finding]]],
  controls: Mapping[str, Sequence[Sequence[findings_lib.Finding]]],
  expected: Mapping[str, Sequence[str]],
) -> str:
  """The Markdown table.

  Args:
    faults: Fault -> criterion -> findings.
    controls: Criterion -> findings of each control.
    expected: Fault -> ends of the names of findings that name it.

  Returns:
    A row for each fault and one for false alarms.
  """
  names = list(controls)
  rows = [
    ["fault", *names],
    ["---"] * (len(names) + 1),
    *(
      [
        fault,
        *(
          verdict(cells[name], expected[fault]) if name in cells else "–"
          for name in names
        ),
      ]
      for fault, cells in faults.items()
    ),
    ["false alarms", *(false_alarms(controls[name]) for name in names)],
  ]
  return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(criterion: str, fault: str, seed: int) -> list[findings_lib.Finding]:
  """The findings of one cell, from samples that are kept or of a new run."""
  asked = experiment.make(
    dataclasses.replace(
      _SETTINGS[_MATRIX.value], criterion=criterion, fault=fault, seed=seed
    )
  )
  folder = os.path.join(_FOLDER.value, _MATRIX.value)
  os.makedirs(folder, exist_ok=True)
  name = f"{criterion}_{fault}_{seed}"
  path = os.path.join(folder, f"{name}.samples")
  if not os.path.exists(path):
    work = os.path.join(folder, name)
    result = asked.run(work)
    fault_samples.keep(result.samples, path, result.split.suspect.labels)
    shutil.rmtree(work)  # Checkpoints of a hundred runs are many.
  findings = fault_samples.find(asked, path)
  held = [f.claim for f in findings if f.holds]
  print(f"{criterion}, {fault}, seed {seed}: {held}", flush=True)
  return findings


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError(f"Unknown arguments: {' '.join(argv[1:])}")
  criteria = _CRITERIA.value or _CRITERIA_OF[_MATRIX.value]
  known = (
    config_lib.IMAGE_FAULTS
    if _MATRIX.value == "images"
    else config_lib.WORD_FAULTS
  )
  faults = [f for f in _FAULTS.value or known if f != "none"]
  print(measuring.machine(), flush=True)
  runtime.use_local_runtime()
  results = {
    fault: {
      criterion: _cell(criterion, fault, _FAULT_SEED)
      for criterion in criteria
      # Without unknown labels the slice is empty, as it is in the control.
      if criterion != "unknown_labels" or fault == "label_unknown"
    }
    for fault in faults
  }
  controls = {
    criterion: [
      _cell(criterion, "none", seed + _FAULT_SEED)
      for seed in range(_SEEDS.value)
    ]
    for criterion in criteria
  }
  print(table(results, controls, EXPECTED))


if __name__ == "__main__":
  app.run(main)
