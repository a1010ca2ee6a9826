#!/bin/sh
# Runs every benchmark of speed and memory, one after the other, and goes on
# where one fails. What takes environments of its own or hours is left out.
#
#   sh tools/run_benchmarks.sh .venv/bin/python
set -u
python=$1
failed=0
run() {
  printf '\n=== python -m benchmarks.%s\n' "$*"
  "$python" -W ignore -m "benchmarks.$@" || failed=$((failed + 1))
}
run start_up
run char_lm_rounds --what=speed
run char_lm_rounds --what=clients
run char_lm_rounds --what=memory --rounds=200
run gan_rounds --what=speed
run gan_rounds --what=clients
run topagg_client
run datalens_speed --measure=votes
run datalens_speed --measure=rounds
run remote_workers --ask=scaling
run remote_workers --ask=traffic
run remote_workers --ask=cohorts
printf '\n%d benchmark(s) failed\n' "$failed"
[ "$failed" -eq 0 ]
