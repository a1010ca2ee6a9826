"""Data sets that a client's own worker makes, from the client's id."""

import contextlib

import dp_accounting
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff
import tree

from tests.learning import toy_gan
from tests.runtime import beside_session
from tests.runtime import worker_programs
from tff_gen_debug.privacy import ledger as ledger_lib
from tff_gen_debug.runtime import program

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("tff_runtime")]

_IDS = ["anna", "béla", "chloé", "d"]
_KEY = "value"


def _values(client_id):
  values = np.float32([len(client_id), ord(client_id[0]) - 97.0])
  return values[:, np.newaxis]


@pytest.fixture(scope="module")
def client_data(tff_runtime, tmp_path_factory):
  """Client data in a SQLite file, as TFF's own data sets are."""
  path = str(tmp_path_factory.mktemp("data") / "clients.sqlite")
  source = tff.simulation.datasets.TestClientData(
    {client_id: {_KEY: _values(client_id)} for client_id in _IDS}
  )
  tff.simulation.datasets.save_to_sql_client_data(
    _IDS, source.create_tf_dataset_for_client, path
  )

  data = tff.simulation.datasets.load_and_parse_sql_client_data(
    path, {_KEY: tf.TensorSpec([1], tf.float32)}
  )
  return data.preprocess(lambda ds: ds.map(lambda example: example[_KEY]))


@pytest.fixture(scope="module")
def processes(client_data):
  """A process, and the same one for client ids."""
  process = toy_gan.process()
  by_id = tff.simulation.compose_dataset_computation_with_learning_process(
    client_data.dataset_computation, process
  )
  return process, by_id


@contextlib.contextmanager
def _two_workers():
  with worker_programs.running() as one, worker_programs.running() as other:
    with beside_session.remote([one.address, other.address]):
      yield


def test_ids_train_what_data_sets_do(client_data, processes, tmp_path):
  process, by_id = processes
  event = dp_accounting.GaussianDpEvent(4.0)

  def train(trained, clients, name):
    return program.train(
      trained,
      sample_clients=lambda n: _IDS[n % 2 : n % 2 + 3],
      client_datasets=clients,
      rounds=3,
      budget=program.Budget(event, ledger_lib.PrivacyLedger(delta=1e-3)),
      directory=str(tmp_path / name),
      show_progress=False,
    )

  datasets = {
    key: client_data.create_tf_dataset_for_client(key) for key in _IDS
  }
  local = train(process, datasets, "local")
  with _two_workers():
    # TFF 0.87 sends text that is not ASCII as bytes only.
    by_key = {key: key.encode() for key in _IDS}
    remote = train(by_id, by_key, "remote")
  assert remote.ledger.to_json() == local.ledger.to_json()
  for one, other in zip(
    tree.flatten(local.state.weights), tree.flatten(remote.state.weights)
  ):
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
