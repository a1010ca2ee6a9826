"""From a suspicion to a report: bugs, selection criteria, findings."""

from tff_gen_debug.debugging.bugs import affected_clients
from tff_gen_debug.debugging.bugs import blank_half
from tff_gen_debug.debugging.bugs import inject
from tff_gen_debug.debugging.bugs import invert_pixels
from tff_gen_debug.debugging.bugs import rotate_90
from tff_gen_debug.debugging.bugs import shifted_crop
from tff_gen_debug.debugging.findings import Finding
from tff_gen_debug.debugging.findings import Share
from tff_gen_debug.debugging.findings import find_inversion
from tff_gen_debug.debugging.findings import slice_numbers
from tff_gen_debug.debugging.report import Figure
from tff_gen_debug.debugging.report import ImageGrid
from tff_gen_debug.debugging.report import Report
from tff_gen_debug.debugging.report import ShareBars
from tff_gen_debug.debugging.report import Table
from tff_gen_debug.debugging.report import Text
from tff_gen_debug.debugging.report import sample_grid
from tff_gen_debug.debugging.report import write_report
from tff_gen_debug.debugging.selection import Percentile
from tff_gen_debug.debugging.selection import by_example
from tff_gen_debug.debugging.selection import by_user
from tff_gen_debug.debugging.user_accuracy import AccuracyHistogram
from tff_gen_debug.debugging.user_accuracy import UserEvaluation
from tff_gen_debug.debugging.user_accuracy import evaluate_users
from tff_gen_debug.debugging.user_accuracy import private_accuracy_histogram
from tff_gen_debug.debugging.user_accuracy import user_accuracies

__all__ = [
  "AccuracyHistogram",
  "Figure",
  "Finding",
  "ImageGrid",
  "Percentile",
  "Report",
  "Share",
  "ShareBars",
  "Table",
  "Text",
  "UserEvaluation",
  "affected_clients",
  "blank_half",
  "by_example",
  "by_user",
  "evaluate_users",
  "find_inversion",
  "inject",
  "invert_pixels",
  "private_accuracy_histogram",
  "rotate_90",
  "sample_grid",
  "shifted_crop",
  "slice_numbers",
  "user_accuracies",
  "write_report",
]
