"""Opens a page in headless Chromium and hands back what became of it."""

import os
import pathlib
import shutil
import signal
import subprocess
from typing import NamedTuple, Optional

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# No window, no sandbox (tests may run as root in a container), and nothing that
# talks to a network by itself.
_OPTIONS = (
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--disable-quic",
  "--no-first-run",
  "--no-default-browser-check",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-extensions",
  "--disable-sync",
  "--hide-scrollbars",
  "--enable-logging=stderr",
  "--log-level=0",
)
_LIMIT_SECONDS = 120


class Shown(NamedTuple):
  """A page after its scripts have run.

  Attributes:
    dom: The document, as HTML.
    console: What was written to its console, errors of the page included.
  """

  dom: str
  console: list


def find() -> Optional[str]:
  """The path of Chromium; None where there is none."""
  return next(filter(None, map(shutil.which, _NAMES)), None)


def show(
  page: pathlib.Path,
  scratch: pathlib.Path,
  *,
  dark: bool = False,
  milliseconds: int = 5000,
) -> Shown:
  """Opens a page, lets its scripts run and returns the document.

  Args:
    page: An HTML file.
    scratch: A folder that Chromium may fill with its profile.
    dark: Whether the user prefers a dark colour scheme.
    milliseconds: How long the page may take, in the virtual time that stands
      still while something is loaded.

  Returns:
    The page.

  Raises:
    RuntimeError: If Chromium could not show it.
  """
  # Of Blink's PreferredColorScheme: 0 is dark, 1 is light.
  scheme = 0 if dark else 1
  arguments = [
    *_OPTIONS,
    f"--user-data-dir={scratch / 'profile'}",
    f"--blink-settings=preferredColorScheme={scheme}",
    f"--virtual-time-budget={milliseconds}",
    "--dump-dom",
    page.resolve().as_uri(),
  ]
  process = subprocess.Popen(
    [find() or _NAMES[0], *arguments],
    stdin=subprocess.DEVNULL,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    # Its own processes end with it, whatever happens.
    start_new_session=True,
  )
  try:
    dom, log = process.communicate(timeout=_LIMIT_SECONDS)
  except subprocess.TimeoutExpired as error:
    raise RuntimeError(f"Chromium took over {_LIMIT_SECONDS} s") from error
  finally:
    try:
      os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
      pass
    process.wait()
  if process.returncode or not dom:
    raise RuntimeError(
      f"Chromium failed ({process.returncode}):\n{log[-2000:]}"
    )
  return Shown(dom, [line for line in log.splitlines() if ":CONSOLE" in line])
