"""Where a task computes, by its command line: here, or on remote workers.

No part of a config: a run that began here may go on elsewhere.
"""

from typing import Union

from absl import flags

from tff_gen_debug import runtime

_WORKERS = "remote_workers"
_CA, _CERTIFICATE, _KEY = "tls_ca_file", "tls_certificate_file", "tls_key_file"
_PLAINTEXT = "plaintext"
_SUBROUNDS = "num_subrounds"


def define_flags() -> None:
  """Defines the flags."""
  flags.DEFINE_list(
    _WORKERS,
    [],
    "Addresses, host:port, of workers to compute on (see docs/distributed.md); "
    "by default one on this machine.",
  )
  flags.DEFINE_string(_CA, None, "Who signs the workers' certificates, PEM.")
  flags.DEFINE_string(_CERTIFICATE, None, "Our certificate for them, PEM.")
  flags.DEFINE_string(_KEY, None, "Its private key, PEM.")
  flags.DEFINE_bool(
    _PLAINTEXT, False, "Whether to talk to other machines without encryption."
  )
  flags.DEFINE_integer(
    _SUBROUNDS,
    None,
    "Into how many parts a cohort is cut, which bounds a worker's memory; by "
    "default as many as there are workers.",
  )


def runtime_from_flags(
  log_file: str,
) -> Union[runtime.LocalRuntime, runtime.RemoteRuntime]:
  """Makes the runtime that the flags ask for TFF's default.

  Args:
    log_file: Where a worker on this machine writes.

  Returns:
    The runtime, to be closed.

  Raises:
    ValueError: If flags don't fit each other, or have a bad value.
    OSError: If a file of a certificate can't be read.
    NoWorkerError: If no remote worker answers.
    WorkerStartError: If a worker on this machine doesn't start.
  """
  given = flags.FLAGS
  files = given[_CA].value, given[_CERTIFICATE].value, given[_KEY].value
  if not given[_WORKERS].value:
    if any(files) or given[_PLAINTEXT].value:
      raise ValueError(f"--tls_* and --{_PLAINTEXT} need --{_WORKERS}")
    parts = given[_SUBROUNDS].value
    return runtime.use_local_runtime(
      log_file=log_file, num_subrounds=1 if parts is None else parts
    )
  return runtime.use_remote_runtime(
    given[_WORKERS].value,
    num_subrounds=given[_SUBROUNDS].value,
    credentials=runtime.tls_credentials(*files) if any(files) else None,
    plaintext=given[_PLAINTEXT].value,
  )
