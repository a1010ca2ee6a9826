"""Rounds cut into parts, computed one after another or on several workers.

TFF's own engine does it: a computation with one aggregation is compiled into
what comes before it, the merging of two partial results, and what comes after.
"""

import functools
import logging
from typing import Any, Optional

import tensorflow_federated as tff

from tff_gen_debug.runtime import awaitable_context
from tff_gen_debug.runtime import compilation

_logger = logging.getLogger(__name__)


def _has_a_value_for_each_client(type_spec: tff.Type) -> bool:
  return (
    isinstance(type_spec, tff.FederatedType)
    and type_spec.placement is tff.CLIENTS
    and not type_spec.all_equal
  )


def in_subrounds(
  context: tff.framework.SyncContext, *, parallel: int, num_subrounds: int
) -> tff.framework.SyncContext:
  """A `SubroundContext`, or `context` itself where there is nothing to cut."""
  if num_subrounds == 1:
    return context
  return SubroundContext(
    context, parallel=parallel, num_subrounds=num_subrounds
  )


class SubroundContext(tff.framework.SyncContext):
  """Computes on the cohort's parts, then merges their results.

  The parts are as equal as can be, and in the order of the clients. Noise and
  whatever else the server does after the sum is computed once, on the merged
  sum. Integer sums are exactly those of an uncut round; floating-point ones can
  differ in their last digits, because the order of addition does.

  What the server computes before the sum, such as what it broadcasts, is
  computed anew for each part and again after the sum: draws in it have to be
  functions of the state (`tf.random.stateless_*`), or the parts disagree.

  Handed on as it is, to be computed at once, is a computation

  *   without clients;
  *   that aggregates what depends on another aggregate; a warning says so;
  *   whose result has a value for each client: TFF 0.87 puts the parts' values
      together in the order in which they were finished.
  """

  def __init__(
    self,
    context: tff.framework.SyncContext,
    *,
    parallel: int,
    num_subrounds: int,
  ):
    """Creates a context.

    Args:
      context: What computes each part; it is called from `parallel` threads.
      parallel: How many parts compute at a time.
      num_subrounds: Into how many parts a cohort is cut, or into as many as it
        has clients if that is less.
    """
    self._context = context
    awaitable = awaitable_context.AwaitableContext(context)
    self._parts = tff.framework.MergeableCompExecutionContext(
      [awaitable] * parallel, num_subrounds=num_subrounds
    )
    self._mergeable = functools.lru_cache(maxsize=128)(_mergeable)

  def invoke(self, comp: Any, arg: Any) -> Any:
    """See base class; raises what the given context raises."""
    mergeable = self._mergeable(comp)
    if mergeable is None:
      return self._context.invoke(comp, arg)
    return self._parts.invoke(mergeable, arg)


def _mergeable(comp: Any) -> Optional[tff.framework.MergeableCompForm]:
  signature = comp.type_signature
  if signature.parameter is None or not tff.types.contains(
    signature.parameter, _has_a_value_for_each_client
  ):
    return None
  if tff.types.contains(signature.result, _has_a_value_for_each_client):
    return None
  plain = compilation.without_secure_intrinsics(comp)
  try:
    return tff.backends.native.compile_to_mergeable_comp_form(plain)
  # What TFF raises where an aggregate depends on another one.
  except ValueError:
    _logger.warning(
      "A computation aggregates what depends on another aggregate, so its "
      "clients can't be cut into parts: they are all computed at once, on one "
      "worker."
    )
    return None
