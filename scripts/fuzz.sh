#!/usr/bin/env bash
# Runs every fuzz target for a while, one after the other.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-5s}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

fuzz() { go test "./$1" -run '^$' -fuzz "^$2\$" -fuzztime "$time" </dev/null 2>&1 | tee "$log"; }

# late tells a run that failed only because the time was over while its workers
# were being stopped, which go test takes for a failure now and then: no input
# is to blame, and none was written down.
late() { grep -q '^ *context deadline exceeded$' "$log" && ! grep -q 'Failing input written' "$log"; }

grep -rlE '^func Fuzz' --include='*_test.go' internal *.go | xargs -n1 dirname | sort -u | while read -r dir; do
  grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go | sed 's/^func //' | sort -u | while read -r target; do
    echo "-- $dir $target"
    if ! fuzz "$dir" "$target"; then
      late || exit 1
      fuzz "$dir" "$target" || exit 1
    fi
  done
done
