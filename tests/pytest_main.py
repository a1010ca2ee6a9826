"""Runs the test files in its arguments with pytest; the main of Bazel's tests.

A test file here has no main of its own: started as a script it would define its
tests, run none of them and succeed.
"""

import sys

import pytest

if __name__ == "__main__":
  sys.exit(pytest.main(sys.argv[1:]))
