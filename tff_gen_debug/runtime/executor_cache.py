"""The executors of one worker, by the number of clients they are for."""

import collections
from typing import FrozenSet, Tuple

import tensorflow_federated as tff

_MAX_EXECUTORS = 4


def _key(cardinalities) -> FrozenSet[Tuple[str, int]]:
  return frozenset((str(place), n) for place, n in cardinalities.items())


class ExecutorCache:
  """Makes remote executors over one stub and closes those of long ago.

  *   Values are disposed of at once, not twenty at a time: twenty copies of a
      model with 20 million weights are 1.6 GB.
  *   An executor that is dropped is closed. Poisson sampling gives each round
      another number of clients, so another executor, and the worker keeps
      memory for each that was ever made (measured: 1.6 GB against 1.1).
  """

  def __init__(self, stub: tff.framework.RemoteExecutorStub):
    self._stub = stub
    self._executors: collections.OrderedDict = collections.OrderedDict()

  def get(self, cardinalities):
    """The executor for so many clients, made if missing."""
    key = _key(cardinalities)
    executor = self._executors.get(key)
    if executor is None:
      executor = tff.framework.RemoteExecutor(self._stub, dispose_batch_size=1)
      executor.set_cardinalities({tff.CLIENTS: 0, **cardinalities})
      self._executors[key] = executor
      if len(self._executors) > _MAX_EXECUTORS:
        self._executors.popitem(last=False)[1].close()
    self._executors.move_to_end(key)
    return executor

  def remove(self, cardinalities) -> None:
    """Closes the executor for so many clients, if there is one."""
    executor = self._executors.pop(_key(cardinalities), None)
    if executor is not None:
      executor.close()

  def clear(self) -> None:
    """Closes all of them."""
    while self._executors:
      self._executors.popitem()[1].close()
