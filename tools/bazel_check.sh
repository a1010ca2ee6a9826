#!/bin/sh
# Has Bazel load every BUILD file, and finds labels that lead nowhere.
#
#   sh tools/bazel_check.sh [BAZEL]
#
# Loading needs no network. Building would: Bazel fetches its C++ rules.
set -eu

cd "$(dirname "$0")/.."
bazel=${1:-bazel}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

query() {
  # A batch server ends with its query; nothing is left running or on disk.
  "$bazel" --batch --output_user_root="$scratch/root" query \
    --noshow_progress "$1" >"$scratch/answer" 2>"$scratch/log" </dev/null || {
    cat "$scratch/log" >&2
    exit 1
  }
}

query '//...'
targets=$(wc -l <"$scratch/answer")
# A query does not resolve dependencies, so a wrong label has to be asked for.
query 'labels(deps, //...) except //...'
if [ -s "$scratch/answer" ]; then
  echo 'error: these dependencies are no targets:' >&2
  cat "$scratch/answer" >&2
  exit 1
fi
echo "Bazel loads $((targets)) targets; every dependency is one of them"
