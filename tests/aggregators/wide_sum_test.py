"""Tests of sums of small integers."""

import collections

import numpy as np
import pytest
import tensorflow_federated as tff

from tff_gen_debug import aggregators

pytestmark = pytest.mark.usefixtures("tff_runtime")


def _sum(value_type, values):
  process = aggregators.WideSumFactory().create(tff.to_type(value_type))
  return process.next(process.initialize(), values).result


def test_bytes_are_summed_beyond_a_byte():
  total = _sum((np.int8, [2]), [np.array([127, -128], np.int8)] * 10)
  assert total.dtype == np.int32
  np.testing.assert_array_equal(total, [1270, -1280])


def test_keeps_the_structure_and_sums_nothing_to_zeros():
  value_type = collections.OrderedDict(
    a=tff.TensorType(np.int8), b=tff.TensorType(np.int16, [1, 2])
  )
  one = collections.OrderedDict(
    a=np.int8(100), b=np.array([[30_000, -1]], np.int16)
  )
  total = _sum(value_type, [one, one])
  assert list(total) == ["a", "b"]
  assert total["a"] == 200
  np.testing.assert_array_equal(total["b"], [[60_000, -2]])
  empty = _sum(value_type, [])
  assert empty["a"] == 0
  np.testing.assert_array_equal(empty["b"], [[0, 0]])


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_])
def test_other_types_are_refused(dtype):
  with pytest.raises(TypeError, match="integers of at most 32 bits"):
    aggregators.WideSumFactory().create(tff.to_type((dtype, [2])))
