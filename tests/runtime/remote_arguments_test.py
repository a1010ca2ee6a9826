"""What `use_remote_runtime` refuses before it connects to anybody."""

from typing import Any, Dict

import pytest

from tff_gen_debug import runtime

_WORKER = "127.0.0.1:8000"


@pytest.fixture(autouse=True)
def no_connection(monkeypatch):
  """Fails a test that gets past the arguments, instead of waiting."""
  from tff_gen_debug.runtime import default_runtime

  def replace(unused_make):
    raise AssertionError("the arguments were accepted")

  monkeypatch.setattr(default_runtime, "replace", replace)


def test_good_arguments_are_accepted():
  """Proof that the refusals below are for what they say."""
  for addresses in ([_WORKER], [_WORKER, "[::1]:8000"]):
    with pytest.raises(AssertionError, match="were accepted"):
      runtime.use_remote_runtime(
        addresses, num_subrounds=1, timeout=1, patience=0, max_repeats=0
      )


@pytest.mark.parametrize(
  "addresses, complaint",
  [
    ([], "at least one worker"),
    (["127.0.0.1"], "host:port"),
    ([_WORKER, "127.0.0.1:0"], "127.0.0.1:0"),
    ([_WORKER, _WORKER], "must be different"),
  ],
)
def test_wrong_addresses(addresses, complaint):
  with pytest.raises(ValueError, match=complaint):
    runtime.use_remote_runtime(addresses)


@pytest.mark.parametrize(
  "addresses, complaint",
  [
    (_WORKER, "must be a list of addresses"),
    ([8000], "must be a string"),
    (8000, "not iterable"),
  ],
)
def test_addresses_of_the_wrong_type(addresses, complaint):
  with pytest.raises(TypeError, match=complaint):
    runtime.use_remote_runtime(addresses)


def test_one_remote_plain_address_among_local_ones_is_refused():
  addresses = [_WORKER, "10.0.0.5:8000"]
  with pytest.raises(runtime.PlaintextError, match="10.0.0.5:8000"):
    runtime.use_remote_runtime(addresses)
  with pytest.raises(AssertionError, match="were accepted"):
    runtime.use_remote_runtime(addresses, plaintext=True)
  with pytest.raises(AssertionError, match="were accepted"):
    runtime.use_remote_runtime(addresses, credentials=runtime.tls_credentials())


@pytest.mark.parametrize(
  "name, value",
  [
    ("num_subrounds", 0),
    ("max_repeats", -1),
    ("timeout", 0),
    ("timeout", -1.0),
    ("timeout", float("nan")),
    ("patience", -1),
    ("patience", float("nan")),
  ],
)
def test_numbers_out_of_range_are_named(name, value):
  with pytest.raises(ValueError, match=f"{name} must be .*got {value}"):
    runtime.use_remote_runtime([_WORKER], **{name: value})


@pytest.mark.parametrize(
  "name, value",
  [
    ("num_subrounds", 1.5),
    ("num_subrounds", True),
    ("max_repeats", None),
    ("plaintext", 1),
    ("plaintext", None),
  ],
)
def test_values_of_the_wrong_type_are_named(name, value):
  with pytest.raises(TypeError, match=f"{name} must be .*got {value}"):
    runtime.use_remote_runtime([_WORKER], **{name: value})


@pytest.mark.parametrize("name", ["timeout", "patience"])
def test_seconds_are_numbers(name):
  arguments: Dict[str, Any] = {name: "60"}
  with pytest.raises(TypeError):
    runtime.use_remote_runtime([_WORKER], **arguments)
