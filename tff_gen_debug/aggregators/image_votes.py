"""Noised sums of what teachers say of each image, as a TFF aggregation factory.

DataLens (Wang et al., 2021, arXiv 2103.11109) aggregates the teachers' votes
about one generated image at a time. The images of a round are asked about
together, so their mechanisms are one Gaussian mechanism on all of them.
"""

import math
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from tff_gen_debug.aggregators import gaussian_sum_query
from tff_gen_debug.aggregators import gradient_codes
from tff_gen_debug.aggregators import top_k_sign_query
from tff_gen_debug.privacy import neighbors
from tff_gen_debug.privacy import plan as plan_lib
from tff_gen_debug.privacy import validation


class ImageVoteQuery(gaussian_sum_query.GaussianSumQuery):
  """A noised sum over teachers of codes of their directions for some images.

  A record is what some teachers say: float32 `[teachers, images, ...]`, the
  direction in which each of them wants each image to change. The result is
  float32 `[images, m]`.

  Formal guarantees: a teacher's code of an image has an L2 norm of at most
  `code.norm_bound`, whatever the direction, and that of all its images together
  sqrt(images) times that. The sum's sensitivity is that if a teacher comes or
  goes, and twice that, or what the code knows to be less, if a teacher's data
  is replaced. A result is the event
  `dp_accounting.GaussianDpEvent` of `noise_multiplier`: as private as if each
  image had got noise of sqrt(images) * `noise_multiplier` of its own, and the
  same mechanism.

  Edge cases: a teacher whose direction for an image is not finite, or 0, says
  nothing of that image. Sums of integers are exact below 2**24 teachers.
  """

  def __init__(
    self,
    code: gradient_codes.GradientCode,
    *,
    images: int,
    noise_multiplier: float,
    neighboring_relation: str = "replace_one",
  ):
    """Initializes the query.

    Args:
      code: What a direction becomes.
      images: Images of a record, at least 1.
      noise_multiplier: Standard deviation of the noise on each number of the
        sum, divided by the sensitivity of the whole sum; at least 0.
      neighboring_relation: "replace_one" or "add_or_remove_one" teacher.

    Raises:
      TypeError: If an argument has the wrong type.
      ValueError: If an argument is out of its range.
    """
    if not isinstance(code, gradient_codes.GradientCode):
      raise TypeError(f"code must be a GradientCode, got {type(code)}")
    self._code = code
    self._images = validation.integer("images", images, 1)
    noise_multiplier = validation.non_negative(
      "noise_multiplier", noise_multiplier
    )
    relation = validation.one_of(
      "neighboring_relation",
      neighboring_relation,
      tuple(neighbors.SENSITIVITY_FACTORS),
    )
    super().__init__(
      noise_multiplier, code.sensitivity(relation) * math.sqrt(images)
    )

  def initial_sample_state(self, template=None):
    encoded = self.preprocess_record((), tf.zeros(template.shape, tf.float32))
    return tf.zeros_like(encoded)

  def preprocess_record(self, params, record):
    """Encodes the directions of each teacher and adds them up.

    Args:
      params: Unused.
      record: float32 `[teachers, images, ...]`.

    Returns:
      int32 or float32 `[images, m]`.
    """
    del params
    teachers = record.shape[0]
    rows = tf.reshape(record, [teachers * self._images, -1])
    codes = self._code.encode(rows)
    codes = tf.reshape(codes, [teachers, self._images, -1])
    total = tf.reduce_sum(codes, axis=0)
    return tf.cast(total, tf.int32) if self._code.is_integer else total


class ImageVoteFactory(tff.aggregators.UnweightedAggregationFactory):
  """Aggregates directions for images by an `ImageVoteQuery`.

  A client's value is float32 `[images, ...]`, the directions of one teacher, or
  `[teachers, images, ...]` for clients that compute for several teachers: each
  of them counts for itself, as if it were a client. The result is float32
  `[images, ...]`.

    factory = ImageVoteFactory(
      gradient_codes.TopKSignCode(200, threshold=0.7),
      teachers=4000,
      noise_multiplier=46.0,
    )

  Formal guarantees: those of `ImageVoteQuery` for a teacher. `teachers` is
  public, and decoding is post-processing.

  Edge cases: a round without clients is a vote about noise.
  """

  def __init__(
    self,
    code: gradient_codes.GradientCode,
    *,
    teachers: float,
    noise_multiplier: float,
    neighboring_relation: str = "replace_one",
    grouped: bool = False,
  ):
    """Initializes the factory.

    Args:
      code: What a direction becomes.
      teachers: (Expected) teachers of a round; positive, below 2**24.
      noise_multiplier: As for `ImageVoteQuery`, for all images of a round.
      neighboring_relation: "replace_one" or "add_or_remove_one" teacher.
      grouped: Whether a client's value is that of several teachers, with an
        axis for them in front.

    Raises:
      TypeError: If an argument has the wrong type.
      ValueError: If an argument is out of its range.
    """
    self._teachers = validation.positive("teachers", teachers)
    if self._teachers >= top_k_sign_query.MAX_CLIENTS:
      raise ValueError(
        f"teachers must be below {top_k_sign_query.MAX_CLIENTS}, up to which"
        f" sums of votes are exact, got {teachers}"
      )
    self._code = code
    self._settings: dict[str, Any] = dict(
      noise_multiplier=noise_multiplier,
      neighboring_relation=neighboring_relation,
    )
    self._grouped = bool(grouped)
    ImageVoteQuery(code, images=1, **self._settings)  # Or an error, at once.

  @property
  def grouped(self) -> bool:
    """Whether a client's value has an axis for teachers in front."""
    return self._grouped

  def create(self, value_type) -> tff.templates.AggregationProcess:
    """Creates the process; see `tff.aggregators.UnweightedAggregationFactory`.

    Args:
      value_type: The `tff.Type` of a client's value.

    Returns:
      A `tff.templates.AggregationProcess` with the state and measurements of
      `tff.aggregators.DifferentiallyPrivateFactory`.

    Raises:
      TypeError: If a value is not a float32 tensor of a known shape.
      ValueError: If it has too few axes, or an image too few entries.
    """
    shape = self._value_shape(value_type)
    images, *image_shape = shape[1:] if self._grouped else shape
    size = math.prod(image_shape)
    query = ImageVoteQuery(self._code, images=images, **self._settings)
    grouped_type = tff.TensorType(
      value_type.dtype, shape if self._grouped else (1, *shape)
    )
    noised_sum = tff.aggregators.DifferentiallyPrivateFactory(
      query, tff.aggregators.SumFactory()
    ).create(grouped_type)

    @tff.tensorflow.computation(value_type)
    def group(value):
      return tf.reshape(value, grouped_type.shape)

    @tff.tensorflow.computation(
      noised_sum.next.type_signature.result.result.member
    )
    def decode(sums):
      rows = self._code.decode(sums, self._teachers, size)
      return tf.reshape(rows, [images, *image_shape])

    @tff.federated_computation(
      noised_sum.initialize.type_signature.result,
      tff.FederatedType(value_type, tff.CLIENTS),
    )
    def next_fn(state, value):
      output = noised_sum.next(state, tff.federated_map(group, value))
      return tff.templates.MeasuredProcessOutput(
        output.state,
        tff.federated_map(decode, output.result),
        output.measurements,
      )

    return tff.templates.AggregationProcess(noised_sum.initialize, next_fn)

  def _value_shape(self, value_type) -> tuple:
    is_tensor = isinstance(value_type, tff.TensorType)
    if not is_tensor or value_type.dtype.type != tf.float32.as_numpy_dtype:
      raise TypeError(f"values must be float32 tensors, got {value_type}")
    if value_type.shape is None or None in value_type.shape:
      raise TypeError(f"values must be of a known shape, got {value_type}")
    axes = "[teachers, images, ...]" if self._grouped else "[images, ...]"
    if len(value_type.shape) < (3 if self._grouped else 2):
      raise ValueError(f"values must be of shape {axes}, got {value_type}")
    return tuple(value_type.shape)


def image_vote_factory(
  plan: plan_lib.PrivacyPlan,
  code: gradient_codes.GradientCode,
  *,
  grouped: bool = False,
) -> ImageVoteFactory:
  """`ImageVoteFactory` with the teachers, noise and neighbours of a plan.

  Formal guarantees: a round is the event `plan.round_event` for teachers drawn
  by `plan.sampler`; the unit of privacy is the teacher.

  Args:
    plan: What the run may cost, with teachers for users.
    code: What a direction becomes.
    grouped: As for `ImageVoteFactory`.

  Returns:
    The factory.

  Raises:
    TypeError: If an argument has the wrong type.
    ValueError: If an argument is out of its range.
  """
  return ImageVoteFactory(
    code,
    teachers=plan.run_clients_per_round,
    noise_multiplier=plan.run_noise_multiplier,
    neighboring_relation=plan.neighboring_relation,
    grouped=grouped,
  )
