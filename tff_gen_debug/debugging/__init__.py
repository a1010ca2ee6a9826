"""From a suspicion to a report: criteria, investigations, findings."""

from tff_gen_debug.debugging.accuracy_criteria import LowAccuracyClasses
from tff_gen_debug.debugging.accuracy_criteria import LowAccuracyUsers
from tff_gen_debug.debugging.auxiliary import AuxiliaryModel
from tff_gen_debug.debugging.bugs import affected_clients
from tff_gen_debug.debugging.bugs import blank
from tff_gen_debug.debugging.bugs import blank_half
from tff_gen_debug.debugging.bugs import inject
from tff_gen_debug.debugging.bugs import invert_pixels
from tff_gen_debug.debugging.bugs import low_contrast
from tff_gen_debug.debugging.bugs import rotate_90
from tff_gen_debug.debugging.bugs import shifted_crop
from tff_gen_debug.debugging.character_model import CharacterModel
from tff_gen_debug.debugging.character_model import WordSamples
from tff_gen_debug.debugging.charts import line_chart
from tff_gen_debug.debugging.class_accuracy import ClassAccuracy
from tff_gen_debug.debugging.class_accuracy import private_class_accuracy
from tff_gen_debug.debugging.client_bugs import drop_class
from tff_gen_debug.debugging.client_bugs import duplicate_images
from tff_gen_debug.debugging.client_bugs import wrong_label
from tff_gen_debug.debugging.criteria import ExamplesWhere
from tff_gen_debug.debugging.criteria import MisclassifiedExamples
from tff_gen_debug.debugging.criteria import RandomExamples
from tff_gen_debug.debugging.criteria import ServingAgainstTraining
from tff_gen_debug.debugging.criteria import UnknownLabels
from tff_gen_debug.debugging.criteria import UnlabelledExamples
from tff_gen_debug.debugging.density import most_typical
from tff_gen_debug.debugging.findings import Finding
from tff_gen_debug.debugging.findings import Share
from tff_gen_debug.debugging.findings import find_inversion
from tff_gen_debug.debugging.findings import slice_numbers
from tff_gen_debug.debugging.generated_words import GeneratedWords
from tff_gen_debug.debugging.heavy_hitters import HeavyHitters
from tff_gen_debug.debugging.heavy_hitters import private_heavy_hitters
from tff_gen_debug.debugging.image_differences import compare_images
from tff_gen_debug.debugging.image_gan import ImageGan
from tff_gen_debug.debugging.investigation import Investigation
from tff_gen_debug.debugging.investigation import Result
from tff_gen_debug.debugging.label_differences import compare_labels
from tff_gen_debug.debugging.labelling import read_sheet
from tff_gen_debug.debugging.labelling import write_sheet
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
from tff_gen_debug.debugging.splits import Context
from tff_gen_debug.debugging.splits import Criterion
from tff_gen_debug.debugging.splits import Slice
from tff_gen_debug.debugging.splits import Split
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
  "AuxiliaryModel",
  "CharacterModel",
  "ClassAccuracy",
  "Context",
  "Criterion",
  "ExamplesWhere",
  "Figure",
  "Finding",
  "GeneratedWords",
  "HeavyHitters",
  "ImageGan",
  "ImageGrid",
  "Investigation",
  "LowAccuracyClasses",
  "LowAccuracyUsers",
  "MisclassifiedExamples",
  "OovCriterion",
  "OovPositions",
  "Percentile",
  "RandomExamples",
  "Report",
  "Result",
  "ServingAgainstTraining",
  "Share",
  "ShareBars",
  "Slice",
  "Split",
  "Table",
  "Text",
  "UnknownLabels",
  "UnlabelledExamples",
  "UserEvaluation",
  "Word",
  "WordSamples",
  "affected_clients",
  "blank",
  "blank_half",
  "by_example",
  "by_user",
  "compare_images",
  "compare_labels",
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
  "most_typical",
  "precision_recall",
  "private_accuracy_histogram",
  "private_class_accuracy",
  "private_heavy_hitters",
  "read_sheet",
  "rotate_90",
  "sample_grid",
  "shifted_crop",
  "slice_numbers",
  "user_accuracies",
  "write_report",
  "write_sheet",
  "wrong_label",
]
