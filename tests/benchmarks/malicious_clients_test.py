"""Tests of the table of attacks, with a victim of one weight."""

import json

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from benchmarks import malicious_clients
from benchmarks import malicious_victims
from tff_gen_debug import learning


def _victim() -> malicious_victims.Victim:
  """Learns the number 1, which all of its five users have."""

  def build(aggregator, server_optimizer, seed):
    @tf.function
    def predict(weights, x, training):
      del training
      return weights[0][0] * x

    @tf.function
    def loss(output, label, sample_weight=None):
      del sample_weight
      return tf.reduce_mean((output - label) ** 2)

    model = tff.learning.models.FunctionalModel(
      initial_weights=((np.zeros([1], np.float32),), ()),
      predict_on_batch_fn=predict,
      loss_fn=loss,
      input_spec=(
        tf.TensorSpec((None, 1), tf.float32),
        tf.TensorSpec((None, 1), tf.float32),
      ),
    )
    return learning.build_dp_fed_avg(
      model,
      aggregator=aggregator,
      client_optimizer=tff.learning.optimizers.build_sgdm(0.25),
      server_optimizer=server_optimizer,
      seed=seed,
    )

  ones = np.ones([1, 1], np.float32)
  return malicious_victims.Victim(
    name="toy",
    measures={"weight": 2},
    datasets={
      str(key): tf.data.Dataset.from_tensor_slices((ones, ones))
      for key in range(5)
    },
    rounds=2,
    clients_per_round=5.0,
    clip_norm=0.1,
    num_weights=1,
    build=build,
    measure=lambda weights: {"weight": float(weights.trainable[0][0])},
    server_optimizer=tff.learning.optimizers.build_sgdm(1.0),
    vote_step=0.05,
  )


@pytest.mark.usefixtures("tff_runtime")
@pytest.mark.parametrize(
  "defence, honest, flipped, scaled, nan",
  [
    # A step takes the weight w to w + (1 - w) / 2, a flipped one to
    # w - (1 - w) / 2, and one times 1e6 far away. TFF's finalizer keeps the
    # weights of a round that is not finite.
    ("plain mean", 0.75, -1.25, -2.5e11, 0.0),
    # Each step is cut to 0.1.
    ("guard and clip", 0.2, -0.2, 0.2, 0.0),
    ("TopAgg", 0.1, -0.1, 0.1, 0.0),
    # Zeroes what is longer than 2.
    ("TFF zeroing", 0.75, -1.25, 0.0, 0.0),
  ],
)
def test_what_attacks_of_everybody_do(
  defence, honest, flipped, scaled, nan, tmp_path
):
  victim = _victim()
  cells = list(
    malicious_clients.cells_of(
      "toy", defence, ["sign-flipped", "times 1e6", "NaN"], [1.0], 1
    )
  )
  results = malicious_clients.run_cells(victim, cells, str(tmp_path))
  weights = [results[cell]["weight"] for cell in cells]
  np.testing.assert_allclose(
    weights, [honest, flipped, scaled, nan], rtol=1e-4, atol=1e-6
  )


def test_finished_cells_are_read_not_run(tmp_path):
  (cell,) = malicious_clients.cells_of("toy", "plain mean", [], [0.1], 3)
  path = tmp_path / cell.file_name
  path.write_text(json.dumps({"measures": {"weight": 0.5}}))
  results = malicious_clients.run_cells(_victim(), [cell], str(tmp_path))
  assert results == {cell: {"weight": 0.5}}


def test_cells_have_files_of_their_own():
  cells = [
    cell
    for seed in (1, 2)
    for defence in malicious_clients.DEFENCES
    for cell in malicious_clients.cells_of(
      "GAN", defence, ["times 1e6", "times -1e6"], [0.01, 0.1], seed
    )
  ]
  assert len({cell.file_name for cell in cells}) == len(cells)


def test_the_table_has_means_and_counts_what_is_lost():
  def cell(attack, share, seed):
    return malicious_clients.Cell("toy", "plain mean", attack, share, seed)

  results: malicious_clients.Results = {
    cell("", 0.0, 1): {"weight": 0.5},
    cell("", 0.0, 2): {"weight": 0.7},
    cell("NaN", 0.1, 1): {"weight": 0.1},
    cell("NaN", 0.1, 2): {},
    cell("NaN", 0.3, 1): {},
    cell("NaN", 0.3, 2): {},
  }
  assert malicious_clients.markdown(_victim(), results).splitlines() == [
    "| aggregation | attack | 0% | 10% | 30% |",
    "| --- | --- | --- | --- | --- |",
    "| plain mean | NaN | 0.60 [0.50, 0.70] | 0.10 (1 of 2 lost) | lost |",
  ]


def test_without_attacks_the_table_has_the_controls():
  (cell,) = malicious_clients.cells_of("toy", "TopAgg", [], [0.1], 1)
  table = malicious_clients.markdown(_victim(), {cell: {"weight": 0.5}})
  assert table.splitlines()[2] == "| TopAgg | none | 0.50 |"
