"""The round in FedJAX: Haiku's LSTM, a compiled client step, DP-FedAvg."""

import fedjax
import haiku as hk
import jax
import jax.numpy as jnp

from benchmarks.peers import task


def _logits(inputs):
  embedded = hk.Embed(task.NUM_TOKENS, task.EMBEDDING)(inputs.T)
  lstm = hk.LSTM(task.UNITS)
  outputs, _ = hk.static_unroll(
    lstm, embedded, lstm.initial_state(inputs.shape[0])
  )
  return hk.Linear(task.NUM_TOKENS)(outputs).swapaxes(0, 1)


_MODEL = hk.without_apply_rng(hk.transform(_logits))


def _loss(params, batch):
  log_probabilities = jax.nn.log_softmax(_MODEL.apply(params, batch["x"]))
  return -jnp.mean(
    jnp.take_along_axis(log_probabilities, batch["y"][..., None], axis=-1)
  )


def _client_step(params, batch):
  gradients = jax.grad(_loss)(params, batch)
  return jax.tree_util.tree_map(
    lambda p, g: p - task.CLIENT_LEARNING_RATE * g, params, gradients
  )


def _client_final(server_params, params):
  delta = jax.tree_util.tree_map(jnp.subtract, params, server_params)
  norm = jnp.sqrt(sum(jnp.vdot(d, d) for d in jax.tree_util.tree_leaves(delta)))
  scale = jnp.minimum(1, task.CLIP / norm)
  return jax.tree_util.tree_map(lambda d: scale * d, delta)


@jax.jit
def _server_update(params, total, key):
  leaves, structure = jax.tree_util.tree_flatten(total)
  noisy = [
    leaf
    + task.CLIP * task.NOISE_MULTIPLIER * jax.random.normal(key, leaf.shape)
    for leaf, key in zip(leaves, jax.random.split(key, len(leaves)))
  ]
  return jax.tree_util.tree_map(
    lambda p, t: p + t / task.CLIENTS,
    params,
    jax.tree_util.tree_unflatten(structure, noisy),
  )


def main() -> None:
  datasets = [
    fedjax.ClientDataset({"x": x, "y": y})
    for x, y in zip(*task.client_tokens())
  ]
  batching = fedjax.ShuffleRepeatBatchHParams(
    batch_size=task.BATCH, num_epochs=1
  )
  train = fedjax.for_each_client(
    lambda params, _: params, _client_step, _client_final
  )
  add = jax.jit(lambda a, b: jax.tree_util.tree_map(jnp.add, a, b))
  key = jax.random.PRNGKey(0)
  params = _MODEL.init(key, jnp.zeros((1, task.LENGTH), jnp.int32))

  def run():
    nonlocal params, key
    key, noise_key = jax.random.split(key)
    clients = [
      (index, dataset.shuffle_repeat_batch(batching), None)
      for index, dataset in enumerate(datasets)
    ]
    total = None
    for _, delta in train(params, clients):
      total = delta if total is None else add(total, delta)
    params = jax.block_until_ready(_server_update(params, total, noise_key))

  task.serve(run)


if __name__ == "__main__":
  main()
