"""What the aggregators' tests share."""

import pytest
import tensorflow as tf


@pytest.fixture
def global_seed():
  """Programs that want to be repeatable set it; noise must not be."""
  tf.random.set_seed(7)
  yield 7
  tf.random.set_seed(None)
