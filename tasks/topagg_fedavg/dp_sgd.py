"""DP-SGD over any DP query: each image of a pooled data set is a record.

Abadi et al. (2016), Deep Learning with Differential Privacy, arXiv 1607.00133;
with TopAgg's query in place of the clipped sum it is the other use of TopAgg
that Wang et al. (2021, arXiv 2103.11109) name. One machine holds all images, so
no TFF is needed; the records' gradients are computed and voted on as a client's
update would be.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tensorflow_privacy as tfp

from tasks.topagg_fedavg import config as config_lib
from tasks.topagg_fedavg import population as population_lib
from tasks.topagg_fedavg import settings
from tff_gen_debug import aggregators
from tff_gen_debug import privacy
from tff_gen_debug.aggregators import topagg
from tff_gen_debug.models import cnn


def train(
  config: config_lib.Config,
  trial: settings.Trial,
  examples: population_lib.Examples,
  initial_weights: Sequence[np.ndarray],
) -> tuple[np.ndarray, ...]:
  """Trains the CNN with privacy for single images.

  Args:
    config: The config.
    trial: Of "topagg" or "gaussian".
    examples: All images.
    initial_weights: Where to start.

  Returns:
    The trained weights.
  """
  plan = settings.make_plan(config, trial.setting, len(examples))
  num_weights = sum(weight.size for weight in initial_weights)
  query = _query(trial, plan, num_weights)
  least = trial.setting.threshold * plan.run_clients_per_round

  def change(totals):
    if trial.setting.method == "topagg":
      return topagg.decide(totals, totals, least=least, step_size=trial.rate)
    scale = trial.rate / plan.run_clients_per_round
    return tf.nest.map_structure(lambda total: scale * total, totals)

  @tf.function(
    input_signature=[
      tf.TensorSpec([None, *cnn.IMAGE_SHAPE]),
      tf.TensorSpec([None], tf.int32),
    ]
  )
  def train_step(images, labels):
    values = [tf.identity(weight) for weight in weights]
    gradients = _gradients(values, images, labels)
    params = query.derive_sample_params(query.initial_global_state())
    records = tf.map_fn(
      lambda gradient: query.preprocess_record(params, gradient),
      gradients,
      fn_output_signature=tf.nest.map_structure(
        lambda w: tf.TensorSpec(w.shape, _record_dtype(trial)), values
      ),
    )
    total, _, _ = query.get_noised_result(
      tf.nest.map_structure(lambda r: tf.reduce_sum(r, 0), records),
      query.initial_global_state(),
    )
    for weight, step in zip(weights, change(total)):
      weight.assign_sub(step)

  weights = [tf.Variable(weight) for weight in initial_weights]
  ids = [str(i) for i in range(len(examples))]
  sampler = plan.sampler(ids, trial.seed)
  for step_num in range(plan.rounds):
    batch = examples[[int(i) for i in sampler.sample(step_num)]]
    train_step(batch.images, batch.labels)
  return tuple(weight.numpy() for weight in weights)


def _query(
  trial: settings.Trial, plan: privacy.PrivacyPlan, num_weights: int
) -> tfp.SumAggregationDPQuery:
  setting = trial.setting
  if setting.method == "topagg":
    return aggregators.TopKSignSumQuery(
      settings.top_k(setting.top_share, num_weights),
      noise_multiplier=plan.run_noise_multiplier,
      coordinate_clip=settings.coordinate_clip(setting),
      stochastic=setting.stochastic,
      neighboring_relation=plan.neighboring_relation,
    )
  if setting.method == "gaussian":
    return tfp.GaussianSumQuery(
      l2_norm_clip=trial.clip_norm, stddev=plan.noise_stddev(trial.clip_norm)
    )
  raise ValueError(
    f"method must be topagg or gaussian for examples, got {setting.method!r}"
  )


def _record_dtype(trial: settings.Trial) -> tf.DType:
  return tf.int32 if trial.setting.method == "topagg" else tf.float32


def _gradients(weights, images, labels):
  """The gradient of each image's loss, with a leading dimension of images."""

  def of_one(example):
    image, label = example
    with tf.GradientTape() as tape:
      tape.watch(weights)
      logits = cnn.apply(weights, image[tf.newaxis])
      loss = tf.nn.sparse_softmax_cross_entropy_with_logits(
        label[tf.newaxis], logits
      )
    return tape.gradient(loss, weights)

  return tf.vectorized_map(of_one, (images, labels))
