"""Tests of secure sums on a worker that has no cryptography."""

import logging

import numpy as np
import pytest
import tensorflow_federated as tff

from tff_gen_debug.runtime import compilation

pytestmark = pytest.mark.usefixtures("tff_runtime")

_VALUES = tff.FederatedType(np.int32, tff.CLIENTS)


@tff.federated_computation(_VALUES)
def _modular_sum(values):
  return tff.backends.mapreduce.federated_secure_modular_sum(values, 16)


@tff.federated_computation(_VALUES)
def _bounded_sum(values):
  return tff.federated_secure_sum(values, 100)


@tff.federated_computation(_VALUES)
def _sum_of_bits(values):
  return tff.federated_secure_sum_bitwidth(values, 5)


@tff.federated_computation(_VALUES)
def _plain_sum(values):
  return tff.federated_sum(values)


@pytest.fixture
def warnings(caplog):
  """Messages of the warnings since the start of the test."""
  compilation._warn_once.cache_clear()
  caplog.set_level(logging.WARNING, compilation.__name__)
  return lambda: [
    record.getMessage()
    for record in caplog.records
    if record.name == compilation.__name__
  ]


def test_secure_sums_are_simulated_by_plain_ones():
  assert _bounded_sum([20, 3, 0]) == 23
  assert _sum_of_bits([20, 3, 0]) == 23
  assert _modular_sum([20, 3, -8]) == (20 + 3 - 8) % 16
  assert _modular_sum([]) == 0


def test_the_default_backend_refuses_what_is_simulated_here():
  """If it no longer did, this module would have no reason."""
  compiled = tff.backends.native.desugar_and_transform_to_native(_bounded_sum)
  text = tff.framework.serialize_computation(compiled).SerializeToString()
  assert b"federated_secure_sum" in text
  compiled = compilation.to_native(_bounded_sum)
  text = tff.framework.serialize_computation(compiled).SerializeToString()
  assert b"federated_secure" not in text


def test_it_says_once_that_there_is_no_cryptography(warnings):
  for comp in (_plain_sum, _modular_sum, _bounded_sum):
    compilation.to_native(comp)
  assert len(warnings()) == 1
  assert "without cryptography" in warnings()[0]


def test_nothing_is_said_of_computations_without_secure_sums(warnings):
  compilation.to_native(_plain_sum)
  assert warnings() == []
