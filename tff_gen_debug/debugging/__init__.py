"""From a suspicion to a report: bugs, selection criteria, findings."""

from tff_gen_debug.debugging.bugs import affected_clients
from tff_gen_debug.debugging.bugs import blank
from tff_gen_debug.debugging.bugs import blank_half
from tff_gen_debug.debugging.bugs import inject
from tff_gen_debug.debugging.bugs import invert_pixels
from tff_gen_debug.debugging.bugs import low_contrast
from tff_gen_debug.debugging.bugs import rotate_90
from tff_gen_debug.debugging.bugs import shifted_crop
from tff_gen_debug.debugging.charts import line_chart
from tff_gen_debug.debugging.client_bugs import drop_class
from tff_gen_debug.debugging.client_bugs import duplicate_images
from tff_gen_debug.debugging.client_bugs import wrong_label
from tff_gen_debug.debugging.findings import Finding
from tff_gen_debug.debugging.findings import Share
from tff_gen_debug.debugging.findings import find_inversion
from tff_gen_debug.debugging.findings import slice_numbers
from tff_gen_debug.debugging.generated_words import GeneratedWords
from tff_gen_debug.debugging.heavy_hitters import HeavyHitters
from tff_gen_debug.debugging.heavy_hitters import private_heavy_hitters
from tff_gen_debug.debugging.image_differences import compare_images
from tff_gen_debug.debugging.oov import OovCriterion
from tff_gen_debug.debugging.oov_positions import OovPositions
from tff_gen_debug.debugging.oov_positions import measure_oov_positions
from tff_gen_debug.debugging.pictures import sample_grid
from tff_gen_debug.debugging.position_findings import find_oov_at_start
from tff_gen_debug.debugging.readable_words import Word
from tff_gen_debug.debugging.report import Figure
from tff_gen_debug.debugging.report import ImageGrid
from tff_gen_debug.debugging.report import Report
from tff_gen_debug.debugging.report import ShareBars
from tff_gen_debug.debugging.report import Table
from tff_gen_debug.debugging.report import Text
from tff_gen_debug.debugging.report import write_report
from tff_gen_debug.debugging.selection import Percentile
from tff_gen_debug.debugging.selection import by_example
from tff_gen_debug.debugging.selection import by_user
from tff_gen_debug.debugging.text_findings import find_joined_words
from tff_gen_debug.debugging.user_accuracy import AccuracyHistogram
from tff_gen_debug.debugging.user_accuracy import UserEvaluation
from tff_gen_debug.debugging.user_accuracy import evaluate_users
from tff_gen_debug.debugging.user_accuracy import private_accuracy_histogram
from tff_gen_debug.debugging.user_accuracy import user_accuracies
from tff_gen_debug.debugging.word_differences import compare_words
from tff_gen_debug.debugging.word_ranking import precision_recall

__all__ = [
  "AccuracyHistogram",
  "Figure",
  "Finding",
  "GeneratedWords",
  "HeavyHitters",
  "ImageGrid",
  "OovCriterion",
  "OovPositions",
  "Percentile",
  "Report",
  "Share",
  "ShareBars",
  "Table",
  "Text",
  "UserEvaluation",
  "Word",
  "affected_clients",
  "blank",
  "blank_half",
  "by_example",
  "by_user",
  "compare_images",
  "compare_words",
  "drop_class",
  "duplicate_images",
  "evaluate_users",
  "find_inversion",
  "find_joined_words",
  "find_oov_at_start",
  "inject",
  "invert_pixels",
  "line_chart",
  "low_contrast",
  "measure_oov_positions",
  "precision_recall",
  "private_accuracy_histogram",
  "private_heavy_hitters",
  "rotate_90",
  "sample_grid",
  "shifted_crop",
  "slice_numbers",
  "user_accuracies",
  "write_report",
  "wrong_label",
]
