#!/bin/sh
# Prints the path of a Python that can build this project's environment.
#
#   sh tools/find_python.sh [PYTHON]
#
# With an argument, that Python or nothing. Without one, the first of
# python3.11, python3.10, python3.9 and python3 that starts, is 3.9 to 3.11 and
# has the venv module. A name on PATH proves nothing: a version manager's shim
# is there for every version, installed or not, so each one is started.
set -eu

probe='
import os, sys
if not (3, 9) <= sys.version_info[:2] <= (3, 11):
  print("version %d.%d" % sys.version_info[:2])
  sys.exit()
try:
  import ensurepip, venv
except ImportError:
  print("venv %d.%d" % sys.version_info[:2])
  sys.exit()
path = sys.executable
if sys.prefix != sys.base_prefix:
  # Inside an activated environment, perhaps the very one to be rebuilt.
  base = os.path.join(
      sys.base_prefix, "bin", "python%d.%d" % sys.version_info[:2])
  if os.path.exists(base):
    path = base
print("ok " + path)
'

no_venv=''
problem=''
if [ -n "${1:-}" ]; then
  set -- "$1"
  none="PYTHON=$1 does not start"
else
  set -- python3.11 python3.10 python3.9 python3
  none='none of python3.11, python3.10, python3.9 and python3 starts'
fi

for candidate in "$@"; do
  answer=$("$candidate" -c "$probe" 2>/dev/null </dev/null) || continue
  case $answer in
    'ok '*)
      printf '%s\n' "${answer#ok }"
      exit 0
      ;;
    'venv '*)
      version=${answer#venv }
      [ -n "$no_venv" ] || no_venv="$candidate has no venv module: install it (Debian, Ubuntu: apt install python$version-venv), then run make again"
      ;;
    'version '*)
      [ -n "$problem" ] || problem="$candidate is Python ${answer#version }, and TensorFlow Federated 0.87 runs on 3.9, 3.10 and 3.11 only: install one of these (Debian 12: apt install python3.11 python3.11-venv) or name it: make PYTHON=/path/to/python3.11"
      ;;
  esac
done

[ -z "$no_venv" ] || problem=$no_venv
[ -n "$problem" ] || problem="$none: install Python 3.9, 3.10 or 3.11 (Debian 12: apt install python3.11 python3.11-venv) or name one: make PYTHON=/path/to/python3.11"
printf 'error: %s\n' "$problem" >&2
exit 1
