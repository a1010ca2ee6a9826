"""Mutual TLS as docs/distributed.md sets it up: who gets in, who doesn't."""

import time

import numpy as np
import pytest
import tensorflow_federated as tff

from tests.runtime import beside_session
from tests.runtime import tls_proxies
from tests.runtime import worker_programs
from tff_gen_debug import runtime

pytestmark = pytest.mark.slow

# Twenty megabytes, of which gRPC's default limit would let four pass.
_LARGE = 5_000_000


def _sum_over_clients(*shape):
  value_type = tff.TensorType(np.float32, shape)

  @tff.federated_computation(tff.FederatedType(value_type, tff.CLIENTS))
  def compute(values):
    return tff.federated_sum(values)

  return compute


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
  return tls_proxies.make_certificates(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
  """The same names, signed by another CA."""
  return tls_proxies.make_certificates(tmp_path_factory.mktemp("strangers"))


@pytest.fixture(scope="module")
def worker():
  tls_proxies.nginx()
  with worker_programs.running() as program:
    yield program


@pytest.fixture(scope="module")
def address(ours, worker, tmp_path_factory):
  """Where nginx takes connections to the worker."""
  directory = tmp_path_factory.mktemp("nginx")
  with tls_proxies.proxy(ours, worker.port, directory) as proxy_address:
    yield proxy_address


def _another_runtime(address, **options):
  return beside_session.remote([address], **{"patience": 60, **options})


def _driver(directory, ca=None):
  return runtime.tls_credentials(
    (ca or directory) / "ca.pem",
    directory / "driver.pem",
    directory / "driver.key",
  )


def test_a_driver_with_its_certificate_computes(address, ours):
  compute = _sum_over_clients()
  with _another_runtime(address, credentials=_driver(ours)) as another:
    assert compute([1.0, 2.0, 4.0]) == 7.0
    assert another.addresses == (address,)
    assert another.losses == 0


def test_large_values_pass(address, ours):
  compute = _sum_over_clients(_LARGE)
  values = np.arange(_LARGE, dtype=np.float32)
  with _another_runtime(address, credentials=_driver(ours)) as another:
    np.testing.assert_array_equal(compute([values, values]), 2.0 * values)
    assert another.losses == 0


def _assert_refused(address, **options):
  """Nobody gets in, and it is told soon, with the address."""
  begin = time.monotonic()
  with pytest.raises(runtime.NoWorkerError) as raised:
    with _another_runtime(address, patience=3, timeout=6, **options):
      pass
  # Patience, and one try that had begun before it ended.
  assert time.monotonic() - begin < 15
  message = str(raised.value)
  assert message.startswith("No worker could be reached for 3 s")
  assert f"{address} does not answer (" in message


def test_a_driver_without_a_certificate_is_refused(address, ours):
  credentials = runtime.tls_credentials(ours / "ca.pem")
  _assert_refused(address, credentials=credentials)


def test_a_driver_of_another_ca_is_refused(address, ours, strangers):
  _assert_refused(address, credentials=_driver(strangers, ca=ours))


def test_a_workers_certificate_makes_no_driver(address, ours):
  credentials = runtime.tls_credentials(
    ours / "ca.pem", ours / "worker.pem", ours / "worker.key"
  )
  _assert_refused(address, credentials=credentials)


def test_a_worker_of_another_ca_is_refused(address, ours, strangers):
  _assert_refused(address, credentials=_driver(ours, ca=strangers))


def test_a_worker_of_another_name_is_refused(address, ours):
  # The certificate is that of 127.0.0.1.
  port = address.rpartition(":")[2]
  _assert_refused(f"localhost:{port}", credentials=_driver(ours))


def test_a_plain_driver_is_refused(address):
  _assert_refused(address)


def test_tls_to_a_worker_without_a_proxy_is_refused(worker, ours):
  _assert_refused(worker.address, credentials=_driver(ours))


def test_a_proxy_without_a_worker_is_no_worker(ours, tmp_path):
  port = worker_programs.free_port()
  with tls_proxies.proxy(ours, port, tmp_path) as address:
    _assert_refused(address, credentials=_driver(ours))


def test_those_who_were_refused_did_no_harm(address, ours):
  with _another_runtime(address, credentials=_driver(ours)):
    assert _sum_over_clients()([1.0, 2.0]) == 3.0
