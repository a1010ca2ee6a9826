"""Benchmarks: ratios against peers, run by hand.

Importing this package quiets their libraries; `tasks.console` says how.
"""

import importlib.util
import sys

# A peer may run in an environment of its own that has nothing to be quieted.
if importlib.util.find_spec("tensorflow_federated"):
  from tasks import console

  console.set_native_level(sys.argv)
  console.hide_library_messages()
