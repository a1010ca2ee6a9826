"""Machines with addresses of their own, played by network namespaces."""

import contextlib
import ipaddress
import os
import pathlib
import shutil
import socket
import subprocess
from typing import Iterator, List, Tuple

import pytest


def _ip(*arguments: str) -> None:
  subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


class Machine:
  """A network namespace, joined to this machine's by a pair of interfaces.

  Attributes:
    name: The namespace's.
    host: Its address.
    gateway: This machine's address on the same wire.
  """

  def __init__(self, number: int, network: ipaddress.IPv4Network):
    """Makes names, unique to this process; `create` makes the rest."""
    self.name = f"tgd{os.getpid()}m{number}"
    # Names of interfaces have at most 15 letters.
    self._outside, self._inside = f"{self.name}o", f"{self.name}i"
    self._prefix = network.prefixlen
    self.gateway, self.host = (str(address) for address in network.hosts())

  def create(self) -> None:
    """Makes the namespace and its wire."""
    inside = ("-n", self.name)
    _ip("netns", "add", self.name)
    _ip(
      *("link", "add", self._outside, "type", "veth"),
      *("peer", "name", self._inside, "netns", self.name),
    )
    _ip(
      "address", "add", f"{self.gateway}/{self._prefix}", "dev", self._outside
    )
    _ip("link", "set", self._outside, "up")
    _ip(
      *inside,
      "address",
      "add",
      f"{self.host}/{self._prefix}",
      "dev",
      self._inside,
    )
    _ip(*inside, "link", "set", self._inside, "up")
    _ip(*inside, "link", "set", "lo", "up")

  def unplug(self) -> None:
    """Takes the link down inside, so that packets vanish without a word."""
    _ip("-n", self.name, "link", "set", self._inside, "down")

  def plug_in(self) -> None:
    """Puts the link up again."""
    _ip("-n", self.name, "link", "set", self._inside, "up")

  @property
  def prefix(self) -> List[str]:
    """What comes before a command that is to run there."""
    return ["ip", "netns", "exec", self.name]

  @property
  def removal(self) -> str:
    """A shell's commands that end what runs there, and remove it."""
    return (
      f"ip netns pids {self.name} | xargs -r kill -9; "
      f"ip link delete {self._outside}; ip netns delete {self.name}"
    )


def _is_taken(network: ipaddress.IPv4Network) -> bool:
  """Whether this machine has a route to the network's addresses."""
  routes = pathlib.Path("/proc/net/route").read_text().splitlines()[1:]
  for route in routes:
    fields = route.split()
    # In the kernel's own order of bytes: that of this machine.
    address, mask = (socket.ntohl(int(fields[column], 16)) for column in (1, 7))
    if mask and int(network.network_address) & mask == address:
      return True
  return False


def _free_networks(count: int) -> List[ipaddress.IPv4Network]:
  """Networks of two addresses that this machine doesn't use."""
  # Meant for tests of networks (RFC 2544), so that nobody lives there.
  all_networks = list(ipaddress.IPv4Network("198.18.0.0/16").subnets(14))
  start = os.getpid() % len(all_networks)
  networks = all_networks[start:] + all_networks[:start]
  return [n for n in networks if not _is_taken(n)][:count]


@contextlib.contextmanager
def machines(count: int) -> Iterator[Tuple[Machine, ...]]:
  """Machines that this one reaches; skips the test where it can't have any."""
  if shutil.which("ip") is None:
    pytest.skip("the command `ip` (iproute2) is not installed")
  made = [Machine(i, n) for i, n in enumerate(_free_networks(count))]
  # Removes them when its input ends, as it does also when the tests are killed.
  cleaner = subprocess.Popen(
    ["sh", "-c", "read end; " + "; ".join(m.removal for m in made)],
    stdin=subprocess.PIPE,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
    start_new_session=True,
  )
  try:
    try:
      for machine in made:
        machine.create()
    except subprocess.CalledProcessError as error:
      pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
    yield tuple(made)
  finally:
    cleaner.communicate()
