"""What leaves the clients beside the noised updates, and what it all costs."""

import dataclasses
import math
from typing import Any, Dict, Optional, Sequence, cast

import dp_accounting

from tff_gen_debug.privacy import accounting
from tff_gen_debug.privacy import events as events_lib
from tff_gen_debug.privacy import plan_protocol as protocol
from tff_gen_debug.privacy import validation


@dataclasses.dataclass(frozen=True)
class Release:
  """Something that leaves the clients beside the noised updates.

  Attributes:
    name: What it is called in the report, such as "accuracy per user".
    what: One sentence: what is released, to whom, what for.
    event: The differentially private mechanism by which it is released (once;
      wrap it in a `SelfComposedDpEvent` otherwise), which the statement adds
      to the cost of training. None: it is released without DP.

  Raises:
    TypeError: An attribute has the wrong type.
    ValueError: `name` or `what` is blank, or `event` can't be recorded.
  """

  name: str
  what: str
  event: Optional[dp_accounting.DpEvent] = None

  def __post_init__(self):
    for field in ("name", "what"):
      value = getattr(self, field)
      if not isinstance(value, str):
        raise TypeError(f"{field} must be a string, got {value!r}")
      if not value.strip():
        raise ValueError(f"{field} must not be blank")
    if self.event is not None:
      object.__setattr__(self, "event", events_lib.canonical(self.event))

  @property
  def private(self) -> bool:
    """Whether it is released with differential privacy."""
    return self.event is not None and not events_lib.is_unbounded(self.event)


def total_epsilon(
  plan: protocol.Plan,
  releases: Sequence[Release] = (),
  *,
  rounds: Optional[int] = None,
) -> float:
  """Epsilon of the training together with the private releases.

  Args:
    plan: The plan of the training; of a simulation, the deployment counts.
    releases: Everything else that leaves the clients; those without DP are
      left out, since no epsilon holds for them.
    rounds: The number of rounds that were run; None means all of the plan's.

  Returns:
    Epsilon at the plan's delta; `inf` if there is no guarantee.

  Raises:
    TypeError: An argument has the wrong type.
    ValueError: `rounds` is negative; or the plan's accountant has no theorem
      for a release; or a release is made from a sample of the users and the
      plan is simulated, so that its event can't hold for both populations.
  """
  releases = tuple(releases)
  for release in releases:
    if not isinstance(release, Release):
      raise TypeError(f"releases must be Release objects, got {release!r}")
    if plan.simulation is not None and _is_sampled(release.event):
      raise ValueError(
        f"release {release.name!r} must not be made from a sample of the users"
        " when the plan is simulated: its event can't hold for the deployment"
        " and for the run"
      )
  rounds = plan.rounds if rounds is None else rounds
  rounds = validation.integer("rounds", rounds, 0)
  events = list(plan.events_after(rounds))
  for release in releases:
    if release.event is not None and release.private:
      events.append((release.event, 1))
  return accounting.epsilon(
    events,
    delta=cast(float, plan.delta),
    accountant=plan.accountant,
    neighboring_relation=plan.neighboring_relation,
  )


def as_dict(
  plan: protocol.Plan,
  releases: Sequence[Release] = (),
  *,
  rounds: Optional[int] = None,
) -> Dict[str, Any]:
  """Returns a plan and its cost, ready for JSON.

  Args:
    plan: The plan of the training.
    releases: Everything else that leaves the clients.
    rounds: The number of rounds that were run; None means all of the plan's.

  Returns:
    The plan's attributes, with the rounds that were run; further
    "sampling_probability" and "sensitivity_factor"; "epsilon", of the training
    and the private releases together, None if there is no guarantee;
    "releases", each with "name", "what" and "private"; "epoch_rounds" of an
    `EpochPlan`; "simulated", and if so under "simulation" the sizes, the noise
    multiplier, the sampling probability and the epsilon of the run itself.

  Raises:
    TypeError: An argument has the wrong type.
    ValueError: See `total_epsilon`.
  """
  releases = tuple(releases)
  rounds = plan.rounds if rounds is None else rounds
  epsilon = total_epsilon(plan, releases, rounds=rounds)
  result: Dict[str, Any] = {
    "population": plan.population,
    "expected_clients_per_round": plan.expected_clients_per_round,
    "rounds": int(rounds),
    "noise_multiplier": plan.noise_multiplier,
    "delta": plan.delta,
    "sampling": plan.sampling,
    "neighboring_relation": plan.neighboring_relation,
    "accountant": plan.accountant,
    "sampling_probability": plan.sampling_probability,
    "sensitivity_factor": plan.sensitivity_factor,
    "epsilon": _finite(epsilon),
    "releases": [
      {"name": r.name, "what": r.what, "private": r.private} for r in releases
    ],
    "simulated": plan.simulation is not None,
    "simulation": None,
  }
  if plan.epoch_rounds is not None:
    result["epoch_rounds"] = plan.epoch_rounds
  if plan.simulation is not None:
    run = plan.as_run()
    result["simulation"] = {
      "population": run.population,
      "clients_per_round": run.expected_clients_per_round,
      "noise_multiplier": run.noise_multiplier,
      "sampling_probability": run.sampling_probability,
      "epsilon": _finite(total_epsilon(run, releases, rounds=rounds)),
    }
  return result


def _finite(value: float) -> Optional[float]:
  return value if math.isfinite(value) else None


def _is_sampled(event: Optional[dp_accounting.DpEvent]) -> bool:
  return event is not None and "sampl" in events_lib.to_key(event).lower()
