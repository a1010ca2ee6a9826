"""What a run promises to its users, in words that a reader can check."""

import importlib.metadata
import math
import textwrap
from typing import List, Optional, Sequence, cast

from tff_gen_debug.privacy import plan_protocol as protocol
from tff_gen_debug.privacy import releases as releases_lib

_ACCOUNTANTS = {
  "rdp": "Renyi DP, conversion of Canonne, Kamath and Steinke (2020)",
  "rdp_classic": "Renyi DP, classic conversion of Mironov (2017)",
  "pld": "privacy loss distributions",
}
_RELATIONS = {
  "add_or_remove_one": (
    "add or remove one user: with or without this user's whole data"
  ),
  "replace_one": (
    "replace one user: this user's whole data exchanged for any other; the"
    " number of users is public"
  ),
  "replace_special": (
    "zero out one user: this user's whole data replaced by nothing; the number"
    " of users, and who takes part in which round, are public"
  ),
}
TRUSTED_SERVER = (
  "an adversary who sees single updates or the sum before its noise: the server"
  " that adds the noise is trusted"
)


def statement(
  plan: protocol.Plan,
  releases: Sequence[releases_lib.Release] = (),
  *,
  rounds: Optional[int] = None,
) -> str:
  """Writes the privacy statement of a run.

  Args:
    plan: The plan of the training.
    releases: Everything that leaves the clients beside the noised updates, in
      the order in which it shall be listed.
    rounds: The number of rounds that were run; None means all of the plan's.

  Returns:
    Several lines of plain text, at most 80 columns wide.

  Raises:
    TypeError: An argument has the wrong type.
    ValueError: See `releases.total_epsilon`.
  """
  releases = tuple(releases)
  rounds = plan.rounds if rounds is None else rounds
  total = releases_lib.total_epsilon(plan, releases, rounds=rounds)
  lines = ["Privacy statement", ""]
  lines += _field("guarantee", _guarantee(plan, releases, total))
  if plan.simulation is not None:
    lines += _simulation(plan, releases, rounds)
  lines += _field(
    "unit",
    "one user: everything that one user holds, in all rounds (user-level)",
  )
  lines += _field("neighbouring", _RELATIONS[plan.neighboring_relation])
  lines += _field("mechanism", _mechanism(plan, rounds))
  lines += _field("sampling", _sampling(plan))
  lines += _field("delta", _delta(plan))
  lines += _field("accountant", _accountant(plan))
  lines += _field("epsilon", _epsilons(plan, releases, rounds, total))
  lines += _section("Released with differential privacy", releases, True)
  lines += _section("Released WITHOUT differential privacy", releases, False)
  lines += ["", "Not covered:"]
  for item in _not_covered(plan):
    lines += _wrap(item, "  - ")
  return "\n".join(lines) + "\n"


def _wrap(text: str, prefix: str) -> List[str]:
  return textwrap.wrap(
    text,
    width=80,
    initial_indent=prefix,
    subsequent_indent=" " * len(prefix),
    break_long_words=False,
    break_on_hyphens=False,
  )


def _field(label: str, text: str) -> List[str]:
  return _wrap(text, f"{label + ':':<15}")


def _number(value: float) -> str:
  """At most four digits, rounded up: an epsilon must not look smaller."""
  if value == 0 or math.isinf(value):
    return f"{value:g}"
  digits = 3 - math.floor(math.log10(value))
  scale = 10.0**digits
  rounded = math.ceil(value * scale * (1 - 1e-12)) / scale
  return f"{rounded:.4g}"


def _reading(value: float) -> str:
  # The three tiers of Ponomareva et al., 2023, arXiv 2303.00654.
  if value <= 1:
    return "a strong guarantee"
  if value <= 10:
    return "a reasonable guarantee"
  return "above 10 the guarantee alone says little"


def _guarantee(
  plan: protocol.Plan, releases: Sequence[releases_lib.Release], total: float
) -> str:
  if math.isinf(total):
    return "NOT PRIVATE: no epsilon holds for this run"
  where = "" if plan.simulation is None else ", for the simulated deployment"
  text = (
    f"({_number(total)}, {plan.delta:.3g})-differential privacy{where}"
    f" ({_reading(total)})"
  )
  exceptions = sum(not release.private for release in releases)
  if exceptions:
    text += (
      f", for everything EXCEPT the {exceptions} listed as released without"
      " differential privacy: no guarantee holds for those"
    )
  return text


def _simulation(
  plan: protocol.Plan, releases: Sequence[releases_lib.Release], rounds: int
) -> List[str]:
  run = plan.as_run()
  total = releases_lib.total_epsilon(run, releases, rounds=rounds)
  if math.isinf(total):
    own = "no epsilon holds: for them the run is NOT PRIVATE"
  else:
    own = f"epsilon is {_number(total)} at the same delta ({_reading(total)})"
  return _field(
    "SIMULATED",
    f"this run draws {_count(plan, run.expected_clients_per_round)} of"
    f" {run.population:,} users a round, with the noise on the mean that the"
    f" deployment would have with"
    f" {_count(plan, plan.expected_clients_per_round)} of"
    f" {plan.population:,}. The guarantee above is what the deployment would"
    f" give. To the run's own {run.population:,} users, {own}.",
  )


def _count(plan: protocol.Plan, cohort: float) -> str:
  about = "about " if plan.sampling == "poisson" else ""
  return f"{about}{cohort:,}"


def _mechanism(plan: protocol.Plan, rounds: int) -> str:
  planned = "" if rounds == plan.rounds else f" ({plan.rounds:,} planned)"
  text = (
    f"{rounds:,} rounds{planned} of {plan.mechanism} / sensitivity ="
    f" {plan.noise_multiplier:.4g}"
  )
  if plan.simulation is not None:
    text += f" ({plan.run_noise_multiplier:.4g} in this run)"
  return f"{text}; sensitivity = {plan.sensitivity}"


def _sampling(plan: protocol.Plan) -> str:
  if plan.sampling_probability == 1:
    return f"none: all of {plan.population:,} users in every round"
  cohort = f"{plan.expected_clients_per_round:,}"
  if plan.epoch_rounds is not None:
    return (
      f"shuffled: {cohort} of {plan.population:,} users a round, nobody twice"
      f" in {plan.epoch_rounds:,} rounds; need not be secret"
    )
  if plan.sampling == "poisson":
    return (
      f"Poisson: each of {plan.population:,} users independently with"
      f" probability {plan.sampling_probability:.4g} a round ({cohort}"
      " expected)"
    )
  return (
    f"fixed size: {cohort} of {plan.population:,} users a round, uniformly"
    " without replacement"
  )


def _delta(plan: protocol.Plan) -> str:
  text = f"{plan.delta:.3g}"
  if cast(float, plan.delta) * plan.population > 1 + 1e-6:
    text += (
      f", ABOVE 1 / {plan.population:,} users: permits mechanisms that publish"
      " some user's whole data"
    )
  return text


def _accountant(plan: protocol.Plan) -> str:
  version = importlib.metadata.version("dp-accounting")
  return (
    f"{plan.accountant}: {_ACCOUNTANTS[plan.accountant]}; dp-accounting"
    f" {version}"
  )


def _epsilons(
  plan: protocol.Plan,
  releases: Sequence[releases_lib.Release],
  rounds: int,
  total: float,
) -> str:
  training = _number(plan.epsilon_after(rounds))
  if not any(release.private for release in releases):
    return training
  return f"{training} for training, {_number(total)} with the releases below"


def _not_covered(plan: protocol.Plan) -> List[str]:
  items = [
    "the choice of hyper-parameters: trying several settings on these users"
    " and keeping the best one spends privacy that is not counted here",
    "other analyses or runs on the same users, unless the same ledger records"
    " them; their costs add up",
    "users who appear under several ids: each id counts as one user",
    plan.trusted,
  ]
  if plan.epoch_rounds is None:
    # The guarantee rests on amplification by sampling.
    items.append("an adversary who knows who was sampled, or the seed")
  return items + [
    "side channels: timing, drop-outs, which devices connect, logs",
    "floating-point arithmetic and pseudo-random noise: the proof is for real"
    " numbers and perfect noise (Mironov, 2012)",
  ]


def _section(
  title: str, releases: Sequence[releases_lib.Release], private: bool
) -> List[str]:
  listed = [r for r in releases if r.private == private]
  lines = ["", f"{title}:"]
  if not listed:
    return lines + ["  - nothing" + (" else" if private else " was declared")]
  for release in listed:
    lines += _wrap(f"{release.name}: {release.what}", "  - ")
  return lines
