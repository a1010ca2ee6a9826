"""What docs/distributed.md gives to copy is well-formed and names our flags.

Its nginx and openssl texts run in tls_test.py.
"""

import configparser
import json
import re
import shutil
import subprocess
import sys

import pytest

from tests.runtime import tls_proxies
from tff_gen_debug import runtime
from tff_gen_debug.runtime import worker

_PAGE = tls_proxies.PAGE.read_text("utf-8")
_MANIFESTS = tls_proxies.PAGE.with_name("workers.yaml").read_text("utf-8")


def _flags(command):
  """The worker program's flags in a command line, as it reads them."""
  program = command.index("tff_gen_debug.runtime.worker")
  assert command[program - 1] == "-m"
  return worker._parse(command[program + 1 :])


def test_python_blocks_are_python():
  blocks = re.findall(r"^```python\n(.*?)^```", _PAGE, re.S | re.M)
  assert len(blocks) == 2
  for text in blocks:
    compile(text, "docs/distributed.md", "exec")


def test_named_things_exist():
  for name in re.findall(r"`(\w+Error)`", _PAGE):
    assert hasattr(runtime, name)
  for name in re.findall(r"((?:tests|docs)/[\w/]+\.\w+)`", _PAGE):
    assert (tls_proxies.PAGE.parents[1] / name).is_file()


def test_flags_of_the_table_are_the_programs(capsys):
  with pytest.raises(SystemExit):
    worker._parse(["--help"])
  flags = set(re.findall(r"--[a-z_]+", capsys.readouterr().out)) - {"--help"}
  rows = re.findall(r"^\| `.*$", _PAGE, re.M)
  assert set(re.findall(r"`(--[a-z_]+)", "".join(rows))) == flags


def test_unit_runs_the_program():
  parser = configparser.ConfigParser(interpolation=None)
  parser.optionxform = str  # type: ignore[assignment,method-assign]
  parser.read_string(tls_proxies.block("ini"))
  assert set(parser) == {"DEFAULT", "Unit", "Service", "Install"}
  service = parser["Service"]
  flags = _flags(service["ExecStart"].replace("\\\n", " ").split())
  assert (flags.host, flags.port) == ("127.0.0.1", 8000)
  # Systemd makes the log's folder, which the program doesn't.
  assert str(flags.log_file.parent) == f"/var/log/{service['LogsDirectory']}"
  assert service["KillMode"] == "mixed"
  # A worker that ended is exit code 1, an order to stop 0.
  assert service["Restart"] == "on-failure"


def test_systemd_takes_the_unit(tmp_path):
  analyze = shutil.which("systemd-analyze")
  if analyze is None:
    pytest.skip("systemd is not installed")
  unit = tmp_path / "tff_worker.service"
  unit.write_text(
    tls_proxies.replaced(
      tls_proxies.block("ini"),
      ("/opt/tff_gen_debug/.venv/bin/python", sys.executable),
    )
  )
  result = subprocess.run(
    [analyze, "verify", "--man=no", str(unit)],
    capture_output=True,
    text=True,
    check=False,
  )
  complaints = [
    line for line in result.stderr.splitlines() if "tff_worker" in line
  ]
  assert complaints == []
  assert result.returncode == 0, result.stderr


def test_nftables_take_the_firewall(tmp_path):
  nft = shutil.which("nft", path="/usr/sbin:/usr/bin:/sbin")
  if nft is None:
    pytest.skip("nftables is not installed")
  rules = tmp_path / "nftables.conf"
  rules.write_text(tls_proxies.block("nft"))
  result = subprocess.run(
    [nft, "--check", "--file", str(rules)],
    capture_output=True,
    text=True,
    check=False,
  )
  if "Operation not permitted" in result.stderr:
    pytest.skip("the kernel's rules are not ours to look at")
  assert result.returncode == 0, result.stderr


def test_pods_run_the_program_and_ask_it():
  # Lists in JSON's notation, which is YAML too.
  commands = [
    json.loads(text)
    for text in re.findall(r"command: (\[.*?\])", _MANIFESTS, re.S)
  ]
  program, probe = (_flags(command) for command in commands)
  assert (program.host, program.port) == ("127.0.0.1", 8000)
  assert probe.check == f"127.0.0.1:{program.port}"
  (seconds,) = re.findall(r"timeoutSeconds: (\d+)", _MANIFESTS)
  assert int(seconds) > probe.timeout


def test_manifests_fit_together():
  yaml = pytest.importorskip("yaml")
  service, policy, workers = yaml.safe_load_all(_MANIFESTS)
  labels = workers["spec"]["template"]["metadata"]["labels"]
  assert service["spec"]["selector"] == labels
  assert policy["spec"]["podSelector"]["matchLabels"] == labels
  assert workers["spec"]["selector"]["matchLabels"] == labels
  assert workers["spec"]["serviceName"] == service["metadata"]["name"]
  pod = workers["spec"]["template"]["spec"]
  volumes = {volume["name"] for volume in pod["volumes"]}
  mounts = [m for c in pod["containers"] for m in c.get("volumeMounts", [])]
  assert {mount["name"] for mount in mounts} == volumes
  for port in (
    service["spec"]["ports"][0]["port"],
    policy["spec"]["ingress"][0]["ports"][0]["port"],
  ):
    assert f"listen 0.0.0.0:{port} " in tls_proxies.block("nginx")


def test_the_parts_agree_on_ports_and_files():
  nginx = tls_proxies.block("nginx")
  (port,) = re.findall(r"proxy_pass 127\.0\.0\.1:(\d+);", nginx)
  assert f"--port {port}" in tls_proxies.block("ini")
  (public,) = re.findall(r"listen 0\.0\.0\.0:(\d+) ssl", nginx)
  assert f"tcp dport {public} accept" in tls_proxies.block("nft")
  for name in ("ca.pem", "worker.pem", "worker.key"):
    assert f"/etc/tff_worker/{name};" in nginx
    assert f"`{name}`" in _PAGE
