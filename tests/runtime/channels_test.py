"""Addresses and credentials of remote workers. Imports no TensorFlow."""

import pathlib
import re
import subprocess
import sys

import grpc
import pytest

from tff_gen_debug.runtime import channels

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_PEM = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
  "address, host, port",
  [
    ("worker:8000", "worker", 8000),
    ("worker-1.example.com:1", "worker-1.example.com", 1),
    ("10.0.0.5:65535", "10.0.0.5", 65535),
    ("[::1]:8000", "::1", 8000),
    ("[2001:db8::2]:443", "2001:db8::2", 443),
    ("[::ffff:10.0.0.5]:443", "::ffff:10.0.0.5", 443),
  ],
)
def test_addresses_are_taken_apart(address, host, port):
  assert channels.parse_address(address) == (host, port)


@pytest.mark.parametrize(
  "address",
  [
    "",
    "worker",
    "worker:",
    ":8000",
    "worker:0",
    "worker:65536",
    "worker:100000",
    "worker:-1",
    "worker:http",
    # Digits of another script, which int() would take.
    "worker:٨٠",
    "::1:8000",
    "[worker]:8000",
    "[]:8000",
    "[::1]",
    "http://worker:8000",
    "dns:worker:8000",
    "unix:/tmp/socket",
    "one two:8000",
    " worker:8000",
    "worker:8000\n",
    "worker:8000,other:8000",
  ],
)
def test_what_is_no_address_is_told(address):
  with pytest.raises(ValueError, match="host:port") as raised:
    channels.parse_address(address)
  assert repr(address) in str(raised.value)


@pytest.mark.parametrize("address", [None, 8000, b"worker:8000", ("a", 1)])
def test_an_address_is_a_string(address):
  with pytest.raises(TypeError, match=re.escape(repr(address))):
    channels.parse_address(address)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "::1"])
def test_loopback_hosts(host):
  assert channels.is_loopback(host)


@pytest.mark.parametrize(
  "host",
  [
    "0.0.0.0",
    "::",
    "10.0.0.5",
    "128.0.0.1",
    "2001:db8::1",
    "worker",
    # Names that only begin like the loopback's.
    "localhost.example.com",
    "127.0.0.1.example.com",
    # Resolvers take these for addresses, we for names.
    "127.1",
    "0",
    "",
  ],
)
def test_all_others_are_beyond_this_machine(host):
  assert not channels.is_loopback(host)


@pytest.mark.parametrize(
  "address", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000"]
)
@pytest.mark.parametrize("allowed", [False, True])
def test_plaintext_may_stay_on_this_machine(address, allowed):
  channels.check_plaintext(address, allowed)


@pytest.mark.parametrize("address", ["10.0.0.5:8000", "[2001:db8::1]:8000"])
def test_plaintext_leaves_this_machine_only_when_asked(address):
  channels.check_plaintext(address, True)
  with pytest.raises(channels.PlaintextError) as raised:
    channels.check_plaintext(address, False)
  assert address in str(raised.value)
  assert "tls_credentials" in str(raised.value)
  assert "plaintext=True" in str(raised.value)
  assert isinstance(raised.value, ValueError)


def test_the_page_that_the_refusal_names_is_there():
  with pytest.raises(channels.PlaintextError) as raised:
    channels.check_plaintext("worker:8000", False)
  (page,) = re.findall(r"docs/\w+\.md", str(raised.value))
  assert (_ROOT / page).is_file()


def test_a_bad_address_is_refused_before_its_plaintext():
  with pytest.raises(ValueError, match="host:port"):
    channels.check_plaintext("worker", True)


def test_credentials_need_no_file():
  assert isinstance(channels.tls_credentials(), grpc.ChannelCredentials)


def test_credentials_of_files(tmp_path, monkeypatch):
  given = {}
  monkeypatch.setattr(
    grpc, "ssl_channel_credentials", lambda **contents: given.update(contents)
  )
  for name in ("ca", "certificate", "key"):
    (tmp_path / name).write_bytes(_PEM + name.encode())
  channels.tls_credentials(
    str(tmp_path / "ca"), tmp_path / "certificate", tmp_path / "key"
  )
  assert given == {
    "root_certificates": _PEM + b"ca",
    "certificate_chain": _PEM + b"certificate",
    "private_key": _PEM + b"key",
  }


@pytest.mark.parametrize("one", ["certificate_file", "key_file"])
def test_half_a_pair_is_refused(tmp_path, one):
  (tmp_path / "file").write_bytes(_PEM)
  with pytest.raises(ValueError, match="certificate_file and key_file"):
    channels.tls_credentials(**{one: tmp_path / "file"})


@pytest.mark.parametrize("name", ["ca_file", "certificate_file", "key_file"])
def test_a_file_that_is_missing_or_not_pem_is_named(tmp_path, name):
  good = tmp_path / "good"
  good.write_bytes(_PEM)
  files = dict.fromkeys(("ca_file", "certificate_file", "key_file"), good)
  missing = tmp_path / "missing"
  with pytest.raises(FileNotFoundError, match=re.escape(str(missing))):
    channels.tls_credentials(**{**files, name: missing})
  # A certificate in DER, the other common form: an ASN.1 sequence.
  der = tmp_path / "certificate.der"
  der.write_bytes(b"\x30\x82\x01\x0a")
  with pytest.raises(ValueError, match=f"{name} must be a PEM file") as raised:
    channels.tls_credentials(**{**files, name: der})
  assert str(der) in str(raised.value)


def test_channels_need_no_tensorflow():
  program = (
    "import sys\n"
    "from tff_gen_debug.runtime import channels, health\n"
    "print([m for m in sys.modules if m.startswith('tensorflow')])"
  )
  result = subprocess.run(
    [sys.executable, "-c", program],
    cwd=_ROOT,
    capture_output=True,
    text=True,
    check=True,
  )
  assert result.stdout == "[]\n"
