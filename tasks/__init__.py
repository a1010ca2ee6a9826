"""Runnable experiments, one package each: `python -m tasks.NAME --help`.

Importing this package quiets what TensorFlow prints while it loads, which has
to happen before it is loaded; TF_CPP_MIN_LOG_LEVEL and PYTHONWARNINGS, where
set, have their way.
"""

import os
import sys
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if not sys.warnoptions:
  # TFF's dependencies on deprecated parts of setuptools and NumPy.
  warnings.filterwarnings("ignore", category=DeprecationWarning)
  warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
