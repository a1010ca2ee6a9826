"""Faults in users' images, and what each task's criterion makes of them.

Scenarios of `benchmarks.fault_matrix` on the embedded handwriting.
"""

from collections.abc import Callable, Mapping
import functools

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug import datasets
from tff_gen_debug import privacy
from tff_gen_debug.datasets import handwriting
from tff_gen_debug.datasets import preprocessing
from tff_gen_debug.debugging import accuracy_criteria
from tff_gen_debug.debugging import bugs
from tff_gen_debug.debugging import client_bugs
from tff_gen_debug.debugging import criteria
from tff_gen_debug.debugging import findings as findings_lib
from tff_gen_debug.debugging import image_gan
from tff_gen_debug.debugging import investigation
from tff_gen_debug.models import classifier as classifier_lib

ClientData = tff.simulation.datasets.ClientData

# Of the users, as in the paper's experiment.
_SHARE = 0.5

# A class with clear strokes that is neither the first nor the last.
_CLASS = 7
_MISTAKEN_FOR = 1
_UNKNOWN_LABEL = 10

_PRIMARY_SEED = 1


def _on_pixels(bug: bugs.Bug) -> Callable[[ClientData, int], ClientData]:
  return lambda users, seed: bugs.inject(users, bug, _SHARE, seed)


FAULTS: Mapping[str, Callable[[ClientData, int], ClientData]] = {
  "none": lambda users, seed: users,
  "inverted": _on_pixels(bugs.invert_pixels),
  "rotated": _on_pixels(bugs.rotate_90),
  "wrong crop": _on_pixels(bugs.shifted_crop),
  "blank": _on_pixels(bugs.blank),
  "low contrast": _on_pixels(bugs.low_contrast),
  "duplicates": lambda users, seed: client_bugs.duplicate_images(
    users, _SHARE, seed
  ),
  "class mislabelled": lambda users, seed: client_bugs.wrong_label(
    users, _CLASS, _MISTAKEN_FOR, _SHARE, seed
  ),
  "label unknown": lambda users, seed: client_bugs.wrong_label(
    users, _CLASS, _UNKNOWN_LABEL, _SHARE, seed
  ),
  "class missing": lambda users, seed: client_bugs.drop_class(
    users, _CLASS, _SHARE, seed
  ),
}

CRITERIA = (
  "T1 random",
  "T2 mistakes",
  "T3 unknown labels",
  "T4 users",
  "T5 unlabelled",
  "T6 serving",
)

# What says the fault by its name; any other finding points to it at best.
EXPECTED: Mapping[str, tuple[str, ...]] = {
  "inverted": ("inverted",),
  "rotated": ("rotated",),
  "wrong crop": ("off_centre",),
  "blank": ("blank",),
  "low contrast": ("faint",),
  "duplicates": ("near_copies",),
  "class mislabelled": ("one_class",),
  "label unknown": ("one_class",),
  "class missing": ("missing_class",),
}


def run(
  criterion: str, fault: str, seed: int, folder: str
) -> investigation.Result:
  """Runs one cell: an investigation of users with a fault.

  Args:
    criterion: One of `CRITERIA`.
    fault: A key of `FAULTS`.
    seed: Of everything but the primary model and the noise.
    folder: Where its checkpoints go.

  Returns:
    The result.
  """
  primary, training, public = _held_out()
  train, _ = handwriting.load_data()
  broken = FAULTS[fault](train, seed)
  if criterion == "T5 unlabelled":
    broken = _without_labels(broken, seed)
  users = _as_model_input(broken)
  asked: Mapping[str, object] = {
    "T1 random": criteria.RandomExamples(seed=seed),
    "T2 mistakes": criteria.MisclassifiedExamples(),
    "T3 unknown labels": criteria.UnknownLabels(range(10)),
    # Exact accuracies: their noise is not what this is about.
    "T4 users": accuracy_criteria.LowAccuracyUsers(noise_multiplier=0),
    "T5 unlabelled": criteria.UnlabelledExamples(),
    "T6 serving": criteria.ServingAgainstTraining(training),
  }
  rounds = 80
  plan = privacy.PrivacyPlan(
    population=1_000_000,
    expected_clients_per_round=1000,
    rounds=rounds,
    noise_multiplier=1.0,
  ).simulated_by(population=len(users.client_ids), clients_per_round=6)
  return investigation.Investigation(
    client_data=users,
    criterion=asked[criterion],  # type: ignore[arg-type]
    auxiliary=image_gan.ImageGan(
      discriminator_steps=3, client_epochs=1, generator_steps=4, seed=seed
    ),
    plan=plan,
    primary=primary,
    public=public,
    checkpoint_every=rounds,
    seed=seed,
  ).run(folder)


def keep(result: investigation.Result, path: str) -> None:
  """Writes the samples of each slice, in 256 shades, to an npz file."""
  arrays = {
    f"{number}_{name}": np.rint((images + 1) * 127.5).astype(np.uint8)
    for number, (name, images) in enumerate(result.samples.items())
  }
  with open(path, "wb") as file:
    np.savez_compressed(file, **arrays)


def find(path: str) -> list[findings_lib.Finding]:
  """What the samples that were kept show; one slice against public images."""
  primary, _, public = _held_out()
  with np.load(path) as arrays:
    samples = {
      name.split("_", 1)[1]: arrays[name].astype(np.float32) / 127.5 - 1
      for name in sorted(arrays.files)
    }
  names, images = list(samples), list(samples.values())
  if len(names) == 1:
    names.append("public")
    images.append(public)
  return image_gan.ImageGan().find(
    images[0], images[1], (names[0], names[1]), primary
  )


@functools.cache
def _held_out() -> tuple[classifier_lib.Classifier, ClientData, np.ndarray]:
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


def _read(users: ClientData, ids) -> tuple[np.ndarray, np.ndarray]:
  parts = []
  for client_id in ids:
    for batch in users.create_tf_dataset_for_client(client_id).batch(1000):
      example = preprocessing.paper_example(batch)
      parts.append((example["image"].numpy(), example["label"].numpy()))
  images, labels = zip(*parts)
  return np.concatenate(images), np.concatenate(labels)


def _as_model_input(users: ClientData) -> datasets.TracedClientData:
  """Images in [-1, 1]; labels as they are, unknown ones too."""
  return datasets.TracedClientData(
    users.client_ids,
    lambda client_id: users.serializable_dataset_fn(client_id).map(
      lambda x: {
        "image": preprocessing.to_gan_range(x["pixels"]),
        "label": tf.cast(x["label"], tf.int32),
      }
    ),
  )


def _without_labels(users: ClientData, seed: int) -> ClientData:
  """Takes the labels of those users who have the fault, if there is one."""
  affected = bugs.affected_clients(users.client_ids, _SHARE, seed)

  def dataset_fn(client_id):
    has_fault = tf.reduce_any(tf.equal(tf.constant(affected), client_id))

    def without(x):
      label = tf.where(has_fault, tf.constant(-1, x["label"].dtype), x["label"])
      return {"pixels": x["pixels"], "label": label}

    return users.serializable_dataset_fn(client_id).map(without)

  return datasets.TracedClientData(users.client_ids, dataset_fn)
