#!/usr/bin/env bash
# Runs the fuzz targets, as many at a time as there are processors:
#   scripts/fuzz.sh 5s       each for 5 seconds
#   scripts/fuzz.sh all 60   60 minutes of a processor in all, four times as
#                            long for what reads signatures, policies and
#                            parameters
# What they learn stays in Go's cache for the next time. After "all", the
# newest inputs of each target take the place of those in its testdata that an
# earlier run kept, as its tests.
set -euo pipefail
cd "$(dirname "$0")/.."
export work most=12
heavy='internal/(sign|policy|rpc)$'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# prepare makes the test program of a package and lists its targets.
prepare() {
  local program="$work/${1//\//_}.test"
  go test -c -fuzz=. -o "$program" "./$1"
  "$program" -test.list '^Fuzz' | sed "s|^|$1 $program |"
}

# run runs one target, again if it failed only because its time was over while
# its workers were being stopped, which is taken for a failure now and then: no
# input is to blame, and none was written down.
run() {
  local log cache
  log=$(mktemp -p "$work")
  cache="$(go env GOCACHE)/fuzz/portolan/$1"
  for _ in 1 2; do
    if (cd "$1" && "$2" -test.run='^$' -test.fuzz="^$3\$" -test.fuzztime="$4" -test.parallel=1 -test.fuzzcachedir="$cache") >"$log" 2>&1; then
      printf '%s %s %s: %s\n' "$1" "$3" "$4" "$(grep -o 'execs: [0-9]*' "$log" | tail -1)"
      if [ -n "$keeping" ]; then keep "$1" "$cache" "$3"; fi
      return
    fi
    grep -q '^ *context deadline exceeded$' "$log" && ! grep -q 'Failing input written' "$log" || break
  done
  printf -- '-- %s %s failed\n' "$1" "$3"
  cat "$log"
  return 255 # xargs starts no more
}

# keep copies the newest inputs of a target to where go test finds them.
keep() {
  local to="$1/testdata/fuzz/$3" input
  if [ ! -d "$2/$3" ]; then return; fi
  mkdir -p "$to"
  rm -f "$to"/kept-*
  find "$2/$3" -type f -size -4k -printf '%T@ %p\n' | sort -rn | head -n "$most" | cut -d' ' -f2 | while read -r input; do
    cp "$input" "$to/kept-${input##*/}"
  done
}
export -f run keep

grep -rlE '^func Fuzz' --include='*_test.go' internal ./*.go | xargs -n1 dirname | sort -u | while read -r dir; do
  prepare "$dir"
done >"$work/targets"

export keeping=
if [ "${1:-}" = all ]; then
  keeping=yes
  awk -v minutes="${2:?how many minutes in all}" -v heavy="$heavy" '
    { weight[NR] = $1 ~ heavy ? 4 : 1; all += weight[NR]; line[NR] = $0 }
    END { for (i = 1; i <= NR; i++) printf "%s %ds\n", line[i], 1 + minutes * 60 * weight[i] / all }' "$work/targets" >"$work/times"
else
  sed "s/\$/ ${1:-5s}/" "$work/targets" >"$work/times"
fi
xargs -P "$(nproc)" -L1 bash -c 'run "$@"' run <"$work/times"
