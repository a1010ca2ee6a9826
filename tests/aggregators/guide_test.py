"""The code in the guide to aggregators runs, and says what it is."""

import pathlib
import re

import numpy as np
import pytest
import tensorflow_federated as tff

_GUIDE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "aggregators.md"

pytestmark = pytest.mark.usefixtures("tff_runtime")


def test_every_aggregation_of_the_guide_aggregates():
  blocks = re.findall(r"```python\n(.*?)```", _GUIDE.read_text("utf-8"), re.S)
  assert len(blocks) == 2
  names = {}
  for block in blocks:
    exec(compile(block, "the guide", "exec"), names)
  # A power of two, which a rotation needs not pad.
  update = np.linspace(-1, 1, 8192).astype(np.float32)
  value_type = tff.TensorType(np.float32, [8192])
  for name in ("dense", "votes", "majority", "top_k", "random_k", "rotated"):
    process = names[name].create(value_type)
    result = process.next(process.initialize(), [update] * 30).result
    if name == "random_k":
      assert np.count_nonzero(result) == 800
    elif name == "majority":
      voted = np.argsort(-np.abs(update), kind="stable")[:8000]
      expected = np.zeros(8192)
      expected[voted] = np.sign(update[voted])
      np.testing.assert_array_equal(result, expected)
    elif name == "rotated":
      # Votes that are rotated back may cancel, but keep their norm.
      norm = np.linalg.norm(result)
      assert norm == pytest.approx(0.01 * np.sqrt(8192), rel=1e-4)
    else:
      assert np.count_nonzero(result) == 8192
    if name == "votes":
      np.testing.assert_allclose(np.abs(result), 0.01, rtol=1e-6)
  assert isinstance(
    names["weighted"], tff.aggregators.WeightedAggregationFactory
  )
