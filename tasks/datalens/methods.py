"""From a config to its plan and its training process."""

import dataclasses
import math

import tensorflow_federated as tff

from tasks.datalens import config as config_lib
from tasks.datalens import published
from tff_gen_debug import learning
from tff_gen_debug import privacy
from tff_gen_debug.aggregators import gradient_codes
from tff_gen_debug.aggregators import image_votes
from tff_gen_debug.aggregators import projected_codes
from tff_gen_debug.learning import client_store
from tff_gen_debug.learning import energy_teacher
from tff_gen_debug.learning import field_student
from tff_gen_debug.learning import students
from tff_gen_debug.learning import teachers
from tff_gen_debug.models import gan

# More rounds than a published budget can last.
_MOST_ROUNDS = 100_000


@dataclasses.dataclass(frozen=True)
class Scene:
  """What the process has to know of the data.

  Attributes:
    image_shape: Height, width and channels.
    num_classes: How many labels there are.
    images_per_teacher: Of the largest shard.
  """

  image_shape: tuple[int, int, int]
  num_classes: int
  images_per_teacher: int


def resolve(config: config_lib.Config) -> config_lib.Config:
  """The config with the paper's settings in place, if it asks for them."""
  if not config.published:
    return config
  run = published.settings(config.dataset, config.epsilon)
  return dataclasses.replace(
    config,
    top_k=run.top_k,
    threshold=run.threshold,
    num_teachers=min(config.num_teachers, run.teachers),
    simulated_teachers=(
      run.teachers if config.num_teachers < run.teachers else 0
    ),
    images_per_round=run.images,
    code="signs",
    stochastic=True,
    coordinate_clip=0.0,
  )


def make_code(
  config: config_lib.Config, image_shape: tuple[int, int, int]
) -> gradient_codes.GradientCode:
  """What a teacher sends."""
  if config.code == "signs":
    return gradient_codes.TopKSignCode(
      config.top_k or math.prod(image_shape),
      coordinate_clip=config.coordinate_clip or None,
      threshold=config.threshold if config.threshold >= 0 else None,
      stochastic=config.stochastic,
    )
  if config.code == "low_frequencies":
    return projected_codes.LowFrequencyCode(
      image_shape, config.frequencies, clip_norm=config.clip_norm
    )
  if config.code == "projected":
    return gradient_codes.ProjectedCode(
      config.dimensions, clip_norm=config.clip_norm, seed=config.seed
    )
  if config.code == "bins":
    return projected_codes.BinVoteCode(
      config.dimensions,
      bins=config.bins,
      bound=3 / math.sqrt(config.dimensions),
      seed=config.seed,
    )
  return gradient_codes.ClippedCode(config.clip_norm)


def make_plan(
  config: config_lib.Config, image_shape: tuple[int, int, int]
) -> privacy.PrivacyPlan:
  """What the rounds cost: everybody votes in all of them.

  With the paper's settings the noise is the paper's, and the plan has as many
  rounds as its budget pays for; else the noise is what the rounds leave. A plan
  that simulates more teachers has their epsilon.
  """
  teachers_paid_for = config.simulated_teachers or config.num_teachers
  plan = privacy.PrivacyPlan(
    population=teachers_paid_for,
    expected_clients_per_round=teachers_paid_for,
    rounds=config.rounds,
    noise_multiplier=0.0,
    delta=config.delta,
    sampling="fixed_size",
    neighboring_relation="replace_one",
    accountant=config.accountant,
  )
  if config.published:
    run = published.settings(config.dataset, config.epsilon)
    code = make_code(config, image_shape)
    sensitivity = code.sensitivity("replace_one") * math.sqrt(run.images)
    plan = dataclasses.replace(plan, noise_multiplier=run.stddev / sensitivity)
    plan = dataclasses.replace(plan, rounds=_affordable(plan, config.epsilon))
  elif math.isfinite(config.epsilon):
    plan = plan.calibrate(target_epsilon=config.epsilon)
  if not config.simulated_teachers:
    return plan
  return plan.simulated_by(
    population=config.num_teachers, clients_per_round=config.num_teachers
  )


def _affordable(plan: privacy.PrivacyPlan, epsilon: float) -> int:
  """The most rounds that cost no more than a budget."""
  least, most = 0, 1
  while most < _MOST_ROUNDS and plan.epsilon_after(most) <= epsilon:
    least, most = most, 2 * most
  while most - least > 1:
    middle = (least + most) // 2
    if plan.epsilon_after(middle) <= epsilon:
      least = middle
    else:
      most = middle
  if not least:
    raise ValueError(f"epsilon must pay for one round, got {epsilon}")
  return least


def make_generator(
  config: config_lib.Config, scene: Scene
) -> gan.LabelledGenerator:
  """The generator."""
  return gan.LabelledGenerator(
    gan.upsampling_generator(
      scene.image_shape,
      config.noise_dim + scene.num_classes,
      config.filters,
    ),
    scene.num_classes,
  )


def build_process(
  config: config_lib.Config,
  scene: Scene,
  plan: privacy.PrivacyPlan,
  store_folder: str,
) -> tff.learning.templates.LearningProcess:
  """The training process of a config."""
  generator = make_generator(config, scene)
  teacher = _make_teacher(config, scene)
  grouped = config.teachers_per_client > 1
  stored = config.teacher == "discriminator" and config.stored
  return learning.build_topagg_gan(
    generator,
    teacher,
    _make_student(config, scene, plan, generator, teacher),
    aggregator=image_votes.image_vote_factory(
      plan, make_code(config, scene.image_shape), grouped=grouped
    ),
    image_shape=scene.image_shape,
    images_per_round=config.images_per_round,
    images_per_teacher=scene.images_per_teacher,
    teachers_per_client=config.teachers_per_client,
    store=client_store.ClientStore(store_folder) if stored else None,
    seed=config.seed,
  )


def _make_teacher(config: config_lib.Config, scene: Scene) -> teachers.Teacher:
  if config.teacher == "energy":
    return energy_teacher.EnergyTeacher(
      scene.image_shape,
      num_classes=scene.num_classes,
      frequencies=config.frequencies,
      softening=config.softening,
      locality=config.locality,
    )
  width = config.discriminator_width
  if config.network == "conv":
    critic = gan.conv_discriminator(scene.image_shape, scene.num_classes, width)
  else:
    critic = gan.dense_discriminator(
      scene.image_shape, scene.num_classes, width
    )
  return teachers.DiscriminatorTeacher(
    critic,
    tff.learning.optimizers.build_adam(
      config.teacher_learning_rate, beta_1=0.5
    ),
    num_classes=scene.num_classes,
    steps=config.teacher_steps,
    first_steps=config.first_teacher_steps,
  )


def _make_student(
  config: config_lib.Config,
  scene: Scene,
  plan: privacy.PrivacyPlan,
  generator: gan.LabelledGenerator,
  teacher: teachers.Teacher,
) -> students.Student:
  optimizer = tff.learning.optimizers.build_adam(
    config.generator_learning_rate, beta_1=0.5, beta_2=0.99
  )
  if config.student == "gradient":
    return students.GradientStudent(
      generator, optimizer, averaging_decay=config.averaging_decay
    )
  if not isinstance(teacher, energy_teacher.EnergyTeacher):
    raise ValueError(
      "student must be gradient for discriminators, whose answers no simulation"
      f" repeats, got {config.student!r}"
    )
  # Of a class of average size; what a class really has is private.
  images_per_class = scene.images_per_teacher / max(scene.num_classes, 1)
  shard_images = max(1, round(images_per_class))
  answered = 1 - (1 - 1 / max(scene.num_classes, 1)) ** scene.images_per_teacher
  return field_student.FieldStudent(
    generator,
    teacher,
    optimizer,
    rounds=plan.rounds,
    images_per_round=config.images_per_round,
    shard_images=shard_images,
    answered_share=answered,
    steps=config.generator_steps,
    last_steps=config.last_generator_steps,
    images_per_class=max(config.generated_per_class, 2 * shard_images),
    averaging_decay=config.averaging_decay,
  )
