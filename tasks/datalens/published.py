"""The settings of the paper's runs.

Wang et al. (2021), DataLens, arXiv 2103.11109, and the authors' code. The
standard deviation is that of the noise on one image's sum of votes.
"""

from typing import NamedTuple


class Settings(NamedTuple):
  """One of the paper's runs.

  Attributes:
    top_k: Pixels that a teacher votes on.
    stddev: Of the noise on a pixel's sum of votes.
    threshold: Share of the teachers that a sum has to exceed.
    teachers: Shards of the data.
    images: Generated images a step.
  """

  top_k: int
  stddev: float
  threshold: float
  teachers: int
  images: int


_RUNS: dict[tuple[str, float], Settings] = {
  ("mnist", 1): Settings(200, 5000.0, 0.7, 4000, 15),
  ("mnist", 10): Settings(300, 800.0, 0.2, 4000, 15),
  ("fashion_mnist", 1): Settings(200, 5000.0, 0.9, 4000, 15),
  ("fashion_mnist", 10): Settings(350, 1000.0, 0.27, 4000, 15),
  ("celeba_gender", 1): Settings(700, 9000.0, 0.85, 6000, 30),
  ("celeba_gender", 10): Settings(500, 700.0, 0.12, 6000, 30),
  ("celeba_hair", 1): Settings(700, 9000.0, 0.9, 8000, 15),
}


def settings(dataset: str, epsilon: float) -> Settings:
  """The settings of a run.

  Args:
    dataset: The data set's name; handwriting, which is MNIST's, has MNIST's.
    epsilon: The budget.

  Returns:
    The settings.

  Raises:
    ValueError: If they are not known.
  """
  key = ("mnist" if dataset == "handwriting" else dataset, epsilon)
  if key not in _RUNS:
    known = ", ".join(f"{name} at {eps}" for name, eps in _RUNS)
    raise ValueError(
      f"published settings are known for {known}, got {dataset} at {epsilon:g}"
    )
  return _RUNS[key]
