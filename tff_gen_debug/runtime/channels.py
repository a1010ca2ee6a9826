"""Connections to workers on other machines, and who may see what they carry."""

import ipaddress
import os
import pathlib
import re
from typing import Optional, Tuple, Union

import grpc

_PathLike = Union[str, "os.PathLike[str]"]

_OPTIONS = (
  # A message is one value, such as a model; the default limit is 4 MB.
  ("grpc.max_send_message_length", -1),
  ("grpc.max_receive_message_length", -1),
  # gRPC waits up to two minutes before it tries a lost connection again.
  ("grpc.max_reconnect_backoff_ms", 5000),
)


class PlaintextError(ValueError):
  """A worker on another machine would be talked to without encryption."""


def parse_address(address: str) -> Tuple[str, int]:
  """Checks a worker's address.

  Args:
    address: "host:port", with a name or IPv4 address as the host, or
      "[address]:port" with an IPv6 address.

  Returns:
    The host, without brackets, and the port.

  Raises:
    TypeError: If it is no string.
    ValueError: If it has another form or its port is not in [1, 65535].
  """
  if not isinstance(address, str):
    raise TypeError(f"a worker's address must be a string, got {address!r}")
  match = re.fullmatch(
    r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/\[\]]+)):([0-9]{1,5})", address
  )
  if match is None or not 1 <= int(match[3]) <= 65535:
    raise ValueError(
      "a worker's address must be 'host:port' with a port from 1 to 65535 "
      f"('[address]:port' for IPv6), got {address!r}"
    )
  return match[1] or match[2], int(match[3])


def is_loopback(host: str) -> bool:
  """Whether what is sent to `host` stays on this machine."""
  try:
    return ipaddress.ip_address(host).is_loopback
  except ValueError:
    return host == "localhost"


def tls_credentials(
  ca_file: Optional[_PathLike] = None,
  certificate_file: Optional[_PathLike] = None,
  key_file: Optional[_PathLike] = None,
) -> grpc.ChannelCredentials:
  """What a driver shows and expects when it connects by TLS.

  Args:
    ca_file: PEM file of the certificates that sign those of the workers; None
      for the ones that gRPC brings.
    certificate_file: PEM file of this driver's own certificate chain, for
      workers that ask for one (mutual TLS); None to have none.
    key_file: PEM file of its private key; with `certificate_file` only.

  Returns:
    Credentials for `use_remote_runtime`.

  Raises:
    ValueError: If there is a certificate without a key, a key without a
      certificate, or a file that isn't PEM.
    OSError: If a file can't be read.
  """
  if (certificate_file is None) != (key_file is None):
    raise ValueError("certificate_file and key_file go together")
  return grpc.ssl_channel_credentials(
    root_certificates=_read_pem("ca_file", ca_file),
    private_key=_read_pem("key_file", key_file),
    certificate_chain=_read_pem("certificate_file", certificate_file),
  )


def _read_pem(name: str, path: Optional[_PathLike]) -> Optional[bytes]:
  if path is None:
    return None
  content = pathlib.Path(path).read_bytes()
  if b"-----BEGIN " not in content:
    raise ValueError(f"{name} must be a PEM file, got {os.fspath(path)!r}")
  return content


def check_plaintext(address: str, allowed: bool) -> None:
  """Refuses an unencrypted connection that leaves this machine.

  Args:
    address: The worker's.
    allowed: Whether somebody asked for it.

  Raises:
    PlaintextError: If it is refused.
  """
  host, _ = parse_address(address)
  if not allowed and not is_loopback(host):
    raise PlaintextError(
      f"the worker at {address} is on another machine, and without "
      "credentials models and clients' data would travel there in the clear, "
      "from and to whoever answers. Give credentials=runtime."
      "tls_credentials(...), or plaintext=True on a network that nobody else "
      "is on; see docs/distributed.md"
    )


def open_channel(
  address: str, credentials: Optional[grpc.ChannelCredentials]
) -> grpc.Channel:
  """A channel to a worker; it connects when it is first used.

  Args:
    address: The worker's, as `parse_address` takes it.
    credentials: Those of TLS; None for a plain connection.

  Returns:
    The channel, which shares no connection with others to the same address.
  """
  local = is_loopback(parse_address(address)[0])
  options = (
    *_OPTIONS,
    # Without it all channels to an address are one connection underneath, and
    # a health check waits behind the model that is being sent.
    ("grpc.use_local_subchannel_pool", 1),
    # A plain connection goes straight to the worker, past any proxy.
    ("grpc.enable_http_proxy", 0 if local or credentials is None else 1),
  )
  if credentials is None:
    return grpc.insecure_channel(address, options)
  return grpc.secure_channel(address, credentials, options)
