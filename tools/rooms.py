"""The rooms of the package and which room may import which.

The one place that says so: a test holds the code to it, and the diagram in
docs/architecture.md is drawn from what the code makes of it.
"""

from typing import Dict, FrozenSet, Mapping, Optional, Set, Tuple

from tools import module_graph

PACKAGE = "tff_gen_debug"

# What each room of the package may import; itself and the package's plain
# helper modules always. Data walks the other way.
ROOMS: Dict[str, FrozenSet[str]] = {
  "privacy": frozenset(),
  "datasets": frozenset(),
  "evaluation": frozenset(),
  "models": frozenset({"privacy"}),
  "aggregators": frozenset({"privacy"}),
  "learning": frozenset({"aggregators", "models", "privacy"}),
  "runtime": frozenset({"learning", "aggregators", "models", "privacy"}),
  "debugging": frozenset(
    {
      "runtime",
      "learning",
      "aggregators",
      "models",
      "privacy",
      "datasets",
      "evaluation",
    }
  ),
}


def room_of(name: str) -> Optional[str]:
  """Returns the room of a dotted module name; None outside the rooms."""
  package, _, rest = name.partition(".")
  room = rest.partition(".")[0]
  return room if package == PACKAGE and room in ROOMS else None


def imports_between(
  modules: Mapping[str, module_graph.Module],
) -> Set[Tuple[str, str]]:
  """Finds which rooms import which in the code.

  Args:
    modules: From `module_graph.load`.

  Returns:
    Pairs of an importing room and the other one that it imports, by one module
    or more; a module that is started as a process counts as imported.
  """
  pairs = set()
  for module in modules.values():
    importer = room_of(module.name)
    for target in module.imports | module.starts:
      imported = room_of(target)
      if importer and imported and importer != imported:
        pairs.add((importer, imported))
  return pairs
