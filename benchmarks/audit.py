"""Does an audit find planted faults in private aggregations?

    python -m benchmarks.audit

Prints a Markdown table: for aggregations of several claimed epsilons, sound and
with each fault of `audit_faults`, the lower bounds on epsilon that
`aggregators.audit_factory` finds: first the one for Gaussian mechanisms, then
the one for any. A few minutes on two cores. Neither the mechanisms' noise nor
the canaries have a seed, so that repetitions differ.
"""

from collections.abc import Mapping, Sequence
import math
import time

from absl import app
from absl import flags
from absl import logging

from benchmarks import audit_faults
from tff_gen_debug import runtime
from tff_gen_debug.aggregators import auditing
from tff_gen_debug.privacy import audit
from tff_gen_debug.privacy import calibration
from tff_gen_debug.privacy import gaussian_dp

_EPSILONS = flags.DEFINE_list(
  "claimed_epsilons", ["1", "4", "8"], "What is claimed."
)
_DELTA = flags.DEFINE_float("delta", 1e-5, "The delta of all epsilons.")
_CONFIDENCE = flags.DEFINE_float("confidence", 0.99, "Of each bound.")

# One call's canaries fill an update of at most 16,000 coordinates.
_CLIENTS_PER_CALL = 200
_INCLUSION_PROBABILITY = 0.2


def cell(result: audit.AuditResult) -> str:
  """Both bounds on epsilon, and what they say of the claim."""
  bounds = (
    f"{result.gaussian_epsilon_lower_bound:.2f}"
    f" / {result.epsilon_lower_bound:.2f}"
  )
  return f"{bounds} **refuted**" if result.refuted else bounds


def markdown(
  rows: Sequence[tuple[str, Mapping[str, audit.AuditResult]]],
) -> str:
  """The table; a row is a mechanism's name and its results by variant."""
  lines = [["mechanism", "claimed epsilon", *audit_faults.VARIANTS]]
  lines.append(["---"] * len(lines[0]))
  for name, results in rows:
    claimed = next(iter(results.values())).epsilon_of_claim
    lines.append(
      [
        name,
        f"{claimed:.2f}",
        *(cell(results[key]) for key in audit_faults.VARIANTS),
      ]
    )
  return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _audit(
  mechanism: audit_faults.Mechanism, variant: str, noise_multiplier: float
) -> audit.AuditResult:
  clients = max(
    mechanism.min_clients,
    mechanism.clients_times_squared_mu * noise_multiplier**2,
  )
  result = auditing.audit_factory(
    audit_faults.VARIANTS[variant](mechanism, noise_multiplier),
    mechanism.canary,
    claim=noise_multiplier,
    delta=_DELTA.value,
    confidence=_CONFIDENCE.value,
    num_calls=math.ceil(clients / _CLIENTS_PER_CALL),
    clients_per_call=_CLIENTS_PER_CALL,
    inclusion_probability=_INCLUSION_PROBABILITY,
  )
  logging.info("%s, %s: %s", mechanism.name, variant, result.summary())
  return result


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f"Unknown arguments: {' '.join(argv[1:])}")
  start = time.perf_counter()
  rows = []
  with runtime.use_local_runtime():
    for mechanism in audit_faults.MECHANISMS:
      for epsilon in map(float, _EPSILONS.value):
        noise_multiplier = calibration.noise_multiplier_for(
          lambda z: gaussian_dp.epsilon(1 / z, _DELTA.value), epsilon
        )
        results = {
          variant: _audit(mechanism, variant, noise_multiplier)
          for variant in audit_faults.VARIANTS
        }
        rows.append((mechanism.name, results))
  print(markdown(rows))
  logging.info("%.0f s", time.perf_counter() - start)


if __name__ == "__main__":
  app.run(main)
