"""Faults in users' images, and what each criterion makes of them.

On the embedded handwriting: a user is a block of it, as it was written.
"""

from collections.abc import Callable, Mapping
import functools

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tasks import deployment
from tasks.investigation import config as config_lib
from tff_gen_debug import datasets
from tff_gen_debug.datasets import handwriting
from tff_gen_debug.datasets import preprocessing
from tff_gen_debug.debugging import accuracy_criteria
from tff_gen_debug.debugging import bugs
from tff_gen_debug.debugging import client_bugs
from tff_gen_debug.debugging import criteria
from tff_gen_debug.debugging import image_gan
from tff_gen_debug.debugging import investigation as investigation_lib
from tff_gen_debug.debugging import splits
from tff_gen_debug.models import classifier as classifier_lib

_Fault = Callable[
  [tff.simulation.datasets.ClientData, float, int],
  tff.simulation.datasets.ClientData,
]

# Of the users, as in the paper's experiment.
_SHARE = 0.5

# A class with clear strokes that is neither the first nor the last.
_CLASS = 7
_MISTAKEN_FOR = 1
_UNKNOWN_LABEL = 10

# Of the app, on the devices of the users who have the fault.
_BROKEN_VERSION = 2

_PRIMARY_SEED = 1
_DEFAULT_CLASS_NOISE = 0.5


def _on_pixels(bug: bugs.Bug) -> _Fault:
  return lambda users, share, seed: bugs.inject(users, bug, share, seed)


_FAULTS: Mapping[str, _Fault] = {
  "none": lambda users, share, seed: users,
  "inverted": _on_pixels(bugs.invert_pixels),
  "rotated": _on_pixels(bugs.rotate_90),
  "wrong_crop": _on_pixels(bugs.shifted_crop),
  "blank": _on_pixels(bugs.blank),
  "low_contrast": _on_pixels(bugs.low_contrast),
  "duplicates": client_bugs.duplicate_images,
  "class_mislabelled": lambda users, share, seed: client_bugs.wrong_label(
    users, _CLASS, _MISTAKEN_FOR, share, seed
  ),
  "label_unknown": lambda users, share, seed: client_bugs.wrong_label(
    users, _CLASS, _UNKNOWN_LABEL, share, seed
  ),
  "class_missing": lambda users, share, seed: client_bugs.drop_class(
    users, _CLASS, share, seed
  ),
}


def make(config: config_lib.Config) -> investigation_lib.Investigation:
  """The investigation of the embedded users with the fault of `config`."""
  broken = broken_users(config)
  if config.criterion == "unlabelled":
    broken = _without_labels(broken, config)
  elif config.criterion == "version":
    broken = _with_versions(broken, config)
  users = _as_model_input(broken)
  primary, _, public = held_out()
  return investigation_lib.Investigation(
    client_data=users,
    criterion=_criterion(config),
    auxiliary=image_gan.ImageGan(
      discriminator_steps=config.discriminator_steps,
      client_epochs=1,
      generator_steps=config.generator_steps,
      num_samples=config.num_samples,
      seed=config.seed,
    ),
    plan=deployment.make_plan(config, len(users.client_ids), config.rounds),
    primary=primary,
    public=public,
    epsilon_limit=config.epsilon_limit or None,
    checkpoint_every=config.checkpoint_every,
    seed=config.seed,
  )


def broken_users(
  config: config_lib.Config,
) -> tff.simulation.datasets.ClientData:
  """The users' examples, `pixels` and `label`, with the fault."""
  train, _ = handwriting.load_data()
  return _FAULTS[config.fault](train, config.fault_share or _SHARE, config.seed)


def _criterion(config: config_lib.Config) -> splits.Criterion:
  noise = config.accuracy_noise_multiplier
  make_criterion: Mapping[str, Callable[[], splits.Criterion]] = {
    "random": lambda: criteria.RandomExamples(seed=config.seed),
    "mistakes": criteria.MisclassifiedExamples,
    "unknown_labels": lambda: criteria.UnknownLabels(range(10)),
    "users": lambda: accuracy_criteria.LowAccuracyUsers(noise_multiplier=noise),
    "classes": lambda: accuracy_criteria.LowAccuracyClasses(
      noise or _DEFAULT_CLASS_NOISE
    ),
    "version": lambda: criteria.ExamplesWhere(
      lambda example: tf.equal(example["version"], _BROKEN_VERSION),
      f"version {_BROKEN_VERSION}",
      rest="other versions",
      question=f"What is wrong with version {_BROKEN_VERSION} of the app?",
    ),
    "unlabelled": criteria.UnlabelledExamples,
    "serving": lambda: criteria.ServingAgainstTraining(held_out()[1]),
  }
  return make_criterion[config.criterion]()


@functools.cache
def held_out() -> tuple[
  classifier_lib.Classifier, tff.simulation.datasets.ClientData, np.ndarray
]:
  """The primary model, the users it was trained on, and public images."""
  _, test = handwriting.load_data()
  ids = np.random.default_rng(_PRIMARY_SEED).permutation(test.client_ids)
  split = len(ids) // 4
  images, labels = _read(test, ids)
  first = sum(
    len(list(test.create_tf_dataset_for_client(i))) for i in ids[:split]
  )
  primary = classifier_lib.train_classifier(
    images[first:],
    labels[first:],
    num_classes=10,
    epochs=4,
    seed=_PRIMARY_SEED,
  )
  training = datasets.TracedClientData(
    ids[split:].tolist(), test.serializable_dataset_fn
  )
  return primary, _as_model_input(training), images[:first]


def _read(
  users: tff.simulation.datasets.ClientData, ids
) -> tuple[np.ndarray, np.ndarray]:
  parts = []
  for client_id in ids:
    for batch in users.create_tf_dataset_for_client(client_id).batch(1000):
      example = preprocessing.paper_example(batch)
      parts.append((example["image"].numpy(), example["label"].numpy()))
  images, labels = zip(*parts)
  return np.concatenate(images), np.concatenate(labels)


def _as_model_input(
  users: tff.simulation.datasets.ClientData,
) -> datasets.TracedClientData:
  """Images in [-1, 1]; labels as they are, unknown ones too; all else kept."""

  def convert(example):
    rest = {k: v for k, v in example.items() if k != "pixels"}
    return {
      **rest,
      "image": preprocessing.to_gan_range(example["pixels"]),
      "label": tf.cast(example["label"], tf.int32),
    }

  return datasets.TracedClientData(
    users.client_ids,
    lambda client_id: users.serializable_dataset_fn(client_id).map(convert),
  )


def _without_labels(
  users: tff.simulation.datasets.ClientData, config: config_lib.Config
) -> tff.simulation.datasets.ClientData:
  """Takes the labels of those users who have the fault, if there is one."""

  def change(example, has_fault):
    label = example["label"]
    missing = tf.constant(-1, label.dtype)
    return {**example, "label": tf.where(has_fault, missing, label)}

  return _by_fault(users, config, change)


def _with_versions(
  users: tff.simulation.datasets.ClientData, config: config_lib.Config
) -> tff.simulation.datasets.ClientData:
  """Says which version of the app a user has: the fault came with one."""
  return _by_fault(
    users,
    config,
    lambda example, has_fault: {
      **example,
      "version": tf.where(has_fault, _BROKEN_VERSION, _BROKEN_VERSION - 1),
    },
  )


def _by_fault(
  users: tff.simulation.datasets.ClientData,
  config: config_lib.Config,
  change: Callable[[Mapping[str, tf.Tensor], tf.Tensor], dict[str, tf.Tensor]],
) -> tff.simulation.datasets.ClientData:
  """Changes examples by whether their user has the fault, or would have it."""
  return bugs.inject_client_bug(
    users,
    lambda dataset, has_fault: dataset.map(lambda x: change(x, has_fault)),
    config.fault_share or _SHARE,
    config.seed,
  )
