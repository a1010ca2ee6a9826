"""What every plan can do by what it says of itself."""

from typing import Any, Dict, Optional, Sequence, cast

from tff_gen_debug.privacy import ledger as ledger_lib
from tff_gen_debug.privacy import plan_protocol as protocol
from tff_gen_debug.privacy import releases as releases_lib
from tff_gen_debug.privacy import statement as statement_lib


class StatedPlan:
  """The base of plans, which are `plan_protocol.Plan`s."""

  @property
  def _delta(self: protocol.Plan) -> float:
    # `delta` is None only in the constructor's argument.
    return cast(float, self.delta)

  def new_ledger(self: protocol.Plan) -> ledger_lib.PrivacyLedger:
    """Returns an empty ledger with the plan's delta, relation, accountant."""
    return ledger_lib.PrivacyLedger(
      cast(float, self.delta),
      neighboring_relation=self.neighboring_relation,
      accountant=self.accountant,
    )

  def statement(
    self: protocol.Plan,
    releases: Sequence[releases_lib.Release] = (),
    *,
    rounds: Optional[int] = None,
  ) -> str:
    """Returns the privacy statement as text; see `statement.statement`."""
    return statement_lib.statement(self, releases, rounds=rounds)

  def to_dict(
    self: protocol.Plan,
    releases: Sequence[releases_lib.Release] = (),
    *,
    rounds: Optional[int] = None,
  ) -> Dict[str, Any]:
    """Returns the plan and its cost, ready for JSON.

    See `releases.as_dict` for the keys, which are the same for all plans; those
    of users who come once an epoch add "epoch_rounds".
    """
    return releases_lib.as_dict(self, releases, rounds=rounds)
